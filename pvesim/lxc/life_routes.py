"""Making and changing containers."""

from __future__ import annotations

from pvesim.lxc.create import create
from pvesim.lxc.update import update
from pvesim.routing import Call, route

_CT = "/nodes/{node}/lxc/{vmid}"


@route("POST", "/nodes/{node}/lxc")
def create_container(call: Call) -> str:
    return create(call)


@route("PUT", f"{_CT}/config")
def update_configuration(call: Call) -> None:
    update(call)
