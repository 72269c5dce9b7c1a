"""Shells on a node: tickets for a terminal, a VNC viewer or a SPICE viewer, to which nobody ever connects.

Sources: `/nodes/{node}/{termproxy,vncshell,spiceshell}`, the recorded exchange `nodes/070`.
"""

from __future__ import annotations

from typing import Any

from pvesim.access import console_tickets
from pvesim.core.errors import Forbidden
from pvesim.core.tasks import Step
from pvesim.guests.consoles import authority, make_password, make_spice_host, next_port
from pvesim.nodes.rules import find_node
from pvesim.routing import Call

_SPICE_PORT = 61_000


def _check_command(call: Call) -> None:
    """Only root may run something else than a login."""
    if call.params.get("cmd", "login") != "login" and not call.identity.is_root:
        raise Forbidden("user != root@pam")


def _ticket(call: Call) -> str:
    return console_tickets.make(call.world, call.identity, f"/nodes/{call.node}")


def terminal(call: Call) -> dict[str, Any]:
    """`POST /nodes/{node}/termproxy`. Raises `Forbidden`."""
    _check_command(call)
    find_node(call.world, call.node)
    port, ticket = next_port(call.world, call.node), _ticket(call)
    upid = call.start("vncshell", "", [Step(effect="guests.console", arguments=("termproxy",))])
    return {"port": port, "ticket": ticket, "upid": upid, "user": call.identity.name}


def vnc(call: Call) -> dict[str, Any]:
    """`POST /nodes/{node}/vncshell`. Raises `Forbidden`."""
    _check_command(call)
    find_node(call.world, call.node)
    port, ticket = next_port(call.world, call.node), _ticket(call)
    upid = call.start("vncshell", "", [Step(effect="guests.console", arguments=("vnc",))])
    answer = {"port": port, "ticket": ticket, "upid": upid, "user": call.identity.name}
    return {**answer, "cert": authority(call.world, call.node), "password": make_password(call.world)}


def spice(call: Call) -> dict[str, Any]:
    """`POST /nodes/{node}/spiceshell`: what a viewer's configuration file says. Raises `Forbidden`."""
    _check_command(call)
    node = find_node(call.world, call.node)
    proxy = call.params.get("proxy") or f"{node.name}.{node.dns.get('search', 'local')}"
    call.start("spiceshell", "", [Step(effect="guests.console", arguments=("spice",))])
    return {
        "ca": authority(call.world, call.node).replace("\n", "\\n"),
        "delete-this-file": 1,
        "host": make_spice_host(call.world),
        "host-subject": f"OU=PVE Cluster Node,O=Proxmox Virtual Environment,CN={node.name}",
        "password": make_password(call.world, 40),
        "proxy": f"http://{proxy}:3128",
        "title": f"Shell on '{node.name}'",
        "tls-port": _SPICE_PORT,
        "type": "spice",
    }
