"""Making and changing containers."""

from __future__ import annotations

from pvesim.backup.container_restore import restore_container
from pvesim.guests.template import make_template
from pvesim.lxc.clone import clone
from pvesim.lxc.create import create
from pvesim.lxc.move import move
from pvesim.lxc.update import update
from pvesim.routing import Call, route

_CT = "/nodes/{node}/lxc/{vmid}"


@route("POST", "/nodes/{node}/lxc")
def create_container(call: Call) -> str:
    return restore_container(call) if call.params.get("restore") else create(call)


@route("PUT", f"{_CT}/config")
def update_configuration(call: Call) -> None:
    update(call)


@route("POST", f"{_CT}/clone")
def clone_container(call: Call) -> str:
    return clone(call)


@route("POST", f"{_CT}/template")
def make_container_template(call: Call) -> None:
    """A container's task is started too, and not told."""
    make_template("lxc", call)


@route("POST", f"{_CT}/move_volume")
def move_volume(call: Call) -> str:
    return move(call)
