"""Changes that waited for a guest to stop: what the next start makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from pvesim.core.tasks import Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import Disk, disks_of
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import find_guest


def with_pending(guest: Guest) -> Guest:
    """The guest with its pending changes in its configuration; its own disks that lose their place become unused."""
    config = dict(guest.config)
    before = {disk.key: disk for disk in disks_of(guest.kind, config)}
    for key, value in guest.pending.items():
        if value is None:
            config.pop(key, None)
        else:
            config[key] = value
    for key in guest.pending:
        disk = before.get(key)
        if disk is not None and _owned(disk, guest.vmid):
            config = _keep_as_unused(guest.kind, config, disk)
    return replace(guest, config=config, pending={})


def _owned(disk: Disk, vmid: int) -> bool:
    """Whether the disk is a volume that was made for this guest, and not a CD or the entry of an unused one."""
    name = (disk.volid or "").partition(":")[2].rpartition("/")[2]
    return not disk.cdrom and not disk.unused and name.startswith((f"vm-{vmid}-", f"base-{vmid}-", f"subvol-{vmid}-"))


def _keep_as_unused(kind: Kind, config: Mapping[str, Any], disk: Disk) -> dict[str, Any]:
    if any(other.volid == disk.volid for other in disks_of(kind, config)):
        return dict(config)
    key = next(f"unused{number}" for number in count() if f"unused{number}" not in config)
    return {**config, key: disk.volid}


@effect("guests.apply_pending")
def _apply_pending(world: World, task: Task, kind: Kind, vmid: int) -> None:
    guest = find_guest(world, kind, task.node, vmid)
    if guest.pending:
        world.put(with_pending(guest))
