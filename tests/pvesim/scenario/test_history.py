"""The task history: what ran before the world began."""

from __future__ import annotations

import pytest

from pvesim.core.clock import Clock
from pvesim.core.log import LogEntry
from pvesim.core.tasks import Task, running_tasks
from tests.pvesim.invariants import check_invariants
from tests.pvesim.scenario.places import build, problem


def test_tasks_ended_in_the_past_in_the_order_of_their_starts() -> None:
    world = build(
        "tasks: [{type: qmstop, id: 100, ago: 1h}, {type: qmstart, id: 100, ago: 1d, duration: 2, log: [hello]}]"
    )
    first, second = world.rows(Task).values()
    assert (first.type, first.starttime, first.endtime) == ("qmstart", world.now - 86400, world.now - 86398)
    assert first.exitstatus == "OK"
    assert first.log == ("hello", "TASK OK")
    assert second.order > first.order
    assert check_invariants(world) == []


def test_one_may_have_failed_or_warned() -> None:
    world = build(
        "tasks: [{type: vzdump, ago: 2h, status: job errors, log: [bad]},"
        " {type: aptupdate, ago: 1h, status: 'WARNINGS: 2', log: [a, b, c]}]"
    )
    failed, warned = world.rows(Task).values()
    assert failed.exitstatus == "job errors"
    assert failed.log == ("bad", "TASK ERROR: job errors")
    assert warned.exitstatus == "WARNINGS: 2"
    assert warned.log == ("a", "b", "c", "TASK WARNINGS: 2")


def test_the_cluster_log_tells_of_them() -> None:
    world = build("tasks: [{type: qmstart, id: 100, ago: 1h}]")
    texts = [(entry.time - world.now, entry.msg.split(" ")[0]) for entry in world.rows(LogEntry).values()]
    assert texts == [(-3600, "starting"), (-3599, "end")]


def test_one_that_takes_longer_still_runs_and_ends_later() -> None:
    world = build("tasks: [{type: vzdump, ago: 10, duration: 60, status: job errors}]")
    (task,) = running_tasks(world)
    assert check_invariants(world) == []
    Clock(world, "manual").advance(60)
    ended = world.rows(Task)[task.upid]
    assert (ended.exitstatus, ended.endtime) == ("job errors", task.starttime + 60)


def test_tasks_may_overlap() -> None:
    world = build("tasks: [{type: vzdump, ago: 100, duration: 60}, {type: qmstart, id: 1, ago: 90}]")
    assert [task.endtime - world.now for task in world.rows(Task).values() if task.endtime] == [-40, -89]


def test_time_is_where_it_was() -> None:
    assert build("start: 5000000\ntasks: [{type: x, ago: 1h}]").now == 5_000_000


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("{type: x, ago: 1, user: nobody@pve}", "tasks.0.user: no user 'nobody@pve': there are root@pam"),
        ("{type: x, ago: 1, user: 'root@pam!t'}", "tasks.0.user: no user 'root@pam!t'"),
        ("{type: x, ago: 1, node: b}", "tasks.0.node: no node 'b': there are pve1"),
        ("{type: x, ago: 1, status: 'WARNINGS: 3', log: [a]}", "3 of the lines are warnings, and there are 1"),
        ("{type: 'x:y', ago: 1}", "string should match pattern"),
        ("{type: x, ago: 1, status: ''}", "at least 1 character"),
    ],
)
def test_what_cannot_be(task: str, words: str) -> None:
    assert words in problem(f"tasks: [{task}]")
