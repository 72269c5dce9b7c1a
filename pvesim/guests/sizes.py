"""How large a guest is: CPUs, memory and first disk, read from its configuration.

Lists and statistics of every area show these figures (`maxcpu`, `maxmem`, `maxdisk`). Source: recorded exchanges of
`GET /nodes/{node}/qemu`, `GET /nodes/{node}/lxc` and `GET /cluster/resources`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node

MIB = 1024**2
DEFAULT_MEMORY = 512  # MiB, of virtual machines and containers alike
DEFAULT_ROOT_SIZE = 4 * 1024**3
MOST = 1e12  # of any unit
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SIZE = re.compile(r"(?:^|,)size=(\d+(?:\.\d+)?)([KMGT]?)(?:,|$)")
_ORDER = re.compile(r"(?:^|,)order=([^,]*)")
# The order in which PVE looks for the first disk when the boot order names none.
_DISK_KEYS = (
    *(f"ide{number}" for number in range(4)),
    *(f"scsi{number}" for number in range(31)),
    *(f"virtio{number}" for number in range(16)),
    *(f"sata{number}" for number in range(6)),
)


def maxcpu(world: World, guest: Guest) -> int | float:
    """The number of CPUs, as far as the node has them.

    A virtual machine's `vcpus` count as they stand. A container without a number of its own may use all of its node,
    or its `cpulimit`.
    """
    config, node = guest.config, world.get(Node, guest.node)
    if guest.kind == "qemu":
        wanted = int(config.get("sockets", 1)) * int(config.get("cores", 1))
        return int(config.get("vcpus") or (min(wanted, node.hardware.cpus) if node else wanted))
    if config.get("cores"):
        return int(config["cores"])
    limit = float(config.get("cpulimit") or 0)
    if limit:
        return int(limit) if limit.is_integer() else limit
    return node.hardware.cpus if node else 1


def maxmem(guest: Guest) -> int:
    """The memory in bytes."""
    text = str(guest.config.get("memory") or DEFAULT_MEMORY)
    return int(text.partition(",")[0].removeprefix("current=")) * MIB


def maxdisk(guest: Guest) -> int:
    """The size in bytes of a container's root disk or of the disk that a virtual machine boots from; 0 without one.

    A container whose root is a directory without a size counts as much as PVE gives a container by default.
    """
    if guest.kind == "lxc":
        return drive_size(str(guest.config.get("rootfs", ""))) or DEFAULT_ROOT_SIZE
    drive = _boot_drive(guest.config)
    return drive_size(drive) if drive else 0


def gigabytes(text: str) -> float:
    """The number of GiB that is asked for: a size beyond all numbers becomes one that no storage has room for."""
    return min(float(text), MOST)


def drive_size(drive: str) -> int:
    """The `size` of a drive or mount point in bytes, 0 where it names none."""
    match = _SIZE.search(drive)
    return math.floor(min(float(match[1]), MOST) * _UNITS[match[2]]) if match else 0


def _boot_drive(config: Mapping[str, Any]) -> str | None:
    order = _ORDER.search(str(config.get("boot", "")))
    keys = order[1].split(";") if order else [config["bootdisk"]] if config.get("bootdisk") else _DISK_KEYS
    for key in keys:
        drive = config.get(key) if key in _DISK_KEYS else None
        if drive and "media=cdrom" not in drive:
            return str(drive)
    return None
