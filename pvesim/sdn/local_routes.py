"""`/nodes/{node}/sdn`."""

from __future__ import annotations

from typing import Any

from pvesim.routing import Call, route
from pvesim.sdn import local
from pvesim.sdn.routes import may_see

_ZONE = "/nodes/{node}/sdn/zones/{zone}"
_FABRIC = "/nodes/{node}/sdn/fabrics/{fabric}"
Rows = list[dict[str, Any]]


@route("GET", "/nodes/{node}/sdn/zones")
def list_zones(call: Call) -> Rows:
    return [row for row in local.zone_rows(call.world, call.node) if may_see(call, f"/sdn/zones/{row['zone']}")]


@route("GET", _ZONE + "/content")
def zone_content(call: Call) -> Rows:
    zone = call.params["zone"]
    local.check_zone(call.world, call.node, zone)
    rows = local.zone_content(call.world, call.node, zone)
    return [row for row in rows if may_see(call, f"/sdn/zones/{zone}/{row['vnet']}")]


@route("GET", _ZONE + "/bridges")
def zone_bridges(call: Call) -> Rows:
    zone = call.params["zone"]
    rows = local.zone_bridges(call.world, call.node, zone)
    return [row for row in rows if may_see(call, f"/sdn/zones/{zone}/{row['name']}")]


@route("GET", _ZONE + "/ip-vrf")
def zone_routes(call: Call) -> Rows:
    return local.ip_routes(call.world, call.node, call.params["zone"])


@route("GET", "/nodes/{node}/sdn/vnets/{vnet}/mac-vrf")
def vnet_addresses(call: Call) -> Rows:
    vnet = call.params["vnet"]
    call.check(f"/sdn/zones/{local.zone_of(call.world, vnet)}/{vnet}", "SDN.Audit", "SDN.Allocate", any_of=True)
    return local.mac_routes(call.world, call.node, vnet)


@route("GET", _FABRIC + "/interfaces")
def fabric_interfaces(call: Call) -> Rows:
    return local.fabric_interfaces(call.world, call.node, call.params["fabric"])


@route("GET", _FABRIC + "/neighbors")
def fabric_neighbors(call: Call) -> Rows:
    return local.fabric_neighbors(call.world, call.node, call.params["fabric"])


@route("GET", _FABRIC + "/routes")
def fabric_routes(call: Call) -> Rows:
    return local.fabric_routes(call.world, call.node, call.params["fabric"])
