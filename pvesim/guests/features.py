"""What a guest's volumes allow: snapshots, linked clones, copies.

Source: recorded exchanges `lxc/051-053`, `qemu-snapshot/008`, `qemu-clone/006`, `qemu-clone/016`.
"""

from __future__ import annotations

from typing import Literal

from pvesim.core.world import World
from pvesim.guests.disks import Disk, disks_of
from pvesim.guests.records import Guest
from pvesim.guests.rules import find_snapshot
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage
from pvesim.storage.types import TYPES
from pvesim.storage.volumes import volume_of

Feature = Literal["snapshot", "clone", "copy"]

_SNAPSHOT_TYPES = frozenset(("zfspool", "lvmthin", "rbd", "btrfs"))  # whatever the format
_CLONE_TYPES = frozenset(("zfspool", "lvmthin", "rbd"))
_COPY_TYPES = _SNAPSHOT_TYPES | {"lvm"}


def has_feature(world: World, guest: Guest, feature: Feature, snapname: str | None = None) -> bool:
    """Whether all of the guest's volumes allow it, or those of a snapshot. Raises `Failure` when it is not there."""
    config = find_snapshot(guest, snapname).config if snapname else guest.config
    return all(
        volume_has_feature(world, guest.node, disk, feature, of_snapshot=snapname is not None)
        for disk in disks_of(guest.kind, config)
        if not disk.cdrom and not disk.unused and (disk.volid or feature == "snapshot")
    )


def volume_has_feature(world: World, node: str, disk: Disk, feature: Feature, *, of_snapshot: bool = False) -> bool:
    """Whether the storage of a disk can do it with a volume of that format."""
    storage = world.get(Storage, disk.storage or "")
    if storage is None:
        return False  # a bind mount, a device, or a storage that is gone
    volume = volume_of(world, node, disk.volid) if disk.volid else None
    files = TYPES[storage.type].has_files
    if volume is None:
        return False
    if feature == "copy":
        return files or storage.type in _COPY_TYPES
    if feature == "snapshot":
        return storage.type in _SNAPSHOT_TYPES or (files and volume.format == "qcow2")
    is_base = volume.name.rpartition("/")[2].startswith(("base-", "basevol-"))
    return (files or storage.type in _CLONE_TYPES) and is_base and not of_snapshot


def nodes_for(world: World, guest: Guest) -> list[str]:
    """The nodes from which all of the guest's volumes can be reached."""
    nodes = list(world.rows(Node))
    for disk in disks_of(guest.kind, guest.config):
        storage = world.get(Storage, disk.storage or "")
        if storage is None or disk.unused:
            continue
        nodes = [node for node in nodes if storage.on(node) and (storage.shared or node == guest.node)]
    return nodes
