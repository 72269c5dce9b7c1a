"""Which of a guest's volumes have to go with it to another node, what keeps it from going, and the carrying itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pvesim.contract import split_list
from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.disks import Disk, disks_of
from pvesim.guests.records import Guest
from pvesim.guests.volumes import fill, with_new_name
from pvesim.nodes.records import Node
from pvesim.storage.names import parse_name
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import is_enabled
from pvesim.storage.volumes import allocate, linked_clones, volume_of

_RAW_DEVICES = re.compile(r"hostpci\d+|usb\d+|serial\d+|parallel\d+")
_HARMLESS = re.compile(r"socket|.*mapping=.*|(?:host=)?spice(?:,.*)?")


@dataclass(frozen=True, slots=True)
class LocalVolume:
    """A volume that only its node has: under which option, where it is named, and the storage that it goes to."""

    key: str  # empty for a saved memory state
    volume: Volume
    where: str
    storage: str

    @property
    def goal(self) -> str:
        return f"{self.storage}:{self.volume.name}"


def storage_map(mapping: str | None) -> Mapping[str, str]:
    """What `targetstorage` says: by source storage; the one for all others under the empty name."""
    if not mapping or mapping == "1":
        return {}
    pairs: dict[str, str] = {}
    for item in split_list(mapping):
        source, colon, target = item.partition(":")
        if colon:
            pairs[source] = target
        else:
            pairs[""] = source
    return pairs


def _goal(mapping: str | None, storage: str) -> str:
    pairs = storage_map(mapping)
    return pairs.get(storage, pairs.get("", storage))


def local_volumes(
    world: World, guest: Guest, target: str, mapping: str | None, *, live: bool, with_disks: bool
) -> tuple[list[LocalVolume], list[str]]:
    """The volumes that have to be copied, and what speaks against it, as the task's log says it."""
    volumes: list[LocalVolume] = []
    problems: list[str] = []
    for disk in _disks(guest):
        if disk.volid is None:
            if disk.file.startswith("/") and guest.kind == "lxc":
                problems.append(f"cannot migrate local bind mount point '{disk.key}'")
            continue
        storage = world.get(Storage, disk.storage or "")
        if storage is None or (storage.shared and is_enabled(storage, target)):
            continue
        goal = _goal(mapping, storage.storage)
        volume = volume_of(world, guest.node, disk.volid)
        problem = _problem(world, disk, volume, goal, target, live=live, with_disks=with_disks)
        if problem:
            problems.append(
                f"can't migrate local {'disk' if guest.kind == 'qemu' else 'volume'} '{disk.volid}': {problem}"
            )
        elif volume is not None:
            volumes.append(LocalVolume(disk.key, volume, _where(guest, disk), goal))
    return volumes, problems


def _disks(guest: Guest) -> Iterator[Disk]:
    """What the configuration, the pending changes and the snapshots name, each volume once; CDs only as they are now."""
    seen: set[str] = set()
    pending = {key: value for key, value in guest.pending.items() if value is not None}
    for config in (guest.config, pending, *(snapshot.config for snapshot in guest.snapshots)):
        states = [Disk("", str(config["vmstate"]), {}, 0)] if config.get("vmstate") else []
        for disk in (*disks_of(guest.kind, config), *states):
            stale = config is not guest.config and disk.cdrom and not disk.cloudinit
            if not stale and (disk.volid is None or disk.volid not in seen):
                seen.add(disk.volid or "")
                yield disk


def _where(guest: Guest, disk: Disk) -> str:
    if not disk.key:
        return "(in snapshot)"
    if disk.unused:
        return "(unused)"
    if guest.kind == "lxc":
        return "(in current VM config)"
    return "(generated)" if disk.cloudinit else "(attached)"


def _problem(
    world: World, disk: Disk, volume: Volume | None, goal: str, target: str, *, live: bool, with_disks: bool
) -> str | None:
    if disk.cdrom and not disk.cloudinit:
        return "local cdrom image"
    if volume is None:
        return f"volume '{disk.volid}' does not exist"
    storage = world.get(Storage, goal)
    if storage is None:
        return f"storage '{goal}' does not exist"
    if not is_enabled(storage, target):
        return f"storage '{goal}' is not available on node '{target}'"
    if live and not with_disks and disk.key and not disk.unused and not disk.cloudinit:
        return "can't live migrate attached local disks without with-local-disks option"
    if next(linked_clones(world, volume), None) is not None:
        return f"base volume '{volume.volid}' is still in use by linked cloned"
    if volume.parent:
        return f"can't migrate '{volume.volid}' as it's a clone of '{volume.parent}'"
    return None


def carry(world: World, guest: Guest, target: str, mapping: str | None) -> Guest:
    """The guest on the target node, its local volumes with it under names that are free there. Raises `Failure`."""
    renamed: dict[str, str] = {}
    volumes, problems = local_volumes(world, guest, target, mapping, live=False, with_disks=True)
    if problems:
        raise Failure(problems[0])
    for each in volumes:
        renamed[each.volume.volid] = _copy(world, each, guest, target)
        world.remove(Volume, each.volume.key)
    snapshots = tuple(replace(snapshot, config=_renamed(snapshot.config, renamed)) for snapshot in guest.snapshots)
    config, pending = _renamed(guest.config, renamed), _renamed(guest.pending, renamed)
    return replace(guest, node=target, config=config, pending=pending, snapshots=snapshots)


def _copy(world: World, local: LocalVolume, guest: Guest, target: str) -> str:
    """Make the volume on the target's storage; its id there."""
    storage, volume = world.rows(Storage)[local.storage], local.volume
    source = world.rows(Storage)[volume.storage]
    file: str | None = parse_name(source, volume.name).file
    same_form = storage.type == source.type
    place = storage.place(target)
    if not same_form or world.get(Volume, (storage.storage, place, volume.name)) is not None:
        file = None
    format = volume.format if same_form else None
    made = allocate(world, storage.storage, target, guest.vmid, volume.size, format, volume.content, name=file)
    return fill(world, made, volume.used).volid


def _renamed(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {key: with_new_name(value, names) for key, value in config.items()}


# -- what may go where ---------------------------------------------------------------------------------------------


def machine_preconditions(world: World, guest: Guest) -> dict[str, Any]:
    """`GET /nodes/{node}/qemu/{vmid}/migrate`."""
    disks = [disk for disk in disks_of("qemu", guest.config) if disk.volid and not _shared(world, disk)]
    allowed, refused = _nodes(world, guest, disks)
    return {
        "running": int(guest.running),
        "allowed_nodes": allowed,
        "not_allowed_nodes": refused,
        "local_disks": [_disk_entry(disk) for disk in disks],
        "local_resources": [
            key
            for key, value in guest.config.items()
            if _RAW_DEVICES.fullmatch(key) and not _HARMLESS.fullmatch(str(value))
        ],
        "mapped-resources": [],
        "mapped-resource-info": {},
        "has-dbus-vmstate": 1,
    }


def container_preconditions(world: World, guest: Guest) -> dict[str, Any]:
    """`GET /nodes/{node}/lxc/{vmid}/migrate`."""
    disks = [disk for disk in disks_of("lxc", guest.config) if disk.volid and not _shared(world, disk)]
    return {"running": int(guest.running), "allowed-nodes": _nodes(world, guest, disks)[0], "not-allowed-nodes": {}}


def _shared(world: World, disk: Disk) -> bool:
    storage = world.get(Storage, disk.storage or "")
    return storage is not None and storage.shared


def _nodes(world: World, guest: Guest, disks: list[Disk]) -> tuple[list[str], dict[str, Any]]:
    allowed: list[str] = []
    refused: dict[str, Any] = {}
    names = dict.fromkeys(disk.storage or "" for disk in disks if not disk.cdrom or disk.cloudinit)
    for node in sorted(world.rows(Node)):
        if node == guest.node:
            continue
        missing = [name for name in names if not _reaches(world, name, node)]
        if missing:
            refused[node] = {"unavailable_storages": missing}
        else:
            allowed.append(node)
    return allowed, refused


def _reaches(world: World, name: str, node: str) -> bool:
    storage = world.get(Storage, name)
    return storage is not None and is_enabled(storage, node)


def _disk_entry(disk: Disk) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "volid": disk.volid,
        "drivename": disk.key,
        "cdrom": int(disk.cdrom),
        "is_attached": int(not disk.unused),
        "is_unused": int(disk.unused),
        "is_cloudinit": int(disk.cloudinit),
        "is_tpmstate": int(disk.key.startswith("tpmstate")),
        "is_vmstate": 0,
        "replicate": int(disk.options.get("replicate", "1")),
        "shared": int(disk.options.get("shared", "0")),
    }
    if disk.size:
        entry["size"] = disk.size
    return entry
