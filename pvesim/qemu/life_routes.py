"""Making, changing and removing virtual machines."""

from __future__ import annotations

from typing import Any

from pvesim.backup.machine_restore import restore_machine
from pvesim.guests.locks import require_unlocked
from pvesim.guests.rules import find_guest
from pvesim.guests.template import make_template
from pvesim.qemu.clone import clone
from pvesim.qemu.cloudinit import dump, pending_changes, write_drive
from pvesim.qemu.create import create
from pvesim.qemu.move import move
from pvesim.qemu.update import unlink, update_in_task, update_now
from pvesim.routing import Call, route

_VM = "/nodes/{node}/qemu/{vmid}"


@route("POST", "/nodes/{node}/qemu")
def create_machine(call: Call) -> str:
    return restore_machine(call) if call.params.get("archive") else create(call)


@route("PUT", f"{_VM}/config")
def update_configuration(call: Call) -> None:
    update_now(call)


@route("POST", f"{_VM}/config")
def update_configuration_in_task(call: Call) -> str | None:
    return update_in_task(call)


@route("PUT", f"{_VM}/unlink")
def unlink_drives(call: Call) -> None:
    unlink(call)


@route("POST", f"{_VM}/clone")
def clone_machine(call: Call) -> str:
    return clone(call)


@route("POST", f"{_VM}/template")
def make_machine_template(call: Call) -> str:
    return make_template("qemu", call)


@route("POST", f"{_VM}/move_disk")
def move_disk(call: Call) -> str:
    return move(call)


@route("GET", f"{_VM}/cloudinit")
def pending_cloudinit(call: Call) -> list[dict[str, Any]]:
    return pending_changes(find_guest(call.world, "qemu", call.node, call.params["vmid"]))


@route("PUT", f"{_VM}/cloudinit")
def write_cloudinit(call: Call) -> None:
    require_unlocked(call.world, "qemu", call.params["vmid"])
    write_drive(call.world, find_guest(call.world, "qemu", call.node, call.params["vmid"]))


@route("GET", f"{_VM}/cloudinit/dump")
def dump_cloudinit(call: Call) -> str:
    return dump(call.world, find_guest(call.world, "qemu", call.node, call.params["vmid"]), call.params["type"])
