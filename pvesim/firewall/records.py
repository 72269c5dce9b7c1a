"""Records of the firewall area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Firewall:
    """One firewall file. `scope` is `cluster`, `node/pve1`, `guest/100`; a security group is `group/NAME`.

    Rules are in order, each as its parameters are stored; aliases and IP sets by name, in the order of making.
    """

    scope: str
    rules: tuple[Mapping[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    aliases: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    ipsets: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    comment: str | None = None

    @property
    def key(self) -> str:
        return self.scope
