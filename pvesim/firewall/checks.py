"""What is right and wrong about a firewall rule, beyond what the formats of its parameters say.

Texts and their order are those that a genuine node gives (recorded exchanges `firewall-*/006` to `firewall-*/012`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pvesim.contract.firewall_formats import ICMP_TYPES
from pvesim.core.errors import ParameterErrors
from pvesim.core.world import World
from pvesim.firewall.files import Scope, cluster_firewall
from pvesim.firewall.macros import Traffic, find_macro
from pvesim.firewall.records import Firewall

Rule = Mapping[str, Any]
Problem = tuple[str, str]

_SET = re.compile(r"\+(?:(dc|guest|sdn)/)?(.+)", re.DOTALL)
ALIAS = re.compile(r"(?:(dc|guest)/)?([A-Za-z][A-Za-z0-9\-_]+)", re.ASCII)
_GROUP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9\-_]+", re.ASCII)
_ICMP = frozenset(("icmp", "icmpv6", "ipv6-icmp"))
_WITH_PORTS = frozenset(("tcp", "6", "udp", "17", "udplite", "136", "dccp", "33", "sctp", "132"))
# A guest forwards nothing, and all that a virtual network does is forwarding.
_WRONG_WAYS = {"vm": ("forward",), "ct": ("forward",), "vnet": ("in", "out")}
_MIXED = "detected mixed ipv4/ipv6 addresses in rule"


class RuleCheck:
    """The check of one rule in its file: `problems` in PVE's order, and the IP version that the rule is bound to."""

    def __init__(self, world: World, scope: Scope, firewall: Firewall, rule: Rule) -> None:
        self._scope = scope
        self._rule = rule
        self._cluster = cluster_firewall(world)
        self._own = self._cluster if scope.kind in ("cluster", "group", "vnet") else firewall
        self.ipversion: int | None = None
        self.problems: list[Problem] = [*self._all()]

    def raise_first(self) -> None:
        """Raise `ParameterErrors` with the first problem: PVE looks no further."""
        if self.problems:
            field, text = self.problems[0]
            raise ParameterErrors({field: text})

    def _all(self) -> Iterator[Problem]:
        found = [*self._kind(), *self._interface(), *self._name_of_macro(), *self._protocol(), *self._addresses()]
        yield from found
        if not found:
            yield from self._macro()

    def _kind(self) -> Iterator[Problem]:
        type, action = self._rule["type"], self._rule["action"]
        if type == "group":
            if self._scope.kind == "group":
                yield "type", "security groups not allowed"
            if not _GROUP_NAME.fullmatch(action):
                yield "action", "invalid characters in security group name"
            return
        if type in _WRONG_WAYS.get(self._scope.kind, ()):
            yield "type", f"unknown rule type '{type}'"
        if action not in ("ACCEPT", "DROP", "REJECT"):
            yield "action", f"unknown action '{action}'"

    def _interface(self) -> Iterator[Problem]:
        name = self._rule.get("iface")
        if not name:
            return
        if self._scope.kind == "group":
            yield "type", "parameter -i not allowed for this rule type"
        if self._scope.kind in ("vm", "ct") and not re.fullmatch(r"net\d+", name, re.ASCII):
            yield "iface", "value does not match the regex pattern 'net\\d+'"

    def _name_of_macro(self) -> Iterator[Problem]:
        name = self._rule.get("macro")
        if name and find_macro(name) is None:
            yield "macro", f"unknown macro '{name}'"

    def _protocol(self) -> Iterator[Problem]:
        proto = self._rule.get("proto")
        if proto in _ICMP:
            self.ipversion = 4 if proto == "icmp" else 6
        yield from self._port("dport", proto, proto in _ICMP)
        yield from self._icmp_type(proto)
        yield from self._port("sport", proto, False)

    def _icmp_type(self, proto: str | None) -> Iterator[Problem]:
        name = self._rule.get("icmp-type")
        if not name:
            return
        if proto not in _ICMP:
            yield "proto", "missing property - 'icmp-type' requires this property"
        if self._rule.get("dport"):
            yield "icmp-type", "'icmp-type' cannot be specified together with 'dport'"
        if proto in _ICMP and not name.isdigit() and name not in ICMP_TYPES[4 if proto == "icmp" else 6]:
            yield "icmp-type", f"invalid icmp-type '{name}' for proto '{proto}'"

    def _port(self, field: str, proto: str | None, icmp: bool) -> Iterator[Problem]:
        if not self._rule.get(field):
            return
        if not proto:
            yield "proto", f"missing property - '{field}' requires this property"
        elif proto not in _WITH_PORTS and not icmp:
            yield field, f"protocol '{proto}' does not support ports"

    def _addresses(self) -> Iterator[Problem]:
        for field in ("source", "dest"):
            value = self._rule.get(field)
            if not value:
                continue
            if value.startswith("+"):
                yield from self._set(field, value)
            elif match := ALIAS.fullmatch(value):
                yield from self._alias(field, value, match)
            else:
                yield from self._bind(field, 6 if ":" in value else 4)

    def _set(self, field: str, value: str) -> Iterator[Problem]:
        match = _SET.fullmatch(value)
        place, name = match.groups() if match else (None, value)
        if not any(name in firewall.ipsets for firewall in self._places(place)):
            yield field, f"no such ipset '{name}'"

    def _alias(self, field: str, value: str, match: re.Match[str]) -> Iterator[Problem]:
        place, name = match.groups()
        for firewall in self._places(place):
            alias = firewall.aliases.get(name.lower())
            if alias is not None:
                yield from self._bind(field, version_of(alias["cidr"]))
                return
        yield field, f"no such alias '{value}'"

    def _places(self, place: str | None) -> tuple[Firewall, ...]:
        """The files in which a name is looked up: the own one first."""
        return {"dc": (self._cluster,), "guest": (self._own,), "sdn": ()}.get(place or "", (self._own, self._cluster))

    def _bind(self, field: str, version: int) -> Iterator[Problem]:
        if self.ipversion is not None and self.ipversion != version:
            yield field, _MIXED
        self.ipversion = self.ipversion or version

    def _macro(self) -> Iterator[Problem]:
        """A rule may repeat what its macro says, but not say something else."""
        macro = find_macro(self._rule.get("macro") or "")
        for traffic in macro.traffic if macro else ():
            for field in Traffic._fields:
                fixed, own = getattr(traffic, field), self._rule.get(field)
                if fixed is not None and own not in (None, fixed):
                    yield field, f"parameter '{field}' already define in macro (value = '{fixed}')"
                    return


def version_of(cidr: str) -> int:
    """4 or 6, by the form of an address or network."""
    return 6 if ":" in cidr else 4
