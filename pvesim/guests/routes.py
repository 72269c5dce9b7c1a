"""What virtual machines and containers answer alike: each handler serves the paths of both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pvesim.core.tasks import Timer
from pvesim.guests.configs import config_of, pending_of, snapshot_settings, snapshots_of
from pvesim.guests.features import has_feature, nodes_for
from pvesim.guests.kinds import KINDS
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import find_guest, guests_on
from pvesim.guests.views import list_entry, status_of
from pvesim.routing import Call, route

TwinHandler = Callable[[Kind, Call], Any]


def twin_route(verb: str, path: str) -> Callable[[TwinHandler], TwinHandler]:
    """Register a handler for both kinds of guest; `path` follows `/nodes/{node}/qemu` and `/nodes/{node}/lxc`."""

    def register(handler: TwinHandler) -> TwinHandler:
        for kind in KINDS:
            route(verb, f"/nodes/{{node}}/{kind}{path}")(partial(handler, kind))
        return handler

    return register


def guest_of(kind: Kind, call: Call) -> Guest:
    """The guest that a request names, watched by the clock."""
    vmid: int = call.params["vmid"]
    call.watch_guest(vmid)
    return find_guest(call.world, kind, call.node, vmid)


@twin_route("GET", "")
def list_guests(kind: Kind, call: Call) -> list[dict[str, Any]]:
    full = bool(call.params.get("full"))
    guests = [guest for guest in guests_on(call.world, kind, call.node) if call.may(f"/vms/{guest.vmid}", "VM.Audit")]
    if call.world.rows(Timer):
        for guest in guests:
            call.watch_guest(guest.vmid)
    return [list_entry(call.world, guest, full=full) for guest in guests]


@twin_route("GET", "/{vmid}/config")
def read_config(kind: Kind, call: Call) -> dict[str, Any]:
    guest = guest_of(kind, call)
    return config_of(call.world, guest, current=bool(call.params.get("current")), snapshot=call.params.get("snapshot"))


@twin_route("GET", "/{vmid}/pending")
def read_pending(kind: Kind, call: Call) -> list[dict[str, Any]]:
    return pending_of(call.world, guest_of(kind, call))


@twin_route("GET", "/{vmid}/status/current")
def read_status(kind: Kind, call: Call) -> dict[str, Any]:
    return status_of(call.world, guest_of(kind, call))


@twin_route("GET", "/{vmid}/snapshot")
def list_snapshots(kind: Kind, call: Call) -> list[dict[str, Any]]:
    return snapshots_of(call.world, guest_of(kind, call))


@twin_route("GET", "/{vmid}/snapshot/{snapname}/config")
def read_snapshot_config(kind: Kind, call: Call) -> dict[str, Any]:
    return snapshot_settings(guest_of(kind, call), call.params["snapname"])


@twin_route("GET", "/{vmid}/feature")
def check_feature(kind: Kind, call: Call) -> dict[str, Any]:
    guest = guest_of(kind, call)
    answer: dict[str, Any] = {
        "hasFeature": int(has_feature(call.world, guest, call.params["feature"], call.params.get("snapname")))
    }
    if kind == "qemu":
        answer["nodes"] = nodes_for(call.world, guest)
    return answer
