"""Records of the Ceph area. Most of a Ceph cluster follows from the storages on it; here is what was set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

_NOTHING: Mapping[str, Any] = MappingProxyType({})
Kind = Literal["mon", "mgr", "mds"]


@dataclass(frozen=True, slots=True)
class CephState:
    """What was set. There is one record.

    `flags` are those that are set, `out` the OSDs that are out, `pools` the settings of pools by name. `made` maps
    the pools made by hand to their application, `gone` names those that were removed, `filesystems` those made.
    Once `settled`, the daemons and OSDs are those of the records; before, they follow from nodes and storages.
    """

    flags: tuple[str, ...] = ()
    out: tuple[int, ...] = ()
    pools: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    made: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    gone: tuple[str, ...] = ()
    filesystems: tuple[str, ...] = ()
    networks: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    settled: bool = False

    @property
    def key(self) -> str:
        return "ceph"


@dataclass(frozen=True, slots=True)
class CephDaemon:
    """A monitor, a manager or a metadata server; `running` is whether its service is started."""

    kind: Kind
    id: str
    node: str
    running: bool = True

    @property
    def key(self) -> tuple[str, str]:
        return (self.kind, self.id)


@dataclass(frozen=True, slots=True)
class CephOsd:
    """One OSD. `size` are bytes, `device` the disk it was made of, empty where the world does not know it."""

    number: int
    node: str
    size: int
    device: str = ""
    running: bool = True

    @property
    def key(self) -> int:
        return self.number
