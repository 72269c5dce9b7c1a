"""A guest's configuration as the text of the file that PVE keeps it in, and that text's digest.

The description comes first, as comment lines; then the options by name; then a section for pending changes and one for
each snapshot. The digest that clients send back to guard an update is the SHA-1 of this text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.kinds import KINDS
from pvesim.guests.records import Guest, Kind, Snapshot

# Everything printable but the percent sign and the quotation mark stands for itself.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '%"')
_NOT_WRITTEN = frozenset(("digest", "description", "lxc"))


def render(guest: Guest) -> str:
    """The text of the guest's configuration file."""
    parts = [_section(guest.kind, guest.config)]
    if guest.pending:
        parts.append(f"\n[{KINDS[guest.kind].pending_section}]\n" + _pending(guest.pending))
    parts.extend(
        f"\n[{snapshot.name}]\n" + _section(guest.kind, snapshot_config(snapshot))
        for snapshot in sorted(guest.snapshots, key=lambda snapshot: snapshot.name)
    )
    return "".join(parts)


def check_writable(kind: Kind, options: Mapping[str, Any]) -> None:
    """Raise `Failure` for a value that would be more than one line of the file."""
    for key, value in options.items():
        if key != "description" and "\n" in str(value):
            if kind == "qemu":
                raise Failure(f"unable to parse value of '{key}' - property contains a line feed")
            raise Failure(f"detected invalid newline inside property '{key}'")


def digest_of(world: World, guest: Guest) -> str:
    """The SHA-1 of the file, 40 hexadecimal digits."""
    memo: dict[int, tuple[Guest, str]] = world.cached("config digests", (), dict)
    kept = memo.get(guest.vmid)
    if kept is not None and kept[0] is guest:
        return kept[1]
    digest = hashlib.sha1(render(guest).encode(), usedforsecurity=False).hexdigest()
    memo[guest.vmid] = (guest, digest)
    return digest


def snapshot_config(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot's section: the configuration of then, its time, its parent and its description."""
    config = {key: value for key, value in snapshot.config.items() if key not in ("description", "parent", "snaptime")}
    if snapshot.description:
        config["description"] = snapshot.description
    if snapshot.parent:
        config["parent"] = snapshot.parent
    config["snaptime"] = int(snapshot.snaptime)
    return config


def description_lines(text: str) -> list[str]:
    """A description as it stands in the file, without the line feeds at its end."""
    return [f"#{quote(line, safe=_PLAIN)}" for line in text.rstrip("\n").split("\n")] if text.rstrip("\n") else []


def _section(kind: Kind, config: Mapping[str, Any]) -> str:
    lines = description_lines(str(config.get("description", "")))
    lines += [f"{key}: {_written(config[key])}" for key in sorted(config) if key not in _NOT_WRITTEN]
    if kind == "lxc":
        lines += [f"{key}: {value}" for key, value in config.get("lxc", ())]
    return "".join(f"{line}\n" for line in lines)


def _pending(pending: Mapping[str, Any]) -> str:
    deleted = sorted(key for key, value in pending.items() if value is None)
    changes = {key: value for key, value in pending.items() if value is not None}
    lines = [f"{key}: {_written(changes[key])}" for key in sorted(changes)]
    if deleted:
        lines.append(f"delete: {','.join(deleted)}")
    return "".join(f"{line}\n" for line in sorted(lines))


def _written(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
