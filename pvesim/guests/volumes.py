"""Making and removing the volumes of guests, with what PVE's programs say about it in a task's log.

Source: recorded exchanges `qemu-create/033-038`, `qemu-clone/004-021`, `lxc/002-016`, `lxc/037`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.disks import Disk, volumes_in
from pvesim.guests.records import Guest, Kind
from pvesim.nodes.records import Node
from pvesim.storage.names import parse_name, parse_volid
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import activate, find_storage, space_of
from pvesim.storage.types import TYPES
from pvesim.storage.volumes import allocate, free, path_of, volume_of

GIB = 1024**3


def size_text(size: int) -> str:
    """A size as configurations write it: the largest unit that divides it, `1G`, `400K`, `528K`."""
    if size == 0:
        return "0T"
    for unit in ("", "K", "M", "G"):
        if size % 1024:
            return f"{size}{unit}"
        size //= 1024
    return f"{size}T"


def make_volume(
    world: World,
    node: str,
    vmid: int,
    storage: str,
    size: int,
    log: list[str],
    *,
    format: str | None = None,
    content: str = "images",
    name: str | None = None,
    base: Volume | None = None,
) -> Volume:
    """Allocate a volume and log it. Raises `Failure` as the storage refuses."""
    volume = allocate(world, storage, node, vmid, size, format, content, name=name, base=base)
    if base is not None and find_storage(world, storage).type == "lvmthin":  # a thin snapshot stands on its own
        volume = replace(volume, parent=None)
        world.put(volume)
    log.extend(creation_log(world, volume, base))
    return volume


def creation_log(world: World, volume: Volume, base: Volume | None = None) -> list[str]:
    """What the program that makes an image says."""
    storage = find_storage(world, volume.storage)
    kind, file = TYPES[storage.type], parse_name(storage, volume.name).file
    if kind.naming == "lvm":
        return [f'  Logical volume "{file}" created.']
    if not kind.has_files or volume.format == "subvol":
        return []
    return _image_log(path_of(world, volume), file, volume, base)


def _image_log(path: str, file: str, volume: Volume, base: Volume | None) -> list[str]:
    if volume.format == "raw":
        return [f"Formatting '{path}', fmt=raw size={volume.size} preallocation=off"]
    if volume.format == "vmdk":
        return [f"Formatting '{path}', fmt=vmdk size={volume.size} compat6=off hwversion=undefined"]
    common = "preallocation=metadata compression_type=zlib"
    refcounts = "lazy_refcounts=off refcount_bits=16"
    if base is None:
        clusters = "cluster_size=65536 extended_l2=off"
        return [f"Formatting '{path}', fmt=qcow2 {clusters} {common} size={volume.size} {refcounts}"]
    below = f"../{base.name}"
    backing = f"backing_file={below} backing_fmt={base.format}"
    clusters = "cluster_size=131072 extended_l2=on"
    return [
        f"clone {base.name}: images, {file}, {volume.vmid} to {file} (base={below})",
        f"Formatting '{path}', fmt=qcow2 {clusters} {common} size={volume.size} {backing} {refcounts}",
    ]


def fill(world: World, volume: Volume, used: int) -> Volume:
    """The volume with content that takes `used` bytes. Raises `Failure` where the storage has not that much left."""
    used = max(volume.used, min(used, volume.size) if volume.size else used)
    if used - volume.used > space_of(world, volume.storage, volume.place or _any_node(world, volume)).avail:
        raise Failure(f"unable to write to '{volume.volid}' - No space left on device")
    volume = replace(volume, used=used)
    world.put(volume)
    return volume


def _any_node(world: World, volume: Volume) -> str:
    """A node from which a volume on shared storage can be reached."""
    storage = find_storage(world, volume.storage)
    return next((name for name, node in world.rows(Node).items() if node.online and storage.on(name)), "")


def existing_volume(world: World, node: str, volid: str) -> Volume:
    """The volume of an id. Raises `Failure` where it, or its storage, is not there."""
    storage, name = parse_volid(volid)
    parse_name(find_storage(world, storage), name)
    activate(world, storage, node)
    volume = volume_of(world, node, volid)
    if volume is None:
        raise Failure(f"volume '{volid}' does not exist")
    return volume


def owns(guest_vmid: int, disk: Disk, world: World, node: str) -> bool:
    """Whether a disk is a volume that was made for the guest, and not a CD or another guest's."""
    volume = _volume(world, node, disk.volid)
    return volume is not None and volume.vmid == guest_vmid and volume.content in ("images", "rootdir")


def _volume(world: World, node: str, volid: str | None) -> Volume | None:
    if volid is None:
        return None
    storage = world.get(Storage, volid.partition(":")[0])
    return volume_of(world, node, volid) if storage is not None else None


def in_use(guest: Guest, volid: str, *, besides: str | None = None, config: dict[str, Any] | None = None) -> bool:
    """Whether the guest's configuration, its pending changes (but for the option `besides`) or a snapshot name it.

    `config` stands in for the guest's own, where it is about to change.
    """
    now = {key: value for key, value in (guest.config if config is None else config).items() if key != besides}
    later = {key: value for key, value in guest.pending.items() if key != besides and value is not None}
    configs: Iterable[Any] = (now, later, *(snapshot.config for snapshot in guest.snapshots))
    return any(volid in volumes_in(guest.kind, each) for each in configs)


def free_volume(world: World, node: str, volid: str, vmid: int) -> None:
    """Remove a guest's own volume; nothing happens if it is not there or belongs to another guest."""
    volume = _volume(world, node, volid)
    if volume is not None and volume.vmid == vmid:
        free(world, volume)


def owned_volumes(world: World, node: str, vmid: int) -> list[Volume]:
    """All images that carry the guest's id on the storages that its node sees, whatever configurations say."""
    places = {(name, storage.place(node)) for name, storage in world.rows(Storage).items() if storage.on(node)}
    return [
        volume
        for volume in world.rows(Volume).values()
        if volume.vmid == vmid and volume.content in ("images", "rootdir") and (volume.storage, volume.place) in places
    ]


def add_unused(kind: Kind, config: dict[str, Any], volid: str) -> str | None:
    """Note a volume under the first free `unused[n]` unless the configuration still names it; that key."""
    if volid in volumes_in(kind, config):
        return None
    number = 0
    while f"unused{number}" in config:
        number += 1
    config[f"unused{number}"] = volid
    return f"unused{number}"


def with_new_name(value: Any, names: Mapping[str, str]) -> Any:
    """An option's value in which the volume that it begins with has got another id; `names` maps old ids to new."""
    volid, comma, options = str(value).partition(",")
    name, equals, rest = volid.partition("=")
    if equals and rest in names:  # written as `file=` or `volume=`
        return f"{name}={names[rest]}{comma}{options}"
    return f"{names[volid]}{comma}{options}" if volid in names else value


def drop_readded(kind: Kind, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the `unused[n]` whose volume is used again."""
    unused = {key: value for key, value in config.items() if key.startswith("unused")}
    rest = {key: value for key, value in config.items() if key not in unused}
    used = volumes_in(kind, rest)
    return {key: value for key, value in config.items() if key not in unused or value not in used}
