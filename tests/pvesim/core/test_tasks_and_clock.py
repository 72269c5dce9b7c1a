"""Tasks as data, and the three ways in which time passes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.core.clock import Clock
from pvesim.core.errors import ClockError, Failure
from pvesim.core.log import KEPT, LogEntry, log_event
from pvesim.core.tasks import Step, Task, abort_task, effect, running_tasks, set_timer, start_task
from pvesim.core.world import Counter, World

START = 1_800_000_000.0


@effect("test.count")
def count(world: World, task: Task | None, name: str, step: int = 1) -> None:
    world.count(name, step)


@effect("test.more")
def more(world: World, task: Task) -> Iterable[Step]:
    return [Step(1, ("one more",)), Step(1, (), "test.count", ("after",))]


@effect("test.fail")
def fail(world: World, task: Task) -> None:
    world.count("half done")
    raise Failure("it broke")


def counted(world: World, name: str) -> int:
    counter = world.get(Counter, name)
    return counter.value if counter else 0


@effect("test.raise")
def broken(world: World, task: Task) -> None:
    world.count("half cleaned")
    raise Failure("what it wanted is gone")


def new_task(world: World, *steps: Step, cleanup: Step | None = None, user: str = "root@pam") -> Task:
    upid = start_task(world, "pve1", "qmtest", 100, user, steps, cleanup=cleanup)
    return get(world, upid)


def get(world: World, upid: str) -> Task:
    return world.rows(Task)[upid]


@pytest.fixture
def world() -> World:
    return World(seed=7, now=START)


def test_a_upid_has_pve_form_and_names_the_token(world: World) -> None:
    task = new_task(world, user="alice@pve!ci")
    kind, node, pid, pstart, started, *rest = task.upid.split(":")
    assert (kind, node, rest) == ("UPID", "pve1", ["qmtest", "100", "alice@pve!ci", ""])
    assert (int(pid, 16), int(pstart, 16), int(started, 16)) == (task.pid, task.pstart, START)
    assert (task.user, task.tokenid, task.owner) == ("alice@pve", "ci", "alice@pve!ci")


def test_steps_run_at_their_times(world: World) -> None:
    task = new_task(world, Step(2, ("begun",)), Step(3, ("done",), "test.count", ("effects", 5)))
    clock = Clock(world, "manual")
    clock.advance(1.9)
    assert get(world, task.upid).log == ()
    clock.advance(0.2)
    assert get(world, task.upid).log == ("begun",)
    assert counted(world, "effects") == 0
    clock.advance(10)
    ended = get(world, task.upid)
    assert (ended.log, ended.exitstatus, ended.endtime) == (("begun", "done", "TASK OK"), "OK", START + 5)
    assert counted(world, "effects") == 5


def test_an_effect_may_add_steps_before_the_rest(world: World) -> None:
    task = new_task(world, Step(1, (), "test.more"), Step(1, ("last",)))
    Clock(world, "manual").advance(60)
    assert get(world, task.upid).log == ("one more", "last", "TASK OK")
    assert get(world, task.upid).endtime == START + 4
    assert counted(world, "after") == 1


def test_a_failing_effect_ends_the_task_and_is_undone(world: World) -> None:
    task = new_task(world, Step(1, ("trying",), "test.fail"), Step(1, ("never",)))
    Clock(world, "manual").advance(60)
    ended = get(world, task.upid)
    assert (ended.exitstatus, ended.log) == ("it broke", ("trying", "TASK ERROR: it broke"))
    assert counted(world, "half done") == 0


def test_a_cleanup_that_fails_disturbs_nobody(world: World) -> None:
    task = new_task(world, Step(1), cleanup=Step(effect="test.raise"))
    Clock(world, "manual").advance(5)
    assert get(world, task.upid).exitstatus == "OK"
    assert counted(world, "half cleaned") == 0
    assert any("what it wanted is gone" in entry.msg for entry in world.rows(LogEntry).values())


@pytest.mark.parametrize("effect_name", ["test.count", "test.fail"])
def test_cleanup_runs_however_a_task_ends(world: World, effect_name: str) -> None:
    arguments = ("x",) if effect_name == "test.count" else ()
    new_task(world, Step(1, (), effect_name, arguments), cleanup=Step(effect="test.count", arguments=("cleaned",)))
    Clock(world, "manual").advance(60)
    assert counted(world, "cleaned") == 1


def test_an_abort_interrupts_and_cleans_up_once(world: World) -> None:
    task = new_task(world, Step(5, ("late",)), cleanup=Step(effect="test.count", arguments=("cleaned",)))
    abort_task(world, task.upid)
    ended = get(world, task.upid)
    assert (ended.exitstatus, ended.log) == ("received interrupt", ("TASK ERROR: received interrupt",))
    abort_task(world, task.upid)
    Clock(world, "manual").advance(60)
    assert get(world, task.upid) is ended
    assert counted(world, "cleaned") == 1


def test_warnings_are_counted_in_the_exit_status(world: World) -> None:
    task = new_task(world, Step(1, ("WARN: first",), warning=True), Step(1, ("WARN: second",), warning=True))
    Clock(world, "manual").advance(60)
    assert get(world, task.upid).exitstatus == "WARNINGS: 2"
    assert get(world, task.upid).log[-1] == "TASK WARNINGS: 2"


def test_the_cluster_log_tells_of_start_and_end(world: World) -> None:
    task = new_task(world, Step(1))
    Clock(world, "manual").advance(2)
    assert [(entry.msg, entry.time) for entry in world.rows(LogEntry).values()] == [
        (f"starting task {task.upid}", START),
        (f"end task {task.upid} OK", START + 1),
    ]


def test_the_cluster_log_keeps_a_bounded_number_of_lines(world: World) -> None:
    for number in range(KEPT + 5):
        log_event(world, "pve1", "root@pam", "pvedaemon", f"line {number}")
    entries = list(world.rows(LogEntry).values())
    assert len(entries) == KEPT
    assert entries[0].msg == "line 5"


def test_a_timer_runs_its_effect_once_and_a_new_one_replaces_it(world: World) -> None:
    set_timer(world, "round", START + 5, "test.count", "round", 1)
    set_timer(world, "round", START + 8, "test.count", "round", 10)
    clock = Clock(world, "manual")
    clock.advance(6)
    assert counted(world, "round") == 0
    clock.advance(60)
    assert counted(world, "round") == 10


def test_in_auto_mode_looking_at_a_task_moves_it_on(world: World) -> None:
    clock = Clock(world, "auto")
    task = new_task(world, Step(1, ("a",)), Step(2, ("b",)))
    for seen in ((), ("a",), ("a", "b", "TASK OK")):
        clock.tick()
        assert get(world, task.upid).log == seen
        clock.polled(task.upid)
    assert world.now == START + 3
    assert running_tasks(world) == []


def test_in_manual_mode_looking_changes_nothing(world: World) -> None:
    clock = Clock(world, "manual")
    task = new_task(world, Step(1, ("a",)))
    clock.tick()
    clock.polled(task.upid)
    clock.started(task.upid)
    assert world.now == START
    assert get(world, task.upid).running


class RealTime:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(("scale", "real", "virtual"), [(1.0, 10.0, 10.0), (0.1, 2.0, 20.0), (2.0, 4.0, 2.0)])
def test_in_scaled_mode_time_follows_real_time(world: World, scale: float, real: float, virtual: float) -> None:
    time = RealTime()
    clock = Clock(world, "scaled", scale, time)
    time.seconds += real
    clock.tick()
    assert world.now == START + virtual


def test_at_scale_zero_a_task_ends_at_once(world: World) -> None:
    clock = Clock(world, "scaled", 0, RealTime())
    task = new_task(world, Step(100, ("a",)), Step(100, ("b",)))
    clock.started(task.upid)
    assert get(world, task.upid).exitstatus == "OK"


def test_a_clock_goes_on_from_where_its_world_is(world: World) -> None:
    time = RealTime()
    clock = Clock(world, "scaled", 1.0, time)
    time.seconds += 50
    clock.tick()
    clock.attach(World(now=START))
    time.seconds += 3
    clock.tick()
    assert clock.now == START + 3


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_time_moves_forward_only(world: World, seconds: float) -> None:
    with pytest.raises(ClockError, match="forward only"):
        Clock(world, "manual").advance(seconds)


def test_a_clock_refuses_what_it_does_not_know(world: World) -> None:
    with pytest.raises(ClockError, match="no clock mode 'fast'"):
        Clock(world, "fast")  # type: ignore[arg-type]
    with pytest.raises(ClockError, match="time scale"):
        Clock(world, "scaled", -1)


def test_a_fork_carries_its_running_tasks(world: World) -> None:
    task = new_task(world, Step(1, ("a",)), Step(1, ("b",)))
    Clock(world, "manual").advance(1)
    fork = world.fork()
    Clock(fork, "manual").advance(5)
    assert get(fork, task.upid).exitstatus == "OK"
    assert get(world, task.upid).running


@given(
    st.lists(st.lists(st.floats(0, 5), min_size=1, max_size=4), max_size=4),
    st.lists(st.floats(0.01, 3), max_size=12),
)
def test_however_time_is_cut_the_end_is_the_same(timelines: list[list[float]], cuts: list[float]) -> None:
    def play(advances: list[float]) -> list[tuple[object, ...]]:
        world = World(now=START)
        clock = Clock(world, "manual")
        for number, timeline in enumerate(timelines):
            new_task(world, *[Step(after, (f"{number}/{step}",)) for step, after in enumerate(timeline)])
        for seconds in advances:
            clock.advance(seconds)
        clock.advance(START + 1000 - world.now)
        return [(task.upid, task.log, task.exitstatus, task.endtime) for task in world.rows(Task).values()]

    assert play(cuts) == play([])
