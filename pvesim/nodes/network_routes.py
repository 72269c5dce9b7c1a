"""`/nodes/{node}/network`."""

from __future__ import annotations

from typing import Any

from pvesim.core.sections import split_changes
from pvesim.nodes import network
from pvesim.routing import Answer, Call, route
from pvesim.sdn import local
from pvesim.sdn.running import node_steps

_BRIDGES = frozenset({"bridge", "OVSBridge", "vnet"})
_WITH_VNETS = ("any_bridge", "include_sdn", "vnet")


@route("GET", "/nodes/{node}/network")
def list_interfaces(call: Call) -> Answer:
    wanted = call.params.get("type")
    rows = network.listed(call.world, call.node, wanted)
    if wanted in _WITH_VNETS:
        rows += local.interfaces(call.world, call.node)
    if wanted:
        rows = [row for row in rows if row["type"] not in _BRIDGES or _may_use(call, row["iface"])]
    return Answer(rows, {"changes": network.changes(call.world, call.node)})


def _may_use(call: Call, bridge: str) -> bool:
    zone = local.zone_of(call.world, bridge)
    return call.may(f"/sdn/zones/{zone}/{bridge}", "SDN.Audit", "SDN.Use", any_of=True)


@route("GET", "/nodes/{node}/network/{iface}")
def read_interface(call: Call) -> dict[str, Any]:
    return network.describe(network.find_interface(call.world, call.node, call.params["iface"]))


@route("POST", "/nodes/{node}/network")
def create_interface(call: Call) -> None:
    given, _, _ = split_changes(call.params, "node", "iface", "type")
    network.create(call.world, call.node, call.params["iface"], call.params["type"], given)


@route("PUT", "/nodes/{node}/network/{iface}")
def update_interface(call: Call) -> None:
    given, delete, _ = split_changes(call.params, "node", "iface", "type")
    network.update(call.world, call.node, call.params["iface"], call.params["type"], given, delete)


@route("DELETE", "/nodes/{node}/network/{iface}")
def delete_interface(call: Call) -> None:
    network.delete(call.world, call.node, call.params["iface"])


@route("PUT", "/nodes/{node}/network")
def apply_changes(call: Call) -> str:
    return call.start("srvreload", "networking", [*network.apply_steps(call.node), *node_steps(call.node)])


@route("DELETE", "/nodes/{node}/network")
def revert_changes(call: Call) -> None:
    network.revert(call.world, call.node)
