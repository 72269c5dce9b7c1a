"""Firewall rules of a cluster, node, guest or security group: one implementation for all of them.

Sources: recorded exchanges `firewall-cluster/*`, `firewall-node/*`, `firewall-vm/*`, `firewall-ct/*`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pvesim.contract import split_list
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.firewall.checks import RuleCheck
from pvesim.firewall.files import Scope, check_entries, clean_comment, firewall_of, with_digest
from pvesim.firewall.macros import find_macro
from pvesim.firewall.records import Firewall

_FIELDS = (
    "type",
    "action",
    "macro",
    "iface",
    "source",
    "dest",
    "proto",
    "sport",
    "dport",
    "icmp-type",
    "log",
    "comment",
)
_DELETABLE = frozenset((*_FIELDS, "enable", "pos", "digest"))


def stored_rule(params: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A rule as its file keeps it: what is given over what was there. An empty value or `-` removes one.

    `enable` is 0 unless it is given; a macro is named as its table names it.
    """
    rule = {**(before or {"enable": 0}), **{name: params[name] for name in _FIELDS if params.get(name) is not None}}
    if params.get("enable") is not None:
        rule["enable"] = int(bool(params["enable"]))
    if "comment" in rule:
        rule["comment"] = clean_comment(rule["comment"])
    macro = find_macro(rule.get("macro", ""))
    if macro is not None:
        rule["macro"] = macro.name
    return {name: value for name, value in rule.items() if value not in ("", "-")}


def shown_rules(world: World, scope: Scope, firewall: Firewall) -> list[dict[str, Any]]:
    """The rules with what PVE finds out about them: the IP version, and what is wrong (an alias that has gone, …)."""
    shown: list[dict[str, Any]] = []
    for rule in firewall.rules:
        check = RuleCheck(world, scope, firewall, rule)
        entry = dict(rule)
        if check.ipversion is not None:
            entry["ipversion"] = check.ipversion
        if check.problems:
            entry["errors"] = dict(reversed(check.problems))  # the first problem of a field counts
        shown.append(entry)
    return shown


def list_rules(world: World, scope: Scope) -> list[dict[str, Any]]:
    """All rules in order, with their positions as numbers and the digest of the list."""
    rules = with_digest(shown_rules(world, scope, firewall_of(world, scope)))
    return [{**rule, "pos": position} for position, rule in enumerate(rules)]


def read_rule(world: World, scope: Scope, position: int) -> dict[str, Any]:
    """One rule, its position as a text. Raises `Failure` where there is none."""
    rules = with_digest(shown_rules(world, scope, firewall_of(world, scope)))
    _check_position(rules, position)
    return {**rules[position], "pos": str(position)}


def create_rule(world: World, scope: Scope, params: Mapping[str, Any]) -> None:
    """Add a rule before all others, whatever position is given."""
    firewall = firewall_of(world, scope)
    rule = stored_rule(params)
    RuleCheck(world, scope, firewall, rule).raise_first()
    world.put(replace(firewall, rules=(rule, *firewall.rules)))


def update_rule(world: World, scope: Scope, position: int, params: Mapping[str, Any]) -> None:
    """Change a rule, or move it before the one at `moveto`; a move changes nothing else."""
    firewall = _changeable(world, scope, position, params.get("digest"))
    rules = list(firewall.rules)
    target = params.get("moveto")
    if target is not None and target != position:
        rule = rules.pop(position)
        rules.insert(min(target - 1 if target > position else target, len(rules)), rule)
    else:
        changed = _without(stored_rule(params, rules[position]), split_list(params.get("delete") or ""))
        RuleCheck(world, scope, firewall, changed).raise_first()
        rules[position] = changed
    world.put(replace(firewall, rules=tuple(rules)))


def _without(rule: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    for name in names:
        if name not in _DELETABLE:
            raise ParameterErrors({"delete": f"no such property ('{name}')"})
        if name in ("type", "action"):
            raise ParameterErrors({"delete": f"unable to delete required property '{name}'"})
        if name == "enable":
            rule["enable"] = 0
        else:
            rule.pop(name, None)
    return rule


def delete_rule(world: World, scope: Scope, position: int, digest: str | None) -> None:
    """Remove a rule; those behind it move up."""
    firewall = _changeable(world, scope, position, digest)
    world.put(replace(firewall, rules=firewall.rules[:position] + firewall.rules[position + 1 :]))


def _changeable(world: World, scope: Scope, position: int, digest: str | None) -> Firewall:
    firewall = firewall_of(world, scope)
    check_entries(shown_rules(world, scope, firewall), digest)
    _check_position(firewall.rules, position)
    return firewall


def _check_position(rules: Sequence[Any], position: int) -> None:
    if position >= len(rules):
        raise Failure(f"no rule at position {position}")
