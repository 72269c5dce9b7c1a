"""Storages: definitions, how full they are, and what lies on them beside the disks that guests have."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from pvesim.contract import split_list
from pvesim.live.reader import Reader, without

_CHOSEN_BY_PVE = frozenset(("cephfs", "cifs", "nfs"))  # they mount where PVE wants
_BACKUP = re.compile(
    r"backup/vzdump-(qemu|lxc)-(\d+)-(\d{4})_(\d\d)_(\d\d)-(\d\d)_(\d\d)_(\d\d)\.(?:vma|tar)(?:\.(lzo|gz|zst))?",
    re.ASCII,
)
_PBS_BACKUP = re.compile(r"backup/(vm|ct)/(\d+)/(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", re.ASCII)
_DISKS = ("images", "rootdir")


def read_storages(reader: Reader, scenario: dict[str, Any], nodes: list[str]) -> None:
    """Fill in the storages with their contents."""
    storages: dict[str, Any] = {}
    for row in reader.list("/storage"):
        hidden = ["digest", "storage", "type", *(["path"] if row["type"] in _CHOSEN_BY_PVE else [])]
        # Only what PVE takes for granted, because its configuration has no storage `local`, shows a priority.
        config = {} if "priority" in row else without(row, hidden)
        storages[row["storage"]] = {"type": row["type"], "config": config}
    seen: set[str] = set()
    for node in nodes:
        for row in reader.list(f"/nodes/{node}/storage"):
            model = storages.get(row["storage"])
            if model is None or (row.get("shared") and row["storage"] in seen):
                continue
            only = model["config"].get("nodes")
            if only and node not in split_list(str(only)):
                continue
            seen.add(row["storage"])
            place = "" if row.get("shared") else node
            _space(reader, scenario, model, row, place)
            if row.get("active"):
                _contents(reader, model, row, node, place)
    scenario["storages"] = storages


def _space(reader: Reader, scenario: dict[str, Any], model: dict[str, Any], row: dict[str, Any], place: str) -> None:
    space: dict[str, Any] = {}
    if not row.get("active"):
        space["active"] = False
    root = scenario["nodes"].get(place, {}).get("hardware", {}).get("root_size")
    if row.get("total") and row["total"] != root:  # else it lies on the node's root file system
        space["size"] = row["total"]
        reader.spaces[row["storage"], place] = row.get("used", 0)
    if place and space:
        model.setdefault("nodes", {})[place] = space
    else:
        model.update(space)


def _contents(reader: Reader, model: dict[str, Any], row: dict[str, Any], node: str, place: str) -> None:
    path = f"/nodes/{node}/storage/{row['storage']}/content"
    for volume in reader.list(path):
        name = volume["volid"].partition(":")[2]
        common: dict[str, Any] = {"size": volume.get("size") or 0, **({"node": place} if place else {})}
        if volume.get("notes"):
            common["notes"] = volume["notes"]
        if volume.get("protected"):
            common["protected"] = True
        backup = _backup(name)
        if backup is not None:
            moment = backup.pop("moment")
            entry = {**backup, "ago": max(0.0, reader.now - moment), **common, "config": {}}
            model.setdefault("backups", []).append(entry)
        elif volume.get("content") in _DISKS and volume.get("vmid"):
            # Whose disk it is shows in the guest's configuration; what no configuration names is listed in the end.
            model.setdefault("_disks", []).append({"name": name, "vmid": volume["vmid"], **common})
        else:
            ago = max(0.0, reader.now - volume["ctime"]) if volume.get("ctime") else 0.0
            model.setdefault("volumes", []).append({"name": name, "ago": ago, **common})


def _backup(name: str) -> dict[str, Any] | None:
    """What a backup's name tells, or None for another volume."""
    match = _BACKUP.fullmatch(name)
    if match is not None:
        moment = datetime(*map(int, match.groups()[2:8]), tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]
        return {"guest": int(match[2]), "kind": match[1], "compress": match[9] or "none", "moment": moment}
    match = _PBS_BACKUP.fullmatch(name)
    if match is not None:
        moment = datetime(*map(int, match.groups()[2:8]), tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]
        return {"guest": int(match[2]), "kind": "qemu" if match[1] == "vm" else "lxc", "moment": moment}
    return None
