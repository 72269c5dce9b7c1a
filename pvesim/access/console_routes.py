"""What opens consoles: `/access/vncticket` and `…/vncwebsocket`."""

from __future__ import annotations

from pvesim.access import console_tickets
from pvesim.contract import split_list
from pvesim.routing import Call, route


@route("POST", "/access/vncticket")
def verify_ticket(call: Call) -> None:
    params = call.params
    privileges = split_list(params["privs"])
    console_tickets.verify(call.world, params["vncticket"], params["authid"], params["path"], privileges)


def _open(call: Call, path: str) -> dict[str, str]:
    """The port to connect to; who wants a websocket on it finds no screen there."""
    console_tickets.check(call.world, call.params["vncticket"], call.identity, path)
    return {"port": str(call.params["port"])}


@route("GET", "/nodes/{node}/vncwebsocket")
def open_shell(call: Call) -> dict[str, str]:
    return _open(call, f"/nodes/{call.node}")


@route("GET", "/nodes/{node}/qemu/{vmid}/vncwebsocket")
@route("GET", "/nodes/{node}/lxc/{vmid}/vncwebsocket")
def open_console(call: Call) -> dict[str, str]:
    return _open(call, f"/vms/{call.params['vmid']}")
