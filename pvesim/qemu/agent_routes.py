"""The guest agent, the monitor and the keyboard of virtual machines."""

from __future__ import annotations

from functools import partial
from typing import Any

from pvesim.guests.records import Guest
from pvesim.qemu.agent import COMMANDS, execute, reachable, read_file, result_of, run_command, set_password, write_file
from pvesim.qemu.console import monitor_answer, send_key
from pvesim.routing import Call, route

_MACHINE = "/nodes/{node}/qemu/{vmid}"
_AGENT = f"{_MACHINE}/agent"
_LARGEST_READ = 16 * 1024**2  # bytes


def _run(command: str, call: Call) -> dict[str, Any]:
    return run_command(call.world, call.node, call.params["vmid"], command)


def _guest(call: Call, command: str) -> Guest:
    return reachable(call.world, call.node, call.params["vmid"], command)


for _command in COMMANDS:
    _verb = "GET" if _command.startswith(("get-", "info", "network-get-")) else "POST"
    route(_verb, f"{_AGENT}/{_command}")(partial(_run, _command))


@route("POST", _AGENT)
def run(call: Call) -> dict[str, Any]:
    return _run(call.params["command"], call)


@route("POST", f"{_AGENT}/exec")
def run_program(call: Call) -> dict[str, Any]:
    guest = _guest(call, "exec")
    return {"pid": execute(call.world, guest, call.params["command"])}


@route("GET", f"{_AGENT}/exec-status")
def read_result(call: Call) -> dict[str, Any]:
    return result_of(call.world, _guest(call, "exec-status"), call.params["pid"])


@route("GET", f"{_AGENT}/file-read")
def read(call: Call) -> dict[str, Any]:
    params, guest = call.params, _guest(call, "file-open")
    count, decode = params.get("count", _LARGEST_READ), bool(params.get("decode", True))
    return read_file(guest, params["file"], count, params.get("offset", 0), decode)


@route("POST", f"{_AGENT}/file-write")
def write(call: Call) -> None:
    params, guest = call.params, _guest(call, "file-open")
    write_file(call.world, guest, params["file"], params["content"], bool(params.get("encode", True)))


@route("POST", f"{_AGENT}/set-user-password")
def change_password(call: Call) -> dict[str, Any]:
    params, guest = call.params, _guest(call, "set-user-password")
    set_password(call.world, guest, params["username"], params["password"], bool(params.get("crypted")))
    return {"result": {}}


@route("POST", f"{_MACHINE}/monitor")
def ask_monitor(call: Call) -> str:
    return monitor_answer(call.world, call.node, call.params["vmid"], call.params["command"])


@route("PUT", f"{_MACHINE}/sendkey")
def press(call: Call) -> None:
    call.root_only("skiplock")
    send_key(call.world, call.node, call.params["vmid"], call.params["key"])
