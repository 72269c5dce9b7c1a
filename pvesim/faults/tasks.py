"""Tasks that go wrong: they fail at a step, hang, warn, or take longer."""

from __future__ import annotations

from collections.abc import Iterator

from pvesim.backup.records import BackupRun
from pvesim.core.tasks import NEVER, Interference, Task, Timer, interferes, running_tasks, sets_pace
from pvesim.core.world import World
from pvesim.faults.records import Fault
from pvesim.faults.requests import strike
from pvesim.guests.records import Guest
from pvesim.storage.records import Volume


@interferes
def interfere(world: World, task: Task, ending: bool) -> Interference | None:
    """What faults do to a task before its next step, or before it ends."""
    if not world.rows(Fault):
        return None
    warnings: list[str] = []
    fail, hold = "", 0.0
    for fault in _matching(world, task):
        if fault.strikes_tasks and _is_due(fault, task, ending) and strike(world, fault):
            warnings += [fault.warn] if fault.warn else []
            fail = fail or fault.fail
            hold = max(hold, fault.hang or 0.0)
    if not (warnings or fail or hold):
        return None
    return Interference(tuple(warnings), fail, NEVER if hold >= NEVER else hold)


def _is_due(fault: Fault, task: Task, ending: bool) -> bool:
    if fault.log:
        return any(fault.log in line for line in task.log[task.said :])
    return fault.step == task.done or (ending and fault.step > task.done)


@sets_pace
def pace(world: World, task: Task) -> float:
    """How many times longer than usual the task's steps take."""
    factor = 1.0
    if world.rows(Fault):
        for fault in _matching(world, task):
            factor *= fault.slow
    return factor


def release(world: World, fault: Fault) -> None:
    """Let the tasks go on that hang for ever by a fault which is no more."""
    if fault.hang is None:
        return
    for task in running_tasks(world):
        if task.held and world.rows(Timer)[task.upid].due >= NEVER and _matches(world, fault, task):
            world.put(Timer(task.upid, world.now, world.count("timer")))


def _matching(world: World, task: Task) -> Iterator[Fault]:
    for fault in list(world.rows(Fault).values()):
        if (fault.strikes_tasks or fault.slow != 1.0) and fault.live(world.now) and _matches(world, fault, task):
            yield fault


def _matches(world: World, fault: Fault, task: Task) -> bool:
    return (
        fault.task in ("", "*", task.type)
        and fault.user in ("", task.user, task.owner)
        and fault.node in ("", task.node)
        and (fault.guest is None or _works_on(world, task, fault.guest))
        and (not fault.storage or _uses(world, task, fault.storage))
    )


def _works_on(world: World, task: Task, vmid: int) -> bool:
    run = world.get(BackupRun, task.upid)
    return task.id == str(vmid) or (run is not None and vmid in run.todo)


def _uses(world: World, task: Task, storage: str) -> bool:
    """Whether a task reads or writes a storage: it backs up to it, has it in its id, or its guest lies on it."""
    run = world.get(BackupRun, task.upid)
    if run is not None:
        return bool(run.options.get("storage") == storage)
    if task.id == storage or task.id.startswith(f"{storage}:") or task.id.endswith(f"@{storage}"):
        return True
    guest = world.get(Guest, int(task.id)) if task.id.isdecimal() else None
    return guest is not None and any(
        volume.storage == storage and volume.vmid == guest.vmid for volume in world.rows(Volume).values()
    )
