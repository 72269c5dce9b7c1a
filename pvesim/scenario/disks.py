"""Disks in a guest's configuration: which keys are disks, what they name, and how new volumes are named.

`scsi0: local-lvm:32` makes a volume of 32 GiB, as PVE's API does; `scsi0: local-lvm:vm-100-disk-0,size=32G` names the
volume itself (a live cluster's configuration reads like that); `ide2: local:iso/debian.iso,media=cdrom` uses one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pvesim.contract.formats import parse_size
from pvesim.contract.format_errors import FormatError
from pvesim.scenario.context import Context, known_names
from pvesim.scenario.reading import Location
from pvesim.scenario.storages import format_of
from pvesim.storage.records import GIB, Storage, Volume

DISK_KEYS = {
    "qemu": re.compile(r"(?:ide|sata|scsi|virtio|unused)\d+|efidisk0|tpmstate0", re.ASCII),
    "lxc": re.compile(r"rootfs|(?:mp|unused)\d+", re.ASCII),
}
_NEW = re.compile(r"([^:\s]+):(\d+(?:\.\d+)?)", re.ASCII)
_OWNED = re.compile(r"(?:vm|base|subvol|basevol)-(\d+)-", re.ASCII)
_FILE_TYPES = frozenset(("btrfs", "cephfs", "cifs", "dir", "nfs"))
_FULL_TYPES = frozenset(("iscsi", "lvm"))  # what they allocate is gone, whatever the guest has written
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


def volume_name(storage_type: str, owner: Owner, number: int, format: str) -> str:
    """The name of a guest's volume on a storage of that type."""
    subvolume = format == "subvol"
    if owner.template:
        prefix = "basevol" if subvolume else "base"
    else:
        prefix = "subvol" if subvolume else "vm"
    base = f"{prefix}-{owner.vmid}-disk-{number}"
    return f"{owner.vmid}/{base}.{format}" if storage_type in _FILE_TYPES else base


def used_by(storage_type: str, size: int, share: float) -> int:
    """What a disk takes of its storage: all of it, or what the guest has written."""
    return size if storage_type in _FULL_TYPES else int(size * share)


class Disks:
    """Makes the volumes of one guest and rewrites its disk options."""

    def __init__(self, context: Context, owner: Owner, location: Location) -> None:
        self.context = context
        self.owner = owner
        self.location = location
        self.used: dict[str, str] = {}  # volume id to configuration key

    def settle(self, key: str, values: dict[str, Any]) -> dict[str, Any] | None:
        """The fields of a disk option as PVE stores them, its volume made where there is none; None on a problem."""
        field = "file" if self.owner.kind == "qemu" else "volume"
        file = str(values.get(field, ""))
        if file in ("none", "cdrom") or file.startswith("/"):
            return values
        new = _NEW.fullmatch(file)
        if new is not None:
            volume = self._allocate(key, new[1], int(float(new[2]) * GIB), values.pop("format", None))
        elif file.partition(":")[2] == "cloudinit":
            volume = self._allocate(key, file.partition(":")[0], 4 << 20, values.pop("format", None), "cloudinit")
        else:
            volume = self._existing(key, file, values.get("size"))
        if volume is None:
            return None
        if volume.volid in self.used and volume.vmid is not None:
            return self._problem(key, f"'{volume.volid}' is this guest's {self.used[volume.volid]} already")
        self.used[volume.volid] = key
        return {**values, field: volume.volid, "size": size_text(volume.size)}

    def _problem(self, key: str, text: str) -> None:
        self.context.problem((*self.location, key), text)

    def _storage(self, key: str, name: str) -> Storage | None:
        world = self.context.world
        storage = world.get(Storage, name)
        if storage is None:
            return self._problem(key, f"no storage '{name}': {known_names(world.rows(Storage))}")
        if not storage.on(self.owner.node):
            return self._problem(key, f"storage '{name}' is not on node '{self.owner.node}'")
        return storage

    def _allocate(self, key: str, name: str, size: int, format: str | None, suffix: str = "") -> Volume | None:
        storage = self._storage(key, name)
        if storage is None:
            return None
        if self.owner.content not in storage.content:
            return self._problem(key, f"storage '{name}' does not hold '{self.owner.content}'")
        format = format or self._usual_format(storage, size)
        size = _SMALL.get(key, size)
        place = storage.place(self.owner.node)
        if suffix:
            base = f"vm-{self.owner.vmid}-{suffix}"
            chosen = f"{self.owner.vmid}/{base}.{format}" if storage.type in _FILE_TYPES else base
        else:
            number = 0
            while (chosen := volume_name(storage.type, self.owner, number, format)) and self._taken(name, place, number):
                number += 1
        return self._put(storage, chosen, format, size)

    def _taken(self, storage: str, place: str, number: int) -> bool:
        """Whether a disk of that number is there, in whatever format."""
        ending = f"-{self.owner.vmid}-disk-{number}"
        return any(
            volid.startswith(f"{storage}:") and volid.partition(".")[0].endswith(ending) for volid in self.used
        )

    def _usual_format(self, storage: Storage, size: int) -> str:
        if self.owner.kind == "lxc" and (storage.type == "zfspool" or size == 0):
            return "subvol"
        return str(storage.options.get("format", "raw")) if storage.type in _FILE_TYPES else "raw"

    def _put(self, storage: Storage, name: str, format: str, size: int, parent: str | None = None) -> Volume:
        volume = Volume(
            storage.storage,
            storage.place(self.owner.node),
            name,
            self.owner.content,
            format,
            size,
            used=used_by(storage.type, size, self.owner.disk_used),
            ctime=self.owner.created,
            vmid=self.owner.vmid,
            parent=parent,
        )
        self.context.world.put(volume)
        return volume

    def _existing(self, key: str, volid: str, size: object) -> Volume | None:
        name, _, volume_name = volid.partition(":")
        storage = self._storage(key, name)
        if storage is None:
            return None
        volume = self.context.world.get(Volume, (name, storage.place(self.owner.node), volume_name))
        owned = _OWNED.match(volume_name.rpartition("/")[2])
        if owned is not None and int(owned[1]) != self.owner.vmid:
            return self._problem(key, f"'{volid}' belongs to guest {owned[1]} by its name")
        if volume is not None:
            return volume
        if owned is None or size is None:
            return self._problem(
                key, f"no volume '{volid}': list it under storages.{name}.volumes, or give a guest's disk a size="
            )
        return self._declare(key, storage, volume_name, str(size))

    def _declare(self, key: str, storage: Storage, name: str, size: str) -> Volume | None:
        """A volume that is there because a configuration says so, linked to its base if the name says so."""
        base, linked, own = name.rpartition("/")
        parent = base if linked and _OWNED.match(base.rpartition("/")[2]) else None
        place = storage.place(self.owner.node)
        if parent is not None and self.context.world.get(Volume, (storage.storage, place, parent)) is None:
            return self._problem(key, f"no volume '{storage.storage}:{parent}' that it could be linked to")
        try:
            wanted = parse_size(size)
        except FormatError as error:
            return self._problem(key, str(error))
        return self._put(storage, name, format_of(own, self.owner.content), wanted, parent)
