"""Changes that waited for a guest to stop: what the next start makes of them."""

from __future__ import annotations

from dataclasses import replace

from pvesim.core.tasks import Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import disks_of
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import find_guest
from pvesim.guests.updates import release
from pvesim.guests.volumes import drop_readded


def apply_pending(world: World, guest: Guest) -> Guest:
    """The guest with its pending changes in its configuration; its own disks that lose their place become unused."""
    config = {key: value for key, value in {**guest.config, **guest.pending}.items() if value is not None}
    changed = replace(guest, config=config, pending={})
    for disk in disks_of(guest.kind, guest.config):
        if disk.key in guest.pending and not disk.unused and config.get(disk.key) != guest.config[disk.key]:
            release(world, changed, config, disk.key, str(guest.config[disk.key]))
    return replace(changed, config=drop_readded(guest.kind, config))


@effect("guests.apply_pending")
def _apply_pending(world: World, task: Task, kind: Kind, vmid: int) -> None:
    guest = find_guest(world, kind, task.node, vmid)
    if guest.pending:
        world.put(apply_pending(world, guest))
