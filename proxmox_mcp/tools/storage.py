"""Storage: what is configured, how full it is, what lies on it."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Bytes, Detail, Moment, Page, Result, Share, paginate
from proxmox_mcp.safety.redact import HIDDEN
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, StorageName, Toolset, Vmid
from proxmox_mcp.tools.placing import require_node

storage = Toolset("storage", "Storage: what is configured, how full it is, what lies on it")


class StorageSpace(Result):
    """A storage and its fill. A shared one is the same on all its nodes, a local one is another on each."""

    storage: str
    nodes: list[str]
    status: str
    type: str | None = None
    shared: bool
    used: Bytes | None = None
    total: Bytes | None = None
    used_fraction: Share | None = None
    content: list[str]
    unavailable_on: list[str] | None = None


class StorageSpaces(Page):
    """The storages of the cluster."""

    storages: list[StorageSpace]


class StorageDefinition(Result):
    """A storage as it is configured. `nodes` is left out when it is for all, `source` is where its data lies."""

    storage: str
    type: str
    content: list[str]
    source: str | None = None
    shared: bool | None = None
    disable: bool | None = None
    nodes: list[str] | None = None
    prune_backups: str | None = None
    options: dict[str, Any] | None = None


class StorageDefinitions(Page):
    """Storage definitions."""

    storages: list[StorageDefinition]


class StoredVolume(Result):
    """A volume on a storage; `vmid` is the guest that it belongs to."""

    volid: str
    content: str
    format: str | None = None
    size: Bytes | None = None
    vmid: int | None = None
    ctime: Moment | None = None
    protected: bool | None = None
    notes: str | None = None
    used: Bytes | None = None
    parent: str | None = None


class StorageContent(Page):
    """What lies on a storage, as a node sees it."""

    storage: str
    node: str
    volumes: list[StoredVolume]


Content = Literal["images", "rootdir", "iso", "vztmpl", "backup", "snippets", "import"]
ContentFilter = Annotated[Content, Field(description="Only what is for this")]

_DEFINED = frozenset({"storage", "type", "content", "shared", "disable", "nodes", "prune-backups", "digest"})
_SECRET_OPTIONS = ("password", "secret", "key", "token")


@storage.tool(risk=Risk.READ, title="List storage space")
async def get_storage(
    call: Call,
    node: NodeName | None = None,
    content: ContentFilter | None = None,
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> StorageSpaces:
    """List all storages of the cluster with their fill and whether they work. Configuration: get_storage_list."""
    records = await call.pve.get("/cluster/resources", type="storage")
    found = [
        space
        for space in spaces(records)
        if (node is None or node in space.nodes) and (content is None or content in space.content)
    ]
    if not found and node is not None:
        await require_node(call, node)
    page, total, following = paginate(found, lambda space: (space.storage, space.nodes[0]), limit, cursor)
    return StorageSpaces(total=total, next_cursor=following, storages=page)


def spaces(records: Iterable[dict[str, Any]]) -> list[StorageSpace]:
    """The entries of `GET /cluster/resources?type=storage`; a shared storage, which stands there once a node, once."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["storage"], "" if record.get("shared") else record["node"]), []).append(record)
    return [_space(group) for group in groups.values()]


def _space(group: list[dict[str, Any]]) -> StorageSpace:
    best = next((record for record in group if record.get("status") == "available"), group[0])
    used, total = best.get("disk"), best.get("maxdisk")
    away = sorted(record["node"] for record in group if record.get("status") != "available")
    return StorageSpace(
        storage=best["storage"],
        nodes=sorted(record["node"] for record in group),
        status=best.get("status", "unknown"),
        type=best.get("plugintype"),
        shared=bool(best.get("shared")),
        used=used,
        total=total,
        used_fraction=used / total if used is not None and total else None,
        content=_words(best.get("content")),
        unavailable_on=away if 0 < len(away) < len(group) else None,
    )


@storage.tool(risk=Risk.READ, title="List storage definitions")
async def get_storage_list(
    call: Call,
    node: NodeName | None = None,
    content: ContentFilter | None = None,
    detail: Detail = "concise",
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> StorageDefinitions:
    """List how storages are configured: type, content, source, nodes, disabled ones too. Space: get_storage."""
    if node is not None:
        await require_node(call, node)  # For most storages are for all nodes, whatever their names.
    records = [
        record
        for record in await call.pve.get("/storage")
        if (node is None or not record.get("nodes") or node in _words(record["nodes"]))
        and (content is None or content in _words(record.get("content")))
    ]
    page, total, following = paginate(records, lambda record: str(record["storage"]), limit, cursor)
    return StorageDefinitions(
        total=total, next_cursor=following, storages=[_definition(record, detail) for record in page]
    )


def _definition(record: dict[str, Any], detail: Detail) -> StorageDefinition:
    options = {
        key: HIDDEN if any(word in key for word in _SECRET_OPTIONS) else value
        for key, value in record.items()
        if key not in _DEFINED
    }
    return StorageDefinition(
        storage=record["storage"],
        type=record["type"],
        content=_words(record.get("content")),
        source=_source(record),
        shared=True if record.get("shared") else None,
        disable=True if record.get("disable") else None,
        nodes=_words(record.get("nodes")) or None,
        prune_backups=record.get("prune-backups"),
        options=options if detail == "full" else None,
    )


def _source(record: dict[str, Any]) -> str | None:
    """Where the data lies, as an administrator would name it: `10.0.0.9:/tank`, `pve/data`, `/var/lib/vz`."""
    place = next((record[key] for key in ("export", "share", "datastore", "target") if record.get(key)), None)
    host = record.get("server") or record.get("portal")
    if host:
        return f"{host}:{place}" if place else str(host)
    volumes = [record[key] for key in ("vgname", "thinpool", "pool") if record.get(key)]
    return "/".join(volumes) or record.get("path") or place


@storage.tool(risk=Risk.READ, title="List a storage's content")
async def get_storage_content(
    call: Call,
    storage: StorageName,
    node: NodeName | None = None,
    content: ContentFilter | None = None,
    vmid: Vmid | None = None,
    detail: Detail = "concise",
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> StorageContent:
    """List the volumes on one storage: disks, ISO images, templates, backups. A local storage needs node."""
    where = node or await node_with(call, storage)
    records = await call.pve.get(f"/nodes/{where}/storage/{storage}/content", content=content, vmid=vmid)
    page, total, following = paginate(records, lambda record: str(record["volid"]), limit, cursor)
    volumes = [_volume(record, detail) for record in page]
    return StorageContent(total=total, next_cursor=following, storage=storage, node=where, volumes=volumes)


async def node_with(call: Call, name: str) -> str:
    """A node that can tell what lies on a storage: any for a shared one, the only one for a local one."""
    everywhere = spaces(await call.pve.get("/cluster/resources", type="storage"))
    found = [space for space in everywhere if space.storage == name]
    if not found:
        known = sorted({space.storage for space in everywhere})
        raise InvalidArgument(
            f"There is no storage {name} that the configured user may see"
            + (f"; there are: {', '.join(known)}." if known else ", and no other either."),
            "Call get_storage_list for those that are disabled.",
        )
    if len(found) > 1:
        nodes = ", ".join(node for space in found for node in space.nodes)
        raise InvalidArgument(
            f"Storage {name} is local: it holds something else on each of {nodes}.", "Call again with one as node."
        )
    [space] = found
    return next((node for node in space.nodes if node not in (space.unavailable_on or ())), space.nodes[0])


def _volume(record: dict[str, Any], detail: Detail) -> StoredVolume:
    full = detail == "full"
    notes = str(record.get("notes") or "").strip()
    return StoredVolume(
        volid=record["volid"],
        content=record["content"],
        format=record.get("format"),
        size=record.get("size"),
        vmid=int(record["vmid"]) if record.get("vmid") else None,
        ctime=record.get("ctime"),
        protected=True if record.get("protected") else None,
        notes=(notes if full else notes.partition("\n")[0]) or None,
        used=record.get("used") if full else None,
        parent=record.get("parent") if full else None,
    )


def _words(text: Any) -> list[str]:
    return sorted(word for word in str(text or "").split(",") if word)
