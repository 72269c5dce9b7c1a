"""Tasks as data: a timeline of steps that the virtual clock runs, never a thread.

A task is what PVE calls a worker: it has a UPID, a log and an exit status. Its timeline is a tuple of steps; a step is
due some seconds after the one before and brings log lines, an effect (a named function with plain arguments), or both.
So tasks fork with their world, survive being saved, and run in no time when a test does not want to wait.

Things that happen at a time without being a task (an HA round, a backup schedule) are timers with the same effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pvesim.core.errors import ApiError, Failure
from pvesim.core.log import log_event
from pvesim.core.world import World

NO_CONTENT = "no content"
MISSING_LOG = "unable to open file - No such file or directory"
INTERRUPTED = "received interrupt"
NEVER = 1e12  # a moment or a number of seconds that does not come: a task that hangs waits for it


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a task does `after` so many seconds: log lines first, then the effect.

    `effect` is a name in the registry (see `effect`), `arguments` plain data. A `warning` counts the lines as warnings.
    """

    after: float = 0.0
    log: tuple[str, ...] = ()
    effect: str = ""
    arguments: tuple[Any, ...] = ()
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One worker, running or finished. Times are virtual seconds since the epoch; `user` is without the token.

    `done` counts the steps that were run, `said` the lines of the log before the latest of them; `held` says that what
    interferes with the next one has had its turn.
    """

    upid: str
    order: int
    node: str
    pid: int
    pstart: int
    starttime: float
    type: str
    id: str
    user: str
    tokenid: str | None = None
    steps: tuple[Step, ...] = ()
    log: tuple[str, ...] = ()
    endtime: float | None = None
    exitstatus: str | None = None
    warnings: int = 0
    cleanup: Step | None = None
    done: int = 0
    said: int = 0
    held: bool = False

    @property
    def key(self) -> str:
        return self.upid

    @property
    def running(self) -> bool:
        return self.exitstatus is None

    @property
    def owner(self) -> str:
        """The user as lists show it: `root@pam`, or `root@pam!name` for a token."""
        return f"{self.user}!{self.tokenid}" if self.tokenid else self.user


@dataclass(frozen=True, slots=True)
class Timer:
    """Something due at a time. A timer named by a UPID runs that task's next step."""

    name: str
    due: float
    order: int
    effect: str = ""
    arguments: tuple[Any, ...] = ()

    @property
    def key(self) -> str:
        return self.name


Effect = Callable[..., Iterable[Step] | None]
_EFFECTS: dict[str, Effect] = {}


def effect(name: str) -> Callable[[Effect], Effect]:
    """Register a function as the effect `name`.

    It is called as `function(world, task, *arguments)` (`task` is None for a timer). It may return steps, which come
    before the task's remaining ones, and may raise `Failure`, which ends the task with that text; what it had changed
    is then undone.
    """

    def register(function: Effect) -> Effect:
        if name in _EFFECTS:
            raise ValueError(f"effect {name!r} is registered twice")
        _EFFECTS[name] = function
        return function

    return register


@dataclass(frozen=True, slots=True)
class Interference:
    """What something outside does to a task: lines that count as warnings, a text to fail with, seconds to wait."""

    warnings: tuple[str, ...] = ()
    fail: str = ""
    hold: float = 0.0


Interferer = Callable[[World, Task, bool], Interference | None]
Pace = Callable[[World, Task], float]
_INTERFERERS: dict[str, Interferer] = {}
_PACES: dict[str, Pace] = {}


def interferes(function: Interferer) -> Interferer:
    """Register a function that is asked before each step of a task (`True`: before it ends) whether it interferes."""
    _INTERFERERS[f"{function.__module__}.{function.__qualname__}"] = function
    return function


def sets_pace(function: Pace) -> Pace:
    """Register a function that says how many times longer than usual the steps of a task take."""
    _PACES[f"{function.__module__}.{function.__qualname__}"] = function
    return function


Watcher = Callable[[World], None]
_WATCHERS: dict[str, tuple[tuple[type[Any], ...], Watcher]] = {}


def watcher(*kinds: type[Any]) -> Callable[[Watcher], Watcher]:
    """Register a function for what follows when records of these classes change, by whatever hand (a node is lost).

    It is called as `function(world)` before anything else happens in the world; it must do nothing where there is
    nothing to do, and not change records of the classes that it watches.
    """

    def register(function: Watcher) -> Watcher:
        _WATCHERS[f"{function.__module__}.{function.__qualname__}"] = (kinds, function)
        return function

    return register


def look_around(world: World) -> None:
    """Call the watchers of what has changed since they last looked."""
    for name, (kinds, function) in _WATCHERS.items():
        world.cached(("watched", name), kinds, partial(function, world))


def start_task(
    world: World,
    node: str,
    type: str,
    id: str | int,
    user: str,
    steps: Iterable[Step],
    *,
    cleanup: Step | None = None,
) -> str:
    """Start a task and return its UPID, such as `UPID:pve1:0000029D:00050BDC:6B03BAE9:qmstart:100:root@pam:`.

    `user` may name a token (`root@pam!name`). `cleanup` runs when the task ends, however it ends.
    """
    order = world.count("task")
    pid = world.count(f"pid/{node}", 1 + world.random_int(2, 40), start=1000)
    pstart = max(0, round((world.now - world.started) * 100)) + 500_000 + order
    upid = f"UPID:{node}:{pid:08X}:{pstart:08X}:{int(world.now):08X}:{type}:{id}:{user}:"
    userid, _, tokenid = user.partition("!")
    task = Task(
        upid, order, node, pid, pstart, world.now, type, str(id), userid, tokenid or None, tuple(steps), cleanup=cleanup
    )
    world.put(task)
    log_event(world, node, user, "pvedaemon", f"starting task {upid}")
    _schedule(world, task)
    return upid


def abort_task(world: World, upid: str) -> None:
    """Stop a running task as an interrupt does; one that has finished stays as it is."""
    task = world.get(Task, upid)
    if task is not None and task.running:
        _finish(world, task, INTERRUPTED)


def running_tasks(world: World) -> list[Task]:
    """The tasks that have not finished, oldest first."""
    tasks = [world.get(Task, name) for name in world.rows(Timer)]
    return sorted((task for task in tasks if task is not None), key=lambda task: task.order)


def set_timer(world: World, name: str, due: float, effect: str, *arguments: Any) -> None:
    """Run an effect at a time; a timer of the same name is replaced."""
    world.put(Timer(name, due, world.count("timer"), effect, arguments))


def next_due(world: World, upid: str | None = None) -> float | None:
    """When the next thing is due, or the next step of one task; None when nothing is."""
    timer = _next_timer(world) if upid is None else world.get(Timer, upid)
    return timer.due if timer and timer.due < NEVER else None


def run_until(world: World, time: float) -> None:
    """Run everything that is due up to `time`, each at its own time, and leave `world.now` there."""
    look_around(world)
    while (timer := _next_timer(world)) is not None and timer.due <= time:
        world.now = max(world.now, timer.due)
        world.remove(Timer, timer.name)
        task = world.get(Task, timer.name)
        if task is not None:
            _run_step(world, task)
        else:
            with world.transaction():
                _EFFECTS[timer.effect](world, None, *timer.arguments)
        look_around(world)
    world.now = max(world.now, time)


def _next_timer(world: World) -> Timer | None:
    timers = world.rows(Timer)
    if not timers:
        return None
    return world.cached(
        "next timer", (Timer,), lambda: min(timers.values(), key=lambda timer: (timer.due, timer.order))
    )


def _schedule(world: World, task: Task) -> None:
    after = task.steps[0].after if task.steps else 0.0
    for pace in _PACES.values():
        after *= pace(world, task)
    world.put(Timer(task.upid, world.now + after, world.count("timer")))


def _interfered(world: World, task: Task) -> bool:
    """Let what is outside interfere, once for each step; whether the task has failed or waits because of it."""
    if task.held:
        return False
    for interferer in _INTERFERERS.values():
        met = interferer(world, task, not task.steps)
        if met is None:
            continue
        task = replace(task, log=task.log + met.warnings, warnings=task.warnings + len(met.warnings), held=True)
        world.put(task)
        if met.hold:
            due = min(world.now + met.hold, NEVER)
            world.put(Timer(task.upid, due, world.count("timer")))
            if met.fail:  # after the wait
                world.put(replace(task, steps=(Step(effect="tasks.fail", arguments=(met.fail,)),)))
            return True
        if met.fail:
            _finish(world, task, met.fail)
            return True
    return False


@effect("tasks.fail")
def _fail(world: World, task: Task | None, text: str) -> None:
    raise Failure(text)


def _run_step(world: World, task: Task) -> None:
    if _interfered(world, task):
        return
    task = world.get(Task, task.upid) or task
    if not task.steps:
        _finish(world, task, "OK")
        return
    step, rest = task.steps[0], task.steps[1:]
    warnings = task.warnings + (len(step.log) if step.warning else 0)
    said, done = len(task.log), task.done + 1
    task = replace(task, log=task.log + step.log, steps=rest, warnings=warnings, done=done, said=said, held=False)
    world.put(task)
    if step.effect:
        try:
            with world.transaction():
                more = tuple(_EFFECTS[step.effect](world, task, *step.arguments) or ())
        except ApiError as error:
            _finish(world, world.get(Task, task.upid) or task, error.message)
            return
        task = replace(world.get(Task, task.upid) or task, steps=more + rest)
        world.put(task)
    if task.steps:
        _schedule(world, task)
    elif not _interfered(world, task):
        _finish(world, world.get(Task, task.upid) or task, "OK")


def _clean_up(world: World, task: Task, cleanup: Step) -> None:
    """Run what a task does in the end. Where that fails, nobody waits for it: the log tells, as a daemon's would."""
    try:
        with world.transaction():
            _EFFECTS[cleanup.effect](world, task, *cleanup.arguments)
    except ApiError as error:
        log_event(world, task.node, task.owner, "pvedaemon", f"cleanup of {task.upid}: {error.message}", error=True)


def _finish(world: World, task: Task, status: str) -> None:
    if status == "OK" and task.warnings:
        status = f"WARNINGS: {task.warnings}"
    last = f"TASK {status}" if status == "OK" or status.startswith("WARNINGS:") else f"TASK ERROR: {status}"
    world.remove(Timer, task.upid)
    world.put(replace(task, steps=(), log=(*task.log, last), endtime=world.now, exitstatus=status, cleanup=None))
    if task.cleanup is not None:
        _clean_up(world, task, task.cleanup)
    log_event(world, task.node, task.owner, "pvedaemon", f"end task {task.upid} {status}", error=status != "OK")
