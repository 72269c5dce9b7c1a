"""The root disk and the mount points of containers: who may use what, and how their volumes come to be.

Source: recorded exchanges `lxc/002-016`, `lxc/034-036`; `pve-behaviour` 38.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.guests.options import parse_option, print_option
from pvesim.guests.sizes import gigabytes
from pvesim.guests.volumes import GIB, existing_volume, make_volume, size_text
from pvesim.routing import Call
from pvesim.storage.access import check_volume_access
from pvesim.storage.names import parse_volid
from pvesim.storage.records import Volume
from pvesim.storage.rules import check_enabled, find_storage
from pvesim.storage.types import TYPES

_KEY = re.compile(r"rootfs|mp\d+")
_NEW = re.compile(r"([^:\s]+):(\d+(?:\.\d+)?)")
_BLOCK = 4096
_GROUP = 32_768  # blocks of an ext4 block group


@dataclass(frozen=True, slots=True)
class Mount:
    """A root disk or mount point; `volume` is a volume id, `storage:size`, or a path of the host."""

    key: str
    volume: str
    options: Mapping[str, Any]

    @property
    def kind(self) -> Literal["volume", "bind", "device"]:
        if self.volume.startswith("/dev/"):
            return "device"
        return "bind" if self.volume.startswith("/") else "volume"

    @property
    def new(self) -> tuple[str, float] | None:
        """The storage and the size in GiB of a volume that has to be made."""
        match = _NEW.fullmatch(self.volume)
        return (match[1], gigabytes(match[2])) if match else None


def is_mount(key: str) -> bool:
    """Whether an option is the root disk or a mount point."""
    return _KEY.fullmatch(key) is not None


def read_mount(key: str, text: str) -> Mount:
    """A mount as it was asked for, or as it stands in a configuration."""
    fields = parse_option("lxc", key, text)
    return Mount(key, fields.pop("volume"), fields)


def mounts_in(options: Mapping[str, Any]) -> Iterator[Mount]:
    """The mounts of a configuration or a request: the root disk first, the others by number."""
    keys = sorted((key for key in options if is_mount(key)), key=lambda key: -1 if key == "rootfs" else int(key[2:]))
    for key in keys:
        yield read_mount(key, str(options[key]))


def print_mount(mount: Mount, volume: str, size: int | None) -> str:
    """A mount as a configuration holds it; an unused one is the volume alone."""
    if mount.key.startswith("unused"):
        return volume
    kept = {name: value for name, value in mount.options.items() if name != "size"}
    if size is not None:
        kept["size"] = size_text(size)
    return print_option("lxc", mount.key, {"volume": volume, **kept})


def check_access(call: Call, vmid: int, options: Mapping[str, Any]) -> None:
    """Raise unless the storages of a request take containers and who asks may use what it names."""
    for mount in mounts_in(options):
        if mount.kind != "volume":
            if not call.identity.is_root:
                raise Failure("Only root can pass arbitrary filesystem paths.")
        elif mount.new is not None:
            check_storage(call, mount.new[0])
        else:
            check_storage(call, parse_volid(mount.volume)[0], allocate=False)
            check_volume_access(call, mount.volume, vmid)


def check_storage(call: Call, name: str, *, allocate: bool = True) -> None:
    """Raise unless a storage is there, holds containers, and lets who asks take space."""
    storage = check_enabled(call.world, name, call.node)
    if "rootdir" not in storage.content:
        raise ParameterErrors({"storage": f"storage '{name}' does not support container directories"})
    if allocate:
        call.check(f"/storage/{name}", "Datastore.AllocateSpace")


def make_mounts(world: World, node: str, vmid: int, options: Mapping[str, Any], log: list[str]) -> dict[str, str]:
    """The mounts of a request as the configuration will hold them; new volumes are made and logged."""
    return {mount.key: _make(world, node, vmid, mount, log) for mount in mounts_in(options)}


def _make(world: World, node: str, vmid: int, mount: Mount, log: list[str]) -> str:
    if mount.kind != "volume":
        return print_mount(mount, mount.volume, None)
    if mount.new is None:
        volume = existing_volume(world, node, mount.volume)
    else:
        storage, gigabytes = mount.new
        volume = new_file_system(world, node, vmid, storage, int(gigabytes * GIB), log)
    return print_mount(mount, volume.volid, volume.size)


def new_file_system(world: World, node: str, vmid: int, storage: str, size: int, log: list[str]) -> Volume:
    """A fresh volume with a file system in it; without a size it is a directory."""
    type = find_storage(world, storage).type
    format = "subvol" if type == "zfspool" or (size == 0 and TYPES[type].has_files) else "raw"
    volume = make_volume(world, node, vmid, storage, size, log, format=format, content="rootdir")
    if format == "raw":
        log.extend(_file_system_log(world, size))
    return volume


def _file_system_log(world: World, size: int) -> list[str]:
    blocks = size // _BLOCK
    backups = [group * _GROUP for group in _backup_groups(blocks // _GROUP + 1) if group * _GROUP < blocks]
    log = [f"Creating filesystem with {blocks} 4k blocks and {blocks // 4} inodes", f"Filesystem UUID: {world.uuid()}"]
    if backups:
        log += ["Superblock backups stored on blocks: ", "\t" + ", ".join(str(block) for block in backups)]
    return log


def _backup_groups(count: int) -> list[int]:
    """The block groups below `count` in which ext4 keeps a copy of its superblock: 1 and the powers of 3, 5 and 7."""
    groups = {1}
    for base in (3, 5, 7):
        power = base
        while power < count:
            groups.add(power)
            power *= base
    return sorted(groups)
