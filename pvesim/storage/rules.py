"""Storages as a node sees them: which there are, whether they answer, and how full they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.storage.names import folder_of
from pvesim.storage.records import Space, Storage, Volume
from pvesim.storage.types import TYPES

_LOCAL_FILES = frozenset({"dir", "btrfs"})
_ROOT_DIRECTORY = "/var/lib/vz"
_DIRECTORIES = frozenset({"/", "/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var", "/var/lib", "/var/tmp"})  # noqa: S108


class SpaceFigures(NamedTuple):
    """Bytes of a storage on a node; all 0 while it is not active there."""

    total: int
    used: int
    avail: int
    active: bool


NO_SPACE = SpaceFigures(0, 0, 0, False)


# -- definitions ---------------------------------------------------------------------------------------------------


def find_storage(world: World, storage: str) -> Storage:
    """The definition of a storage. Raises `Failure` for an unknown one."""
    found = world.get(Storage, storage)
    if found is None:
        raise Failure(f"storage '{storage}' does not exist")
    return found


def is_enabled(storage: Storage, node: str) -> bool:
    """Whether the definition is enabled and covers the node."""
    return not storage.disable and storage.on(node)


def check_enabled(world: World, storage: str, node: str) -> Storage:
    """The definition of a storage that may be used on a node. Raises `Failure` where it is unknown or switched off."""
    found = find_storage(world, storage)
    if found.disable:
        raise Failure(f"storage '{storage}' is disabled")
    if not found.on(node):
        raise Failure(f"storage '{storage}' is not available on node '{node}'")
    return found


def activate(world: World, storage: str, node: str) -> Storage:
    """The definition of a storage that answers on a node. Raises `Failure`, for one that does not answer too."""
    found = check_enabled(world, storage, node)
    if not space_of(world, found, node).active:
        raise Failure(_inactive_text(found))
    return found


def _inactive_text(storage: Storage) -> str:
    kind, options = TYPES[storage.type], storage.options
    if kind.network:
        return f"storage '{storage.storage}' is not online"
    if storage.type == "zfspool":
        pool = str(options.get("pool")).partition("/")[0]
        reason = f"cannot import '{pool}': no such pool available"
        return f"could not activate storage '{storage.storage}', zfs error: {reason}"
    if kind.naming == "lvm":
        return f"no such volume group '{options.get('vgname')}'"
    path, begin = options.get("path"), f"unable to activate storage '{storage.storage}' - "
    if _wants_mount(storage):
        return f"{begin}directory is expected to be a mount point but is not mounted: '{path}'"
    return f"{begin}directory '{path}' does not exist or is unreachable"


# -- space ---------------------------------------------------------------------------------------------------------


def space_of(world: World, storage: Storage | str, node: str) -> SpaceFigures:
    """The space of a storage on a node: what is used is its base and the sum of its volumes.

    A directory storage with no size of its own lies on the node's root file system and shares its space with the
    others there. A storage that is off, unknown, elsewhere or without a medium has none.
    """
    found = world.get(Storage, storage) if isinstance(storage, str) else storage
    record = world.get(Node, node)
    if found is None or record is None or not record.online or not is_enabled(found, node):
        return NO_SPACE
    space = world.get(Space, (found.storage, found.place(node)))
    if space is not None and not space.active:
        return NO_SPACE
    if space is None and found.type in _LOCAL_FILES and (_wants_mount(found) or not _has_directory(world, found)):
        return NO_SPACE
    if _is_on_root(found, space):
        return root_space(world, record)
    if space is None:
        return NO_SPACE
    return _figures(space.total, space.used + _used_by_volumes(world).get(space.key, 0))


def root_space(world: World, node: Node) -> SpaceFigures:
    """The space of a node's root file system, with the volumes that lie on it."""
    total, used = node.hardware.root_size, node.hardware.root_used
    volumes = _used_by_volumes(world)
    for storage in world.rows(Storage).values():
        place = storage.place(node.name)
        space = world.get(Space, (storage.storage, place))
        if storage.on(node.name) and _is_on_root(storage, space):
            used += volumes.get((storage.storage, place), 0)
            if space is not None:
                total, used = space.total, used - node.hardware.root_used + space.used
    return _figures(total, used)


def _is_on_root(storage: Storage, space: Space | None) -> bool:
    """A directory is on the root file system unless it has a size of its own; PVE's default directory always is."""
    return storage.type in _LOCAL_FILES and (space is None or storage.options.get("path") == _ROOT_DIRECTORY)


def _wants_mount(storage: Storage) -> bool:
    """Whether the definition says that its directory is a mount point of its own."""
    return str(storage.options.get("is_mountpoint", "no")) not in ("no", "0", "off", "false")


def _has_directory(world: World, storage: Storage) -> bool:
    """Whether the directory is there: PVE makes it unless it is told not to; a fresh node has few others."""
    if all(storage.options.get(name, 1) for name in ("mkdir", "create-base-path")):
        return True
    path = storage.options.get("path")
    others = (other for other in world.rows(Storage).values() if other.storage != storage.storage)
    return path in _DIRECTORIES or any(other.options.get("path") == path for other in others)


def _figures(total: int, used: int) -> SpaceFigures:
    return SpaceFigures(total, used, max(0, total - used), True)


def _used_by_volumes(world: World) -> dict[tuple[str, str], int]:
    def by_place() -> dict[tuple[str, str], int]:
        sums: dict[tuple[str, str], int] = {}
        for volume in world.rows(Volume).values():
            place = (volume.storage, volume.place)
            sums[place] = sums.get(place, 0) + volume.used
        return sums

    return world.cached("used by volumes", (Volume,), by_place)


# -- what lists and status show ------------------------------------------------------------------------------------


def status_of(world: World, storage: Storage, node: str) -> dict[str, Any]:
    """`GET /nodes/{node}/storage/{storage}/status`."""
    total, used, avail, active = space_of(world, storage, node)
    return {
        "active": int(active),
        "avail": avail,
        "content": ",".join(storage.content),
        "enabled": int(is_enabled(storage, node)),
        "shared": int(storage.shared),
        "total": total,
        "type": storage.type,
        "used": used,
    }


def find_status(world: World, storage: str, node: str) -> dict[str, Any]:
    """The same for a storage by name. Raises `ParameterErrors` for an unknown one."""
    found = world.get(Storage, storage)
    if found is None:
        raise ParameterErrors({"storage": "No such storage."})
    return status_of(world, found, node)


def list_on_node(world: World, node: str, visible: Iterator[Storage], filters: dict[str, Any]) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/storage`. `filters` are the method's parameters; `visible` what the asker may see.

    Raises `ParameterErrors` when one is asked for that does not exist or lacks the content.
    """
    contents = _words(filters.get("content"))
    wanted, target = filters.get("storage"), filters.get("target")
    if wanted and not _offers(world.get(Storage, wanted), node, contents):
        raise ParameterErrors({"storage": "No such storage."})
    rows = []
    for storage in visible:
        if (wanted and storage.storage != wanted) or not _offers(storage, node, contents):
            continue
        if filters.get("enabled") and not is_enabled(storage, node):
            continue
        if target and target not in (node, "localhost") and not _reaches(storage, node, target):
            continue
        rows.append(_list_row(world, storage, node, bool(filters.get("format"))))
    return rows


def _list_row(world: World, storage: Storage, node: str, with_formats: bool) -> dict[str, Any]:
    row = {"storage": storage.storage, **status_of(world, storage, node)}
    if row["total"]:
        row["used_fraction"] = row["used"] / row["total"]
    if with_formats:
        formats = formats_of(storage)
        row["formats"] = {"default": default_format(storage), "supported": sorted(formats)}
        if TYPES[storage.type].naming == "iscsi":
            row["select_existing"] = 1
    return row


def _offers(storage: Storage | None, node: str, contents: list[str]) -> bool:
    if storage is None or not contents:
        return storage is not None
    return is_enabled(storage, node) and any(content in storage.content for content in contents)


def _reaches(storage: Storage, node: str, target: str) -> bool:
    return storage.shared and storage.on(node) and storage.on(target)


def _words(text: str | None) -> list[str]:
    return (text or "").replace(",", " ").replace(";", " ").split()


# -- formats -------------------------------------------------------------------------------------------------------


def formats_of(storage: Storage) -> tuple[str, ...]:
    """The image formats that a storage takes."""
    formats = TYPES[storage.type].formats
    if storage.type == "lvm" and not storage.options.get("snapshot-as-volume-chain"):
        return tuple(name for name in formats if name != "qcow2")
    return formats


def default_format(storage: Storage) -> str:
    """The format of an image for which none is asked."""
    wanted = storage.options.get("format")
    return str(wanted) if wanted in formats_of(storage) else formats_of(storage)[0]


def is_thin(storage: Storage) -> bool:
    """Whether an empty image takes no space."""
    if storage.type in ("zfspool", "zfs"):
        return bool(storage.options.get("sparse"))
    return TYPES[storage.type].thin and storage.options.get("preallocation") not in ("full", "falloc")


def dump_folder(storage: Storage) -> str:
    """Where backups go on a storage of files, such as `/var/lib/vz/dump`."""
    return folder_of(storage, "backup")
