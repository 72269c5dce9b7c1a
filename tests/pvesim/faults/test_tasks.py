"""Faults on tasks: failing at a step, hanging, warning, taking longer."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ClockError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import FileLock, Guest
from tests.pvesim.small_world import small_simulator

START = "/nodes/pve1/qemu/101/status/start"


def start(sim: Simulator) -> str:
    upid = sim.request("POST", START)
    assert isinstance(upid, str)
    return upid


def ended(sim: Simulator, upid: str) -> Task:
    sim.clock.run_until_done(upid)
    return sim.world.rows(Task)[upid]


def test_a_task_fails_before_its_first_step() -> None:
    sim = small_simulator()
    sim.faults.add("x", task="qmstart", fail="start failed: no luck")
    task = ended(sim, start(sim))
    assert (task.exitstatus, task.log) == ("start failed: no luck", ("TASK ERROR: start failed: no luck",))
    assert not sim.world.rows(Guest)[101].running
    assert sim.world.get(FileLock, 101) is None


def test_a_task_fails_at_a_step_and_its_cleanup_runs() -> None:
    sim = small_simulator()
    sim.faults.add("x", task="qmstart", step=1, fail="no luck")
    upid = start(sim)
    assert ended(sim, upid).exitstatus == "no luck"
    assert not sim.world.rows(Guest)[101].running
    assert sim.world.get(FileLock, 101) is None


def test_a_task_fails_after_a_line_of_its_log() -> None:
    sim = small_simulator()
    sim.request("POST", "/storage", {"storage": "dumps", "type": "dir", "path": "/srv/dumps", "content": "backup"})
    sim.faults.add("x", task="vzdump", log="Starting Backup of VM 101", fail="interrupted by signal")
    sim.faults.add("y", task="vzdump", log="Starting Backup of VM 100", warn="WARN: careful")
    task = ended(sim, sim.request("POST", "/nodes/pve1/vzdump", {"vmid": "100,101", "storage": "dumps"}))
    assert task.exitstatus == "interrupted by signal"
    assert any("Finished Backup of VM 100" in line for line in task.log)
    assert any("Starting Backup of VM 101" in line for line in task.log)
    assert not any("Finished Backup of VM 101" in line for line in task.log)
    assert (sim.faults["x"].hits, sim.faults["y"].hits) == (1, 1)


def test_past_the_last_step_it_fails_at_the_end() -> None:
    sim = small_simulator()
    sim.faults.add("x", task="qmstart", step=1000, fail="no luck")
    assert ended(sim, start(sim)).exitstatus == "no luck"
    assert sim.world.rows(Guest)[101].running
    assert sim.faults["x"].hits == 1


def test_a_warning_counts_in_the_status() -> None:
    sim = small_simulator()
    sim.faults.add("x", task="qmstart", warn="WARN: half a disk")
    task = ended(sim, start(sim))
    assert task.exitstatus == "WARNINGS: 1"
    assert "WARN: half a disk" in task.log
    assert sim.world.rows(Guest)[101].running


def test_a_task_that_hangs_goes_on_when_the_fault_is_gone() -> None:
    sim = small_simulator()
    sim.faults.add("x", task="qmstart", hang=True)
    upid = start(sim)
    with pytest.raises(ClockError, match="hangs"):
        sim.clock.run_until_done(upid)
    before = sim.world.now
    for _ in range(5):
        assert sim.request("GET", f"/nodes/pve1/tasks/{upid}/status")["status"] == "running"
    assert sim.world.now == before
    sim.clock.advance(86400)
    assert sim.world.rows(Task)[upid].running
    sim.faults.remove("x")
    assert ended(sim, upid).exitstatus == "OK"


def test_a_task_that_hangs_can_be_stopped() -> None:
    sim = small_simulator()
    sim.faults.add("x", task="qmstart", step=1, hang=True)
    upid = start(sim)
    sim.clock.advance(1)
    sim.request("DELETE", f"/nodes/pve1/tasks/{upid}")
    assert sim.world.rows(Task)[upid].exitstatus == "received interrupt"
    assert sim.world.get(FileLock, 101) is None


def test_a_task_hangs_for_a_while() -> None:
    sim = small_simulator()
    sim.faults.add("x", task="qmstart", hang="5m")
    begin = sim.world.now
    task = ended(sim, start(sim))
    assert task.exitstatus == "OK"
    assert 300 <= (task.endtime or 0) - begin < 310


def test_a_task_hangs_and_then_fails() -> None:
    sim = small_simulator()
    sim.faults.add("x", task="qmstart", hang="5m", fail="got timeout")
    begin = sim.world.now
    task = ended(sim, start(sim))
    assert (task.exitstatus, (task.endtime or 0) - begin) == ("got timeout", 300)
    assert sim.faults["x"].hits == 1


def test_slow_is_a_factor() -> None:
    def seconds(**fault: Any) -> float:
        sim = small_simulator()
        if fault:
            sim.faults.add(**fault)
        begin = sim.world.now
        return (ended(sim, start(sim)).endtime or 0) - begin

    usual = seconds()
    assert usual > 0
    assert seconds(slow=8) == pytest.approx(8 * usual)
    assert seconds(storage="local", slow=8) == pytest.approx(8 * usual)
    assert seconds(task="qmstop", slow=8) == usual


@pytest.mark.parametrize(
    ("fields", "struck"),
    [
        ({"task": "qmstart"}, True),
        ({"task": "*"}, True),
        ({}, True),
        ({"guest": 101}, True),
        ({"user": "root@pam"}, True),
        ({"node": "pve1"}, True),
        ({"storage": "local"}, True),
        ({"task": "qmstop"}, False),
        ({"guest": 100}, False),
        ({"user": "alice@pve"}, False),
        ({"node": "pve2"}, False),
    ],
)
def test_which_tasks_are_struck(fields: dict[str, Any], struck: bool) -> None:
    sim = small_simulator()
    sim.faults.add(fail="no luck", **fields)
    assert (ended(sim, start(sim)).exitstatus == "no luck") == struck


def test_only_so_many_tasks_are_struck() -> None:
    sim = small_simulator()
    sim.faults.add(task="qmstart", count=1, fail="no luck")
    assert [ended(sim, start(sim)).exitstatus for _ in range(2)] == ["no luck", "OK"]
