"""Records of the high availability area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HaResource:
    """A guest under HA: what was asked for (`state`, `options`), and where the manager has got to (`crm_state`).

    `wish` is a way to move and the node to move to, while the manager is asked for it or at it; `job` the task that it
    waits for; `failures` counts the starts that failed on the present node, `tried` are the nodes before.
    """

    sid: str  # "vm:100" | "ct:200"
    state: str = "started"
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    crm_state: str = "queued"
    wish: tuple[str, str] | None = None
    job: str = ""
    failures: int = 0
    tried: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class HaNode:
    """What the manager knows of a node that is not simply there.

    `lost` is when it stopped answering (None while it answers), `fenced` says that its guests are certainly off,
    `leaving` that it is about to go down.
    """

    node: str
    lost: float | None = None
    fenced: bool = False
    leaving: bool = False

    @property
    def key(self) -> str:
        return self.node


@dataclass(frozen=True, slots=True)
class HaArming:
    """Present while HA is disarmed: `mode` says whether its resources stay as they are (`freeze`) or go free."""

    mode: str

    @property
    def key(self) -> str:
        return "ha"
