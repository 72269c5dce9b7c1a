"""Backups, read: which there are, where they can go, which guests have none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from proxmox_mcp.errors import InvalidArgument, ProxmoxError
from proxmox_mcp.moments import cluster_now
from proxmox_mcp.pve import Pve
from proxmox_mcp.results import Bytes, Moment, Page, Result, Seconds, paginate
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, StorageName, Toolset, Vmid
from proxmox_mcp.tools.placing import require_node
from proxmox_mcp.tools.tasks import Task, task_of

backups = Toolset("backups", "Backups: which there are, where they go, who has none")

_RECENT_TASKS = 10


class Backup(Result):
    """A backup. `age` is counted by the cluster's clock; `verified` is told for backups that a check has looked at."""

    volid: str
    vmid: int | None = None
    kind: str | None = None
    storage: str
    node: str | None = None
    ctime: Moment
    age: Seconds
    size: Bytes
    notes: str | None = None
    protected: bool
    verified: bool | None = None
    encrypted: bool | None = None


class Backups(Page):
    """Backups, the newest first."""

    unread: list[str] | None = None
    """Storages that could not be read, and why: backups on them are missing here."""
    backups: list[Backup]


class BackupStorage(Result):
    """A storage that takes backups; a local one stands here once for each of its nodes."""

    storage: str
    nodes: list[str]
    shared: bool
    type: str | None = None
    status: str
    total: Bytes | None = None
    used: Bytes | None = None
    available: Bytes | None = None


class BackupStorages(Page):
    """Storages that take backups."""

    storages: list[BackupStorage]


class GuestBackup(Result):
    """A guest with how many backups it has, and its newest."""

    vmid: int
    name: str | None = None
    node: str
    backups: int
    newest: str | None = None
    age: Seconds | None = None
    size: Bytes | None = None


class BackupStatus(Page):
    """How backups stand. `total` counts guests: first those without a backup, then by the age of their newest."""

    guests_without_backup: int
    unread: list[str] | None = None
    running: list[Task]
    """Backup tasks that run now."""
    recent: list[Task]
    """The last backup tasks that ended."""
    guests: list[GuestBackup]


@backups.tool(risk=Risk.READ, title="List backups")
async def list_backups(
    call: Call,
    storage: StorageName | None = None,
    vmid: Vmid | None = None,
    node: NodeName | None = None,
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> Backups:
    """List backups on all storages, newest first, with age, size and notes. `node` means storages of that node."""
    places = _places(await call.pve.get("/cluster/resources", type="storage"), storage, node)
    if not places:
        if node is not None:
            await require_node(call, node)
        raise _no_place(storage, node)
    found = await _read(call.pve, places, vmid, try_all=storage is not None)
    if storage is not None and len(found.errors) == len(places):
        raise found.errors[0]
    now = await cluster_now(call.pve)
    page, total, following = paginate(found.records, _newest_first, limit, cursor)
    return Backups(
        total=total, next_cursor=following, unread=found.unread or None, backups=[_backup(item, now) for item in page]
    )


@backups.tool(risk=Risk.READ, title="List storages for backups")
async def get_backup_storage_locations(
    call: Call, node: NodeName | None = None, limit: Limit = 100, cursor: Cursor | None = None
) -> BackupStorages:
    """List the storages that take backups, with the nodes that reach them and their space."""
    records = await call.pve.get("/cluster/resources", type="storage")
    rows = [_storage(group) for group in _groups(records) if node is None or node in {one["node"] for one in group}]
    if not rows and node is not None:
        await require_node(call, node)
    page, total, following = paginate(rows, lambda row: (row.storage, row.nodes[0]), limit, cursor)
    return BackupStorages(total=total, next_cursor=following, storages=page)


@backups.tool(risk=Risk.READ, title="See how backups stand")
async def get_backup_status(
    call: Call, node: NodeName | None = None, limit: Limit = 100, cursor: Cursor | None = None
) -> BackupStatus:
    """See which guests have no backup or an old one, and the backup tasks that run or ran last. `node`: its guests."""
    rows, unread, _ = await backups_by_guest(call, node)
    if not rows and node is not None:
        await require_node(call, node)
    tasks = [task_of(record) for record in await call.pve.get("/cluster/tasks") if record["type"] == "vzdump"]
    tasks.sort(key=lambda task: -task.starttime)
    page, total, following = paginate(rows, _worst_first, limit, cursor)
    return BackupStatus(
        total=total,
        next_cursor=following,
        guests_without_backup=sum(row.backups == 0 for row in rows),
        unread=unread or None,
        running=[task for task in tasks if task.state == "running"],
        recent=[task for task in tasks if task.state != "running"][:_RECENT_TASKS],
        guests=page,
    )


async def backups_by_guest(call: Call, node: str | None = None) -> tuple[list[GuestBackup], list[str], int]:
    """Every guest with its backups; the storages that could not be read, with why; how many there are for backups."""
    resources = await call.pve.get("/cluster/resources")
    places = _places(resources, None, None)
    found = await _read(call.pve, places, None, try_all=False)
    now = await cluster_now(call.pve)
    by_guest: dict[int, list[dict[str, Any]]] = {}
    for record in sorted(found.records, key=_newest_first):
        if "vmid" in record:
            by_guest.setdefault(int(record["vmid"]), []).append(record)
    rows = [
        _guest(record, by_guest.get(record["vmid"], []), now)
        for record in resources
        if record["type"] in {"qemu", "lxc"} and (node is None or record["node"] == node)
    ]
    return rows, found.unread, len(places)


def _newest_first(record: dict[str, Any]) -> tuple[int, str, str]:
    return -int(record["ctime"]), str(record["volid"]), str(record.get("node", ""))


def _worst_first(row: GuestBackup) -> tuple[bool, int, int]:
    return row.backups > 0, -(row.age or 0), row.vmid


# -- storages ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where backups can be read: a storage, the node to ask, and whether all nodes see the same."""

    storage: str
    node: str
    shared: bool
    usable: bool


def _groups(records: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The entries of storages that take backups: those of a shared one together, each of a local one by itself."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in sorted(records, key=lambda record: (str(record.get("storage")), str(record.get("node")))):
        if record["type"] == "storage" and "backup" in str(record.get("content", "")).split(","):
            where = "" if record.get("shared") else record["node"]
            groups.setdefault((record["storage"], where), []).append(record)
    return list(groups.values())


def _places(records: Iterable[dict[str, Any]], storage: str | None, node: str | None) -> list[_Place]:
    places = []
    for group in _groups(records):
        wanted = [record for record in group if node is None or record["node"] == node]
        if not wanted or (storage is not None and group[0]["storage"] != storage):
            continue
        usable = next((record for record in wanted if record.get("status") == "available"), None)
        chosen = usable or wanted[0]
        places.append(_Place(chosen["storage"], chosen["node"], bool(chosen.get("shared")), usable is not None))
    return places


def _no_place(storage: str | None, node: str | None) -> InvalidArgument:
    named = f"storage {storage}" if storage else "storage"
    return InvalidArgument(
        f"There is no {named} that takes backups{f' on node {node}' if node else ''}, or none that the user may see.",
        "Call get_backup_storage_locations for those there are.",
    )


@dataclass(slots=True)
class _Found:
    records: list[dict[str, Any]]
    unread: list[str]
    errors: list[ProxmoxError]


async def _read(pve: Pve, places: Sequence[_Place], vmid: int | None, *, try_all: bool) -> _Found:
    """The backups of all places: one request for each, several at once.

    A place that is known to be out of reach is asked only with `try_all`, for PVE may take long to find that out again.
    """
    found = _Found([], [], [])

    async def read(place: _Place) -> None:
        if not (place.usable or try_all):
            found.unread.append(f"{place.storage} on {place.node}: it is not active there")
            return
        path = f"/nodes/{place.node}/storage/{place.storage}/content"
        try:
            records = await pve.get(path, content="backup", vmid=vmid)
        except ProxmoxError as error:
            found.unread.append(f"{place.storage} on {place.node}: {error.what}")
            found.errors.append(error)
            return
        where = {} if place.shared else {"node": place.node}
        found.records.extend({**record, "storage": place.storage, **where} for record in records)

    async with anyio.create_task_group() as group:
        for place in places:
            group.start_soon(read, place)
    found.unread.sort()
    return found


# -- rows --------------------------------------------------------------------------------------------------------------


def _storage(group: Sequence[dict[str, Any]]) -> BackupStorage:
    best = next((record for record in group if record.get("status") == "available"), group[0])
    total, used = best.get("maxdisk"), best.get("disk")
    return BackupStorage(
        storage=best["storage"],
        nodes=[record["node"] for record in group],
        shared=bool(best.get("shared")),
        type=best.get("plugintype"),
        status=best.get("status", "unknown"),
        total=total,
        used=used,
        available=total - used if total is not None and used is not None else None,
    )


def _backup(record: dict[str, Any], now: int) -> Backup:
    verification = record.get("verification")
    return Backup(
        volid=record["volid"],
        vmid=record.get("vmid"),
        kind=record.get("subtype"),
        storage=record["storage"],
        node=record.get("node"),
        ctime=record["ctime"],
        age=now - int(record["ctime"]),
        size=record["size"],
        notes=record.get("notes") or None,
        protected=bool(int(record.get("protected") or 0)),
        verified=verification.get("state") == "ok" if isinstance(verification, dict) else None,
        encrypted=True if record.get("encrypted") else None,
    )


def _guest(record: dict[str, Any], newest_first: Sequence[dict[str, Any]], now: int) -> GuestBackup:
    newest = newest_first[0] if newest_first else None
    return GuestBackup(
        vmid=record["vmid"],
        name=record.get("name"),
        node=record["node"],
        backups=len(newest_first),
        newest=newest["volid"] if newest else None,
        age=now - int(newest["ctime"]) if newest else None,
        size=newest["size"] if newest else None,
    )
