"""A guest's configuration, its pending changes and its snapshots, as the API shows them.

Source: recorded exchanges `qemu-config/005-008`, `qemu-power/026-030`, `qemu-snapshot/*`, `lxc/019-020`, `lxc/036`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvesim.core.world import World
from pvesim.guests.configfile import digest_of, snapshot_config
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import find_snapshot

MASK = "**********"
HERE = "You are here!"


def config_of(world: World, guest: Guest, *, current: bool = False, snapshot: str | None = None) -> dict[str, Any]:
    """What `GET …/config` shows: pending changes merged in unless `current`, or the configuration of a snapshot."""
    if snapshot is not None:
        config = snapshot_config(find_snapshot(guest, snapshot))
    elif current:
        config = dict(guest.config)
    else:
        merged = {**guest.config, **guest.pending}
        config = {key: value for key, value in merged.items() if value is not None}
    return {**shown(guest.kind, config), "digest": digest_of(world, guest)}


def pending_of(world: World, guest: Guest) -> list[dict[str, Any]]:
    """One entry for each option: `value` as it is, `pending` as it will be, `delete` where it will be gone."""
    now, later = shown(guest.kind, guest.config), shown(guest.kind, guest.pending)
    entries: list[dict[str, Any]] = []
    for key, value in now.items():
        entry = {"key": key, "value": value}
        if key in later:
            entry |= {"delete": 1} if later[key] is None else {"pending": later[key]}
        entries.append(entry)
    entries.extend(
        {"key": key, "pending": value} for key, value in later.items() if key not in now and value is not None
    )
    entries.append({"key": "digest", "value": digest_of(world, guest)})
    return entries


def snapshots_of(world: World, guest: Guest) -> list[dict[str, Any]]:
    """All snapshots, and last the marker of where the guest is now."""
    entries: list[dict[str, Any]] = []
    for snapshot in guest.snapshots:
        description = _description(guest.kind, snapshot.description) if snapshot.description else ""
        entry = {"name": snapshot.name, "snaptime": int(snapshot.snaptime), "description": description}
        if guest.kind == "qemu":
            entry["vmstate"] = int(snapshot.vmstate)
        if snapshot.parent:
            entry["parent"] = snapshot.parent
        entries.append(entry)
    here = {"name": "current", "description": HERE, "digest": digest_of(world, guest), "running": int(guest.running)}
    if guest.config.get("parent"):
        here["parent"] = guest.config["parent"]
    return [*entries, here]


def snapshot_settings(guest: Guest, name: str) -> dict[str, Any]:
    """The configuration that a snapshot kept. Raises `Failure` when there is none of that name."""
    return shown(guest.kind, snapshot_config(find_snapshot(guest, name)))


def shown(kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as clients see it: the password masked, the description ended as the file's reader ends it.

    PVE reads fractions such as `cpulimit` from the file as text and leaves them so.
    """
    view = {key: f"{value:g}" if isinstance(value, float) else value for key, value in config.items()}
    if view.get("cipassword") is not None:
        view["cipassword"] = MASK
    if view.get("description") is not None:
        view["description"] = _description(kind, str(view["description"]))
    return view


def _description(kind: Kind, text: str) -> str:
    return text.rstrip("\n") + ("\n" if kind == "lxc" else "")
