"""Settings that PVE keeps in lists: made, changed and removed, each shown as it was and as it is."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from proxmox_mcp.results import Preview, Result
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.tooling import Call
from proxmox_mcp.tools.config import OptionChange
from proxmox_mcp.tools.guests import hidden_secrets

Done = Literal["created", "updated", "deleted"]

_NOT_SHOWN = frozenset({"digest"})


class Saved(Result):
    """What was made, changed or removed. `changes` are its settings before and after."""

    what: str
    done: Done
    note: str | None = None
    changes: list[OptionChange]


async def create(call: Call, what: str, collection: str, item: str, params: Mapping[str, Any]) -> Saved:
    """Make one, and show it as PVE then has it.

    Args:
        call: what the tool works with.
        what: it, for the reader, such as `pool production`.
        collection: the path to post to.
        item: the path to read it from.
        params: PVE's parameters; None leaves one out.
    """
    await call.pve.post(collection, **params)
    return saved(what, "created", {}, await call.pve.get(item))


async def update(call: Call, what: str, item: str, params: Mapping[str, Any], delete: Sequence[str] = ()) -> Saved:
    """Change one; it must still be as it was read just before, where PVE can tell."""
    before = await call.pve.get(item)
    checked = {"digest": before["digest"]} if isinstance(before, dict) and before.get("digest") else {}
    await call.pve.put(item, **{**params, **checked, **({"delete": ",".join(delete)} if delete else {})})
    return saved(what, "updated", before, await call.pve.get(item))


async def remove(call: Call, what: str, item: str, **params: Any) -> Saved:
    """Remove one, and show what it was."""
    before = await call.pve.get(item)
    await call.pve.delete(item, **params)
    return saved(what, "deleted", before, {})


async def preview_removal(call: Call, what: str, item: str, lost: str) -> Preview:
    """What is removed, for the person who approves; read before, so that what is not there is refused."""
    before = await call.pve.get(item)
    facts = [f"{key}: {hidden_secrets(key, value)}" for key, value in _settings(before).items()]
    return Preview(summary=f"Remove {what}: {lost}", target=what, facts=facts, fingerprint=digest_of(what, before))


def saved(what: str, done: Done, before: Any, after: Any) -> Saved:
    """What changed between two readings of one thing."""
    old, new = _settings(before), _settings(after)
    changes = [
        OptionChange(key=key, old=hidden_secrets(key, old.get(key)), new=hidden_secrets(key, new.get(key)))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    return Saved(what=what, done=done, changes=changes)


def _settings(record: Any) -> dict[str, Any]:
    if isinstance(record, list):
        record = record[0] if record else {}
    return {key: value for key, value in record.items() if key not in _NOT_SHOWN and value is not None}
