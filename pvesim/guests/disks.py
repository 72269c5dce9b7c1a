"""The drives and mount points that a guest's configuration names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pvesim.guests.records import Guest, Kind
from pvesim.guests.sizes import drive_size

_KEYS: dict[Kind, re.Pattern[str]] = {
    "qemu": re.compile(r"(?:ide|scsi|virtio|sata|efidisk|tpmstate|unused)\d+"),
    "lxc": re.compile(r"rootfs|(?:mp|unused)\d+"),
}
_CLOUDINIT = re.compile(r"(?:^|[/:])vm-\d+-cloudinit(?:\.|$)")
_NOT_VOLUMES = frozenset(("none", "cdrom"))


@dataclass(frozen=True, slots=True)
class Disk:
    """One drive or mount point: its key (`scsi0`, `mp0`, `unused1`), what it holds and its options.

    `volid` is None for an empty or physical CD drive, a bind mount and a passed-through device; `file` is then what
    stands there. `size` is in bytes, 0 where the configuration names none.
    """

    key: str
    file: str
    options: Mapping[str, str]
    size: int

    @property
    def volid(self) -> str | None:
        storage, colon, name = self.file.partition(":")
        return self.file if colon and storage and name and "/" not in storage else None

    @property
    def storage(self) -> str | None:
        return self.file.partition(":")[0] if self.volid else None

    @property
    def cdrom(self) -> bool:
        return self.options.get("media") == "cdrom"

    @property
    def cloudinit(self) -> bool:
        return self.cdrom and _CLOUDINIT.search(self.file) is not None

    @property
    def unused(self) -> bool:
        return self.key.startswith("unused")


def read_options(text: str, default_key: str) -> dict[str, str]:
    """The fields of a stored property string; a part with no name belongs to `default_key`. Nothing is verified."""
    fields: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals:
            fields[name] = value
        elif part:
            fields[default_key] = part
    return fields


def disks_of(kind: Kind, config: Mapping[str, Any]) -> Iterator[Disk]:
    """The drives and mount points of a configuration, in its order, unused ones and CD drives among them."""
    pattern, default_key = _KEYS[kind], "file" if kind == "qemu" else "volume"
    for key, value in config.items():
        if pattern.fullmatch(key):
            options = read_options(str(value), default_key)
            yield Disk(key, options.pop(default_key, ""), options, drive_size(str(value)))


def parse_disks(guest: Guest) -> tuple[Disk, ...]:
    """The drives and mount points that a guest has now."""
    return tuple(disks_of(guest.kind, guest.config))


def volumes_in(kind: Kind, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the volumes that a configuration names, each once; a saved memory state counts too."""
    volids = dict.fromkeys(disk.volid for disk in disks_of(kind, config) if disk.volid)
    if config.get("vmstate"):
        volids[str(config["vmstate"])] = None
    return tuple(volid for volid in volids if volid not in _NOT_VOLUMES)
