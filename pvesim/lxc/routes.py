"""The power actions of containers, and their network interfaces."""

from __future__ import annotations

from typing import Any

from pvesim.core.errors import Failure
from pvesim.guests.interfaces import container_entry, interfaces_of
from pvesim.guests.power import require_running, run, run_or_ask_ha
from pvesim.guests.records import Guest
from pvesim.guests.rules import find_guest, guest_at
from pvesim.routing import Call, route

_STATUS = "/nodes/{node}/lxc/{vmid}/status"


def _guest(call: Call) -> Guest | None:
    return guest_at(call.world, "lxc", call.node, call.params["vmid"])


def _running(call: Call, word: str | None = None) -> Guest:
    return require_running(_guest(call), "lxc", call.params["vmid"], word)


def _run(call: Call, action: str, *arguments: object) -> str:
    return run(call.world, "lxc", call.node, action, call.params["vmid"], call.identity.name, *arguments)


@route("POST", f"{_STATUS}/start")
def start(call: Call) -> str:
    call.root_only("skiplock")
    guest = _guest(call)
    if guest is not None and guest.running:
        raise Failure(f"CT {guest.vmid} already running")
    return run_or_ask_ha(call, "lxc", "start", guest, bool(call.params.get("skiplock")))


@route("POST", f"{_STATUS}/stop")
def stop(call: Call) -> str:
    call.root_only("skiplock")
    guest, overrule = _running(call), bool(call.params.get("overrule-shutdown"))
    return run_or_ask_ha(call, "lxc", "stop", guest, bool(call.params.get("skiplock")), overrule=overrule)


@route("POST", f"{_STATUS}/shutdown")
def shutdown(call: Call) -> str:
    timeout, force = call.params.get("timeout"), bool(call.params.get("forceStop"))
    return run_or_ask_ha(call, "lxc", "shutdown", _running(call), False, timeout, force)


@route("POST", f"{_STATUS}/reboot")
def reboot(call: Call) -> str:
    _running(call, "VM")  # PVE says VM here, of a container too
    return _run(call, "reboot", call.params.get("timeout"))


@route("POST", f"{_STATUS}/suspend")
def suspend(call: Call) -> str:
    _running(call)
    return _run(call, "suspend")


@route("POST", f"{_STATUS}/resume")
def resume(call: Call) -> str:
    guest = _guest(call)
    if guest is not None and guest.running:
        raise Failure(f"CT {guest.vmid} already running")
    return _run(call, "resume")


@route("GET", "/nodes/{node}/lxc/{vmid}/interfaces")
def list_interfaces(call: Call) -> list[dict[str, Any]] | None:
    guest = find_guest(call.world, "lxc", call.node, call.params["vmid"])
    return [container_entry(interface) for interface in interfaces_of(guest)] if guest.running else None
