"""Changing and removing guests: what virtual machines and containers answer alike."""

from __future__ import annotations

from pvesim.guests import snapshots
from pvesim.guests.destroy import destroy
from pvesim.guests.records import Kind
from pvesim.guests.resize import resize
from pvesim.guests.routes import twin_route
from pvesim.routing import Call


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
