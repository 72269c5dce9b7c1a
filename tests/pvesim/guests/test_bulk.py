"""Many guests by one task: which, in what order, how many at a time, and what the log says."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.cluster.records import Cluster
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource
from tests.pvesim.guests.three_nodes import (
    add,
    container,
    finish,
    guest_of,
    lose,
    machine,
    on,
    refusal,
    tasks,
    three_nodes,
)
from tests.pvesim.small_world import give


def run(simulator: Simulator, what: str, node: str = "pve1", **params: Any) -> Task:
    """One of a node's methods for all guests, to its end."""
    given = {name.replace("_", "-"): value for name, value in params.items()}
    return finish(simulator, simulator.request("POST", f"/nodes/{node}/{what}", given))


def spans(simulator: Simulator, *types: str) -> list[tuple[str, float, float]]:
    """Guest, start and end of the tasks of some types, seconds from the first one's start."""
    found = sorted(
        (task for task in simulator.world.rows(Task).values() if task.type in types), key=lambda task: task.order
    )
    first = found[0].starttime
    return [(task.id, round(task.starttime - first, 2), round((task.endtime or 0) - first, 2)) for task in found]


def most_at_a_time(simulator: Simulator, *types: str) -> int:
    found = spans(simulator, *types)
    return max(sum(start <= begin < end for _, start, end in found) for _, begin, _ in found)


# -- start ---------------------------------------------------------------------------------------------------------


def test_nothing_to_start() -> None:
    assert run(three_nodes(machine(100)), "startall").log == ("TASK OK",)


def test_guests_start_by_their_order() -> None:
    simulator = three_nodes(
        machine(100, onboot=1),
        machine(101, onboot=1, startup="order=2"),
        machine(102, onboot=1, startup="order=1,up=7"),
        container(200, onboot=1, startup="1"),
        on(machine(103, onboot=1)),
        machine(104),
        machine(105, node="pve2", onboot=1),
        machine(106, onboot=1, template=1),
    )
    task = run(simulator, "startall")
    assert task.log == (
        "Starting VM 102",
        "Starting CT 200",
        "Waiting for 7 seconds (startup delay)",
        "Starting VM 101",
        "Starting VM 100",
        "TASK OK",
    )
    begin = {vmid: start for vmid, start, _ in spans(simulator, "qmstart", "vzstart")}
    end = {vmid: end for vmid, _, end in spans(simulator, "qmstart", "vzstart")}
    assert begin["101"] >= end["102"] + 7  # the next group waits for the pause
    assert begin["100"] >= end["101"]
    assert {guest.vmid for guest in simulator.world.rows(Guest).values() if guest.running} == {100, 101, 102, 103, 200}


def test_what_force_and_a_list_of_ids_mean() -> None:
    simulator = three_nodes(machine(100, onboot=1), machine(101), machine(102))
    assert run(simulator, "startall", vms="101").log == ("TASK OK",)
    assert run(simulator, "startall", vms="101,999", force=1).log == ("Starting VM 101", "TASK OK")
    assert run(simulator, "startall", force=1).log == ("Starting VM 100", "Starting VM 102", "TASK OK")


def test_one_that_does_not_start_stops_none() -> None:
    simulator = three_nodes(machine(101, onboot=1))
    simulator.world.put(machine(100, onboot=1, disk="thin:vm-{0}-gone"))
    upid = simulator.request("POST", "/nodes/pve1/startall")
    simulator.clock.run_until_done(upid)
    log = simulator.world.rows(Task)[upid].log
    assert log == (
        "Starting VM 100",
        "Starting VM 101",
        "Starting VM 100 failed: volume 'thin:vm-100-gone' does not exist",
        "TASK OK",
    )


def test_a_lock_left_by_a_backup_is_taken_away() -> None:
    simulator = three_nodes(machine(100, onboot=1, lock="backup"))
    assert run(simulator, "startall").log[0] == "removed left over backup lock from '100'!"
    assert guest_of(simulator, 100).running


def test_what_ha_manages_is_left_to_it_unless_it_is_named() -> None:
    simulator = three_nodes(machine(100, onboot=1))
    simulator.world.put(HaResource("vm:100", "stopped", {"state": "stopped"}, "stopped"))
    assert run(simulator, "startall").log == ("TASK OK",)
    run(simulator, "startall", vms="100")
    assert tasks(simulator, "qmstart", "hastart") == [("hastart", "100", "OK")]
    assert simulator.world.rows(HaResource)["vm:100"].state == "started"


# -- stop, suspend -------------------------------------------------------------------------------------------------


def test_guests_stop_in_the_reverse_order_and_side_by_side() -> None:
    simulator = three_nodes(
        on(machine(100, startup="order=1,down=30")),
        on(machine(101)),
        on(machine(102)),
        on(container(200)),
        machine(103),
    )
    task = run(simulator, "stopall")
    assert task.log == (
        "Stopping CT 200 (timeout = 180 seconds)",
        "Stopping VM 102 (timeout = 180 seconds)",
        "Stopping VM 101 (timeout = 180 seconds)",
        "Stopping VM 100 (timeout = 30 seconds)",
        "TASK OK",
    )
    assert most_at_a_time(simulator, "qmshutdown", "vzshutdown") == 3
    ends = {vmid: (start, end) for vmid, start, end in spans(simulator, "qmshutdown", "vzshutdown")}
    assert ends["100"][0] >= max(ends["101"][1], ends["102"][1], ends["200"][1])
    assert not any(guest.running for guest in simulator.world.rows(Guest).values())


@pytest.mark.parametrize(("force", "running"), [(1, False), (0, True)])
def test_a_guest_that_does_not_heed_is_stopped_if_asked(force: int, running: bool) -> None:
    simulator = three_nodes(on(machine(100), acpi=False), on(container(200), acpi=False))
    run(simulator, "stopall", timeout=5, force_stop=force)
    assert [guest_of(simulator, vmid).running for vmid in (100, 200)] == [running, running]


@pytest.mark.parametrize(
    ("options", "params", "expected"),
    [({}, {}, 8), ({"max_workers": 2}, {}, 2), ({"max_workers": 2}, {"max_workers": 5}, 5)],
)
def test_how_many_stop_or_start_at_a_time(options: dict[str, Any], params: dict[str, Any], expected: int) -> None:
    simulator = three_nodes(*(on(machine(100 + number, onboot=1)) for number in range(10)))
    simulator.world.put(Cluster(name="lab", options=options))
    run(simulator, "stopall", **params)
    assert most_at_a_time(simulator, "qmshutdown") == expected
    run(simulator, "startall", **params)
    assert most_at_a_time(simulator, "qmstart") == expected


def test_machines_are_suspended_to_disk_and_containers_are_not() -> None:
    simulator = three_nodes(on(machine(100)), on(container(200)), machine(101))
    task = run(simulator, "suspendall")
    assert task.log == ("skipping 200, only VMs can be suspended", "Suspending VM 100", "TASK OK")
    assert guest_of(simulator, 100).lock == "suspended"
    assert guest_of(simulator, 200).running


def test_saving_memory_takes_a_right_on_the_storage() -> None:
    simulator = three_nodes(on(machine(100)), on(machine(101)))
    give(simulator.world, "alice@pve", "/vms", "PVEVMAdmin")
    give(simulator.world, "alice@pve", "/", "PVEVMUser")
    upid = simulator.request("POST", "/nodes/pve1/suspendall", user="alice@pve")
    log = finish(simulator, upid).log
    assert log[0] == "Permission check failed (/storage/nas, Datastore.AllocateSpace)"
    assert guest_of(simulator, 100).running


# -- migrate -------------------------------------------------------------------------------------------------------


def test_all_guests_of_a_node_move() -> None:
    simulator = three_nodes(on(machine(100)), machine(101, template=1), on(container(200)), container(201))
    task = run(simulator, "migrateall", target="pve2", maxworkers=2)
    assert task.log == (
        "Check VM 100: precondition check passed",
        "Migrating VM 100",
        "Check VM 101: precondition check passed",
        "Migrating VM 101",
        "Migrating CT 200",
        "Migrating CT 201",
        "All jobs finished, used 4 workers in total.",
        "TASK OK",
    )
    moved = {vmid: (guest.node, guest.running) for vmid, guest in simulator.world.rows(Guest).items()}
    assert moved == {100: ("pve2", True), 101: ("pve2", False), 200: ("pve2", True), 201: ("pve2", False)}
    assert most_at_a_time(simulator, "qmigrate", "vzmigrate") == 2


def test_machines_that_cannot_move_are_skipped() -> None:
    simulator = three_nodes(on(machine(100, disk="thin:vm-{0}-disk-0")), machine(101, usb0="host=1-1"), machine(102))
    task = run(simulator, "migrateall", target="pve2", maxworkers=1)
    assert task.log[:4] == (
        "Check VM 100: skip VM 100 - precondition check failed:",
        "  Has local disks: thin:vm-100-disk-0",
        "Check VM 101: skip VM 101 - precondition check failed:",
        "  Has local resources: usb0",
    )
    assert guest_of(simulator, 102).node == "pve2"
    run(simulator, "migrateall", target="pve2", maxworkers=1, with_local_disks=1, vms="100")
    assert guest_of(simulator, 100).node == "pve2"


def test_when_there_is_nothing_to_move() -> None:
    simulator = three_nodes(machine(100, usb0="host=1-1"))
    task = run(simulator, "migrateall", target="pve2", maxworkers=1)
    assert task.exitstatus == "no migrations worker started..."
    task = run(simulator, "migrateall", node="pve3", target="pve2", maxworkers=1)
    assert task.log == ("no virtual guests matched, nothing to do..", "TASK OK")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"target": "nope"}, "no such cluster node 'nope'"),
        ({"target": "pve2"}, "either 'maxworkers' parameter or max_workers in datacenter.cfg must be set!"),
        ({"target": "pve1"}, "Parameter verification failed."),
    ],
)
def test_refusals_of_moving_all(params: dict[str, Any], text: str) -> None:
    assert refusal(three_nodes(machine(100)), "POST", "/nodes/pve1/migrateall", params).message == text


# -- rights --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "params", "privilege"),
    [
        ("/nodes/pve1/startall", {}, "VM.PowerMgmt"),
        ("/nodes/pve1/stopall", {}, "VM.PowerMgmt"),
        ("/nodes/pve1/suspendall", {}, "VM.PowerMgmt"),
        ("/nodes/pve1/migrateall", {"target": "pve2", "maxworkers": 1}, "VM.Migrate"),
        ("/cluster/bulk-action/guest/start", {}, "VM.PowerMgmt"),
        ("/cluster/bulk-action/guest/migrate", {"target": "pve2"}, "VM.Migrate"),
    ],
)
def test_all_guests_take_the_right_on_all_and_some_on_each(path: str, params: dict[str, Any], privilege: str) -> None:
    simulator = three_nodes(machine(100), machine(101))
    assert refusal(simulator, "POST", path, params, "alice@pve").message == f"Permission check failed (/, {privilege})"
    give(simulator.world, "alice@pve", "/vms/100", "PVEVMAdmin")
    vms: Any = [100, 101] if path.startswith("/cluster") else "100,101"
    text = refusal(simulator, "POST", path, {**params, "vms": vms}, "alice@pve").message
    assert text == f"Permission check failed (/vms/101, {privilege})"
    one: Any = [100] if path.startswith("/cluster") else "100"
    assert simulator.request("POST", path, {**params, "vms": one}, user="alice@pve").startswith("UPID:pve1:")


# -- the whole cluster ---------------------------------------------------------------------------------------------


def bulk(simulator: Simulator, action: str, **params: Any) -> Task:
    given = {name.replace("_", "-"): value for name, value in params.items()}
    return finish(simulator, simulator.request("POST", f"/cluster/bulk-action/guest/{action}", given))


def test_guests_of_all_nodes_start_and_stop_by_one_task() -> None:
    simulator = three_nodes(machine(100), machine(101, node="pve2"), container(200, node="pve3"))
    assert bulk(simulator, "start").type == "bulkstart"
    assert all(guest.running for guest in simulator.world.rows(Guest).values())
    assert {task.node for task in simulator.world.rows(Task).values() if task.type == "qmstart"} == {"pve1", "pve2"}
    assert bulk(simulator, "shutdown", vms=[101, 200]).type == "bulkshutdown"
    assert [guest_of(simulator, vmid).running for vmid in (100, 101, 200)] == [True, False, False]


def test_suspending_is_pausing_unless_it_is_to_disk() -> None:
    simulator = three_nodes(on(machine(100)), on(machine(101, node="pve2")))
    bulk(simulator, "suspend", vms=[100])
    assert guest_of(simulator, 100).qmpstatus == "paused"
    bulk(simulator, "suspend", vms=[101], to_disk=1)
    assert guest_of(simulator, 101).lock == "suspended"


def test_guests_gather_on_one_node() -> None:
    simulator = three_nodes(on(machine(100)), machine(101, node="pve2"), container(200, node="pve3"))
    task = bulk(simulator, "migrate", target="pve2", online=1)
    assert {guest.node for guest in simulator.world.rows(Guest).values()} == {"pve2"}
    assert "skipping VM 101, it is on node 'pve2' already" in task.log


def test_guests_of_a_lost_node_are_skipped() -> None:
    simulator = three_nodes(machine(100))
    add(simulator, machine(101, node="pve3"))
    lose(simulator, "pve3")
    task = bulk(simulator, "start")
    assert task.log == ("Starting VM 100", "skipping VM 101, node 'pve3' is offline", "TASK OK")


def test_the_task_that_is_stopped_leaves_its_sub_tasks_alone() -> None:
    simulator = three_nodes(machine(100, onboot=1, startup="1"), machine(101, onboot=1))
    upid = simulator.request("POST", "/nodes/pve1/startall")
    simulator.clock.advance(0.5)
    simulator.request("DELETE", f"/nodes/pve1/tasks/{upid}")
    simulator.clock.advance(30)
    assert [guest_of(simulator, vmid).running for vmid in (100, 101)] == [True, False]
    assert simulator.world.rows(Task)[upid].exitstatus == "received interrupt"
