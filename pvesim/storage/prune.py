"""Which backups a retention keeps: `prunebackups`, and after each backup.

A backup belongs to the group of its guest. Within a group, newest first, each rule keeps the newest backup of each of
so many periods that no rule before it has covered; the rest goes. Protected backups and those with a name of their own
stay out of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import activate
from pvesim.storage.volumes import volumes_at

_STANDARD = re.compile(
    r"vzdump-(?:lxc|openvz|qemu)-\d+-\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d\.(?:tar|tgz|vma)(?:\.(?:gz|lzo|zst))?"
)


def _period(format: str) -> Callable[[float], str]:
    return lambda time: datetime.fromtimestamp(time, UTC).strftime(format)


# In the order in which they are applied.
_RULES: Mapping[str, Callable[[float], str]] = {
    "keep-last": str,
    "keep-hourly": _period("%Y-%m-%d %H"),
    "keep-daily": _period("%Y-%m-%d"),
    "keep-weekly": _period("%G-%V"),
    "keep-monthly": _period("%Y-%m"),
    "keep-yearly": _period("%Y"),
}


def retention(storage: Storage, given: str | None) -> dict[str, int]:
    """The rules that hold, such as `{"keep-last": 3}`. Raises `Failure` where none are given or configured."""
    text = given or storage.options.get("prune-backups")
    if not text:
        raise Failure(f"no prune-backups options configured for storage '{storage.storage}'")
    pairs = (part.partition("=") for part in str(text).split(","))
    return {name: int(value) for name, _, value in pairs if value}


def marked_backups(
    world: World, node: str, storage_id: str, rules: str | None, type: str | None, vmid: int | None
) -> list[dict[str, Any]]:
    """`GET …/prunebackups`: the backups with what the retention says of each. Raises `Failure`."""
    storage = activate(world, storage_id, node)
    keep = retention(storage, rules)
    groups: dict[tuple[str, int | None], list[Volume]] = {}
    for volume in volumes_at(world, storage, node):
        if volume.content != "backup" or (vmid is not None and volume.vmid != vmid):
            continue
        if type is None or volume.subtype == type:
            groups.setdefault((volume.subtype or "unknown", volume.vmid), []).append(volume)
    rows = []
    for (subtype, _), volumes in groups.items():
        marks = marks_of(storage, volumes, keep)
        rows += [_row(volume, subtype, marks[volume.name]) for volume in volumes]
    return sorted(rows, key=lambda row: row["volid"])


def _row(volume: Volume, subtype: str, mark: str) -> dict[str, Any]:
    row = {"ctime": int(volume.ctime), "mark": mark, "type": subtype, "volid": volume.volid}
    return row if volume.vmid is None else {**row, "vmid": volume.vmid}


def marks_of(storage: Storage, volumes: list[Volume], keep: Mapping[str, int]) -> dict[str, str]:
    """What becomes of each backup of one group, by name: `keep`, `remove`, `protected` or `renamed`."""
    marks = {volume.name: mark for volume in volumes if (mark := _exempt(storage, volume))}
    candidates = sorted((volume for volume in volumes if volume.name not in marks), key=lambda volume: -volume.ctime)
    if keep.get("keep-all") or not any(keep.get(name) for name in _RULES):
        return marks | {volume.name: "keep" for volume in candidates}
    decided: dict[str, str] = {}
    for name, period_of in _RULES.items():
        _apply(candidates, decided, keep.get(name, 0), period_of)
    return marks | {volume.name: decided.get(volume.name, "remove") for volume in candidates}


def _exempt(storage: Storage, volume: Volume) -> str | None:
    if volume.protected:
        return "protected"
    standard = storage.type == "pbs" or _STANDARD.fullmatch(volume.name.rpartition("/")[2])
    return None if standard else "renamed"


def _apply(candidates: list[Volume], decided: dict[str, str], count: int, period_of: Callable[[float], str]) -> None:
    covered = {period_of(volume.ctime) for volume in candidates if decided.get(volume.name) == "keep"}
    added: set[str] = set()
    for volume in candidates:
        period = period_of(volume.ctime)
        if volume.name in decided or period in covered:
            continue
        if period in added:
            decided[volume.name] = "remove"
        elif len(added) < count:
            added.add(period)
            decided[volume.name] = "keep"
        else:
            return
