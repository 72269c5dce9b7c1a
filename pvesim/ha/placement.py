"""Where HA may and would rather run a resource: what its rules say, and how busy the nodes are.

A node-affinity rule names nodes with priorities: the resource runs on those that are there with the highest one, and on
others only if the rule is not strict. A positive resource-affinity rule keeps resources on one node, a negative one on
different nodes. Among the nodes that are left, the one with the fewest HA resources is chosen, then the first by name.
Source: the options of `/cluster/ha/rules` and what PVE promises of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pvesim.contract.formats import split_list
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource, HaRule
from pvesim.nodes.records import Node


def choose_node(world: World, sid: str, *, avoid: Iterable[str] = (), staying: str | None = None) -> str | None:
    """The node that a resource should run on, None where there is none that it may.

    `avoid` are nodes where it must not go; on `staying` it is left unless a rule wants it elsewhere.
    """
    candidates = [
        node
        for node in _preferred(world, sid, set(avoid))
        if not _meets_opponents(world, sid, node, arrives=node != staying)
    ]
    together = _place_of_group(world, sid, candidates)
    if together is not None:
        return together
    if staying in candidates:
        return staying
    load = dict.fromkeys(candidates, 0)
    for other in world.rows(HaResource):
        place = place_of(world, other) if other != sid else None
        if place in load:
            load[place] += 1
    return min(candidates, key=lambda node: (load[node], node), default=None)


def place_of(world: World, sid: str) -> str | None:
    """The node that a managed resource is on, or on its way to."""
    resource = world.get(HaResource, sid)
    if resource is None or resource.state == "ignored":
        return None
    guest = world.get(Guest, resource.vmid)
    return resource.wish[1] if resource.wish else guest.node if guest is not None else None


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


def blocking_on(world: World, sid: str, node: str) -> list[str]:
    """The resources on a node that this one, with all that goes with it, must not meet there."""
    travellers = [sid, *companions_of(world, sid)]
    opponents = {other for traveller in travellers for other in _bound_to(world, traveller, "negative")}
    return sorted(other for other in opponents if other not in travellers and place_of(world, other) == node)


def _meets_opponents(world: World, sid: str, node: str, *, arrives: bool) -> bool:
    """Whether it may not be there. Of two that have met already the first by name stays, and the other goes."""
    blocking = blocking_on(world, sid, node)
    return bool(blocking) if arrives else any(other < sid for other in blocking)


def _place_of_group(world: World, sid: str, candidates: list[str]) -> str | None:
    """The node where most of those that belong together are; between equals the place of the first by name."""
    companions = companions_of(world, sid)
    if not companions:
        return None
    places = [place_of(world, member) for member in sorted([sid, *companions])]
    there = [place for place in places if place in candidates]
    return max(there, key=lambda place: (there.count(place), -there.index(place)), default=None)


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
