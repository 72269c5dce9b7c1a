"""`GET /cluster/resources`: what it lists, for whom, and that it never shows an older state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ParameterErrors
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource
from pvesim.metrics import node_figures
from pvesim.nodes.records import Node
from pvesim.pools.records import Pool
from pvesim.storage.records import Space, Storage
from tests.pvesim.small_world import GIB, give, small_simulator


@pytest.fixture
def simulator() -> Simulator:
    return small_simulator()


def rows(simulator: Simulator, user: str = "root@pam", **params: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in simulator.request("GET", "/cluster/resources", params, user=user)}


def change(simulator: Simulator, vmid: int, **changes: Any) -> None:
    simulator.world.put(replace(simulator.world.rows(Guest)[vmid], **changes))


def test_everything_is_listed_once(simulator: Simulator) -> None:
    simulator.world.put(Pool("p1"))
    ids = [row["id"] for row in simulator.request("GET", "/cluster/resources")]
    assert ids == [
        "/pool/p1",
        *("qemu/100", "qemu/101", "qemu/102", "lxc/200"),
        *("node/pve1", "node/pve2"),
        *("storage/pve1/local", "storage/pve2/local"),
        *("network/pve1/zone/localnetwork", "network/pve2/zone/localnetwork"),
    ]


@pytest.mark.parametrize(
    ("type", "types"), [("vm", {"qemu", "lxc"}), ("node", {"node"}), ("storage", {"storage"}), ("sdn", set())]
)
def test_a_type_can_be_asked_for(simulator: Simulator, type: str, types: set[str]) -> None:
    assert {row["type"] for row in rows(simulator, type=type).values()} == types


def test_an_unknown_type_is_refused(simulator: Simulator) -> None:
    with pytest.raises(ParameterErrors):
        rows(simulator, type="cow")


def test_rows_have_the_keys_of_the_recorded_ones(simulator: Simulator) -> None:
    listed = rows(simulator)
    guest = {"cpu", "disk", "diskread", "diskwrite", "id", "maxcpu", "maxdisk", "maxmem", "mem", "memhost", "name"}
    guest |= {"netin", "netout", "node", "status", "template", "type", "uptime", "vmid"}
    assert set(listed["qemu/101"]) == set(listed["lxc/200"]) == guest
    assert set(listed["qemu/100"]) == guest | {"tags"}
    node = {"cgroup-mode", "cpu", "disk", "id", "level", "maxcpu", "maxdisk", "maxmem", "mem", "node", "status"}
    assert set(listed["node/pve1"]) == node | {"type", "uptime"}
    storage = {"content", "disk", "id", "maxdisk", "node", "plugintype", "shared", "status", "storage", "type"}
    assert set(listed["storage/pve1/local"]) == storage


def test_sizes_and_names_are_those_of_the_configuration(simulator: Simulator) -> None:
    listed = rows(simulator)
    web, container = listed["qemu/100"], listed["lxc/200"]
    assert (web["name"], web["maxmem"], web["maxdisk"], web["tags"]) == ("web1", 256 * 1024**2, GIB, "prod;web")
    assert (container["name"], container["maxcpu"], container["maxdisk"]) == ("ct1", 1, GIB)
    assert web["uptime"] > 0
    assert web["mem"] > 0
    assert (listed["qemu/101"]["status"], listed["qemu/101"]["mem"], listed["qemu/101"]["uptime"]) == ("stopped", 0, 0)
    assert listed["storage/pve1/local"]["disk"] == 13 * GIB


def test_labels_appear_only_where_there_are_any(simulator: Simulator) -> None:
    simulator.world.put(Pool("p1", vmids=(101,)))
    simulator.world.put(HaResource("vm:101", crm_state="stopped"))
    change(simulator, 101, config={"name": "db1", "lock": "backup", "template": 1})
    row = rows(simulator)["qemu/101"]
    labels = {"pool": "p1", "hastate": "stopped", "lock": "backup", "template": 1}
    assert {name: row[name] for name in labels} == labels
    simulator.world.put(HaResource("vm:102", crm_state="queued"))
    assert not set(rows(simulator)["qemu/102"]) & {"pool", "hastate", "lock", "tags"}


def test_a_change_is_seen_at_once(simulator: Simulator) -> None:
    assert rows(simulator)["qemu/101"]["status"] == "stopped"
    change(simulator, 101, status="running", qmpstatus="running", started=simulator.world.now)
    assert rows(simulator)["qemu/101"]["status"] == "running"
    simulator.world.remove(Guest, 101)
    assert "qemu/101" not in rows(simulator)
    simulator.world.put(Storage("nfs1", "nfs", shared=True))
    simulator.world.put(Space("nfs1", "", 5 * GIB, GIB))
    assert rows(simulator)["storage/pve2/nfs1"]["disk"] == GIB
    simulator.world.put(Pool("p1", vmids=(100,)))
    assert rows(simulator)["qemu/100"]["pool"] == "p1"


def test_figures_move_with_the_round_and_not_within_it(simulator: Simulator) -> None:
    first = rows(simulator)
    simulator.clock.advance(5)
    assert rows(simulator) == first
    simulator.clock.advance(5)
    later = rows(simulator)["qemu/100"]
    assert later["netin"] > first["qemu/100"]["netin"]
    assert later["uptime"] == first["qemu/100"]["uptime"] + 10


def test_a_fork_does_not_show_what_happens_in_the_other(simulator: Simulator) -> None:
    rows(simulator)
    fork = simulator.fork()
    change(simulator, 101, status="running", qmpstatus="running", started=simulator.world.now)
    assert rows(simulator)["qemu/101"]["status"] == "running"
    assert rows(fork)["qemu/101"]["status"] == "stopped"
    assert rows(simulator)["qemu/101"]["status"] == "running"


def test_a_node_shows_the_figures_of_its_status(simulator: Simulator) -> None:
    figures = node_figures(simulator.world, simulator.world.rows(Node)["pve1"])
    row = rows(simulator)["node/pve1"]
    assert (row["cpu"], row["mem"]) == (figures.cpu, figures.mem)


def test_of_an_offline_node_little_is_known(simulator: Simulator) -> None:
    simulator.world.put(replace(simulator.world.rows(Node)["pve2"], online=False))
    listed = rows(simulator)
    assert listed["qemu/102"] == {
        "id": "qemu/102",
        "node": "pve2",
        "status": "unknown",
        "type": "qemu",
        "vmid": 102,
    }
    assert listed["node/pve2"]["status"] == "offline"
    assert "cpu" not in listed["node/pve2"]
    assert listed["storage/pve2/local"]["status"] == "unknown"
    assert "network/pve2/zone/localnetwork" not in listed


def test_a_user_without_rights_sees_only_that_there_are_nodes(simulator: Simulator) -> None:
    node = {"cgroup-mode": 2, "id": "node/pve1", "level": "", "node": "pve1", "status": "online", "type": "node"}
    listed = rows(simulator, user="alice@pve")
    assert set(listed) == {"node/pve1", "node/pve2"}
    assert listed["node/pve1"] == node


def test_rights_given_later_count(simulator: Simulator) -> None:
    rows(simulator, user="alice@pve")
    give(simulator.world, "alice@pve", "/vms/101", "PVEVMUser")
    give(simulator.world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    assert set(rows(simulator, user="alice@pve")) >= {"qemu/101", "storage/pve1/local"}
    assert "qemu/100" not in rows(simulator, user="alice@pve")
    assert set(rows(simulator, user="audit@pve")) == set(rows(simulator))


def test_a_storage_is_listed_where_it_is_enabled(simulator: Simulator) -> None:
    local = simulator.world.rows(Storage)["local"]
    simulator.world.put(replace(local, nodes=("pve2",)))
    assert [row for row in rows(simulator) if row.startswith("storage")] == ["storage/pve2/local"]
    simulator.world.put(replace(local, disable=True))
    assert [row for row in rows(simulator) if row.startswith("storage")] == []
