"""Records of the cluster area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_INSTALLED: Mapping[str, Any] = MappingProxyType({"keyboard": "en-us"})  # what the installer writes


@dataclass(frozen=True, slots=True)
class Release:
    """What a node says it runs: numbers that clients parse."""

    release: str = "9.1"
    version: str = "9.1.2"
    repoid: str = "1f7c0e9d2a5b4c3d"
    kernel: str = "6.17.2-1-pve"
    kernel_version: str = "#1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1 (2025-10-21T11:55Z)"
    qemu: str = "10.1.2"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster itself; a lone node has no `name`. `options` is `datacenter.cfg`. There is one record.

    With `status_rounds` its lists show a change of a guest when the status daemon tells of it, and not at once.
    """

    name: str = ""
    version: int = 1
    release: Release = field(default_factory=Release)
    options: Mapping[str, Any] = field(default_factory=lambda: _INSTALLED)
    status_rounds: bool = False

    @property
    def key(self) -> str:
        return "cluster"


@dataclass(frozen=True, slots=True)
class QuorumLoss:
    """Present while the nodes that are online do not hear each other. There is one record at most."""

    since: float = 0.0

    @property
    def key(self) -> str:
        return "quorum"
