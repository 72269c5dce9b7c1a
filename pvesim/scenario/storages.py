"""From a scenario to the records of the storage area: definitions, volumes, backups, spaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pvesim.contract import split_list
from pvesim.core.errors import Failure
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.scenario import defaults
from pvesim.scenario.context import Context, known_names
from pvesim.scenario.model import BackupModel, SpaceModel, StorageModel, VolumeModel
from pvesim.scenario.nodes import given
from pvesim.scenario.reading import Location
from pvesim.storage.names import parse_name
from pvesim.storage.records import GIB, Download, Space, Storage, Volume
from pvesim.storage.rules import space_of
from pvesim.storage.types import TYPES

_MOUNTED = frozenset(("cephfs", "cifs", "nfs"))  # PVE chooses their path itself
_ON_ROOT = frozenset(("btrfs", "dir"))  # without a size of their own they lie on the node's root file system
_ENDINGS = {"none": "", "lzo": ".lzo", "gz": ".gz", "zst": ".zst"}


def storage_models(context: Context) -> dict[str, StorageModel]:
    """The scenario's storages; those of a fresh installation where it names none."""
    storages = context.scenario.storages
    if storages is not None:
        return storages
    return {name: StorageModel.model_validate(model) for name, model in defaults.DEFAULT_STORAGES.items()}


def build_definitions(context: Context) -> None:
    """The storage definitions, and what storages can download."""
    for name, model in storage_models(context).items():
        _build_definition(context, name, model, ("storages", name))
    for url, download in context.scenario.downloads.items():
        context.world.put(Download(url, **given(download)))


def _build_definition(context: Context, name: str, model: StorageModel, location: Location) -> None:
    if name == "local" and model.type == "dir" and not model.config:
        context.world.put(Storage("local", "dir", defaults.IMPLIED_CONTENT, options=defaults.IMPLIED_LOCAL))
        return
    wanted = {key: text.format(storage=name) for key, text in defaults.STORAGE_OPTIONS.get(model.type, {}).items()}
    wanted.update(model.config)
    # A network storage's mount point is PVE's own choice, and no parameter of the create method.
    path = {"path": f"/mnt/pve/{name}"} if model.type in _MOUNTED else {}
    options = context.verified("POST", "/storage", (*location, "config"), wanted, storage=name, type=model.type)
    kind = TYPES[model.type]
    content = tuple(split_list(str(options.pop("content", "")))) or kind.default_contents
    nodes = tuple(split_list(str(options.pop("nodes", ""))))
    known = context.world.rows(Node)
    for node in nodes:
        if node not in known:
            context.problem((*location, "config", "nodes"), f"no node '{node}': {known_names(known)}")
    for unfit in [name for name in content if name not in kind.contents]:
        context.problem((*location, "config", "content"), f"a storage of type '{model.type}' cannot hold '{unfit}'")
    shared = bool(options.pop("shared", 0)) or kind.network
    disable = bool(options.pop("disable", 0))
    context.world.put(Storage(name, model.type, content, nodes, shared, disable, {**path, **options}))


def places_of(context: Context, storage: Storage) -> list[str]:
    """Where a storage has volumes: its nodes, or "" for a shared one."""
    if storage.shared:
        return [""]
    return [node for node in context.world.rows(Node) if storage.on(node)]


# -- volumes and backups -----------------------------------------------------------------------------------------------


def build_volumes(context: Context) -> None:
    """The volumes that the scenario lists (the guests' disks come with the guests)."""
    for name, model in storage_models(context).items():
        storage = context.world.rows(Storage)[name]
        for position, volume in enumerate(model.volumes):
            _build_volume(context, storage, volume, ("storages", name, "volumes", position))


def build_backups(context: Context) -> None:
    """The backups that the scenario lists, after the guests whose configurations they hold."""
    for name, model in storage_models(context).items():
        storage = context.world.rows(Storage)[name]
        for position, backup in enumerate(model.backups):
            _build_backup(context, storage, backup, ("storages", name, "backups", position))


def put_volume(context: Context, volume: Volume, location: Location) -> None:
    """Put a new volume; a problem if there is one of that name."""
    if context.world.get(Volume, volume.key) is not None:
        context.problem(location, f"the volume '{volume.volid}' is there already")
    else:
        context.world.put(volume)


def _build_volume(context: Context, storage: Storage, model: VolumeModel, location: Location) -> None:
    place = (*location, "name")
    try:
        parsed = parse_name(storage, model.name)
    except Failure as refusal:
        context.problem(place, str(refusal))
        return
    if parsed.content not in storage.content:
        context.problem(
            place,
            f"storage '{storage.storage}' does not hold '{parsed.content}': it holds {', '.join(storage.content)}",
        )
    for where in _chosen_places(context, storage, model.node, location):
        volume = Volume(
            storage.storage,
            where,
            model.name,
            parsed.content,
            parsed.format,
            model.size,
            used=model.size,
            ctime=float(int(context.ago(model.ago))),
            vmid=parsed.vmid,
            parent=parsed.base,
            notes=model.notes,
            protected=model.protected,
            subtype=parsed.subtype,
        )
        put_volume(context, volume, place)


def _chosen_places(context: Context, storage: Storage, node: str | None, location: Location) -> Iterable[str]:
    places = places_of(context, storage)
    if node is None:
        return places
    if context.node(node, (*location, "node")) is None:
        return ()
    if not storage.on(node):
        context.problem((*location, "node"), f"storage '{storage.storage}' is not on node '{node}'")
        return ()
    return [storage.place(node)]


def _build_backup(context: Context, storage: Storage, model: BackupModel, location: Location) -> None:
    guest = context.world.get(Guest, model.guest)
    kind = model.kind or (guest.kind if guest else None)
    if kind is None or (guest is None and model.config is None):
        text = f"no guest {model.guest}: a backup of one that is gone needs kind and config"
        context.problem((*location, "guest"), text)
        return
    if "backup" not in storage.content:
        context.problem(location, f"storage '{storage.storage}' does not hold backups")
    # Unless the scenario says where, a backup is where its guest is, if the storage is there.
    home = guest.node if guest is not None and storage.on(guest.node) else None
    places = list(_chosen_places(context, storage, model.node or home, location))
    if not places:
        return
    time = float(int(context.ago(model.ago)))
    name, format = _backup_name(storage.type, kind, model, time)
    volume = Volume(
        storage.storage,
        places[0],
        name,
        "backup",
        format,
        model.size,
        used=model.size,
        ctime=time,
        vmid=model.guest,
        notes=model.notes,
        protected=model.protected,
        subtype=kind,
        guest_config=_backed_up(model, guest),
    )
    put_volume(context, volume, location)


def _backed_up(model: BackupModel, guest: Guest | None) -> Mapping[str, Any]:
    """The configuration in a backup: the scenario's own, or the guest's without what locks it now."""
    if model.config is not None:
        return dict(model.config)
    return {key: value for key, value in (guest.config if guest else {}).items() if key != "lock"}


def _backup_name(storage_type: str, kind: str, model: BackupModel, time: float) -> tuple[str, str]:
    """A backup's volume name and format, as vzdump gives them."""
    moment = datetime.fromtimestamp(time, UTC)
    if storage_type == "pbs":
        short = "vm" if kind == "qemu" else "ct"
        return f"backup/{short}/{model.guest}/{moment:%Y-%m-%dT%H:%M:%SZ}", f"pbs-{short}"
    archive = "vma" if kind == "qemu" else "tar"
    ending = f"{archive}{_ENDINGS[model.compress]}"
    return f"backup/vzdump-{kind}-{model.guest}-{moment:%Y_%m_%d-%H_%M_%S}.{ending}", ending


# -- spaces ------------------------------------------------------------------------------------------------------------


def build_spaces(context: Context) -> None:
    """The size of every storage at every place, after all volumes are there."""
    needed: dict[tuple[str, str], int] = {}
    for volume in context.world.rows(Volume).values():
        needed[volume.storage, volume.place] = needed.get((volume.storage, volume.place), 0) + volume.used
    for name, model in storage_models(context).items():
        storage = context.world.rows(Storage)[name]
        for node in model.nodes:
            if storage.shared or node not in places_of(context, storage):
                context.problem(("storages", name, "nodes", node), f"storage '{name}' has no space of its own there")
        for place in places_of(context, storage):
            _build_space(context, storage, place, model, needed.get((name, place), 0))


def _build_space(context: Context, storage: Storage, place: str, model: StorageModel, volumes: int) -> None:
    own = model.nodes.get(place, SpaceModel())
    size, used = _first(own.size, model.size), _first(own.used, model.used)
    active = model.active and own.active
    if active and size is None and used is None and place and storage.type in _ON_ROOT:
        _check_root(context, storage, place)
        return
    used = used or 0
    if size is None:
        # Left to itself, a storage is large enough to be half empty.
        size = max(500 * GIB, -(-2 * (used + volumes) // (100 * GIB)) * 100 * GIB)
    if used + volumes > size:
        _too_small(context, storage, place, used, volumes, size)
    context.world.put(Space(storage.storage, place, size, used, active))


def _check_root(context: Context, storage: Storage, node: str) -> None:
    space = space_of(context.world, storage, node)
    if space.used > space.total:
        used = context.world.rows(Node)[node].hardware.root_used
        _too_small(context, storage, node, used, space.used - used, space.total)


def _too_small(context: Context, storage: Storage, place: str, used: int, volumes: int, size: int) -> None:
    where = f" on {place}" if place else ""
    text = f"the volumes{where} need {volumes} bytes and {used} are used beside them: more than its {size}"
    context.problem(("storages", storage.storage), text)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
