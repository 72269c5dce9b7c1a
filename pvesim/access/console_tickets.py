"""Tickets for consoles: good for one user, one path and a short time. What opens a console asks for them again.

Source: the answers of `vncproxy` and `termproxy`, `GET …/vncwebsocket`, `POST /access/vncticket`.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from pvesim.access.login import authentication_failure, sign
from pvesim.access.rules import Identity, has_privileges
from pvesim.core.errors import Unauthorized
from pvesim.core.world import World

_PREFIX = "PVEVNC"
_LIFE, _SKEW = 40, 20  # seconds


def make(world: World, identity: Identity, path: str) -> str:
    """A ticket for the console of a path such as `/vms/100` or `/nodes/pve1`."""
    text = f"{_PREFIX}:{int(world.now):08X}"
    return f"{text}::{_signature(world, text, identity.name, path)}"


def _signature(world: World, text: str, name: str, path: str) -> str:
    return sign(world, "console", f"{text}:{name}:{path}")


def is_good(world: World, ticket: str, name: str, path: str) -> bool:
    """Whether the ticket was made for this user (or token) and path, and lately."""
    text, _, signature = ticket.rpartition("::")
    if not hmac.compare_digest(signature.encode(), _signature(world, text, name, path).encode()):
        return False
    return -_SKEW < world.now - int(text.partition(":")[2], 16) < _LIFE


def check(world: World, ticket: str, identity: Identity, path: str) -> None:
    """Raise `Unauthorized` for a ticket that does not open the console of a path to who shows it."""
    if not is_good(world, ticket, identity.name, path):
        raise Unauthorized("permission denied - invalid PVEVNC ticket", body=True)


def verify(world: World, ticket: str, name: str, path: str, privileges: Sequence[str]) -> None:
    """`POST /access/vncticket`. Raises `Unauthorized` unless ticket and privileges are there."""
    userid, _, tokenid = name.partition("!")
    if not is_good(world, ticket, name, path) or not privileges:
        raise authentication_failure()
    if not has_privileges(world, Identity(userid, tokenid or None), path, privileges):
        raise authentication_failure()
