"""Records of virtual machines alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[int, Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class AgentSession:
    """What a machine's agent remembers of this run (`started` is when the machine did).

    `finished` maps the process ids of commands that were run to their results, until somebody has asked for them.
    """

    vmid: int
    started: float
    frozen: bool = False
    finished: Mapping[int, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> int:
        return self.vmid
