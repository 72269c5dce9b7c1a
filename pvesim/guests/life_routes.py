"""Changing and removing guests: what virtual machines and containers answer alike."""

from __future__ import annotations

from pvesim.guests.destroy import destroy
from pvesim.guests.records import Kind
from pvesim.guests.routes import twin_route
from pvesim.routing import Call


@twin_route("DELETE", "/{vmid}")
def destroy_guest(kind: Kind, call: Call) -> str:
    return destroy(kind, call)
