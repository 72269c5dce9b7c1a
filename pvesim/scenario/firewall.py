"""From a scenario to the records of the firewall area."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvesim.firewall.options import stored_options
from pvesim.firewall.records import Firewall, IpSet
from pvesim.firewall.rules import stored_rule
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.scenario.context import Context, known_names
from pvesim.scenario.firewall_model import AliasModel, FirewallScopeModel, IpSetModel
from pvesim.scenario.reading import Location

_CLUSTER = "/cluster/firewall"
_BY_POSITION = ("digest", "moveto", "pos")  # a rule's position is its place in the list


def build_firewall(context: Context) -> None:
    """The firewall of the cluster, its security groups, nodes and guests."""
    model, world = context.scenario.firewall, context.world
    _build_scope(context, "cluster", _CLUSTER, model.cluster, ("firewall", "cluster"))
    for name, group in model.groups.items():
        location: Location = ("firewall", "groups", name)
        context.verified("POST", f"{_CLUSTER}/groups", location, {}, group=name)
        rules = _rules(context, f"{_CLUSTER}/groups/{{group}}", group.rules, (*location, "rules"), group=name)
        world.put(Firewall(f"group/{name.lower()}", rules, comment=group.comment))
    for node, scope in model.nodes.items():
        location = ("firewall", "nodes", node)
        if world.get(Node, node) is None:
            context.problem(location, f"no node '{node}': {known_names(world.rows(Node))}")
        _build_scope(context, f"node/{node}", "/nodes/{node}/firewall", scope, location, node=node)
    for vmid, scope in model.guests.items():
        location = ("firewall", "guests", vmid)
        guest = world.get(Guest, vmid)
        if guest is None:
            context.problem(location, f"no guest {vmid}")
            continue
        path = f"/nodes/{{node}}/{guest.kind}/{{vmid}}/firewall"
        _build_scope(context, f"guest/{vmid}", path, scope, location, node=guest.node, vmid=vmid)


def _build_scope(
    context: Context, name: str, path: str, model: FirewallScopeModel, location: Location, **fixed: Any
) -> None:
    if model == FirewallScopeModel():
        return
    if name.startswith("node/"):
        for part in ("aliases", "ipsets"):
            if getattr(model, part):
                context.problem((*location, part), "a node has rules and options only")
    context.world.put(
        Firewall(
            name,
            _rules(context, f"{path}/rules", model.rules, (*location, "rules"), **fixed),
            stored_options(context.verified("PUT", f"{path}/options", (*location, "options"), model.options, **fixed)),
            {
                key.lower(): _alias(context, key, alias, (*location, "aliases", key))
                for key, alias in model.aliases.items()
            },
            {
                key.lower(): _ipset(context, key, ipset, (*location, "ipsets", key))
                for key, ipset in model.ipsets.items()
            },
        )
    )


def _rules(
    context: Context, path: str, rules: list[dict[str, Any]], location: Location, **fixed: Any
) -> tuple[Mapping[str, Any], ...]:
    made = []
    for position, rule in enumerate(rules):
        for key in _BY_POSITION:
            if key in rule:
                context.problem((*location, position, key), "a rule's position is its place in this list")
        made.append(context.verified("POST", path, (*location, position), rule, **fixed))
    return tuple(stored_rule(rule) for rule in made)


def _alias(context: Context, name: str, model: AliasModel, location: Location) -> Mapping[str, Any]:
    context.verified("POST", f"{_CLUSTER}/aliases", location, {"cidr": model.cidr}, name=name)
    return {"name": name, "cidr": model.cidr, **({"comment": model.comment} if model.comment else {})}


def _ipset(context: Context, name: str, model: IpSetModel, location: Location) -> IpSet:
    context.verified("POST", f"{_CLUSTER}/ipset", location, {}, name=name)
    entries: list[dict[str, Any]] = []
    for position, entry in enumerate(model.entries):
        place = (*location, "entries", position)
        context.verified("POST", f"{_CLUSTER}/ipset/{{name}}", place, {"cidr": entry.cidr}, name=name)
        if any(entry.cidr == other["cidr"] for other in entries):
            context.problem((*place, "cidr"), f"'{entry.cidr}' stands twice in this set")
        comment = {"comment": entry.comment} if entry.comment else {}
        entries.append({"cidr": entry.cidr, **comment, **({"nomatch": 1} if entry.nomatch else {})})
    return IpSet(tuple(entries), model.comment)
