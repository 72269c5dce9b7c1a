"""From a scenario to the records of the storage area: definitions, volumes, backups, spaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pvesim.contract import split_list
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.scenario import defaults
from pvesim.scenario.context import Context, known_names
from pvesim.scenario.model import BackupModel, SpaceModel, StorageModel, VolumeModel
from pvesim.scenario.reading import Location
from pvesim.storage.records import GIB, Space, Storage, Volume

_PREFIXES = ("iso", "vztmpl", "snippets", "import", "backup")
_COMPRESSED = {"tar.gz": "tgz", "tar.xz": "txz", "tar.zst": "tzst", "tar.bz2": "tbz2"}
_ENDINGS = {"none": "", "lzo": ".lzo", "gz": ".gz", "zst": ".zst"}


def storage_models(context: Context) -> dict[str, StorageModel]:
    """The scenario's storages; those of a fresh installation where it names none."""
    storages = context.scenario.storages
    if storages is not None:
        return storages
    return {name: StorageModel.model_validate(model) for name, model in defaults.DEFAULT_STORAGES.items()}


def build_definitions(context: Context) -> None:
    """The storage definitions."""
    for name, model in storage_models(context).items():
        _build_definition(context, name, model, ("storages", name))


def _build_definition(context: Context, name: str, model: StorageModel, location: Location) -> None:
    if name == "local" and model.type == "dir" and not model.config:
        context.world.put(Storage("local", "dir", defaults.IMPLIED_CONTENT, options=defaults.IMPLIED_LOCAL))
        return
    wanted = {key: text.format(storage=name) for key, text in defaults.STORAGE_OPTIONS.get(model.type, {}).items()}
    wanted.update(model.config)
    # A network storage's mount point is PVE's own choice, and no parameter of the create method.
    path = {"path": wanted.pop("path")} if model.type in ("nfs", "cifs", "cephfs") and "path" in wanted else {}
    options = context.verified(
        "POST", "/storage", (*location, "config"), wanted, storage=name, type=model.type
    )
    content = options.pop("content", defaults.STORAGE_CONTENT.get(model.type, "images,rootdir"))
    nodes = tuple(split_list(str(options.pop("nodes", ""))))
    for node in nodes:
        if context.world.get(Node, node) is None:
            context.problem((*location, "config", "nodes"), f"no node '{node}': {known_names(context.world.rows(Node))}")
    shared = bool(options.pop("shared", 0)) or model.type in defaults.SHARED_TYPES
    disable = bool(options.pop("disable", 0))
    context.world.put(
        Storage(name, model.type, tuple(split_list(str(content))), nodes, shared, disable, {**path, **options})
    )


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
    content = _content_of(context, model)
    if content not in storage.content:
        context.problem(
            (*location, "name"),
            f"storage '{storage.storage}' does not hold '{content}': it holds {', '.join(storage.content)}",
        )
    for place in _chosen_places(context, storage, model.node, location):
        put_volume(
            context,
            Volume(
                storage.storage,
                place,
                model.name,
                content,
                format_of(model.name, content),
                model.size,
                used=model.size,
                ctime=float(int(context.ago(model.ago))),
                vmid=model.vmid,
                notes=model.notes,
                protected=model.protected,
            ),
            (*location, "name"),
        )


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


def _content_of(context: Context, model: VolumeModel) -> str:
    prefix = model.name.partition("/")[0]
    if prefix in _PREFIXES:
        return prefix
    return "rootdir" if model.vmid in context.scenario.containers else "images"


def format_of(name: str, content: str) -> str:
    """A volume's format, by its name."""
    if content == "iso":
        return "iso"
    if content == "snippets":
        return "snippet"
    if content == "vztmpl":
        return next((format for ending, format in _COMPRESSED.items() if name.endswith(ending)), "tar")
    if name.startswith("subvol-"):
        return "subvol"
    ending = name.rpartition(".")[2] if "." in name else ""
    return ending if ending in ("qcow2", "vmdk", "subvol", "ova", "ovf") else "raw"


def _build_backup(context: Context, storage: Storage, model: BackupModel, location: Location) -> None:
    guest = context.world.get(Guest, model.guest)
    kind = model.kind or (guest.kind if guest else None)
    if guest is None and (kind is None or model.config is None):
        context.problem((*location, "guest"), f"no guest {model.guest}: a backup of one that is gone needs kind and config")
        return
    if "backup" not in storage.content:
        context.problem(location, f"storage '{storage.storage}' does not hold backups")
    config: Mapping[str, Any]
    if model.config is not None:
        config = model.config
    else:
        config = {key: value for key, value in (guest.config if guest else {}).items() if key != "lock"}
    node = model.node or (guest.node if guest else None)
    if node is not None and not storage.on(node):
        node = None
    time = float(int(context.ago(model.ago)))
    name, format = _backup_name(storage.type, kind or "qemu", model, time)
    for place in list(_chosen_places(context, storage, node, location))[:1]:
        put_volume(
            context,
            Volume(
                storage.storage,
                place,
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
                guest_config=dict(config),
            ),
            location,
        )


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
    node = context.world.get(Node, place)
    on_root = node.hardware if node is not None and storage.options.get("path") == "/var/lib/vz" else None
    used = _first(own.used, model.used, on_root.root_used if on_root else 0)
    size = _first(own.size, model.size)
    if size is None:
        room = on_root.root_size if on_root else 500 * GIB
        # Left to itself, a storage is large enough to be half empty.
        size = room if 2 * (used + volumes) <= room else -(-2 * (used + volumes) // (100 * GIB)) * 100 * GIB
    if used + volumes > size:
        where = f" on {place}" if place else ""
        context.problem(
            ("storages", storage.storage),
            f"the volumes{where} need {volumes} bytes and {used} are used beside them: more than its {size}",
        )
    context.world.put(Space(storage.storage, place, size, used, model.active and own.active))


def _first(*values: int | None) -> Any:
    return next((value for value in values if value is not None), None)
