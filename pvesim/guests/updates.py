"""What changing a configuration has in common for machines and containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.disks import disks_of
from pvesim.guests.records import Guest
from pvesim.guests.volumes import add_unused, free_volume, in_use, owns


def really_pending(guest: Guest) -> dict[str, Any]:
    """What still waits for the next start: a value that differs, the removal of what is there."""
    return {
        key: value
        for key, value in guest.pending.items()
        if (key in guest.config if value is None else guest.config.get(key) != value)
    }


def without_empty(
    guest: Guest, options: Mapping[str, Any], delete: tuple[str, ...]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What to set and what to delete: an option that is set to nothing does not stay in the file, so it is deleted."""
    known = {*guest.config, *guest.pending}
    empty = tuple(key for key, value in options.items() if value == "" and key in known)
    return {key: value for key, value in options.items() if value != ""}, (*delete, *empty)


def check_protection(guest: Guest, what: str) -> None:
    """Raise `Failure` where the guest is protected; `what` begins the text."""
    if guest.config.get("protection"):
        raise Failure(f"{what} - protection mode enabled")


def release(world: World, guest: Guest, config: dict[str, Any], key: str, text: str, *, force: bool = False) -> None:
    """A drive's or mount's volume loses its place `key`.

    The guest's own volume is noted in `config` as unused; with `force`, or if PVE itself made it for cloud-init, it is
    removed unless a snapshot or another option names it.
    """
    disk = next(disks_of(guest.kind, {key: text}))
    if disk.volid is None or not owns(guest.vmid, disk, world, guest.node):
        return
    if disk.cloudinit or force:
        later = replace(guest, pending={name: value for name, value in guest.pending.items() if name != key})
        if not in_use(later, disk.volid, config=config):
            free_volume(world, guest.node, disk.volid, guest.vmid)
    elif not disk.cdrom:
        add_unused(guest.kind, config, disk.volid)


def take_back(world: World, guest: Guest, keys: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration and the pending changes without those of `keys`; volumes that were made for them are unused."""
    config, pending = dict(guest.config), dict(guest.pending)
    for key in keys:
        waited = pending.pop(key, None)
        is_disk = next(disks_of(guest.kind, {key: waited}), None) is not None
        if waited is not None and is_disk and str(waited) != str(config.get(key)):
            release(world, guest, config, key, str(waited))
    return config, pending
