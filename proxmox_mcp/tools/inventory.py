"""Inventory: what there is in the cluster."""

from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.results import Bytes, Detail, Page, Result, Seconds, Share, paginate
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, Toolset

inventory = Toolset("inventory", "What there is: nodes, guests, storage")


class Node(Result):
    """A node of the cluster. Sizes in bytes, `cpu` as a share of all its cores."""

    node: str
    status: str
    cpu: Share | None = None
    maxcpu: int | None = None
    mem: Bytes | None = None
    maxmem: Bytes | None = None
    uptime: Seconds | None = None
    disk: Bytes | None = None
    maxdisk: Bytes | None = None
    level: str | None = None


class Nodes(Page):
    """The nodes of the cluster."""

    nodes: list[Node]


class GuestRow(Result):
    """A guest in a list. Sizes in bytes, `cpu` as a share of its cores."""

    vmid: int
    name: str | None = None
    node: str
    status: str
    cpu: Share | None = None
    maxcpu: int | None = None
    mem: Bytes | None = None
    maxmem: Bytes | None = None
    uptime: Seconds | None = None
    template: bool | None = None
    tags: list[str] | None = None
    pool: str | None = None
    lock: str | None = None
    hastate: str | None = None
    maxdisk: Bytes | None = None
    netin: Bytes | None = None
    netout: Bytes | None = None
    diskread: Bytes | None = None
    diskwrite: Bytes | None = None


class Vms(Page):
    """VMs of the cluster."""

    vms: list[GuestRow]


_FULL_ONLY = ("maxdisk", "netin", "netout", "diskread", "diskwrite")

NameFilter = Annotated[str, Field(max_length=128, description="Part of the name")]
TagFilter = Annotated[str, Field(max_length=64, description="Has this tag")]
PoolFilter = Annotated[str, Field(max_length=128, description="Is in this pool")]


@inventory.tool(risk=Risk.READ, title="List nodes")
async def get_nodes(call: Call, detail: Detail = "concise", limit: Limit = 100, cursor: Cursor | None = None) -> Nodes:
    """List the cluster's nodes with state and load. `full` adds the root disk."""
    records = await call.pve.get("/nodes")
    page, total, following = paginate(records, lambda record: str(record["node"]), limit, cursor)
    drop = () if detail == "full" else ("disk", "maxdisk", "level")
    nodes = [
        Node(**{key: value for key, value in record.items() if key not in drop and value != ""}) for record in page
    ]
    return Nodes(total=total, next_cursor=following, nodes=nodes)


@inventory.tool(risk=Risk.READ, title="List VMs")
async def get_vms(
    call: Call,
    node: NodeName | None = None,
    status: Literal["running", "stopped", "paused"] | None = None,
    name: NameFilter | None = None,
    tag: TagFilter | None = None,
    pool: PoolFilter | None = None,
    detail: Detail = "concise",
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> Vms:
    """List VMs of the whole cluster with node, state and load. Containers: get_lxc_containers."""
    records = [
        record
        for record in await call.guests.records()
        if record["type"] == "qemu" and matches(record, node=node, status=status, name=name, tag=tag, pool=pool)
    ]
    page, total, following = paginate(records, lambda record: int(record["vmid"]), limit, cursor)
    return Vms(total=total, next_cursor=following, vms=[guest_row(record, detail) for record in page])


def matches(
    record: dict[str, Any], *, node: str | None, status: str | None, name: str | None, tag: str | None, pool: str | None
) -> bool:
    """Whether a guest of `/cluster/resources` passes the filters; `None` lets everything pass."""
    return (
        (node is None or record["node"] == node)
        and (status is None or record.get("status") == status)
        and (name is None or name.lower() in str(record.get("name", "")).lower())
        and (tag is None or tag in tags_of(record))
        and (pool is None or record.get("pool") == pool)
    )


def tags_of(record: dict[str, Any]) -> list[str]:
    """The tags of a guest; PVE writes them in one text, with semicolons between."""
    return [tag for tag in str(record.get("tags") or "").replace(",", ";").replace(" ", ";").split(";") if tag]


def guest_row(record: dict[str, Any], detail: Detail) -> GuestRow:
    """A guest of `/cluster/resources` as a row; concise leaves out counters, and figures of what does not run."""
    known = {key: value for key, value in record.items() if key in GuestRow.model_fields}
    known["tags"] = tags_of(record) or None
    known["template"] = True if record.get("template") else None
    if detail == "concise":
        idle = () if record.get("status") == "running" else ("cpu", "mem", "uptime")
        known = {key: value for key, value in known.items() if key not in (*_FULL_ONLY, *idle)}
    return GuestRow(**known)
