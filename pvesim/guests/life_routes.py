"""Changing and removing guests: what virtual machines and containers answer alike."""

from __future__ import annotations

from typing import Any

from pvesim.guests import bulk, consoles, snapshots
from pvesim.guests.destroy import destroy
from pvesim.guests.migrate import migrate
from pvesim.guests.preconditions import preconditions
from pvesim.guests.records import Kind
from pvesim.guests.resize import resize
from pvesim.guests.routes import guest_of, twin_route
from pvesim.routing import Call, route


@twin_route("DELETE", "/{vmid}")
def destroy_guest(kind: Kind, call: Call) -> str:
    return destroy(kind, call)


@twin_route("PUT", "/{vmid}/resize")
def resize_disk(kind: Kind, call: Call) -> str:
    return resize(kind, call)


@twin_route("POST", "/{vmid}/snapshot")
def take_snapshot(kind: Kind, call: Call) -> str:
    return snapshots.take(kind, call)


@twin_route("DELETE", "/{vmid}/snapshot/{snapname}")
def delete_snapshot(kind: Kind, call: Call) -> str:
    return snapshots.delete(kind, call)


@twin_route("POST", "/{vmid}/snapshot/{snapname}/rollback")
def rollback_to_snapshot(kind: Kind, call: Call) -> str:
    return snapshots.rollback(kind, call)


@twin_route("PUT", "/{vmid}/snapshot/{snapname}/config")
def describe_snapshot(kind: Kind, call: Call) -> None:
    snapshots.describe(kind, call)


@twin_route("POST", "/{vmid}/migrate")
def migrate_guest(kind: Kind, call: Call) -> str:
    return migrate(kind, call)


@twin_route("GET", "/{vmid}/migrate")
def migration_preconditions(kind: Kind, call: Call) -> dict[str, Any]:
    return preconditions(call.world, guest_of(kind, call))


@twin_route("POST", "/{vmid}/vncproxy")
def open_vnc(kind: Kind, call: Call) -> dict[str, Any]:
    return consoles.vnc(kind, call)


@twin_route("POST", "/{vmid}/termproxy")
def open_terminal(kind: Kind, call: Call) -> dict[str, Any]:
    return consoles.terminal(kind, call)


@twin_route("POST", "/{vmid}/spiceproxy")
def open_spice(kind: Kind, call: Call) -> dict[str, Any]:
    return consoles.spice(kind, call)


@route("POST", "/nodes/{node}/startall")
def start_all(call: Call) -> str:
    return bulk.start_all(call)


@route("POST", "/nodes/{node}/stopall")
def stop_all(call: Call) -> str:
    return bulk.stop_all(call)


@route("POST", "/nodes/{node}/suspendall")
def suspend_all(call: Call) -> str:
    return bulk.suspend_all(call)


@route("POST", "/nodes/{node}/migrateall")
def migrate_all(call: Call) -> str:
    return bulk.migrate_all(call)
