"""`/cluster/sdn/vnets/{vnet}/firewall`: the firewall's own rules, on the traffic inside a virtual network."""

from __future__ import annotations

from typing import Any

from pvesim.firewall import options, rules
from pvesim.firewall.files import Scope
from pvesim.routing import Call, route
from pvesim.sdn.routes import check_vnet

_PLACE = "/cluster/sdn/vnets/{vnet}/firewall"


def _read_scope(call: Call) -> Scope:
    return Scope(f"vnet/{check_vnet(call, 'SDN.Audit', 'SDN.Allocate')}", "vnet")


def _write_scope(call: Call) -> Scope:
    return Scope(f"vnet/{check_vnet(call, 'SDN.Allocate')}", "vnet")


@route("GET", _PLACE + "/options")
def read_options(call: Call) -> dict[str, Any]:
    return options.read_options(call.world, _read_scope(call))


@route("PUT", _PLACE + "/options")
def update_options(call: Call) -> None:
    params = {name: value for name, value in call.params.items() if name != "vnet"}
    known = set(call.method.parameters.schemas) - {"vnet"}
    options.update_options(call.world, _write_scope(call), params, known)


@route("GET", _PLACE + "/rules")
def list_rules(call: Call) -> list[dict[str, Any]]:
    return rules.list_rules(call.world, _read_scope(call))


@route("POST", _PLACE + "/rules")
def create_rule(call: Call) -> None:
    rules.create_rule(call.world, _write_scope(call), call.params)


@route("GET", _PLACE + "/rules/{pos}")
def read_rule(call: Call) -> dict[str, Any]:
    return rules.read_rule(call.world, _read_scope(call), call.params["pos"])


@route("PUT", _PLACE + "/rules/{pos}")
def update_rule(call: Call) -> None:
    rules.update_rule(call.world, _write_scope(call), call.params["pos"], call.params)


@route("DELETE", _PLACE + "/rules/{pos}")
def delete_rule(call: Call) -> None:
    rules.delete_rule(call.world, _write_scope(call), call.params["pos"], call.params.get("digest"))
