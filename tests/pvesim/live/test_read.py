"""A cluster read into a scenario: the simulator stands for the live side."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pvesim import Simulator, load_scenario
from pvesim.guests.records import Guest
from pvesim.live import LiveError, SimulatedCluster, Unreadable, compare, read_cluster
from pvesim.nodes.records import Node
from pvesim.scenario.build import build_world
from pvesim.storage.records import Volume

AUDITOR = "mcp@pve!auditor"


class Counting:
    """A source that keeps what it was asked."""

    def __init__(self, source: SimulatedCluster) -> None:
        self.source = source
        self.asked: list[str] = []

    def get(self, path: str, **params: Any) -> Any:
        self.asked.append(path)
        return self.source.get(path, **params)


@pytest.fixture(scope="module")
def live() -> Simulator:
    return Simulator("homelab", clock="manual")


@pytest.mark.parametrize("scenario", ["failing-node", "least-privilege", "pbs-backups", "storage-full"])
def test_shipped_scenarios_are_read_whole(scenario: str) -> None:
    simulator = Simulator(scenario, clock="manual")
    reading = read_cluster(SimulatedCluster(simulator))
    found = compare(SimulatedCluster(simulator), SimulatedCluster(Simulator(reading.scenario, clock="manual")))
    assert reading.notes == []
    # Backup jobs are no part of what a scenario's plain fields hold.
    assert [finding.words() for finding in found.findings if finding.path != "/cluster/backup"] == []


def test_a_connection_that_breaks_is_noted() -> None:
    simulator = Simulator("homelab", clock="manual")
    simulator.faults.add(path="/nodes/pve1/dns", connection="drop")
    notes = read_cluster(SimulatedCluster(simulator)).notes
    assert [note.partition(": 596")[0] for note in notes] == ["not read: /nodes/pve1/dns"]


@pytest.fixture(scope="module")
def copy(live: Simulator) -> Simulator:
    reading = read_cluster(SimulatedCluster(live))
    assert reading.notes == []
    text = yaml.safe_dump(reading.scenario, sort_keys=False)
    return Simulator(yaml.safe_load(text), clock="manual")


def test_what_was_read_answers_as_what_it_was_read_from(live: Simulator, copy: Simulator) -> None:
    found = compare(SimulatedCluster(live), SimulatedCluster(copy))
    assert found.paths > 100
    assert [finding.words() for finding in found.findings] == []


def test_guests_are_whole(live: Simulator, copy: Simulator) -> None:
    for vmid, guest in live.world.rows(Guest).items():
        read = copy.world.rows(Guest)[vmid]
        assert (read.kind, read.node, read.status, read.qmpstatus) == (
            guest.kind,
            guest.node,
            guest.status,
            guest.qmpstatus,
        )
        assert {**read.config, "meta": 0} == {**guest.config, "meta": 0}
        assert read.pending == guest.pending
        assert [(s.name, s.parent, s.snaptime) for s in read.snapshots] == [
            (s.name, s.parent, s.snaptime) for s in guest.snapshots
        ]


def test_volumes_are_whole(live: Simulator, copy: Simulator) -> None:
    def told(simulator: Simulator) -> set[tuple[Any, ...]]:
        volumes = simulator.world.rows(Volume).values()
        return {(v.key, v.content, v.format, v.size, v.vmid, v.parent, v.notes, v.protected) for v in volumes}

    assert told(copy) == told(live)


def test_an_auditors_token_is_enough(live: Simulator) -> None:
    reading = read_cluster(SimulatedCluster(live, AUDITOR))
    world = build_world(reading.scenario)
    assert list(world.rows(Guest)) != []
    assert set(world.rows(Guest)) == set(live.world.rows(Guest))
    assert len(world.rows(Node)) == 3


def test_nothing_is_changed_by_reading() -> None:
    live = Simulator("homelab", clock="manual")
    before = live.world.fork()
    read_cluster(SimulatedCluster(live))
    assert before.diff(live.world) == []


def test_a_node_that_is_offline_is_noted() -> None:
    live = Simulator("homelab", clock="manual")
    live.faults.cause(node_offline="pve3")
    reading = read_cluster(SimulatedCluster(live))
    world = build_world(reading.scenario)
    assert not world.rows(Node)["pve3"].online
    assert "not read: guest 106 is on pve3, which is offline" in reading.notes
    assert 106 not in world.rows(Guest)
    assert 100 in world.rows(Guest)


def test_a_fleet_from_counts_and_a_single_node_are_read() -> None:
    for scenario in ({"fleet": {"nodes": 2, "vms": 6, "containers": 4}}, "single-node"):
        live = Simulator(scenario, clock="manual")
        reading = read_cluster(SimulatedCluster(live))
        found = compare(SimulatedCluster(live), SimulatedCluster(Simulator(reading.scenario, clock="manual")))
        assert [finding.words() for finding in found.findings] == []


def test_what_a_guest_went_through_is_read() -> None:
    live = Simulator("homelab", clock="auto")
    for verb, path, params in [
        ("POST", "/nodes/pve2/qemu/105/clone", {"newid": 300, "name": "copy", "full": 1}),
        ("POST", "/nodes/pve1/qemu/900/clone", {"newid": 301, "name": "linked"}),
        ("PUT", "/nodes/pve2/qemu/105/config", {"delete": "scsi0"}),
        ("POST", "/nodes/pve1/lxc/200/snapshot", {"snapname": "now"}),
        ("POST", "/nodes/pve2/qemu/101/snapshot", {"snapname": "memory", "vmstate": 1}),
    ]:
        live.request(verb, path, params)
        live.clock.advance(300)
    live.clock.set_mode("manual")
    reading = read_cluster(SimulatedCluster(live))
    found = compare(SimulatedCluster(live), SimulatedCluster(Simulator(reading.scenario, clock="manual")))
    # PVE notes no size of a clone's cloud-init drive; the scenario's builder does.
    told = [finding.words() for finding in found.findings]
    assert [line for line in told if "qemu/301" not in line or "cloudinit" not in line] == []
    assert reading.notes == []


def test_the_tasks_are_left_out_on_request(live: Simulator) -> None:
    source = Counting(SimulatedCluster(live))
    assert "tasks" not in read_cluster(source, tasks=False).scenario
    assert not any(path.endswith("/tasks") for path in source.asked)


def test_what_a_scenario_cannot_hold_is_left_out_and_noted() -> None:
    class Newer(SimulatedCluster):
        def get(self, path: str, **params: Any) -> Any:
            data = super().get(path, **params)
            if path == "/nodes/pve1/qemu/100/config":
                data = {**data, "of-another-release": "1"}
            return data

    reading = read_cluster(Newer(Simulator("homelab", clock="manual")))
    assert [note.partition(": PVE")[0] for note in reading.notes] == ["left out: vms.100.config.of-another-release"]
    assert load_scenario(reading.scenario).vms[100].config["name"] == "web"


def test_a_cluster_that_shows_nothing_is_an_error() -> None:
    class Closed:
        def get(self, path: str, **params: Any) -> Any:
            raise Unreadable(path, 403, "Permission check failed")

    with pytest.raises(LiveError, match="the cluster cannot be read: /version: 403 Permission check failed"):
        read_cluster(Closed())
