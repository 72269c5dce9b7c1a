"""Where a backup goes. Source: recorded exchange `backup/003`, and the texts of a genuine node for other storages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvesim.backup.options import storage_of
from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.storage.names import path_of
from pvesim.storage.records import Storage
from pvesim.storage.rules import activate, dump_folder, find_storage, is_enabled
from pvesim.storage.types import TYPES

_TEMPORARY = ("/tmp", "/var/tmp", "/var/lib/vz/dump")  # noqa: S108


def backup_storage(world: World, name: str) -> Storage:
    """The definition of a storage that takes backups. Raises `Failure`."""
    storage = find_storage(world, name)
    if "backup" not in storage.content:
        raise Failure(f"can't use storage '{name}' for backups - wrong content type")
    return storage


def check_target(world: World, node: str, options: Mapping[str, Any]) -> None:
    """Raise `Failure` with all that is wrong with the target."""
    name = _storage_name(options)
    problems: list[str] = []
    if name is None:
        if _in_folder(world, node, str(options["dumpdir"])) is None:
            problems.append(f"dumpdir '{options['dumpdir']}' does not exist")
    else:
        try:
            activate(world, name, node)
        except Failure as error:
            problems.append(f"could not activate storage '{name}': {error.message}")
        try:
            backup_storage(world, name)
        except Failure as error:
            problems.append(f"could not get storage information for '{name}': {error.message}")
    if options.get("tmpdir") and str(options["tmpdir"]).rstrip("/") not in _TEMPORARY:
        problems.append(f"tmpdir '{options['tmpdir']}' does not exist")
    if problems:
        raise Failure(" ".join(problems))


def target_of(world: World, node: str, options: Mapping[str, Any]) -> Storage:
    """The storage that the archives go to. Raises `Failure` where it does not answer."""
    name = _storage_name(options)
    if name is not None:
        return activate(world, name, node)
    storage = _in_folder(world, node, str(options["dumpdir"]))
    if storage is None:
        raise Failure(f"dumpdir '{options['dumpdir']}' does not exist")
    return activate(world, storage.storage, node)


def _storage_name(options: Mapping[str, Any]) -> str | None:
    """The storage that is written to: where both are given, it counts and the folder does not."""
    return str(options["storage"]) if options.get("storage") else storage_of(options)


def _in_folder(world: World, node: str, folder: str) -> Storage | None:
    """The storage whose folder of backups this is: no other folder of a node can be looked into through the API."""
    for storage in world.rows(Storage).values():
        if TYPES[storage.type].has_files and is_enabled(storage, node) and dump_folder(storage) == folder.rstrip("/"):
            return storage
    return None


def archive_path(storage: Storage, name: str) -> str:
    """How the log names an archive: its file, or its snapshot on a backup server."""
    return name.removeprefix("backup/") if storage.type == "pbs" else path_of(storage, name)


def target_word(storage: Storage) -> str:
    """What the log calls the archive."""
    return "Proxmox Backup Server" if storage.type == "pbs" else "vzdump"
