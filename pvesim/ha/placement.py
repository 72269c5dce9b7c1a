"""Where HA may and would rather run a resource: what its rules say, and how busy the nodes are.

A node-affinity rule names nodes with priorities: the resource runs on those that are there with the highest one, and on
others only if the rule is not strict. A positive resource-affinity rule keeps resources on one node, a negative one on
different nodes. Among the nodes that are left, the one with the fewest HA resources is chosen, then the first by name.
Source: the options of `/cluster/ha/rules`, and what their documentation promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pvesim.contract.formats import split_list
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource, HaRule
from pvesim.nodes.records import Node


def companions_of(world: World, sid: str) -> list[str]:
    """The other resources that have to be on the same node, by name."""
    found: set[str] = set()
    unseen = [sid]
    while unseen:  # what must be with one that must be with this one must be with it too
        for other in _bound_to(world, unseen.pop(), "positive"):
            if other != sid and other not in found:
                found.add(other)
                unseen.append(other)
    return sorted(found)


def opponents_of(world: World, sid: str) -> list[str]:
    """The resources that must not be on the same node, by name."""
    return sorted(set(_bound_to(world, sid, "negative")))


def blocking_on(world: World, sid: str, node: str) -> list[str]:
    """The resources on a node that this one, with all that goes with it, must not meet there."""
    travellers = [sid, *companions_of(world, sid)]
    opponents = {other for traveller in travellers for other in opponents_of(world, traveller)}
    return sorted(other for other in opponents if other not in travellers and place_of(world, other) == node)


def place_of(world: World, sid: str) -> str | None:
    """The node that a managed resource is on."""
    resource = world.get(HaResource, sid)
    guest = world.get(Guest, resource.vmid) if resource is not None and resource.state != "ignored" else None
    return guest.node if guest is not None else None


def choose_node(world: World, sid: str, *, avoid: Iterable[str] = (), staying: str | None = None) -> str | None:
    """The node that a resource should run on, None where there is none that it may.

    `avoid` are nodes where it would not start; on `staying` it is left if no rule prefers another.
    """
    avoided = set(avoid)
    candidates = [node for node in _preferred(world, sid, avoided) if not blocking_on(world, sid, node)]
    together = {place_of(world, other) for other in companions_of(world, sid)} & set(candidates)
    if together:
        candidates = [node for node in candidates if node in together]
    if staying in candidates:
        return staying
    load = dict.fromkeys(candidates, 0)
    for other in world.rows(HaResource):
        place = place_of(world, other) if other != sid else None
        if place in load:
            load[place] += 1
    return min(candidates, key=lambda node: (load[node], node), default=None)


def _preferred(world: World, sid: str, avoided: set[str]) -> list[str]:
    """The nodes that answer and that the node-affinity rule, if there is one, wants first."""
    there = [name for name, node in world.rows(Node).items() if node.online and name not in avoided]
    rule = next(_rules_about(world, sid, "node-affinity"), None)
    if rule is None:
        return there
    priorities = _priorities(rule)
    wanted = [node for node in there if node in priorities]
    if wanted:
        highest = max(priorities[node] for node in wanted)
        return [node for node in wanted if priorities[node] == highest]
    return [] if int(rule.options.get("strict", 0)) else there


def _priorities(rule: HaRule) -> dict[str, int]:
    """The nodes of a node-affinity rule with their priorities, as in `pve1:2,pve2`."""
    pairs = (item.partition(":") for item in split_list(str(rule.options.get("nodes", ""))))
    return {node: int(priority or 0) for node, _, priority in pairs}


def _bound_to(world: World, sid: str, affinity: str) -> Iterator[str]:
    for rule in _rules_about(world, sid, "resource-affinity"):
        if rule.options.get("affinity") == affinity:
            yield from (other for other in _resources(rule) if other != sid)


def _rules_about(world: World, sid: str, type: str) -> Iterator[HaRule]:
    for rule in world.rows(HaRule).values():
        if rule.type == type and not int(rule.options.get("disable", 0)) and sid in _resources(rule):
            yield rule


def _resources(rule: HaRule) -> list[str]:
    return split_list(str(rule.options.get("resources", "")))
