"""Inventory: what there is in the cluster."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.locate import Kind
from proxmox_mcp.results import Bytes, Detail, Page, Result, Seconds, Share, paginate
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, Toolset
from proxmox_mcp.tools.placing import require_node

inventory = Toolset("inventory", "What there is: nodes and guests")


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
    maxcpu: float | None = None
    mem: Bytes | None = None
    maxmem: Bytes | None = None
    uptime: Seconds | None = None
    template: bool | None = None
    tags: list[str] | None = None
    pool: str | None = None
    lock: str | None = None
    hastate: str | None = None
    disk: Bytes | None = None
    maxdisk: Bytes | None = None
    netin: Bytes | None = None
    netout: Bytes | None = None
    diskread: Bytes | None = None
    diskwrite: Bytes | None = None


class Vms(Page):
    """VMs of the cluster. `note` says which tag or pool no guest has, where that is why nothing fits."""

    note: str | None = None
    vms: list[GuestRow]


class Containers(Page):
    """Containers of the cluster; `note` as for VMs."""

    note: str | None = None
    containers: list[GuestRow]


class Member(Result):
    """A node as a member of the cluster; `local` is the one that the server is connected to."""

    node: str
    online: bool
    ip: str | None = None
    nodeid: int | None = None
    local: bool | None = None


class ClusterStatus(Result):
    """The cluster and its members. A lone node is in no cluster: `name` and `quorate` are then left out."""

    name: str | None = None
    quorate: bool | None = None
    version: int | None = None
    online: int
    total: int
    nodes: list[Member]


_COUNTERS = frozenset({"disk", "maxdisk", "netin", "netout", "diskread", "diskwrite"})
_FULL = tuple(GuestRow.model_fields)
_CONCISE = tuple(name for name in _FULL if name not in _COUNTERS)
_CONCISE_AT_REST = tuple(name for name in _CONCISE if name not in {"cpu", "mem", "uptime"})

NameFilter = Annotated[str, Field(max_length=128, description="Part of the name")]
TagFilter = Annotated[str, Field(max_length=64, description="Has this tag")]
PoolFilter = Annotated[str, Field(max_length=128, description="Is in this pool")]


@inventory.tool(risk=Risk.READ, title="List nodes")
async def get_nodes(
    call: Call,
    status: Literal["online", "offline"] | None = None,
    detail: Detail = "concise",
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> Nodes:
    """List the cluster's nodes with state and load. `full` adds the root disk."""
    records = [record for record in await call.pve.get("/nodes") if status in (None, record.get("status"))]
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
    records = await _guests_of(call, "qemu", node=node, status=status, name=name, tag=tag, pool=pool)
    page, total, following = paginate(records, lambda record: int(record["vmid"]), limit, cursor)
    rows = [_row_of(record, detail) for record in page]
    note = None if rows else await unknown_labels(call, tag, pool)
    return Vms.model_validate({"total": total, "next_cursor": following, "note": note, "vms": rows})


@inventory.tool(risk=Risk.READ, title="List containers")
async def get_lxc_containers(
    call: Call,
    node: NodeName | None = None,
    status: Literal["running", "stopped"] | None = None,
    name: NameFilter | None = None,
    tag: TagFilter | None = None,
    pool: PoolFilter | None = None,
    detail: Detail = "concise",
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> Containers:
    """List LXC containers of the whole cluster with node, state and load. VMs: get_vms."""
    records = await _guests_of(call, "lxc", node=node, status=status, name=name, tag=tag, pool=pool)
    page, total, following = paginate(records, lambda record: int(record["vmid"]), limit, cursor)
    rows = [_row_of(record, detail) for record in page]
    note = None if rows else await unknown_labels(call, tag, pool)
    return Containers.model_validate({"total": total, "next_cursor": following, "note": note, "containers": rows})


@inventory.tool(risk=Risk.READ, title="Read the cluster's state")
async def get_cluster_status(call: Call) -> ClusterStatus:
    """Read the cluster's name, its quorum, and which nodes are online. Load of the nodes: get_nodes."""
    records = await call.pve.get("/cluster/status")
    cluster: dict[str, Any] = next((record for record in records if record.get("type") == "cluster"), {})
    members = sorted((record for record in records if record.get("type") == "node"), key=lambda record: record["name"])
    nodes = [
        Member(
            node=record["name"],
            online=bool(record.get("online")),
            ip=record.get("ip"),
            nodeid=record.get("nodeid"),
            local=True if record.get("local") else None,
        )
        for record in members
    ]
    return ClusterStatus(
        name=cluster.get("name"),
        quorate=cluster.get("quorate"),
        version=cluster.get("version"),
        online=sum(node.online for node in nodes),
        total=len(nodes),
        nodes=nodes,
    )


async def _guests_of(call: Call, kind: Kind, **wanted: str | None) -> Collection[dict[str, Any]]:
    """The guests of a kind that pass the filters (`GET /cluster/resources?type=vm`)."""
    records = [record for record in await call.guests.records() if record["type"] == kind and matches(record, **wanted)]
    if not records and wanted["node"] is not None:
        await require_node(call, wanted["node"])
    return records


_MOST_LABELS = 30


async def unknown_labels(call: Call, tag: str | None, pool: str | None) -> str | None:
    """Which of a tag and a pool no guest has at all, with those that there are; from the list that was read already."""
    records = await call.guests.records(fresh=False)
    told = []
    for word, wanted, known in (
        ("tag", tag, {label for record in records for label in tags_of(record)}),
        ("pool", pool, {str(record["pool"]) for record in records if record.get("pool")}),
    ):
        if wanted is not None and wanted not in known:
            told.append(
                f"No guest has the {word} {wanted}; there are: {', '.join(sorted(known)[:_MOST_LABELS]) or 'none'}."
            )
    return " ".join(told) or None


def matches(
    record: dict[str, Any],
    *,
    node: str | None = None,
    status: str | None = None,
    name: str | None = None,
    tag: str | None = None,
    pool: str | None = None,
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
    """A guest of `/cluster/resources` as a row; concise leaves out counters, and figures of what does not run.

    Of the load it keeps four digits: PVE's seventeen would be a tenth of a long list.
    """
    return GuestRow(**_row_of(record, detail))


def _row_of(record: dict[str, Any], detail: Detail) -> dict[str, Any]:
    """The fields of such a row; a long list of them is checked all at once, which takes half of the time."""
    concise = _CONCISE if record.get("uptime") else _CONCISE_AT_REST
    shown = concise if detail == "concise" else _FULL
    known = {name: record[name] for name in shown if name in record}
    known["tags"] = tags_of(record) or None
    known["template"] = True if record.get("template") else None
    if detail == "concise" and known.get("cpu") is not None:
        known["cpu"] = round(known["cpu"], 4)
    return known
