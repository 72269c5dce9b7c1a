"""Storage definitions, the sections of `storage.cfg`: reading, creating, updating and deleting them.

Sources: `/storage`, `/storage/{storage}`, the recorded exchanges `storage/001` to `storage/024` and `storage/064` on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.sections import SectionFile, as_stored, under
from pvesim.core.world import World
from pvesim.nodes.records import Medium
from pvesim.storage.records import Space, Storage, Volume
from pvesim.storage.rules import activate, find_storage, is_enabled
from pvesim.storage.types import SECRETS, TYPES, StorageType

# The options that tell one medium from another.
_MEDIUM = (
    "path", "server", "export", "share", "datastore", "vgname", "thinpool", "pool", "portal", "target", "monhost"
)  # fmt: skip
_OWN_FIELDS = ("content", "nodes", "shared", "disable")


@dataclass(frozen=True, slots=True)
class RemovedStorage:
    """What a deleted definition said: its volumes are still on the medium, and show again when it is defined again."""

    storage: str
    definition: Storage

    @property
    def key(self) -> str:
        return self.storage


# -- between records and options ---------------------------------------------------------------------------------------


def _write(storage: Storage) -> tuple[str, str, Mapping[str, Any]]:
    options = {**storage.options, "content": ",".join(storage.content)}
    if storage.nodes:
        options["nodes"] = ",".join(storage.nodes)
    if storage.shared and not TYPES[storage.type].network:
        options["shared"] = 1
    if storage.disable:
        options["disable"] = 1
    return storage.type, storage.storage, options


def read_definition(type: str, id: str, options: Mapping[str, Any], before: Storage | None = None) -> Storage:
    """A definition from its options as the API takes them. Raises `Failure` for content that the type cannot hold."""
    kind = TYPES[type]
    rest = {name: value for name, value in options.items() if name not in (*_OWN_FIELDS, *SECRETS)}
    rest |= {name: 0 for name in ("shared", "disable") if options.get(name) in (0, False)}
    if kind.network and kind.has_files:
        rest.setdefault("path", f"/mnt/pve/{id}")
    return Storage(
        id,
        type,
        content=_content(kind, options.get("content")),
        nodes=tuple(dict.fromkeys(_words(options.get("nodes")))),
        shared=kind.network or bool(options.get("shared")),
        disable=bool(options.get("disable")),
        options=rest,
    )


def _content(kind: StorageType, text: str | None) -> tuple[str, ...]:
    """The content types given; those that the type does not have are dropped, as PVE does."""
    if text is None:
        return kind.default_contents
    contents = tuple(dict.fromkeys(name for name in _words(text) if name in kind.contents))
    if "none" in contents and len(contents) > 1:
        raise Failure("unable to combine 'none' with other content types")
    if not contents and "none" not in kind.contents:
        raise Failure(f"storage does not support configured content types: {text}")
    return contents


def _words(text: str | None) -> list[str]:
    return (text or "").replace(",", " ").replace(";", " ").split()


STORAGES: SectionFile[Storage] = SectionFile(
    Storage, {name: kind.section for name, kind in TYPES.items()}, write=_write, read=read_definition
)


# -- reading -----------------------------------------------------------------------------------------------------------


def definition(world: World, storage: Storage) -> dict[str, Any]:
    """One element of `GET /storage`, and the answer of `GET /storage/{storage}`."""
    shown = {**as_stored(STORAGES.options(storage)), "digest": STORAGES.digest(world)}
    if storage.shared:
        shown["shared"] = 1
    return {**shown, "storage": storage.storage, "type": storage.type}


def definitions(world: World, visible: Iterator[Storage], type: str | None = None) -> list[dict[str, Any]]:
    """`GET /storage`, of those that the asker may see."""
    return [definition(world, storage) for storage in visible if type in (None, storage.type)]


# -- writing -----------------------------------------------------------------------------------------------------------


def create(world: World, node: str, type: str, id: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """`POST /storage`. Raises `Failure`: an option that the type does not have, an id that is taken, no answer."""
    TYPES[type].section.check_new(options)
    read_definition(type, id, options)
    with under("create storage failed"):
        if world.get(Storage, id) is not None:
            raise Failure(f"storage ID '{id}' already defined")
        storage = STORAGES.create(world, type, id, options)
        _find_medium(world, storage)
        if is_enabled(storage, node) and TYPES[type].naming != "lvm":
            activate(world, id, node)
    return {"storage": id, "type": type}


def _find_medium(world: World, storage: Storage) -> None:
    """Give a new definition what is behind it: its medium of before, or room where another storage is known to be."""
    removed = world.get(RemovedStorage, storage.storage)
    world.remove(RemovedStorage, storage.storage)
    if removed is not None and _medium(removed.definition) == _medium(storage):
        _find_local_media(world, storage)
        return
    _forget(world, Volume, storage.storage)
    _forget(world, Space, storage.storage)
    for other in list(world.rows(Storage).values()):
        if other is storage or _host(other) is None or _host(other) != _host(storage):
            continue
        for space in [row for row in world.rows(Space).values() if row.storage == other.storage and row.active]:
            world.put(Space(storage.storage, storage.place(space.place), space.total))
    _find_local_media(world, storage)


def _find_local_media(world: World, storage: Storage) -> None:
    """The room of a new definition on what was made of the nodes' disks."""
    for medium in world.rows(Medium).values():
        known = world.get(Space, (storage.storage, medium.node))
        if known is None and storage.on(medium.node) and medium.carries(storage.type, storage.options):
            world.put(Space(storage.storage, medium.node, medium.total, 0))


def _forget(world: World, kind: type[Volume] | type[Space], storage: str) -> None:
    for record in [row for row in world.rows(kind).values() if row.storage == storage]:
        world.remove(kind, record.key)


def _medium(storage: Storage) -> tuple[Any, ...]:
    """What tells one medium from another."""
    return (storage.type, storage.shared, *(storage.options.get(name) for name in _MEDIUM))


def _host(storage: Storage) -> tuple[str, str] | None:
    """Whose disks a definition uses: a server, or a node's volume group or pool. None for a plain directory."""
    if storage.type in ("rbd", "cephfs"):
        return "monhost", str(storage.options.get("monhost", ""))  # none: the nodes' own
    for name in ("server", "portal", "vgname", "pool"):
        if storage.options.get(name):
            return name, str(storage.options[name])
    return None


def update(
    world: World, id: str, given: Mapping[str, Any], delete: Sequence[str], digest: str | None
) -> dict[str, Any]:
    """`PUT /storage/{storage}`. Raises `Failure`."""
    with under("update storage failed"):
        STORAGES.check_digest(world, digest)
        storage = STORAGES.update(world, find_storage(world, id), given, delete)
    return {"storage": id, "type": storage.type}


def remove(world: World, id: str) -> None:
    """`DELETE /storage/{storage}`: the definition goes, what is on the medium stays. Raises `Failure`."""
    with under("delete storage failed"):
        storage = find_storage(world, id)
        bases = (str(other.options.get("base", "")) for other in world.rows(Storage).values())
        if any(base.partition(":")[0] == id for base in bases):
            raise Failure("can't remove storage - storage is used as base of another storage")
        STORAGES.delete(world, storage)
        world.put(RemovedStorage(id, storage))
