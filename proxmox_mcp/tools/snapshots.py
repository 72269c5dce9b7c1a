"""Snapshots: states of a guest that it can go back to."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument, WrongState
from proxmox_mcp.locate import Guest
from proxmox_mcp.results import Preview, Result, moment_text
from proxmox_mcp.safety.preview import preview_of
from proxmox_mcp.tooling import Call, NodeName, Risk, Toolset, Vmid, WaitSeconds
from proxmox_mcp.tools.guests import SnapshotRow, read_status, snapshot_rows
from proxmox_mcp.tools.writing import Description, GuestTask, follow, word_of

snapshots = Toolset("snapshots", "Snapshots of guests")

SnapshotName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{1,39}$", description="Name of the snapshot")]


class SnapshotNode(SnapshotRow):
    """A snapshot in its place: `depth` is how many snapshots it builds on."""

    depth: int


class SnapshotTree(Result):
    """A guest's snapshots, each behind the one it builds on; `current` marks the one the guest builds on now."""

    vmid: int
    node: str
    total: int
    snapshots: list[SnapshotNode]

    def text(self) -> str:
        """The tree, indented, above the table of facts."""
        lines = [
            f"{'  ' * row.depth}{row.name}{' <- the guest is here' if row.current else ''}" for row in self.snapshots
        ]
        drawn = ["tree:", *(f"  {line}" for line in lines)] if lines else []
        return "\n".join([super().text(), *drawn])


class SnapshotNotes(Result):
    """A snapshot whose description was changed."""

    vmid: int
    node: str
    name: str
    before: str
    after: str


@snapshots.tool(risk=Risk.READ, title="List a guest's snapshots")
async def list_snapshots(call: Call, vmid: Vmid, node: NodeName | None = None) -> SnapshotTree:
    """List the snapshots of a VM or container as a tree, with age and description."""
    guest = await call.guests.find(vmid, node)
    rows = as_tree(snapshot_rows(await _read(call, guest)))
    return SnapshotTree(vmid=vmid, node=guest.node, total=len(rows), snapshots=rows)


@snapshots.tool(risk=Risk.OPERATE, title="Take a snapshot", destructive=False)
async def create_snapshot(
    call: Call,
    vmid: Vmid,
    name: SnapshotName,
    node: NodeName | None = None,
    description: Description | None = None,
    memory: Annotated[bool, Field(description="VMs: keep the memory too, so that a rollback goes on running")] = False,
    wait_seconds: WaitSeconds = 0,
) -> GuestTask:
    """Take a snapshot of a guest, which it can be rolled back to. It is no backup: it lies on the same disks."""
    guest = await call.guests.find(vmid, node)
    if memory and guest.kind == "lxc":
        raise InvalidArgument("memory is for VMs only: a container's snapshot is of its disks.", "Leave memory out.")
    if name in {row["name"] for row in await _read(call, guest)}:
        raise WrongState(
            f"{word_of(guest)} has a snapshot {name} already.", "Take another name, or delete that one first."
        )
    params: dict[str, Any] = {"snapname": name, "description": description, "vmstate": memory or None}
    upid = await call.pve.post(f"{guest.path}/snapshot", **params)
    return await follow(call, guest, upid, wait_seconds)


async def _preview_rollback(call: Call, vmid: int, name: str, node: str | None = None) -> Preview:
    guest, row = await _to_roll_back(call, vmid, name, node)
    summary = f"Put it back to snapshot {name}: what was written since then is lost."
    return await preview_of(call, guest, summary, [f"Snapshot {name}: {_taken(row)}"])


@snapshots.tool(risk=Risk.DESTROY, title="Roll a guest back to a snapshot", preview=_preview_rollback)
async def rollback_snapshot(
    call: Call,
    vmid: Vmid,
    name: SnapshotName,
    node: NodeName | None = None,
    start: Annotated[bool, Field(description="Start the guest afterwards")] = False,
    wait_seconds: WaitSeconds = 0,
) -> GuestTask:
    """Put a guest back to a snapshot: what was written since then is lost. A running guest is stopped for it."""
    guest, _ = await _to_roll_back(call, vmid, name, node)
    upid = await call.pve.post(f"{guest.path}/snapshot/{name}/rollback", start=start or None)
    note = "PVE starts it in a task of its own: see get_cluster_tasks." if start else None
    return await follow(call, guest, upid, wait_seconds, note)


async def _preview_delete(call: Call, vmid: int, name: str, node: str | None = None) -> Preview:
    guest = await call.guests.find(vmid, node)
    row = await _require(call, guest, name)
    summary = f"Delete snapshot {name}: the guest cannot be rolled back to it any more; its present state stays."
    return await preview_of(call, guest, summary, [f"Snapshot {name}: {_taken(row)}"])


@snapshots.tool(risk=Risk.DESTROY, title="Delete a snapshot", preview=_preview_delete)
async def delete_snapshot(
    call: Call,
    vmid: Vmid,
    name: SnapshotName,
    node: NodeName | None = None,
    force: Annotated[bool, Field(description="Forget it even where a disk's part cannot be removed")] = False,
    wait_seconds: WaitSeconds = 0,
) -> GuestTask:
    """Delete a snapshot of a guest, which then cannot be rolled back to it. The guest's present state stays."""
    guest = await call.guests.find(vmid, node)
    await _require(call, guest, name)
    upid = await call.pve.delete(f"{guest.path}/snapshot/{name}", force=force or None)
    return await follow(call, guest, upid, wait_seconds)


@snapshots.tool(risk=Risk.OPERATE, title="Describe a snapshot", destructive=False, idempotent=True)
async def update_snapshot(
    call: Call, vmid: Vmid, name: SnapshotName, description: Description, node: NodeName | None = None
) -> SnapshotNotes:
    """Change the description of a guest's snapshot. Its name cannot be changed."""
    guest = await call.guests.find(vmid, node)
    row = await _require(call, guest, name)
    await call.pve.put(f"{guest.path}/snapshot/{name}/config", description=description)
    return SnapshotNotes(vmid=vmid, node=guest.node, name=name, before=row.description or "", after=description)


def as_tree(rows: Sequence[SnapshotRow]) -> list[SnapshotNode]:
    """Snapshots in the order of a tree: each behind its parent, siblings by age; a lost parent makes a root."""
    names = {row.name for row in rows}
    children: dict[str | None, list[SnapshotRow]] = {}
    for row in rows:
        children.setdefault(row.parent if row.parent in names else None, []).append(row)

    def walk(parent: str | None, depth: int) -> Iterable[SnapshotNode]:
        for row in children.get(parent, ()):
            yield SnapshotNode(**dict(row), depth=depth)
            yield from walk(row.name, depth + 1)

    return list(walk(None, 0))


async def _to_roll_back(call: Call, vmid: int, name: str, node: str | None) -> tuple[Guest, SnapshotRow]:
    guest = await call.guests.find(vmid, node)
    row = await _require(call, guest, name)
    if (await read_status(call, guest)).get("template"):
        raise WrongState(f"{word_of(guest)} is a template, so it cannot be rolled back.", "Roll back a clone of it.")
    return guest, row


def _taken(row: SnapshotRow) -> str:
    when = f"taken at {moment_text(row.snaptime)}" if row.snaptime is not None else "taken at an unknown time"
    told = f", {row.description}" if row.description else ""
    return f"{when}, {'with' if row.vmstate else 'without'} memory{told}"


async def _read(call: Call, guest: Guest) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = await call.pve.get(f"{guest.path}/snapshot")
    return records


async def _require(call: Call, guest: Guest, name: str) -> SnapshotRow:
    """The snapshot, which PVE would miss only in the task."""
    rows = snapshot_rows(await _read(call, guest))
    found = next((row for row in rows if row.name == name), None)
    if found is None:
        there = ", ".join(row.name for row in rows)
        raise InvalidArgument(
            f"{word_of(guest)} has no snapshot {name}" + (f"; it has: {there}." if there else ", and no other either."),
            "Call list_snapshots for the tree of them." if there else "",
        )
    return found
