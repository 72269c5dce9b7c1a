"""One task at a time works with a guest; the others wait ten seconds for it."""

from __future__ import annotations

import pytest

from pvesim.core.errors import Failure
from pvesim.core.tasks import Task, abort_task
from pvesim.engine import Simulator
from pvesim.guests.locks import require_unlocked
from pvesim.guests.records import Behaviour, FileLock, Guest
from tests.pvesim.guests.stage import act, change, finish, guest, stage, start

WAITING = "trying to acquire lock..."


@pytest.fixture
def simulator() -> Simulator:
    """VM 100 runs and does not heed a shutdown."""
    simulator = stage()
    act(simulator, 100, "start")
    return simulator


def test_a_second_task_gives_up_after_ten_seconds(simulator: Simulator) -> None:
    first = start(simulator, 100, "shutdown", timeout=25)
    simulator.clock.advance(2)
    second = finish(simulator, start(simulator, 100, "shutdown", timeout=1))
    assert second.exitstatus == "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
    assert second.log == (WAITING, f"TASK ERROR: {second.exitstatus}")
    assert second.endtime is not None
    assert second.endtime - second.starttime == pytest.approx(10)
    assert simulator.world.rows(Task)[first].running


def test_a_waiting_task_goes_on_when_the_lock_is_given_back(simulator: Simulator) -> None:
    first = start(simulator, 100, "shutdown", timeout=25)
    simulator.clock.advance(5)
    second = start(simulator, 100, "stop")
    simulator.clock.advance(1)
    abort_task(simulator.world, first)
    ended = finish(simulator, second)
    assert ended.log == (WAITING, " OK", "TASK OK")
    assert ended.endtime is not None
    assert ended.endtime - ended.starttime == pytest.approx(1.4)
    assert not guest(simulator, 100).running


def test_those_that_wait_come_one_after_the_other(simulator: Simulator) -> None:
    change(simulator, 100, behaviour=Behaviour(acpi=True, shutdown_seconds=4))
    upids = [start(simulator, 100, action) for action in ("shutdown", "start", "stop")]
    tasks = [finish(simulator, upid) for upid in upids]
    assert [task.exitstatus for task in tasks] == ["OK", "OK", "OK"]
    assert [task.endtime for task in tasks] == sorted(task.endtime or 0 for task in tasks)
    assert not guest(simulator, 100).running


def test_an_aborted_task_leaves_no_lock_behind(simulator: Simulator) -> None:
    upid = start(simulator, 100, "shutdown", timeout=25)
    simulator.clock.advance(1)
    with pytest.raises(Failure, match=r"lock-100\.conf' - got timeout"):
        require_unlocked(simulator.world, "qemu", 100)
    simulator.request("DELETE", f"/nodes/pve1/tasks/{upid}")
    require_unlocked(simulator.world, "qemu", 100)
    assert not simulator.world.rows(FileLock)
    assert guest(simulator, 100).running


def test_a_waiter_that_is_aborted_does_not_take_the_lock(simulator: Simulator) -> None:
    first = start(simulator, 100, "shutdown", timeout=8)
    second = start(simulator, 100, "stop")
    simulator.clock.advance(2)
    abort_task(simulator.world, second)
    finish(simulator, first)
    assert not simulator.world.rows(FileLock)
    assert guest(simulator, 100).running


def test_a_lock_from_outside_holds_back_tasks_of_that_guest_only(simulator: Simulator) -> None:
    simulator.world.put(FileLock(200))
    task = act(simulator, 200, "start")
    assert task.exitstatus == "can't lock file '/run/lock/lxc/pve-config-200.lock' - got timeout"
    assert act(simulator, 201, "start").exitstatus == "OK"
    assert simulator.world.get(FileLock, 200) == FileLock(200, waiting=(task.upid,))


def test_every_task_gives_its_lock_back(simulator: Simulator) -> None:
    for vmid in (100, 101, 200, 999):
        act(simulator, vmid, "start")
    assert not simulator.world.rows(FileLock)
    assert simulator.world.get(Guest, 999) is None


def hostname(simulator: Simulator, vmid: int) -> object:
    return simulator.request("GET", f"/nodes/pve1/lxc/{vmid}/config")["hostname"]


def test_a_request_waits_for_the_lock(simulator: Simulator) -> None:
    assert simulator.request("POST", "/nodes/pve1/lxc/200/template") is None
    with pytest.raises(Failure, match=r"^you can't convert a template to a template$"):
        simulator.request("POST", "/nodes/pve1/lxc/200/template")
    simulator.request("POST", "/nodes/pve1/lxc/201/template")
    simulator.request("PUT", "/nodes/pve1/lxc/201/config", {"hostname": "later"})
    assert hostname(simulator, 201) == "later"


def test_a_request_that_waits_in_vain_changes_nothing(simulator: Simulator) -> None:
    upid = start(simulator, 100, "shutdown", timeout=25)
    simulator.clock.advance(1)
    now, task = simulator.clock.now, simulator.world.rows(Task)[upid]
    with pytest.raises(Failure, match=r"^can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout$"):
        simulator.request("PUT", "/nodes/pve1/qemu/100/config", {"cores": 2})
    assert (simulator.clock.now, simulator.world.rows(Task)[upid]) == (now, task)


def test_no_time_passes_by_itself_where_it_is_moved_by_hand(simulator: Simulator) -> None:
    simulator.clock.set_mode("manual")
    simulator.request("POST", "/nodes/pve1/lxc/200/template")
    simulator.clock.advance(0.1)
    with pytest.raises(Failure, match=r"got timeout$"):
        simulator.request("PUT", "/nodes/pve1/lxc/200/config", {"hostname": "later"})
