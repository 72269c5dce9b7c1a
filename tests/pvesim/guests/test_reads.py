"""Lists, configuration, pending changes, status, snapshots and features of guests."""

from __future__ import annotations

import pytest

from pvesim.core.errors import Failure, Forbidden
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.guests.records import Guest, Snapshot
from pvesim.guests.rules import next_free_vmid
from pvesim.ha.records import HaResource
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage, Volume
from tests.pvesim.guests.stage import GIB, act, add, change, configure, guest, path, stage, status

MACHINE_KEYS = {"vmid", "name", "status", "uptime", "cpu", "cpus", "mem", "memhost", "maxmem", "disk", "maxdisk"}
MACHINE_KEYS |= {"netin", "netout"}
CONTAINER_KEYS = MACHINE_KEYS - {"memhost"} | {"type", "swap", "maxswap", "diskread", "diskwrite"}
PRESSURES = {f"pressure{what}{how}" for what in ("cpu", "io", "memory") for how in ("full", "some")}


@pytest.fixture
def simulator() -> Simulator:
    return stage()


def listed(simulator: Simulator, kind: str, user: str = "root@pam", **params: int) -> dict[int, dict[str, object]]:
    answer = simulator.request("GET", f"/nodes/pve1/{kind}", params, user=user)
    return {entry["vmid"]: entry for entry in answer}


def test_a_node_lists_its_own_machines_with_the_recorded_keys(simulator: Simulator) -> None:
    machines = listed(simulator, "qemu")
    assert set(machines) == {100, 101, 102}
    assert set(machines[102]) == MACHINE_KEYS
    assert set(machines[100]) == MACHINE_KEYS | {"tags"}
    assert machines[100]["maxmem"] == 256 * 1024**2
    assert machines[101]["maxdisk"] == 2 * GIB
    assert (machines[102]["name"], machines[102]["maxmem"], machines[102]["maxdisk"]) == ("VM 102", 512 * 1024**2, 0)


def test_more_cpus_than_the_node_has_are_not_shown(simulator: Simulator) -> None:
    configure(simulator, 101, cores=200)
    assert status(simulator, 101)["cpus"] == 16
    configure(simulator, 101, vcpus=20)
    assert status(simulator, 101)["cpus"] == 20


def test_the_full_list_adds_what_the_process_tells(simulator: Simulator) -> None:
    act(simulator, 100, "start")
    machines = listed(simulator, "qemu", full=1)
    assert machines[101]["qmpstatus"] == "stopped"
    assert set(machines[100]) >= MACHINE_KEYS | PRESSURES | {"qmpstatus", "pid", "nics", "running-qemu"}
    assert "qmpstatus" not in listed(simulator, "qemu")[100]
    assert set(listed(simulator, "qemu")[100]) == MACHINE_KEYS | PRESSURES | {"tags", "pid"}


def test_containers_have_keys_of_their_own(simulator: Simulator) -> None:
    containers = listed(simulator, "lxc")
    assert set(containers[201]) == CONTAINER_KEYS
    assert (containers[201]["maxdisk"], containers[201]["maxswap"], containers[201]["name"]) == (4 * GIB, 0, "ct2")
    act(simulator, 201, "start")
    running = listed(simulator, "lxc")[201]
    assert set(running) == CONTAINER_KEYS | PRESSURES | {"pid"}
    assert running["pressurecpusome"] == "0.00"


def test_a_list_leaves_out_what_one_may_not_audit(simulator: Simulator) -> None:
    assert set(listed(simulator, "qemu", user="alice@pve")) == {100}
    assert listed(simulator, "lxc", user="alice@pve") == {}


@pytest.mark.parametrize("rest", ["/config", "/pending", "/status/current", "/snapshot", "/feature"])
def test_an_unknown_guest_has_no_configuration_file(simulator: Simulator, rest: str) -> None:
    params = {"feature": "copy"} if rest == "/feature" else {}
    for url, missing in [("qemu/999", "qemu-server/999"), ("qemu/103", "qemu-server/103"), ("lxc/100", "lxc/100")]:
        with pytest.raises(Failure, match=f"^Configuration file 'nodes/pve1/{missing}.conf' does not exist$"):
            simulator.request("GET", f"/nodes/pve1/{url}{rest}", params)


def test_reading_takes_the_right_to_audit(simulator: Simulator) -> None:
    with pytest.raises(Forbidden, match=r"\(/vms/999, VM.Audit\)"):
        simulator.request("GET", path(999, "/config"), user="alice@pve")


def test_the_configuration_shows_what_waits_unless_asked_for_the_current_one(simulator: Simulator) -> None:
    change(simulator, 100, pending={"memory": "384", "tags": None, "cores": 2})
    config = simulator.request("GET", path(100, "/config"))
    assert (config["memory"], config["cores"], "tags" in config) == ("384", 2, False)
    current = simulator.request("GET", path(100, "/config"), {"current": 1})
    assert (current["memory"], current["tags"], "cores" in current) == ("256", "prod;web", False)
    assert current["digest"] == config["digest"]


def test_pending_changes_are_listed_beside_the_values(simulator: Simulator) -> None:
    change(simulator, 100, pending={"memory": "384", "tags": None, "cores": 2})
    configure(simulator, 100, cipassword="hidden")
    entries = {entry["key"]: entry for entry in simulator.request("GET", path(100, "/pending"))}
    assert entries["memory"] == {"key": "memory", "value": "256", "pending": "384"}
    assert entries["tags"] == {"key": "tags", "value": "prod;web", "delete": 1}
    assert entries["cores"] == {"key": "cores", "pending": 2}
    assert entries["name"] == {"key": "name", "value": "web1"}
    assert entries["cipassword"]["value"] == "**********"
    assert len(entries["digest"]["value"]) == 40


def test_a_description_ends_as_the_reader_of_its_file_ends_it(simulator: Simulator) -> None:
    configure(simulator, 100, description="one\ntwo\n")
    assert simulator.request("GET", path(100, "/config"))["description"] == "one\ntwo"
    assert simulator.request("GET", path(200, "/config"))["description"] == "ct one\n"


def test_status_tells_of_agent_display_lock_and_template(simulator: Simulator) -> None:
    assert status(simulator, 100) == {
        **listed(simulator, "qemu")[100],
        "qmpstatus": "stopped",
        "agent": 1,
        "ha": {"managed": 0},
    }
    assert "agent" not in status(simulator, 101)
    configure(simulator, 101, lock="backup", template=1, vga="qxl2", serial0="socket", agent="enabled=0")
    told = status(simulator, 101)
    assert (told["lock"], told["template"], told["spice"], told["serial"]) == ("backup", 1, 1, 1)
    assert "agent" not in told


def test_status_tells_whether_ha_manages_the_guest(simulator: Simulator) -> None:
    simulator.world.put(HaResource("ct:200", state="started"))
    simulator.world.put(HaResource("vm:100", state="ignored"))
    assert status(simulator, 200)["ha"] == {"managed": 1}
    simulator.world.put(HaResource("ct:200", crm_state="started"))
    assert status(simulator, 200)["ha"] == {"managed": 1, "state": "started"}
    assert status(simulator, 100)["ha"] == {"managed": 0}


def test_traffic_is_the_sum_of_the_interfaces(simulator: Simulator) -> None:
    configure(simulator, 100, net1="virtio=BC:24:11:00:00:02,bridge=vmbr0")
    act(simulator, 100, "start")
    simulator.clock.advance(101)
    told = status(simulator, 100)
    assert set(told["nics"]) == {"tap100i0", "tap100i1"}
    assert sum(nic["netin"] for nic in told["nics"].values()) == told["netin"] > 0
    assert told["uptime"] == 101


def with_snapshots(simulator: Simulator) -> None:
    snapshots = (
        Snapshot("s1", 1000.5, {"name": "old", "memory": "128"}, description="first"),
        Snapshot("s2", 2000.0, {"name": "db1"}, parent="s1", vmstate=True),
    )
    change(simulator, 101, snapshots=snapshots, config={**guest(simulator, 101).config, "parent": "s2"})


def test_the_snapshot_list_ends_with_where_the_guest_is(simulator: Simulator) -> None:
    with_snapshots(simulator)
    entries = simulator.request("GET", path(101, "/snapshot"))
    digest = simulator.request("GET", path(101, "/config"))["digest"]
    assert entries == [
        {"name": "s1", "snaptime": 1000, "description": "first", "vmstate": 0},
        {"name": "s2", "snaptime": 2000, "description": "", "vmstate": 1, "parent": "s1"},
        {"name": "current", "description": "You are here!", "digest": digest, "running": 0, "parent": "s2"},
    ]


def test_a_containers_snapshots_hold_no_memory(simulator: Simulator) -> None:
    change(simulator, 200, snapshots=(Snapshot("s1", 5.0, {"hostname": "ct1"}),))
    assert simulator.request("GET", path(200, "/snapshot"))[0] == {"name": "s1", "snaptime": 5, "description": ""}


def test_a_snapshots_configuration_is_read_in_two_ways(simulator: Simulator) -> None:
    with_snapshots(simulator)
    kept = simulator.request("GET", path(101, "/snapshot/s1/config"))
    assert kept == {"name": "old", "memory": "128", "description": "first", "snaptime": 1000}
    config = simulator.request("GET", path(101, "/config"), {"snapshot": "s1"})
    assert config == {**kept, "digest": simulator.request("GET", path(101, "/config"))["digest"]}
    assert simulator.request("GET", path(101, "/snapshot/s2/config"))["parent"] == "s1"
    for url, params in [("/snapshot/no1/config", {}), ("/config", {"snapshot": "no1"})]:
        with pytest.raises(Failure, match=r"^snapshot 'no1' does not exist$"):
            simulator.request("GET", path(101, url), params)


@pytest.mark.parametrize(
    ("vmid", "feature", "expected"),
    [
        (100, "snapshot", 0),
        (101, "snapshot", 1),
        (102, "snapshot", 1),
        (200, "snapshot", 0),
        (101, "clone", 0),
        (100, "copy", 1),
    ],
)
def test_features_follow_format_and_storage(simulator: Simulator, vmid: int, feature: str, expected: int) -> None:
    answer = simulator.request("GET", path(vmid, "/feature"), {"feature": feature})
    assert answer["hasFeature"] == expected
    assert ("nodes" in answer) == (vmid < 200)


def test_a_templates_base_volume_can_be_cloned(simulator: Simulator) -> None:
    add(simulator, Guest(110, "qemu", "pve1", {"template": 1, "scsi0": "local:110/base-110-disk-0.qcow2,size=1G"}))
    assert simulator.request("GET", path(110, "/feature"), {"feature": "clone"})["hasFeature"] == 1


def test_shared_storage_is_reached_from_every_node_it_is_for(simulator: Simulator) -> None:
    world = simulator.world
    world.put(Node("pve3"))
    world.put(Storage("nas", "nfs", shared=True, nodes=("pve1", "pve3")))
    world.put(Volume("nas", "", "111/vm-111-disk-0.qcow2", "images", "qcow2", GIB, vmid=111))
    world.put(Guest(111, "qemu", "pve1", {"scsi0": "nas:111/vm-111-disk-0.qcow2,size=1G"}))
    answer = simulator.request("GET", path(111, "/feature"), {"feature": "snapshot"})
    assert answer == {"hasFeature": 1, "nodes": ["pve1", "pve3"]}


def test_the_next_free_id_is_the_lowest(simulator: Simulator) -> None:
    assert next_free_vmid(simulator.world) == 104
    assert next_free_vmid(World()) == 100
    assert next_free_vmid(simulator.world, 150, 160) == 150
    with pytest.raises(Failure, match=r"unable to get any free VMID in range \[100, 103\]"):
        next_free_vmid(simulator.world, 100, 103)
