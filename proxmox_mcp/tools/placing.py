"""Where something new goes when the caller leaves it open: id, node, storage. What was chosen stands in the result."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

from proxmox_mcp.errors import BadParameters, InvalidArgument
from proxmox_mcp.tooling import Call

Content = Literal["images", "rootdir", "backup", "iso", "vztmpl", "import", "snippets"]

# The storage that the installer makes for disks: where an administrator would look first.
_USUAL = ("local-lvm", "local-zfs")


async def free_vmid(call: Call, wanted: int | None) -> int:
    """The id that was asked for, or the lowest that is free (`GET /cluster/nextid`).

    Raises:
        InvalidArgument: the id that was asked for is taken, or PVE takes none like it.
    """
    try:
        return int(await call.pve.get("/cluster/nextid", vmid=wanted))
    except BadParameters as error:
        why = error.fields.get("vmid", error.reason).strip()
        raise InvalidArgument(f"vmid: {why}.", "Leave it out, and the next free id is taken.") from None


async def require_node(call: Call, node: str, *, online: bool = False) -> str:
    """Refuse a node that there is not (`GET /nodes`), where PVE would not, or would leave a list empty instead.

    Returns:
        Its state: `online`, `offline` or `unknown`.

    Raises:
        InvalidArgument: there is no such node, and those that there are, are named; or it is not online, and has to be.
    """
    states = {record["node"]: record.get("status") for record in await call.pve.get("/nodes")}
    if node not in states:
        names = ", ".join(sorted(states))
        raise InvalidArgument(f"There is no node {node}; there are: {names}.", "Name one of them.")
    if online and states[node] != "online":
        raise InvalidArgument(f"Node {node} is {states[node]}.", "Use another node meanwhile; get_nodes lists them.")
    return str(states[node])


async def require_bridge(call: Call, node: str, bridge: str) -> None:
    """Refuse a bridge that a node does not have (`GET /nodes/{node}/network`): PVE takes any name, and no start works.

    Raises:
        InvalidArgument: there is no such bridge or virtual network, though there are others.
    """
    records = await call.pve.get(f"/nodes/{node}/network", type="any_bridge")
    names = sorted(record["iface"] for record in records)
    if names and bridge not in names:
        there = ", ".join(names)
        raise InvalidArgument(
            f"There is no bridge {bridge} on node {node} that the configured user may use; there are: {there}.",
            "Name one of them, or make it with set_node_interface and apply_node_network.",
        )


async def choose_node(call: Call, storages: Sequence[str] = ()) -> str:
    """The node that is online, reaches the storages, and has most memory free (`GET /cluster/resources`).

    Raises:
        InvalidArgument: no node that is online reaches all of them.
    """
    records = await call.pve.get("/cluster/resources")
    reached: dict[str, set[str]] = {}
    for record in records:
        if record["type"] == "storage" and record.get("status") == "available":
            reached.setdefault(record["node"], set()).add(record["storage"])
    fitting = [
        record
        for record in records
        if record["type"] == "node"
        and record.get("status") == "online"
        and set(storages) <= reached.get(record["node"], set())
    ]
    if not fitting:
        _require_storages(storages, {record["storage"] for record in records if record["type"] == "storage"})
        raise InvalidArgument(
            f"No node that is online reaches {' and '.join(storages) or 'anything'}.",
            "See get_storage for where each storage works, and get_nodes for which nodes are online.",
        )
    return str(max(fitting, key=lambda record: (_free_memory(record), record["node"]))["node"])


def _require_storages(wanted: Sequence[str], known: Collection[str]) -> None:
    for name in wanted:
        if name not in known:
            there = f"; there are: {', '.join(sorted(known))}." if known else ", and no other either."
            raise InvalidArgument(
                f"There is no storage {name} that the configured user may see{there}", "Name another."
            )


def _free_memory(record: dict[str, Any]) -> int:
    return int(record.get("maxmem") or 0) - int(record.get("mem") or 0)


async def choose_storage(call: Call, node: str, content: Content) -> str:
    """A storage for content on a node: the installer's own, else the one with most free space.

    Backups go to one that all nodes share, if there is one.

    Raises:
        InvalidArgument: no storage that works there takes such content.
    """
    records = [
        record
        for record in await call.pve.get("/cluster/resources", type="storage")
        if record["node"] == node and record.get("status") == "available" and content in _words(record.get("content"))
    ]
    if not records:
        await require_node(call, node, online=True)  # Of a node that is off, no storage works.
        raise InvalidArgument(
            f"No storage on node {node} takes {content}, or none that the user may see.",
            "See get_storage_list for what each storage is for, and get_storage for where it works.",
        )
    return str(max(records, key=lambda record: _rank(record, content))["storage"])


def _rank(record: dict[str, Any], content: Content) -> tuple[bool, int, str]:
    first = bool(record.get("shared")) if content == "backup" else record["storage"] in _USUAL
    return first, int(record.get("maxdisk") or 0) - int(record.get("disk") or 0), str(record["storage"])


def storage_of(volid: str) -> str:
    """The storage in a volume's id (`local:iso/debian.iso`).

    Raises:
        InvalidArgument: it is no volume's id.
    """
    storage, colon, name = volid.partition(":")
    parts = name.split("/")
    if not (storage and colon and name) or any(part in {"", ".", ".."} for part in parts):
        raise InvalidArgument(
            f"{volid!r} is no volume's id.", "Write storage:name, as get_storage_content and list_backups show them."
        )
    return storage


def _words(text: Any) -> Iterable[str]:
    return str(text or "").split(",")
