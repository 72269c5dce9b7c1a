"""Removing volumes by task.

Source: the recorded exchanges `storage/048` to `storage/051`, `backup/016` and `backup/026`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.storage.names import parse_name, parse_volid, path_of
from pvesim.storage.rules import activate
from pvesim.storage.types import TYPES
from pvesim.storage.volumes import free, volume_of


def removal_steps(node: str, volid: str, seconds: float = 0.2) -> list[Step]:
    """The task that removes one volume."""
    return [Step(after=seconds, effect="storage.remove", arguments=(node, volid))]


@effect("storage.remove")
def remove_volume(world: World, task: Task | None, node: str, volid: str) -> Iterable[Step]:
    """Remove a volume and log it; a file that is not there is no error, as on a genuine node."""
    storage_id, name = parse_volid(volid)
    storage = activate(world, storage_id, node)
    volume = volume_of(world, node, volid)
    log = []
    if volume is not None:
        free(world, volume)
        if TYPES[storage.type].naming == "lvm":
            log.append(f'  Logical volume "{parse_name(storage, name).file}" successfully removed.')
    elif TYPES[storage.type].has_files:
        log.append(f"disk image '{path_of(storage, name)}' does not exist")
    return [Step(log=(*log, f"Removed volume '{volid}'"))]


def prune_steps(node: str, volids: Iterable[str]) -> list[Step]:
    """The task that removes what a retention lets go."""
    return [
        Step(after=0.2, log=(f"removing backup '{volid}'",), effect="storage.prune", arguments=(node, volid))
        for volid in volids
    ]


@effect("storage.prune")
def prune_volume(world: World, task: Task | None, node: str, volid: str) -> None:
    """Remove one backup that a retention lets go, unless it is gone already."""
    volume = volume_of(world, node, volid)
    if volume is not None:
        free(world, volume)
