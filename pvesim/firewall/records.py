"""Records of the firewall area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class IpSet:
    """A set of addresses. An entry has `cidr` (or an alias's name), maybe `nomatch: 1` and `comment`."""

    entries: tuple[Mapping[str, Any], ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Firewall:
    """One firewall file. `scope` is `cluster`, `node/pve1`, `guest/100`; a security group is `group/NAME`.

    Rules are in order, each as its parameters are stored: `type`, `action`, `enable` (0 or 1) and texts. Aliases (by
    name in lower case: `name`, `cidr`, maybe `comment`) and IP sets by name. Only a security group has a `comment`.
    """

    scope: str
    rules: tuple[Mapping[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    aliases: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    ipsets: Mapping[str, IpSet] = field(default_factory=lambda: _NOTHING)
    comment: str = ""

    @property
    def key(self) -> str:
        return self.scope
