"""`/cluster/sdn/vnets/{vnet}/subnets` and `…/ips`."""

from __future__ import annotations

from typing import Any

from pvesim.core.sections import split_changes
from pvesim.routing import Call, route
from pvesim.sdn import running, subnets
from pvesim.sdn.routes import check_vnet, view

_PLACE = "/cluster/sdn/vnets/{vnet}/subnets"
_IPS = "/cluster/sdn/vnets/{vnet}/ips"


@route("GET", _PLACE)
def list_subnets(call: Call) -> list[dict[str, Any]]:
    vnet = check_vnet(call, "SDN.Audit", "SDN.Allocate")
    return [row for row in running.rows_of(call.world, "subnets", **view(call)).values() if row.get("vnet") == vnet]


@route("POST", _PLACE)
def create_subnet(call: Call) -> None:
    vnet = check_vnet(call, "SDN.Allocate")
    options, _, _ = split_changes(call.params, "vnet", "subnet", "type", "lock-token")
    subnets.create_subnet(call.world, vnet, call.params["subnet"], options, call.params.get("lock-token"))


@route("GET", _PLACE + "/{subnet}")
def read_subnet(call: Call) -> dict[str, Any]:
    check_vnet(call, "SDN.Audit", "SDN.Allocate")
    return running.find_row(call.world, "subnets", call.params["subnet"], **view(call))


@route("PUT", _PLACE + "/{subnet}")
def update_subnet(call: Call) -> None:
    vnet = check_vnet(call, "SDN.Allocate")
    changes = split_changes(call.params, "vnet", "subnet", "lock-token")
    subnets.update_subnet(call.world, vnet, call.params["subnet"], *changes, call.params.get("lock-token"))


@route("DELETE", _PLACE + "/{subnet}")
def delete_subnet(call: Call) -> None:
    vnet = check_vnet(call, "SDN.Allocate")
    subnets.delete_subnet(call.world, vnet, call.params["subnet"], call.params.get("lock-token"))


@route("POST", _IPS)
def add_address(call: Call) -> None:
    params = call.params
    subnets.add_address(call.world, params["zone"], params["vnet"], params["ip"], params.get("mac"))


@route("PUT", _IPS)
def change_address(call: Call) -> None:
    params = call.params
    mac, vmid = params.get("mac"), params.get("vmid")
    subnets.change_address(call.world, params["zone"], params["vnet"], params["ip"], mac, vmid)


@route("DELETE", _IPS)
def remove_address(call: Call) -> None:
    subnets.remove_address(call.world, call.params["zone"], call.params["vnet"], call.params["ip"])
