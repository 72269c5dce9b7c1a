"""The lock on a guest's configuration file: one task works with a guest at a time, the others queue for ten seconds.

Source: recorded exchanges `tasks/028-036`, `lxc/064`; `pve-behaviour`: a PUT that meets a held lock fails with the text
of a timeout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from pvesim.core.errors import Busy, Failure
from pvesim.core.tasks import Step, Task, Timer, effect, next_due, run_until, start_task
from pvesim.core.world import World
from pvesim.guests.kinds import KINDS
from pvesim.guests.records import FileLock, Kind

PATIENCE = 10.0  # seconds that a task waits for the lock


UNLOCK = "guests.unlock"


def start_locked(
    world: World, kind: Kind, node: str, type: str, vmid: int, user: str, steps: Sequence[Step], cleanup: str = UNLOCK
) -> str:
    """Start a task that holds the guest's lock from its first step to its end; the UPID.

    `cleanup` names an effect with the guest's id as argument, which has to end with `unlock`.
    """
    last = Step(effect=cleanup, arguments=(vmid,))
    return start_task(world, node, type, vmid, user, [lock_step(kind, vmid), *steps], cleanup=last)


def lock_step(kind: Kind, vmid: int) -> Step:
    """The step that takes the lock or waits for it; the task's cleanup has to be `guests.unlock`."""
    return Step(effect="guests.lock", arguments=(kind, vmid))


def holds_lock(world: World, task: Task, vmid: int) -> bool:
    """Whether a task has the lock: what its cleanup undoes is its own doing only then."""
    lock = world.get(FileLock, vmid)
    return lock is not None and lock.holder == task.upid


def require_unlocked(world: World, kind: Kind, vmid: int) -> None:
    """Raise `Busy` where a task holds the lock: a request that changes the configuration itself waits for it, too."""
    if world.get(FileLock, vmid) is not None:
        raise Busy(_timeout(kind, vmid).message, partial(_wait, world, vmid))


def _wait(world: World, vmid: int) -> bool:
    """Let time pass until the lock is free; in vain, nothing has happened."""
    begun = world.now
    try:
        with world.transaction():
            while world.get(FileLock, vmid) is not None:
                due = next_due(world)
                if due is None or due > begun + PATIENCE:
                    raise _InVain
                run_until(world, due)
    except _InVain:
        world.now = begun
        return False
    return True


class _InVain(Exception):
    """The lock will be held for longer than anyone waits."""


@effect("guests.lock")
def _lock(world: World, task: Task, kind: Kind, vmid: int, deadline: float | None = None) -> Iterable[Step] | None:
    lock = world.get(FileLock, vmid)
    if lock is None:
        world.put(FileLock(vmid, task.upid))
        return None if deadline is None else [Step(log=(" OK",))]
    if deadline is None:
        deadline = world.now + PATIENCE
        world.put(replace(lock, waiting=(*lock.waiting, task.upid)))
        again = Step(PATIENCE, effect="guests.lock", arguments=(kind, vmid, deadline))
        return [Step(log=("trying to acquire lock...",)), again]
    if world.now >= deadline:
        raise _timeout(kind, vmid)
    world.put(replace(lock, waiting=(*lock.waiting, task.upid)))
    return [Step(deadline - world.now, effect="guests.lock", arguments=(kind, vmid, deadline))]


@effect(UNLOCK)
def unlock(world: World, task: Task, vmid: int) -> None:
    """Give back the lock if the task holds it, and let those that wait look again."""
    lock = world.get(FileLock, vmid)
    if lock is None or not holds_lock(world, task, vmid):
        return
    world.remove(FileLock, vmid)
    for upid in lock.waiting:  # they look again now, in the order in which they came
        timer = world.get(Timer, upid)
        if timer is not None:
            world.put(replace(timer, due=world.now, order=world.count("timer")))


def _timeout(kind: Kind, vmid: int) -> Failure:
    return Failure(f"can't lock file '{KINDS[kind].lock_file.format(vmid=vmid)}' - got timeout")
