"""Applying the configuration to all nodes, and the difference that it would make on one.

Sources: `PUT /cluster/sdn`, `GET /cluster/sdn/dry-run`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pvesim.contract import split_list
from pvesim.core.tasks import Step, Task, effect, start_task
from pvesim.core.world import World
from pvesim.nodes.network import apply_steps
from pvesim.nodes.records import Node
from pvesim.sdn.running import KINDS, node_steps, rows_of, state_of

_PATH = "/etc/network/interfaces.d/sdn"


def reload_steps(world: World, user: str) -> list[Step]:
    """The task of `PUT /cluster/sdn`: every node reloads its network, in a task of its own."""
    return [
        Step(after=0.1, log=(f"{name}: reloading network config",), effect="sdn.reload", arguments=(name, user))
        for name in world.rows(Node)
    ]


@effect("sdn.reload")
def reload(world: World, task: Task | None, name: str, user: str) -> Iterable[Step]:
    """Start the reload on a node; one that does not answer is named in the log."""
    node = world.get(Node, name)
    if node is None or not node.online:
        return [Step(log=(f"{name}: cannot be reached: No route to host",), warning=True)]
    start_task(world, name, "srvreload", "networking", user, [*apply_steps(name), *node_steps(name)])
    return []


# -- what an apply would change ----------------------------------------------------------------------------------------


def interfaces_difference(world: World, node: str) -> str:
    """How the node's file of virtual networks would change; empty if it would not."""
    state = state_of(world)
    before = _file(state.running, node, state.version)
    after = _file({name: rows_of(world, name) for name in KINDS}, node, state.version)
    lines = difflib.unified_diff(before, after, _PATH, f"{_PATH}.new", n=3)
    return "".join(lines)


def _file(objects: Mapping[str, Mapping[str, Any]], node: str, version: int) -> list[str]:
    lines = [f"#version:{version}\n"]
    zones = objects.get("zones", {})
    for id, vnet in objects.get("vnets", {}).items():
        zone = zones.get(vnet["zone"])
        if zone is not None and (not zone.get("nodes") or node in split_list(zone["nodes"])):
            subnets = [row for row in objects.get("subnets", {}).values() if row.get("vnet") == id]
            lines += [
                "\n",
                f"auto {id}\n",
                f"iface {id}\n",
                *(f"\t{line}\n" for line in _lines(id, vnet, zone, subnets)),
            ]
    return lines


def _lines(
    id: str, vnet: Mapping[str, Any], zone: Mapping[str, Any], subnets: list[Mapping[str, Any]]
) -> Iterator[str]:
    for subnet in subnets:
        if subnet.get("gateway"):
            yield f"address {subnet['gateway']}/{subnet['mask']}"
    yield f"bridge_ports {_port(id, vnet, zone)}"
    yield "bridge_stp off"
    yield "bridge_fd 0"
    if vnet.get("vlanaware"):
        yield "bridge-vlan-aware yes"
        yield "bridge-vids 2-4094"
    if zone.get("mtu"):
        yield f"mtu {zone['mtu']}"
    if vnet.get("alias"):
        yield f"alias {vnet['alias']}"


def _port(id: str, vnet: Mapping[str, Any], zone: Mapping[str, Any]) -> str:
    """What a bridge is connected to, by the type of the zone."""
    if zone["type"] == "vlan":
        return f"{zone['bridge']}.{vnet['tag']}"
    if zone["type"] == "qinq":
        return f"z_{zone['zone']}.{vnet['tag']}" if vnet.get("tag") else f"z_{zone['zone']}"
    return f"vxlan_{id}" if zone["type"] in ("vxlan", "evpn") else "none"
