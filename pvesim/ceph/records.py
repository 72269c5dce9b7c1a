"""Records of the Ceph area. Most of a Ceph cluster follows from the storages on it; here is what was set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CephState:
    """The flags that are set, the OSDs that are out, and the settings of pools by name. There is one record."""

    flags: tuple[str, ...] = ()
    out: tuple[int, ...] = ()
    pools: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> str:
        return "ceph"
