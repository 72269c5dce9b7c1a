"""Disks in a guest's configuration: which keys are disks, what they name, and how new volumes are named.

`scsi0: local-lvm:32` makes a volume of 32 GiB, as PVE's API does; `scsi0: local-lvm:vm-100-disk-0,size=32G` names the
volume itself (a live cluster's configuration reads like that); `ide2: local:iso/debian.iso,media=cdrom` uses one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from pvesim.contract.formats import parse_size
from pvesim.core.errors import Failure
from pvesim.scenario.context import Context, known_names
from pvesim.scenario.reading import Location
from pvesim.storage.names import VolumeName, parse_name
from pvesim.storage.records import GIB, Storage, Volume
from pvesim.storage.rules import default_format, formats_of, is_thin
from pvesim.storage.types import TYPES

DISK_KEYS = {
    "qemu": re.compile(r"(?:ide|sata|scsi|virtio|unused)\d+|efidisk0|tpmstate0", re.ASCII),
    "lxc": re.compile(r"rootfs|(?:mp|unused)\d+", re.ASCII),
}
_NEW = re.compile(r"([^:\s]+):(\d{1,6}(?:\.\d+)?)", re.ASCII)  # GiB, less than a million
_SMALL = {"efidisk0": 4 << 20, "tpmstate0": 4 << 20}
_SIZE_UNITS = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


@dataclass(frozen=True, slots=True)
class Owner:
    """The guest whose disks are made: what its volumes' names and contents hang on."""

    vmid: int
    kind: str
    node: str
    template: bool
    disk_used: float
    created: float

    @property
    def content(self) -> str:
        return "images" if self.kind == "qemu" else "rootdir"


def size_text(size: int) -> str:
    """A size as PVE writes it in a configuration: the largest unit that divides it."""
    return next((f"{size // unit}{letter}" for unit, letter in _SIZE_UNITS if size and size % unit == 0), str(size))


def volume_name(storage: Storage, owner: Owner, number: int, format: str) -> str:
    """The name of a guest's volume on a storage: `vm-100-disk-0`, or `100/vm-100-disk-0.raw` where it is a file."""
    prefix = ("basevol" if owner.template else "subvol") if format == "subvol" else "base" if owner.template else "vm"
    return full_name(storage, owner.vmid, f"{prefix}-{owner.vmid}-disk-{number}", format)


def full_name(storage: Storage, vmid: int, base: str, format: str) -> str:
    """A volume's name on a storage, from what all types have in common."""
    return f"{vmid}/{base}.{format}" if TYPES[storage.type].has_files else base


def used_by(storage: Storage, size: int, share: float) -> int:
    """What a disk takes of its storage: what the guest has written, or all of it where space is reserved."""
    return int(size * share) if is_thin(storage) else size


def _is_own(volid: str, vmid: int) -> bool:
    return f"-{vmid}-disk-" in volid


class _Unusable(Exception):
    """A disk option that cannot be: its text says why."""


class Disks:
    """Makes the volumes of one guest and rewrites its disk options."""

    def __init__(self, context: Context, owner: Owner, location: Location) -> None:
        self.context = context
        self.owner = owner
        self.location = location
        self.used: dict[str, str] = {}  # volume id to configuration key

    def settle(self, key: str, values: dict[str, Any]) -> dict[str, Any] | None:
        """The fields of a disk option as PVE stores them, its volume made where there is none; None on a problem."""
        try:
            return self._settled(key, values)
        except _Unusable as reason:
            self.context.problem((*self.location, key), str(reason))
            return None

    def memory_state(self, snapshot: str, size: int, location: Location) -> str | None:
        """The id of a new volume with a snapshot's memory, on the storage of the guest's first disk."""
        storage = next((volid.partition(":")[0] for volid in self.used if _is_own(volid, self.owner.vmid)), None)
        found = self.context.world.get(Storage, storage)
        if found is None:
            self.context.problem(location, "a guest without a disk has nowhere to keep its memory")
            return None
        name = full_name(found, self.owner.vmid, f"vm-{self.owner.vmid}-state-{snapshot}", "raw")
        return self._put(found, name, "raw", size).volid

    def _settled(self, key: str, values: dict[str, Any]) -> dict[str, Any]:
        field = "file" if self.owner.kind == "qemu" else "volume"
        file = str(values.get(field, ""))
        if file in ("none", "cdrom") or file.startswith("/"):
            return values
        new = _NEW.fullmatch(file)
        if new is not None:
            volume = self._allocate(key, new[1], int(float(new[2]) * GIB), values.pop("format", None))
        elif file.partition(":")[2] == "cloudinit":
            values["media"] = "cdrom"
            volume = self._allocate(key, file.partition(":")[0], 4 << 20, values.pop("format", None), "cloudinit")
        else:
            volume = self._existing(file, values.get("size"))
        if volume.volid in self.used and volume.vmid is not None:
            raise _Unusable(f"'{volume.volid}' is this guest's {self.used[volume.volid]} already")
        self.used[volume.volid] = key
        if key.startswith("unused"):
            return {field: volume.volid}
        return {**values, field: volume.volid, "size": size_text(volume.size)}

    def _storage(self, name: str) -> Storage:
        world = self.context.world
        storage = world.get(Storage, name)
        if storage is None:
            raise _Unusable(f"no storage '{name}': {known_names(world.rows(Storage))}")
        if not storage.on(self.owner.node):
            raise _Unusable(f"storage '{name}' is not on node '{self.owner.node}'")
        return storage

    def _allocate(self, key: str, name: str, size: int, format: str | None, suffix: str = "") -> Volume:
        storage = self._storage(name)
        if self.owner.content not in storage.content:
            raise _Unusable(f"storage '{name}' does not hold '{self.owner.content}'")
        format = format or self._usual_format(storage, size)
        if format not in formats_of(storage):
            raise _Unusable(f"storage '{name}' has no format '{format}'")
        size = _SMALL.get(key, size)
        if suffix:
            base = f"vm-{self.owner.vmid}-{suffix}"
            return self._put(storage, full_name(storage, self.owner.vmid, base, format), format, size)
        number = 0
        while self._taken(storage, number):
            number += 1
        return self._put(storage, volume_name(storage, self.owner, number, format), format, size)

    def _taken(self, storage: Storage, number: int) -> bool:
        """Whether a disk of that number is there, in whatever format."""
        world, place = self.context.world, storage.place(self.owner.node)
        return any(
            world.get(Volume, (storage.storage, place, volume_name(storage, owner, number, format))) is not None
            for format in formats_of(storage)
            for owner in (self.owner, replace(self.owner, template=not self.owner.template))
        )

    def _usual_format(self, storage: Storage, size: int) -> str:
        if self.owner.kind == "lxc" and (TYPES[storage.type].naming == "zfs" or size == 0):
            return "subvol"
        return "raw" if self.owner.kind == "lxc" else default_format(storage)

    def _put(self, storage: Storage, name: str, format: str, size: int, parent: str | None = None) -> Volume:
        volume = Volume(
            storage.storage,
            storage.place(self.owner.node),
            name,
            self.owner.content,
            format,
            size,
            used=used_by(storage, size, self.owner.disk_used),
            ctime=self.owner.created,
            vmid=self.owner.vmid,
            parent=parent,
        )
        self.context.world.put(volume)
        return volume

    def _existing(self, volid: str, size: object) -> Volume:
        name, _, volume_name = volid.partition(":")
        storage = self._storage(name)
        try:
            parsed = parse_name(storage, volume_name)
        except Failure as refusal:
            raise _Unusable(refusal.message) from None
        if parsed.vmid is not None and parsed.vmid != self.owner.vmid:
            raise _Unusable(f"'{volid}' belongs to guest {parsed.vmid} by its name")
        volume = self.context.world.get(Volume, (name, storage.place(self.owner.node), volume_name))
        if volume is not None:
            return volume
        if parsed.vmid is None or size is None:
            raise _Unusable(
                f"no volume '{volid}': list it under storages.{name}.volumes, or give a guest's disk a size="
            )
        return self._declare(storage, volume_name, parsed, str(size))

    def _declare(self, storage: Storage, name: str, parsed: VolumeName, size: str) -> Volume:
        """A volume that is there because a configuration says so, linked to its base if the name says so."""
        place = storage.place(self.owner.node)
        if parsed.base is not None and self.context.world.get(Volume, (storage.storage, place, parsed.base)) is None:
            raise _Unusable(f"no volume '{storage.storage}:{parsed.base}' that it could be linked to")
        return self._put(storage, name, parsed.format, parse_size(size), parsed.base)
