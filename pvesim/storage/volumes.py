"""Volumes: making, finding, listing, describing and removing them.

Other areas call `allocate`, `free`, `volume_of` and `path_of`; sizes are bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.storage import names
from pvesim.storage.names import VolumeName, parse_name, parse_volid
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import activate, default_format, find_storage, formats_of, is_thin, space_of
from pvesim.storage.types import CONTENTS, IMAGE_CONTENTS, TYPES

_DISK_NUMBER = re.compile(r"(?:vm|base|subvol|basevol)-(\d+)-disk-(\d+)")
_CLUSTER = 64 * 1024  # of a qcow2 image
_BLOCK = 4096  # of the file system below
_SECTOR = 512
_MOST_DIGITS = 30  # a larger size is beyond every storage as well


# -- finding -------------------------------------------------------------------------------------------------------


def volume_of(world: World, node: str, volid: str) -> Volume | None:
    """The volume of an id as a node sees it, or None. Raises `Failure` for an unknown storage or what is no id."""
    storage_id, name = parse_volid(volid)
    storage = find_storage(world, storage_id)
    return world.get(Volume, (storage_id, storage.place(node), name))


def path_of(world: World, volume: Volume) -> str:
    """Where a volume is: a file, a device, or a URL of QEMU."""
    return names.path_of(find_storage(world, volume.storage), volume.name)


def volumes_at(world: World, storage: Storage, node: str) -> Iterable[Volume]:
    """The volumes of a storage that a node sees, in the order of making."""
    return _by_place(world).get((storage.storage, storage.place(node)), ())


def _by_place(world: World) -> dict[tuple[str, str], list[Volume]]:
    def index() -> dict[tuple[str, str], list[Volume]]:
        table: dict[tuple[str, str], list[Volume]] = {}
        for volume in world.rows(Volume).values():
            table.setdefault((volume.storage, volume.place), []).append(volume)
        return table

    return world.cached("volumes by place", (Volume,), index)


def linked_clones(world: World, volume: Volume) -> Iterator[Volume]:
    """The volumes that stand on a base volume."""
    for other in _by_place(world).get((volume.storage, volume.place), ()):
        if other.name.startswith(f"{volume.name}/"):
            yield other


# -- making --------------------------------------------------------------------------------------------------------


def allocate(
    world: World,
    storage: str,
    node: str,
    vmid: int,
    size: int,
    format: str | None = None,
    content: str = "images",
    *,
    name: str | None = None,
    base: Volume | None = None,
) -> Volume:
    """Make a guest's volume of `size` bytes and return it; `name` is its file part, the next free one if left out.

    Size 0 in the format `subvol` is a directory or dataset. `base` makes a linked clone. Raises `Failure`: the storage
    is unknown, off or not there, takes no such format, is full, or has a volume of that name.
    """
    found = activate(world, storage, node)
    format = format or default_format(found)
    if format not in formats_of(found) or TYPES[found.type].naming in ("iscsi", "pbs", "esxi"):
        raise Failure(f"unsupported format '{format}'")
    file = name or next_name(world, found, node, vmid, format)
    _check_file_name(found, file, vmid, format)
    full = _full_name(found, vmid, file, base)
    place = found.place(node)
    if world.get(Volume, (storage, place, full)) is not None:
        raise Failure(_exists_text(found, full))
    if format == "subvol" and size and TYPES[found.type].has_files and found.type != "btrfs":
        raise Failure("storage does not support subvol quotas")
    used = _initial_use(found, size, format)
    if used > space_of(world, found, node).avail:
        raise Failure(_full_text(found, full, size, space_of(world, found, node).avail))
    parent = base.name if base else None
    volume = Volume(storage, place, full, content, format, size, used, world.now, vmid, parent)
    world.put(volume)
    return volume


def requested_format(filename: str, format: str | None) -> str | None:
    """The format that a file's name asks for, else the one given. Raises `ParameterErrors` where they differ."""
    match = re.search(r"\.(raw|qcow2|vmdk)$", filename)
    if match is None:
        return format
    if format and format != match[1]:
        raise ParameterErrors({"format": f"different storage formats ({format} != {match[1]})"})
    return match[1]


def requested_size(text: str) -> int:
    """Bytes of a size as volumes are allocated by: a number of KiB, or one with `M` or `G`."""
    unit = {"M": 1 << 20, "G": 1 << 30}.get(text[-1], 1 << 10)
    return int(text.rstrip("MG")[:_MOST_DIGITS]) * unit


def next_name(world: World, storage: Storage, node: str, vmid: int, format: str | None = None) -> str:
    """The file part of a guest's next disk, such as `vm-100-disk-0.raw`: the lowest number that is free."""
    taken: set[int] = set()
    for volume in volumes_at(world, storage, node):
        if volume.vmid == vmid:
            match = _DISK_NUMBER.match(volume.name.rpartition("/")[2])
            if match and int(match[1]) == vmid:
                taken.add(int(match[2]))
    number = next(number for number in range(len(taken) + 1) if number not in taken)
    kind = "subvol" if format == "subvol" else "vm"
    return f"{kind}-{vmid}-disk-{number}{_suffix(storage, format or default_format(storage))}"


def _suffix(storage: Storage, format: str) -> str:
    if TYPES[storage.type].has_files or (TYPES[storage.type].naming == "lvm" and format == "qcow2"):
        return f".{format}"
    return ""


def _full_name(storage: Storage, vmid: int, file: str, base: Volume | None) -> str:
    own = f"{vmid}/{file}" if TYPES[storage.type].has_files else file
    return f"{base.name}/{own}" if base and storage.type != "lvmthin" else own


def _check_file_name(storage: Storage, file: str, vmid: int, format: str) -> None:
    if not TYPES[storage.type].has_files:
        if not re.match(rf"(?:vm|subvol|base)-{vmid}-\S", file):
            raise Failure(f"illegal name '{file}' - should be 'vm-{vmid}-*'")
        return
    if "/" in file:
        raise Failure(f"unable to parse volume filename '{file}'")
    parsed = parse_name(storage, f"{vmid}/{file}")
    if parsed.format != format:
        raise Failure(f"illegal name '{file}' - wrong extension for format ('{parsed.format} != '{format}')")


def _exists_text(storage: Storage, name: str) -> str:
    path = names.path_of(storage, name)
    if TYPES[storage.type].has_files:
        return f"disk image '{path}' already exists"
    if TYPES[storage.type].naming == "lvm":
        group = storage.options["vgname"]
        return f'lvcreate \'{group}/{name}\' error:   Logical Volume "{name}" already exists in volume group "{group}"'
    if TYPES[storage.type].naming == "zfs":
        return f"zfs error: cannot create '{storage.options['pool']}/{name}': dataset already exists"
    return f"rbd create '{name}' error: rbd: create error: (17) File exists"


def _full_text(storage: Storage, name: str, size: int, free: int) -> str:
    if TYPES[storage.type].naming == "lvm":
        return f"not enough free space ({free} < {size})"
    if TYPES[storage.type].naming == "zfs":
        return f"zfs error: cannot create '{storage.options['pool']}/{name}': out of space"
    path = names.path_of(storage, name)
    return f"unable to create image: qemu-img: {path}: Could not resize file: No space left on device"


def _initial_use(storage: Storage, size: int, format: str) -> int:
    """What a fresh image takes: all of its size where space is reserved, else what its format writes at the start."""
    if format == "subvol" or not size:
        return 0
    if not is_thin(storage):
        return size
    if not TYPES[storage.type].has_files:
        return 0
    return min(size, _qcow2_tables(size)) if format == "qcow2" else _BLOCK


def _qcow2_tables(size: int) -> int:
    """Bytes of the tables of an empty qcow2 image with preallocated metadata (recorded: 331776 for 1 GiB)."""
    clusters = _up(size, _CLUSTER) // _CLUSTER
    mapping = _up(clusters * 8, _CLUSTER)
    counting = _up(clusters * 2, _CLUSTER)
    return _BLOCK + 2 * _CLUSTER + mapping + counting  # header, the upper tables, the mapping and the reference counts


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


# -- removing ------------------------------------------------------------------------------------------------------


def free(world: World, volume: Volume) -> None:
    """Remove a volume. Raises `Failure` for a protected backup and for a base that linked clones stand on."""
    if volume.protected:
        raise Failure(f"cannot remove protected volume '{volume.name}' on '{volume.storage}'")
    if next(linked_clones(world, volume), None) is not None:
        raise Failure(f"base volume '{volume.volid}' is still in use by linked cloned")
    world.remove(Volume, volume.key)


# -- content lists -------------------------------------------------------------------------------------------------


def content_of(
    world: World, storage: Storage, node: str, content: str | None = None, vmid: int | None = None
) -> Iterator[tuple[Volume, dict[str, Any]]]:
    """The volumes of `GET …/content`, each with its row, in the order of their ids."""
    wanted = [content] if content else CONTENTS
    shown = [name for name in wanted if name in storage.content]
    for volume in sorted(volumes_at(world, storage, node), key=lambda volume: volume.volid):
        if vmid is not None and volume.vmid != vmid:
            continue
        row = _row(world, storage, volume)
        if row["content"] in shown:
            yield volume, row


def content_type(world: World, volume: Volume) -> str:
    """The content type that lists show: an image is a `rootdir` while its owner is a container."""
    if volume.content not in IMAGE_CONTENTS:
        return volume.content
    owner = world.get(Guest, volume.vmid)
    return "rootdir" if owner is not None and owner.kind == "lxc" else "images"


def _row(world: World, storage: Storage, volume: Volume) -> dict[str, Any]:
    row: dict[str, Any] = {
        "content": content_type(world, volume),
        "ctime": int(volume.ctime),
        "format": volume.format,
        "size": volume.size,
        "volid": volume.volid,
    }
    if volume.vmid is not None:
        row["vmid"] = volume.vmid
    if volume.content in IMAGE_CONTENTS:
        if TYPES[storage.type].has_files:
            row["parent"], row["used"] = _backing_file(volume), volume.used
        elif volume.parent:
            row["parent"] = volume.parent
    if volume.content == "backup":
        row.update(_backup_fields(volume))
    return row


def _backing_file(volume: Volume) -> str | None:
    return f"../{volume.parent}" if volume.parent else None


def _backup_fields(volume: Volume) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if volume.subtype:
        fields["subtype"] = volume.subtype
    if volume.notes is not None:
        fields["notes"] = volume.notes
    if volume.protected:
        fields["protected"] = 1
    return fields


# -- one volume ----------------------------------------------------------------------------------------------------


def describe(world: World, storage: Storage, node: str, name: str) -> dict[str, Any]:
    """`GET …/content/{volume}`. Raises `Failure` for a name of the wrong form and for a volume that is not there."""
    path = names.path_of(storage, name)
    volume = world.get(Volume, (storage.storage, storage.place(node), name))
    if volume is None:
        raise Failure(f"volume_size_info on '{storage.storage}:{name}' failed - no format")
    is_image = volume.content in IMAGE_CONTENTS
    size = volume.size if is_image else _up(volume.size, _SECTOR)  # as QEMU's tools see a plain file
    used = _up(volume.size, _BLOCK)
    if is_image:
        used = volume.used if TYPES[storage.type].has_files else size
    info: dict[str, Any] = {"format": volume.format if is_image else "raw", "path": path, "size": size, "used": used}
    if volume.content == "backup":
        info["protected"] = int(volume.protected)
        if volume.notes is not None:
            info["notes"] = volume.notes
    return info


def change(world: World, storage: Storage, node: str, name: str, given: dict[str, Any]) -> None:
    """Set a backup's `notes` and `protected`. Raises `Failure` for any other volume."""
    parsed: VolumeName = parse_name(storage, name)
    for attribute, text in (("notes", "only backups can have notes"), ("protected", "only backups can be protected")):
        if attribute in given and parsed.content != "backup":
            raise Failure(text)
    volume = world.get(Volume, (storage.storage, storage.place(node), name))
    if volume is None:
        raise Failure(f"volume '{storage.storage}:{name}' does not exist")
    if "notes" in given:
        volume = replace(volume, notes=given["notes"] or None)
    if "protected" in given:
        volume = replace(volume, protected=bool(given["protected"]))
    world.put(volume)
