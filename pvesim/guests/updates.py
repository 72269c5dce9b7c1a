"""What changing a configuration has in common for machines and containers."""

from __future__ import annotations

from typing import Any

from pvesim.core.errors import Failure
from pvesim.guests.records import Guest


def really_pending(guest: Guest) -> dict[str, Any]:
    """What still waits for the next start: a value that differs, the removal of what is there."""
    return {
        key: value
        for key, value in guest.pending.items()
        if (key in guest.config if value is None else guest.config.get(key) != value)
    }


def check_protection(guest: Guest, what: str) -> None:
    """Raise `Failure` where the guest is protected; `what` begins the text."""
    if guest.config.get("protection"):
        raise Failure(f"{what} - protection mode enabled")
