"""Pools and storage definitions: what guests and storages belong together, and where data may lie."""

from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Page, Preview, Result, paginate
from proxmox_mcp.tooling import Arguments, Call, Cursor, Limit, NodeName, Risk, StorageName, Toolset, Vmid
from proxmox_mcp.tools.config import Options
from proxmox_mcp.tools.saving import Saved, create, preview_removal, remove, saved, update

pools = Toolset("pools", "Pools and storage definitions", default=False)

PoolId = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+){0,2}$")]
Comment = Annotated[str, Field(max_length=512)]
Members = Annotated[list[Vmid], Field(max_length=500)]
Storages = Annotated[list[StorageName], Field(max_length=100)]


class Pool(Result):
    """A pool, and who is in it."""

    poolid: str
    comment: str | None = None
    guests: list[int] | None = None
    storages: list[str] | None = None


class Pools(Page):
    """Pools."""

    pools: list[Pool]


@pools.tool(risk=Risk.READ, title="List pools")
async def list_pools(call: Call, limit: Limit = 100, cursor: Cursor | None = None) -> Pools:
    """List the pools with the guests in them."""
    records = await call.pve.get("/pools")
    members: dict[str, list[int]] = {}
    for record in await call.guests.records():
        if record.get("pool"):
            members.setdefault(record["pool"], []).append(record["vmid"])
    page, total, following = paginate(records, lambda record: str(record["poolid"]), limit, cursor)
    rows = [Pool(**{**record, "guests": sorted(members.get(record["poolid"], [])) or None}) for record in page]
    return Pools(total=total, next_cursor=following, pools=rows)


@pools.tool(risk=Risk.CHANGE, title="Make a pool")
async def create_pool(call: Call, poolid: PoolId, comment: Comment | None = None) -> Saved:
    """Make a pool of guests and storages, to give rights on them together."""
    await call.pve.post("/pools", poolid=poolid, comment=comment)
    return saved(f"pool {poolid}", "created", {}, await _read(call, poolid))


@pools.tool(risk=Risk.CHANGE, title="Change a pool", idempotent=True)
async def update_pool(
    call: Call,
    poolid: PoolId,
    add_guests: Members | None = None,
    remove_guests: Members | None = None,
    add_storages: Storages | None = None,
    remove_storages: Storages | None = None,
    comment: Comment | None = None,
    move: Annotated[bool, Field(description="Take guests out of the pool that they are in")] = False,
) -> Saved:
    """Put guests and storages into a pool, or take them out. Rights that come with the pool come and go, too."""
    before = await _read(call, poolid)
    if not any((add_guests, remove_guests, add_storages, remove_storages)) and comment is None:
        raise InvalidArgument("There is nothing to change.", "Give guests, storages or a comment.")
    added: dict[str, Any] = {"vms": _joined(add_guests), "storage": _joined(add_storages), "comment": comment}
    if any(value is not None for value in added.values()):
        await call.pve.put("/pools", poolid=poolid, **added, **({"allow-move": True} if move else {}))
    gone: dict[str, Any] = {"vms": _joined(remove_guests), "storage": _joined(remove_storages)}
    if any(value is not None for value in gone.values()):
        await call.pve.put("/pools", poolid=poolid, delete=True, **gone)
    return saved(f"pool {poolid}", "updated", before, await _read(call, poolid))


@pools.tool(risk=Risk.CHANGE, title="Delete a pool", destructive=True)
async def delete_pool(call: Call, poolid: PoolId) -> Saved:
    """Delete a pool that has no members any more."""
    before = await _read(call, poolid)
    await call.pve.delete("/pools", poolid=poolid)
    return saved(f"pool {poolid}", "deleted", before, {})


async def _read(call: Call, poolid: str) -> dict[str, Any]:
    """A pool with its members, by the parameter: in a path its slashes would mislead."""
    records = await call.pve.get("/pools", poolid=poolid)
    record = records[0] if isinstance(records, list) else records
    members = record.get("members") or ()
    return {
        "comment": record.get("comment"),
        "guests": sorted(member["vmid"] for member in members if "vmid" in member) or None,
        "storages": sorted({member["storage"] for member in members if "storage" in member}) or None,
    }


def _joined(values: list[Any] | None) -> str | None:
    return ",".join(str(value) for value in values) if values else None


# -- storage definitions -----------------------------------------------------------------------------------------------

Kind = Literal[
    "dir", "nfs", "cifs", "lvm", "lvmthin", "zfspool", "zfs", "btrfs", "cephfs", "rbd", "iscsi", "pbs", "esxi"
]
Contents = Annotated[
    list[Literal["images", "rootdir", "iso", "vztmpl", "backup", "snippets", "import"]], Field(max_length=7)
]
Nodes = Annotated[list[NodeName], Field(max_length=100, description="Only on these nodes")]


@pools.tool(risk=Risk.CHANGE, title="Define a storage")
async def create_storage(
    call: Call,
    storage: StorageName,
    type: Kind,
    options: Annotated[Options, Field(description="Of that type, as {path: /data} or {server: …, export: …}")],
    content: Contents | None = None,
    nodes: Nodes | None = None,
) -> Saved:
    """Define a storage: where it is and what may lie there. describe_api POST /storage tells the options."""
    params: dict[str, Any] = {**options, "storage": storage, "type": type}
    params |= {"content": _joined(content), "nodes": _joined(nodes)}
    return await create(call, f"storage {storage}", "/storage", f"/storage/{storage}", params)


def _cuts(arguments: Arguments) -> bool:
    """Whether guests may no longer reach their disks on it: a wrong port or name takes it away as well as a switch."""
    others = (arguments["options"] or {}).keys() - {"prune-backups", "maxfiles"}
    return bool(others) or any(arguments[name] is not None for name in ("content", "nodes", "disable", "delete"))


def _risk_of_updating(arguments: Arguments) -> Risk:
    """A retention decides which backups the next one removes."""
    return Risk.DESTROY if {"prune-backups", "maxfiles"} & (arguments["options"] or {}).keys() else Risk.CHANGE


@pools.tool(
    risk=Risk.DESTROY,
    least=Risk.CHANGE,
    risk_of=_risk_of_updating,
    title="Change a storage's definition",
    idempotent=True,
    destructive=False,
    interrupts=_cuts,
)
async def update_storage(
    call: Call,
    storage: StorageName,
    content: Contents | None = None,
    nodes: Nodes | None = None,
    disable: bool | None = None,
    options: Options | None = None,
    delete: Annotated[list[str], Field(max_length=20, description="Options to unset")] | None = None,
) -> Saved:
    """Change a storage's definition, or switch it off and on. The data on it stays."""
    params: dict[str, Any] = {**(options or {}), "content": _joined(content), "nodes": _joined(nodes)}
    params["disable"] = disable
    if all(value is None for value in params.values()) and not delete:
        raise InvalidArgument("There is nothing to change.", "Give what is to be another.")
    return await update(call, f"storage {storage}", f"/storage/{storage}", params, delete or ())


async def _preview_storage(call: Call, storage: str) -> Preview:
    lost = "guests that use it no longer start; its data stays where it is."
    return await preview_removal(call, f"storage {storage}", f"/storage/{storage}", lost)


@pools.tool(risk=Risk.DESTROY, title="Remove a storage's definition", preview=_preview_storage)
async def delete_storage(call: Call, storage: StorageName) -> Saved:
    """Remove a storage's definition. The data on it stays, but no guest can use it."""
    return await remove(call, f"storage {storage}", f"/storage/{storage}")
