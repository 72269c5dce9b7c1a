"""What a backup does where nothing else is said. Source: the recorded exchange `nodes/039`."""

from __future__ import annotations

from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.storage.records import Storage
from pvesim.storage.rules import dump_folder
from pvesim.storage.types import TYPES

_DEFAULTS: dict[str, Any] = {
    "all": 0,
    "bwlimit": 0,
    "compress": "0",
    "fleecing": {"enabled": 0},
    "ionice": 7,
    "lockwait": 180,
    "mailnotification": "always",
    "mode": "snapshot",
    "notification-mode": "auto",
    "performance": {"max-workers": 16, "pbs-entries-max": 1048576},
    "pigz": 0,
    "prune-backups": "keep-all=1",
    "quiet": 0,
    "remove": 1,
    "stdexcludes": 1,
    "stop": 0,
    "stopwait": 10,
    "zstd": 1,
}


def defaults(world: World, storage_id: str | None) -> dict[str, Any]:
    """`GET /nodes/{node}/vzdump/defaults`, with the folder and the retention of the storage. Raises `Failure`."""
    name = storage_id or "local"
    storage = world.get(Storage, name)
    if storage is None:
        raise Failure(f"could not get storage information for '{name}': storage '{name}' does not exist")
    if "backup" not in storage.content:
        raise Failure(f"could not get storage information for '{name}': can't use storage for backups")
    shown = {**_DEFAULTS, "storage": name}
    if TYPES[storage.type].has_files:
        shown["dumpdir"] = dump_folder(storage)
    if storage.options.get("prune-backups"):
        shown["prune-backups"] = storage.options["prune-backups"]
    return shown
