"""Records of the high availability area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HaResource:
    """A guest under HA: what was asked for (`state`, `options`), and where the manager has got to (`crm_state`)."""

    sid: str  # "vm:100" | "ct:200"
    state: str = "started"
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    crm_state: str = "queued"

    @property
    def key(self) -> str:
        return self.sid

    @property
    def type(self) -> str:
        return self.sid.partition(":")[0]

    @property
    def vmid(self) -> int:
        return int(self.sid.partition(":")[2])


@dataclass(frozen=True, slots=True)
class HaRule:
    """An HA rule (node-affinity or resource-affinity) with its options as given."""

    rule: str
    type: str
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> str:
        return self.rule
