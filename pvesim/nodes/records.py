"""Records of the nodes area. Sizes are bytes, times seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a node is made of, and what of it the system itself uses."""

    cores: int = 8  # in all sockets, as `cpuinfo.cores * sockets`; threads are `cpus`
    cpus: int = 16
    sockets: int = 1
    cpu_model: str = "AMD EPYC 7302P 16-Core Processor"
    cpu_vendor: str = "AuthenticAMD"
    cpu_family: str = "23"
    cpu_flags: str = "fpu vme sse sse2"
    mhz: str = "2994.374"
    memory: int = 64 * GIB
    memory_used: int = 2 * GIB  # without guests
    swap: int = 8 * GIB
    root_size: int = 96 * GIB
    root_used: int = 8 * GIB
    boot_mode: str = "efi"
    load: float = 0.02  # share of all CPUs that the system itself uses


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `started` is when it booted, `online` whether it answers; `dns` and `config` are as their GETs show.

    `statistics_since` is when its statistics (`rrddata`) begin; `clock_offset` the seconds that its clock is ahead.
    """

    name: str
    nodeid: int = 0
    ip: str = "10.10.10.11"
    online: bool = True
    started: float = 0.0
    hardware: Hardware = field(default_factory=Hardware)
    timezone: str = "UTC"
    dns: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    hosts: str = ""
    config: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    statistics_since: float = 0.0
    clock_offset: float = 0.0

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Service:
    """A system service of a node, in systemd's words."""

    node: str
    name: str
    description: str
    state: str = "running"  # "running" | "dead" | "exited"
    unit_state: str = "enabled"  # "enabled" | "disabled" | "static" | "not-found" | "masked"

    @property
    def key(self) -> tuple[str, str]:
        return (self.node, self.name)


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of a node: `options` as `/etc/network/interfaces` has them, in PVE's names."""

    node: str
    iface: str
    type: str
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    active: bool = True

    @property
    def key(self) -> tuple[str, str]:
        return (self.node, self.iface)


@dataclass(frozen=True, slots=True)
class PendingNetwork:
    """A node's network configuration as it will be after apply: present only while it differs from what is active.

    `changed` is when it was written last.
    """

    node: str
    interfaces: tuple[Interface, ...] = ()
    changed: float = 0.0

    @property
    def key(self) -> str:
        return self.node


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that is not behind a storage from the start. `label` is what a program has left on it, such as `LVM`."""

    node: str
    name: str  # as below /dev
    size: int
    model: str = "PVESIM_SSD"
    type: str = "ssd"
    gpt: bool = False
    label: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return (self.node, self.name)


@dataclass(frozen=True, slots=True)
class Medium:
    """What was made of disks: a volume group, one with a thin pool, a ZFS pool, or a directory with a file system."""

    node: str
    kind: str  # "lvm" | "lvmthin" | "zfs" | "directory"
    name: str
    disks: tuple[str, ...]
    total: int
    filesystem: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.node, self.kind, self.name)

    def carries(self, type: str, options: Mapping[str, Any]) -> bool:
        """Whether a storage with this type and these options is on it."""
        if self.kind == "zfs":
            return type == "zfspool" and str(options.get("pool")).partition("/")[0] == self.name
        if self.kind == "directory":
            return type == "dir" and options.get("path") == f"/mnt/pve/{self.name}"
        if type != self.kind or options.get("vgname") != self.name:
            return False
        return type == "lvm" or options.get("thinpool") == self.name
