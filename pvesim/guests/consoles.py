"""Tickets for consoles. Nobody ever connects to a simulated one, so its task ends when its patience does.

Source: recorded exchange `qemu-power/043`; the parameters and answers of `vncproxy`, `termproxy` and `spiceproxy`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from pvesim.access import console_tickets
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.guests.power import failing
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import find_guest, require_existing
from pvesim.nodes.certificates import information
from pvesim.nodes.records import Node
from pvesim.routing import Call

_FIRST_PORT, _PORTS = 5900, 100
_FIRST_SPICE_PORT = 61_000
_PATIENCE = 10.0  # seconds that a proxy waits for somebody to connect
_PRINTABLE = "".join(chr(code) for code in range(33, 127))


def vnc(kind: Kind, call: Call) -> dict[str, Any]:
    """`POST …/vncproxy`: whom to connect to and with what."""
    guest = _guest(kind, call)
    port = next_port(call.world, call.node)
    answer = {
        "user": call.identity.name,
        "ticket": console_tickets.make(call.world, call.identity, f"/vms/{guest.vmid}"),
        "port": str(port),
        "upid": _start(call, "vncproxy", guest, "vnc"),
        "cert": authority(call.world, call.node),
    }
    if kind == "qemu":
        answer["password"] = make_password(call.world)
    return answer


def terminal(kind: Kind, call: Call) -> dict[str, Any]:
    """`POST …/termproxy`. Raises `Failure` for a machine without a serial port to show."""
    guest = _guest(kind, call)
    if kind == "qemu":
        _check_serial(guest, call.params.get("serial"))
    port = next_port(call.world, call.node)
    ticket = console_tickets.make(call.world, call.identity, f"/vms/{guest.vmid}")
    upid = _start(call, "vncproxy", guest, "termproxy")
    return {"user": call.identity.name, "ticket": ticket, "port": port, "upid": upid}


def _check_serial(guest: Guest, wanted: str | None) -> None:
    if wanted is None:
        display = read_options(str(guest.config.get("vga", "")), "type").get("type", "")
        wanted = (
            display
            if display.startswith("serial")
            else next((f"serial{number}" for number in range(4) if f"serial{number}" in guest.config), None)
        )
    if wanted is None:
        raise Failure("unable to find a serial interface")
    if guest.config.get(wanted) != "socket":
        raise Failure(f"no serial interface '{wanted}'")


def spice(kind: Kind, call: Call) -> dict[str, Any]:
    """`POST …/spiceproxy`: what a viewer's configuration file says. Raises `Failure` where there is no such display."""
    guest = _guest(kind, call)
    word, name = ("VM", guest.name) if kind == "qemu" else ("CT", guest.name)
    if kind == "qemu":
        if not guest.running:
            raise Failure(f"VM {guest.vmid} not running")
        if not read_options(str(guest.config.get("vga", "")), "type").get("type", "").startswith("qxl"):
            raise Failure("no spice port")
    node = call.world.rows(Node)[call.node]
    port = _FIRST_SPICE_PORT + call.world.count(f"spice port/{call.node}") % _PORTS
    proxy = call.params.get("proxy") or f"{node.name}.{node.dns.get('search', 'local')}"
    return {
        "type": "spice",
        "title": f"{word} {guest.vmid} - {name}",
        "host": make_spice_host(call.world),
        "proxy": f"http://{proxy}:3128",
        "tls-port": port,
        "password": make_password(call.world, 40),
        "host-subject": f"OU=PVE Cluster Node,O=Proxmox Virtual Environment,CN={node.name}",
        "ca": authority(call.world, call.node).replace("\n", "\\n"),
        "delete-this-file": 1,
        "secure-attention": "Ctrl+Alt+Ins",
        "toggle-fullscreen": "Shift+F11",
        "release-cursor": "Ctrl+Alt+R",
    }


def _guest(kind: Kind, call: Call) -> Guest:
    vmid = call.params["vmid"]
    return (find_guest if kind == "qemu" else require_existing)(call.world, kind, call.node, vmid)


def next_port(world: World, node: str) -> int:
    """The port on which a new proxy listens."""
    return _FIRST_PORT + (world.count(f"vnc port/{node}") - 1) % _PORTS


def make_spice_host(world: World) -> str:
    """The host that a viewer names to the SPICE proxy, which is a ticket."""
    signature = base64.b64encode(world.random_bytes(48, "console")).decode()
    return f"pvespiceproxy:{int(world.now):08X}::{signature}"


def make_password(world: World, length: int = 8) -> str:
    """A password for one session."""
    return "".join(_PRINTABLE[byte % len(_PRINTABLE)] for byte in world.random_bytes(length, "console password"))


def authority(world: World, node: str) -> str:
    """The cluster's own certificate authority."""
    return next(
        str(each["pem"]) for each in information(world, world.rows(Node)[node]) if "root-ca" in each["filename"]
    )


def _start(call: Call, type: str, guest: Guest, what: str) -> str:
    return call.start(type, guest.vmid, [Step(effect="guests.console", arguments=(what,))])


@effect("guests.console")
def _console(world: World, task: Task, what: str) -> Iterable[Step]:
    started = f"starting {what}{'' if what == 'termproxy' else ' proxy'} {task.upid}"
    return [Step(log=(started,)), failing("connection timed out", _PATIENCE)]
