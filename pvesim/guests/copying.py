"""Copying volumes: how long it takes and what the task's log says meanwhile.

Source: recorded exchanges `qemu-clone/004`, `qemu-disk/011`, `qemu-snapshot/026`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.locks import unlock
from pvesim.guests.records import Guest
from pvesim.guests.volumes import fill, free_volume
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import check_enabled
from pvesim.storage.volumes import volume_of

_BYTES_A_SECOND = 400 * 1024**2
_SHORTEST, _LONGEST = 0.4, 30.0
_MOVED = ("qemu.moved", "lxc.moved")  # the steps after which a copy is in its place,
_COPY = 2  # and which of their arguments it is
_QUARTERS = (0.25, 0.5, 0.75, 1.0)


def human(size: float) -> str:
    """A size as QEMU's tools say it: `1.0 GiB`, `0.0 B`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def copy_seconds(volume: Volume) -> float:
    """How long a copy of what a volume holds takes."""
    return min(_LONGEST, max(_SHORTEST, volume.used / _BYTES_A_SECOND))


def copy_steps(source: Volume, drive: str, *, running: bool) -> list[Step]:
    """The steps that pass while a drive is copied.

    While its machine runs it is mirrored, and the mirror is then ready for `switch_step` or `release_step`.
    """
    pause, size = copy_seconds(source) / len(_QUARTERS), source.size
    if not running:
        first = Step(log=(f"transferred 0.0 B of {human(size)} (0.00%)",))
        return [
            first,
            *(Step(pause, (f"transferred {human(size * part)} of {human(size)} ({part:.2%})",)) for part in _QUARTERS),
        ]
    job = f"drive-{drive}"
    done = f"{job}: transferred {human(size)} of {human(size)} (100.00%) in {copy_seconds(source):.0f}s, ready"
    return [
        Step(log=(f"drive mirror is starting for {job}",)),
        Step(copy_seconds(source), (done, "all 'mirror' jobs are ready")),
    ]


def switch_step(drive: str) -> Step:
    """The step in which a running machine goes over to the mirror of a drive."""
    job = f"drive-{drive}"
    return Step(
        log=(f"{job}: Completing block job...", f"{job}: Completed successfully.", f"{job}: mirror-job finished")
    )


def release_step(drives: Sequence[str], *, agent: bool) -> Step:
    """The step in which a running machine lets go of the mirrors of its drives, held still for a moment."""
    still, moving = ("freeze filesystem", "unfreeze filesystem") if agent else ("suspend vm", "resume vm")
    jobs = [line for drive in drives for line in (f"drive-{drive}: Cancelling block job", f"drive-{drive}: Done.")]
    return Step(log=(still, *jobs, moving))


@effect("guests.move_over")
def _move_over(world: World, task: Task, vmid: int) -> None:
    """Where a move was interrupted, the copy goes away and the disk stays where it is."""
    guest = world.get(Guest, vmid)
    rest = next((step for step in task.steps if step.effect in _MOVED), None)
    if guest is not None and rest is not None:
        free_volume(world, guest.node, rest.arguments[_COPY], vmid)
    unlock(world, task, vmid)


def take_over(world: World, source: Volume, target: Volume) -> Volume:
    """The target with what the source holds. Raises `Failure` where there is no space."""
    return fill(world, target, source.used)


def check_target(world: World, node: str, target: str | None, storage: str | None, content: str) -> None:
    """Raise `Failure` unless the storage can be used on the node, and on the target node if it is another."""
    if target is not None and world.get(Node, target) is None:
        raise Failure(f"no such cluster node '{target}'")
    if storage is None:
        return
    found = check_enabled(world, storage, node)
    if content not in found.content:
        raise Failure(f"storage '{storage}' does not support content type '{content}'")
    if target is not None:
        check_enabled(world, storage, target)
        if not found.shared:
            raise Failure(f"can't clone to non-shared storage '{storage}'")


def all_shared(world: World, volids: list[str]) -> bool:
    """Whether all volumes are on shared storages."""
    storages = (world.get(Storage, volid.partition(":")[0]) for volid in volids)
    return all(storage is not None and storage.shared for storage in storages)


def source_of(world: World, node: str, volid: str) -> Volume:
    """The volume to copy. Raises `Failure` where it is not there."""
    volume = volume_of(world, node, volid)
    if volume is None:
        raise Failure(f"volume '{volid}' does not exist")
    return volume
