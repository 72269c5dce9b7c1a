"""What a backup does where nothing else is said. Source: the recorded exchange `nodes/039`."""

from __future__ import annotations

from typing import Any

from pvesim.backup.options import DEFAULT_STORAGE
from pvesim.backup.target import backup_storage
from pvesim.core.errors import Failure
from pvesim.routing import Call
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


_FOR_AUDITORS = ("dumpdir", "ionice")


def defaults(call: Call) -> dict[str, Any]:
    """`GET /nodes/{node}/vzdump/defaults`, with the folder and the retention of the storage.

    Raises `Forbidden` for a storage that who asks may not see, `Failure` for one that takes no backups.
    """
    name = call.params.get("storage") or DEFAULT_STORAGE
    call.check(f"/storage/{name}", "Datastore.Audit", "Datastore.AllocateSpace", any_of=True)
    try:
        storage = backup_storage(call.world, name)
    except Failure as error:
        raise Failure(f"could not get storage information for '{name}': {error.message}") from None
    shown = {**_DEFAULTS, "storage": name}
    if TYPES[storage.type].has_files:
        shown["dumpdir"] = dump_folder(storage)
    if storage.options.get("prune-backups"):
        shown["prune-backups"] = storage.options["prune-backups"]
    sees_all = call.may(f"/nodes/{call.node}", "Sys.Audit")
    return {key: value for key, value in shown.items() if sees_all or key not in _FOR_AUDITORS}
