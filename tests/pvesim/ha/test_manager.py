"""The HA manager among several nodes: losses, recoveries, moves, rules, disarming."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import Failure
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import FileLock, Guest
from pvesim.ha.records import HaNode, HaResource
from pvesim.nodes.records import Node
from tests.pvesim.guests.three_nodes import (
    add,
    bring_back,
    container,
    guest_of,
    lose,
    machine,
    on,
    refusal,
    tasks,
    three_nodes,
)
from tests.pvesim.invariants import check_invariants


def under_ha(*guests: Guest, **options: Any) -> Simulator:
    """A cluster in which HA manages all guests, and has seen them."""
    simulator = three_nodes(*guests)
    for guest in guests:
        sid = f"{'vm' if guest.kind == 'qemu' else 'ct'}:{guest.vmid}"
        state = "started" if guest.running else "stopped"
        simulator.request("POST", "/cluster/ha/resources", {"sid": sid, "state": state, **options})
    simulator.clock.advance(20)
    return simulator


def rule(simulator: Simulator, name: str, type: str, resources: str, **options: Any) -> None:
    given = {"rule": name, "type": type, "resources": resources, **options}
    simulator.request("POST", "/cluster/ha/rules", given)


def service(simulator: Simulator, sid: str) -> dict[str, Any]:
    status = simulator.request("GET", "/cluster/ha/status/current")
    found: dict[str, Any] = next(entry for entry in status if entry.get("sid") == sid)
    return found


def place(simulator: Simulator, vmid: int) -> tuple[str, bool]:
    guest = guest_of(simulator, vmid)
    return guest.node, guest.running


# -- losing a node -------------------------------------------------------------------------------------------------


def test_a_lost_node_is_fenced_and_its_guests_are_started_elsewhere() -> None:
    simulator = under_ha(on(machine(100)), on(container(200, disk="nas:{0}/vm-{0}-disk-0.raw")))
    lose(simulator, "pve1")
    simulator.clock.advance(50)
    assert (service(simulator, "vm:100")["crm_state"], place(simulator, 100)) == ("started", ("pve1", True))
    simulator.clock.advance(30)
    assert service(simulator, "vm:100")["crm_state"] == "fence"
    simulator.clock.advance(42)
    assert place(simulator, 100)[0] != "pve1"
    simulator.clock.advance(30)
    assert (place(simulator, 100), place(simulator, 200)) == (("pve2", True), ("pve3", True))
    assert service(simulator, "vm:100")["state"] == "started"
    assert {task[2] for task in tasks(simulator, "qmstart", "vzstart")} == {"OK"}
    assert check_invariants(simulator.world) == []


def test_a_short_interruption_changes_nothing() -> None:
    simulator = under_ha(on(machine(100)))
    before = guest_of(simulator, 100)
    lose(simulator, "pve1")
    simulator.clock.advance(40)
    bring_back(simulator, "pve1")
    simulator.clock.advance(200)
    assert guest_of(simulator, 100) == before
    assert simulator.world.rows(HaNode) == {}


def test_what_is_stopped_is_taken_over_too_and_what_is_disabled_is_not() -> None:
    simulator = under_ha(machine(100), machine(101))
    simulator.request("PUT", "/cluster/ha/resources/vm:101", {"state": "disabled"})
    simulator.clock.advance(20)
    lose(simulator, "pve1")
    simulator.clock.advance(200)
    assert (place(simulator, 100), place(simulator, 101)) == (("pve2", False), ("pve1", False))


def test_guests_that_ha_does_not_manage_stay_with_their_node() -> None:
    simulator = under_ha(on(machine(100)))
    add(simulator, on(machine(300)))
    lose(simulator, "pve1")
    simulator.clock.advance(200)
    assert place(simulator, 300) == ("pve1", False)  # the watchdog has switched the node off
    listed = simulator.request("GET", "/cluster/resources", {"type": "vm"})
    assert {row["vmid"]: row["status"] for row in listed} == {100: "running", 300: "unknown"}


def test_a_node_that_was_fenced_comes_back_as_after_a_restart() -> None:
    simulator = under_ha(on(machine(100)))
    add(simulator, on(machine(300, onboot=1)))
    lose(simulator, "pve1")
    simulator.clock.advance(200)
    bring_back(simulator, "pve1")
    simulator.clock.advance(60)
    assert place(simulator, 300) == ("pve1", True)
    assert place(simulator, 100) == ("pve2", True)
    assert tasks(simulator, "startall") == [("startall", "", "OK")]


def test_without_quorum_nobody_acts_until_it_is_there_again() -> None:
    simulator = under_ha(on(machine(100)))
    lose(simulator, "pve1")
    lose(simulator, "pve2")
    simulator.clock.advance(300)
    assert place(simulator, 100)[0] == "pve1"
    assert service(simulator, "vm:100")["crm_state"] == "started"
    bring_back(simulator, "pve2")
    simulator.clock.advance(200)
    assert place(simulator, 100) == ("pve2", True)


def test_a_disk_that_only_the_lost_node_has_keeps_the_guest_from_starting() -> None:
    simulator = under_ha(on(machine(100, disk="thin:vm-{0}-disk-0")))
    lose(simulator, "pve1")
    simulator.clock.advance(300)
    assert service(simulator, "vm:100")["crm_state"] == "error"
    assert all(status != "OK" for _, _, status in tasks(simulator, "qmstart"))


def test_what_the_manager_tells_of_a_lost_node() -> None:
    simulator = under_ha(on(machine(100)))
    simulator.clock.set_mode("manual")

    def states() -> tuple[Any, ...]:
        kept = simulator.request("GET", "/cluster/ha/status/manager_status")["manager_status"]
        current = simulator.request("GET", "/cluster/ha/status/current")
        agent = next(entry for entry in current if entry["id"] == "lrm:pve1")
        return kept["master_node"], kept["node_status"]["pve1"], "dead" in agent["status"]

    assert states() == ("pve1", "online", False)
    lose(simulator, "pve1")
    simulator.clock.advance(30)
    assert states() == ("pve2", "unknown", False)
    simulator.clock.advance(40)
    assert states() == ("pve2", "fence", False)
    simulator.clock.advance(80)
    assert states() == ("pve2", "unknown", True)


# -- rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"nodes": "pve1:2,pve3:1"}, "pve3"),
        ({"nodes": "pve1"}, "pve2"),
        ({"nodes": "pve1,pve3", "strict": 1}, "pve3"),
    ],
)
def test_node_affinity_says_where_a_guest_is_recovered(options: dict[str, Any], expected: str) -> None:
    simulator = under_ha(on(machine(100)))
    rule(simulator, "home", "node-affinity", "vm:100", **options)
    lose(simulator, "pve1")
    simulator.clock.advance(200)
    assert place(simulator, 100) == (expected, True)


def test_where_no_node_may_have_it_a_guest_waits_for_one() -> None:
    simulator = under_ha(on(machine(100)))
    rule(simulator, "home", "node-affinity", "vm:100", nodes="pve1", strict=1)
    lose(simulator, "pve1")
    simulator.clock.advance(300)
    assert service(simulator, "vm:100")["crm_state"] == "recovery"
    assert place(simulator, 100) == ("pve1", False)
    bring_back(simulator, "pve1")
    simulator.clock.advance(60)
    assert place(simulator, 100) == ("pve1", True)


def test_a_guest_goes_back_to_the_node_that_its_rule_prefers() -> None:
    simulator = under_ha(on(machine(100)))
    rule(simulator, "home", "node-affinity", "vm:100", nodes="pve1:2,pve2:1")
    lose(simulator, "pve1")
    simulator.clock.advance(200)
    assert place(simulator, 100) == ("pve2", True)
    bring_back(simulator, "pve1")
    simulator.clock.advance(60)
    assert place(simulator, 100) == ("pve1", True)
    assert tasks(simulator, "qmigrate") == [("qmigrate", "100", "OK")]


def test_without_failback_it_stays() -> None:
    simulator = under_ha(on(machine(100)), failback=0)
    rule(simulator, "home", "node-affinity", "vm:100", nodes="pve1:2,pve2:1")
    lose(simulator, "pve1")
    simulator.clock.advance(200)
    bring_back(simulator, "pve1")
    simulator.clock.advance(100)
    assert place(simulator, 100) == ("pve2", True)


def test_a_new_rule_moves_guests_together() -> None:
    simulator = under_ha(on(machine(100)), on(machine(101, node="pve2")), on(machine(102, node="pve2")))
    rule(simulator, "pals", "resource-affinity", "vm:100,vm:101,vm:102", affinity="positive")
    simulator.clock.advance(100)
    assert [place(simulator, vmid) for vmid in (100, 101, 102)] == [("pve2", True)] * 3
    assert len(tasks(simulator, "qmigrate")) == 1


def test_a_new_rule_moves_guests_apart() -> None:
    simulator = under_ha(on(machine(100)), on(machine(101)))
    rule(simulator, "foes", "resource-affinity", "vm:100,vm:101", affinity="negative")
    simulator.clock.advance(100)
    assert place(simulator, 100) == ("pve1", True)
    assert place(simulator, 101) == ("pve2", True)
    simulator.clock.advance(200)
    assert len(tasks(simulator, "qmigrate")) == 1


def test_a_rule_that_is_switched_off_says_nothing() -> None:
    simulator = under_ha(on(machine(100)), on(machine(101)))
    rule(simulator, "foes", "resource-affinity", "vm:100,vm:101", affinity="negative", disable=1)
    simulator.clock.advance(100)
    assert tasks(simulator, "qmigrate") == []


# -- moving on request ---------------------------------------------------------------------------------------------


def test_a_guest_is_migrated_as_it_runs() -> None:
    simulator = under_ha(on(machine(100)))
    answer = simulator.request("POST", "/cluster/ha/resources/100/migrate", {"node": "pve3"})
    assert answer == {"sid": "vm:100", "requested-node": "pve3"}
    simulator.clock.advance(5.5)
    assert service(simulator, "vm:100")["crm_state"] == "migrate"
    simulator.clock.advance(30)
    assert (place(simulator, 100), service(simulator, "vm:100")["state"]) == (("pve3", True), "started")
    assert tasks(simulator, "qmigrate", "qmshutdown", "qmstart") == [("qmigrate", "100", "OK")]


def test_a_guest_is_relocated_switched_off() -> None:
    simulator = under_ha(on(machine(100)))
    simulator.request("POST", "/cluster/ha/resources/vm:100/relocate", {"node": "pve3"})
    simulator.clock.advance(60)
    assert place(simulator, 100) == ("pve3", True)
    assert [task[0] for task in tasks(simulator, "qmigrate", "qmshutdown", "qmstart")] == [
        "qmshutdown",
        "qmigrate",
        "qmstart",
    ]


def test_a_container_is_moved_by_restart() -> None:
    simulator = under_ha(on(container(200)))
    simulator.request("POST", "/cluster/ha/resources/ct:200/migrate", {"node": "pve2"})
    simulator.clock.advance(60)
    assert place(simulator, 200) == ("pve2", True)


def test_a_request_to_the_guest_goes_through_ha() -> None:
    simulator = under_ha(on(machine(100)))
    upid = simulator.request("POST", "/nodes/pve1/qemu/100/migrate", {"target": "pve2", "online": 1})
    simulator.clock.run_until_done(upid)
    task = simulator.world.rows(Task)[upid]
    assert (task.type, task.log[0]) == ("hamigrate", "Requesting HA migration for VM 100 to node pve2")
    assert place(simulator, 100)[0] == "pve1"
    simulator.clock.advance(30)
    assert place(simulator, 100) == ("pve2", True)


def test_a_move_that_fails_leaves_the_guest_running_where_it_is() -> None:
    simulator = under_ha(on(machine(100, disk="thin:vm-{0}-disk-0")))
    simulator.request("POST", "/cluster/ha/resources/vm:100/migrate", {"node": "pve2"})
    simulator.clock.advance(100)
    assert place(simulator, 100) == ("pve1", True)
    assert service(simulator, "vm:100")["state"] == "started"
    assert tasks(simulator, "qmigrate") == [("qmigrate", "100", "migration aborted")]


def test_what_belongs_together_moves_together_and_what_does_not_blocks() -> None:
    simulator = under_ha(on(machine(100)), on(machine(101)), on(machine(102, node="pve2")))
    rule(simulator, "pals", "resource-affinity", "vm:100,vm:101", affinity="positive")
    rule(simulator, "foes", "resource-affinity", "vm:101,vm:102", affinity="negative")
    path = "/cluster/ha/resources/vm:100/migrate"
    blocked = simulator.request("POST", path, {"node": "pve2"})
    assert blocked["blocking-resources"] == [{"sid": "vm:102", "cause": "resource-affinity"}]
    found = simulator.request("GET", "/nodes/pve1/qemu/100/migrate")
    assert found["dependent-ha-resources"] == ["vm:101"]
    assert found["not_allowed_nodes"]["pve2"]["blocking-ha-resources"] == blocked["blocking-resources"]
    answer = simulator.request("POST", path, {"node": "pve3"})
    assert answer["comigrated-resources"] == ["vm:101"]
    simulator.clock.advance(60)
    assert [place(simulator, vmid) for vmid in (100, 101, 102)] == [("pve3", True), ("pve3", True), ("pve2", True)]


def test_refusals_of_moves() -> None:
    simulator = under_ha(on(machine(100)))
    text = refusal(simulator, "POST", "/cluster/ha/resources/vm:100/migrate", {"node": "nope"}).message
    assert text == "no such cluster node 'nope'"
    simulator.world.put(replace(simulator.world.rows(HaResource)["vm:100"], crm_state="error"))
    text = refusal(simulator, "POST", "/cluster/ha/resources/vm:100/relocate", {"node": "pve2"}).message
    assert text == "service 'vm:100' in error state, must be disabled and fixed first"


# -- starts that fail ----------------------------------------------------------------------------------------------


def test_a_guest_that_does_not_start_here_is_tried_elsewhere() -> None:
    simulator = under_ha(machine(100, cores=64))
    node = simulator.world.rows(Node)["pve2"]
    simulator.world.put(replace(node, hardware=replace(node.hardware, cpus=128)))
    simulator.request("PUT", "/cluster/ha/resources/vm:100", {"state": "started"})
    simulator.clock.advance(120)
    assert place(simulator, 100) == ("pve2", True)
    assert [status == "OK" for _, _, status in tasks(simulator, "qmstart")] == [False, False, True]


def test_an_error_is_over_when_the_resource_was_disabled() -> None:
    simulator = under_ha(machine(100, cores=64), max_relocate=0)
    simulator.request("PUT", "/cluster/ha/resources/vm:100", {"state": "started"})
    simulator.clock.advance(120)
    assert service(simulator, "vm:100")["state"] == "error"
    config = guest_of(simulator, 100).config
    simulator.world.put(replace(guest_of(simulator, 100), config={**config, "cores": 1}))
    simulator.request("PUT", "/cluster/ha/resources/vm:100", {"state": "disabled"})
    simulator.clock.advance(20)
    assert service(simulator, "vm:100")["state"] == "disabled"
    simulator.request("PUT", "/cluster/ha/resources/vm:100", {"state": "started"})
    simulator.clock.advance(20)
    assert place(simulator, 100) == ("pve1", True)


# -- guests that act by themselves ---------------------------------------------------------------------------------


def test_a_guest_that_goes_off_by_itself_is_started_again() -> None:
    simulator = under_ha(on(machine(100)))
    off = replace(guest_of(simulator, 100), status="stopped", qmpstatus="stopped", started=0.0, pid=None)
    simulator.world.put(off)
    simulator.clock.advance(30)
    assert place(simulator, 100) == ("pve1", True)
    assert tasks(simulator, "qmstart") == [("qmstart", "100", "OK")]
    simulator.clock.advance(100)
    assert len(tasks(simulator, "qmstart")) == 1


def test_a_guest_is_left_to_the_task_that_works_with_it() -> None:
    simulator = under_ha(on(machine(100)))
    off = replace(guest_of(simulator, 100), status="stopped", qmpstatus="stopped", started=0.0, pid=None)
    simulator.world.put(off)
    simulator.world.put(FileLock(100))
    simulator.clock.advance(100)
    assert tasks(simulator, "qmstart") == []
    simulator.world.remove(FileLock, 100)
    simulator.clock.advance(30)
    assert place(simulator, 100) == ("pve1", True)


# -- disarmed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "type"), [("freeze", "hastop"), ("ignore", "qmstop")])
def test_while_disarmed_the_manager_does_nothing(mode: str, type: str) -> None:
    simulator = under_ha(on(machine(100)), on(machine(101)))
    simulator.request("POST", "/cluster/ha/status/disarm-ha", {"resource-mode": mode})
    status = simulator.request("GET", "/cluster/ha/status/current")
    fencing = next(entry for entry in status if entry["type"] == "fencing")
    assert (fencing["armed-state"], fencing["resource_mode"]) == ("disarmed", mode)
    simulator.request("PUT", "/cluster/ha/resources/vm:101", {"state": "stopped"})
    upid = simulator.request("POST", "/nodes/pve1/qemu/100/status/stop")
    assert upid.split(":")[5] == type
    simulator.clock.advance(100)
    assert place(simulator, 101) == ("pve1", True)
    simulator.request("POST", "/cluster/ha/status/arm-ha")
    simulator.clock.advance(100)
    assert place(simulator, 101) == ("pve1", False)


def test_a_world_goes_its_own_way_after_a_fork() -> None:
    simulator = under_ha(on(machine(100)))
    lose(simulator, "pve1")
    simulator.clock.advance(30)
    other = simulator.fork()
    other.clock.advance(200)
    assert (place(other, 100), place(simulator, 100)) == (("pve2", True), ("pve1", True))
    with pytest.raises(Failure):
        other.request("GET", "/nodes/pve3/qemu/100/config")
