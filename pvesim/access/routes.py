"""`/access`: logging in."""

from __future__ import annotations

from typing import Any

from pvesim.access.login import log_in
from pvesim.routing import Call, route


@route("GET", "/access/ticket")
def ticket_page(call: Call) -> None:
    """Answers nothing, as PVE does: it exists for a redirect of the web interface."""


@route("POST", "/access/ticket")
def create_ticket(call: Call) -> dict[str, Any]:
    params = call.params
    return log_in(call.world, params["username"], params["password"], params.get("realm"))
