"""What stands where a raw request goes: for the person who decides on it, and to see whether it is still the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from proxmox_mcp.errors import ProxmoxError
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.safety.redact import redactor
from proxmox_mcp.tooling import Arguments, Call

_MOST_LINES = 30
_LONGEST_LINE = 300


async def standing(call: Call, given: Arguments) -> tuple[list[str], str]:
    """What PVE has under the path of a raw PUT or DELETE.

    Returns:
        Lines for a person, without secrets; and a hash of all of it. Nothing for a POST, which makes something new.
    """
    if given["method"] not in ("PUT", "DELETE"):
        return [], ""
    try:
        there = await call.pve.get(str(given["path"]))
    except ProxmoxError as error:
        return [f"What is there now: unknown, for it cannot be read ({error.what})"], type(error).__name__
    shown = redactor.value(there)
    if isinstance(shown, Mapping):
        lines = [f"{key}: {value}" for key, value in sorted(shown.items()) if key != "digest"]
    else:
        lines = [str(item) for item in shown] if isinstance(shown, list) else [str(shown)]
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return [f"There now: {line[:_LONGEST_LINE]}" for line in lines[:_MOST_LINES]] + more, digest_of(there)


def concerned_text(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line on the guests that a call is for without naming them, and how they are."""
    if not records:
        return []
    told = [f"{record['vmid']} ({record.get('name', '')}, {record.get('status')})" for record in records]
    more = f" and {len(told) - _MOST_LINES} more" if len(told) > _MOST_LINES else ""
    return [f"Guests concerned: {', '.join(told[:_MOST_LINES])}{more}"]
