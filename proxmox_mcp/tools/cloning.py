"""Cloning: new guests made of others."""

from typing import Annotated, Any

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.locate import Guest, Kind
from proxmox_mcp.tooling import Call, NodeName, Risk, StorageName, Vmid, WaitSeconds
from proxmox_mcp.tools.creation import GuestName, NewId, creation
from proxmox_mcp.tools.guests import read_status
from proxmox_mcp.tools.placing import free_vmid
from proxmox_mcp.tools.snapshots import SnapshotName
from proxmox_mcp.tools.writing import Description, GuestTask, PoolName, follow, word_of

Full = Annotated[bool, Field(description="Copy all data; false: build on a template's disks. By default what can be")]
Target = Annotated[NodeName, Field(description="Node to clone to; takes shared storage")]
CloneStorage = Annotated[StorageName, Field(description="Storage for the disks of a full clone")]
OfSnapshot = Annotated[SnapshotName, Field(description="Clone the state of this snapshot")]


class Clone(GuestTask):
    """The task that makes a clone; `vmid` is the clone's, `node` where the task runs."""

    source: int
    name: str | None = None
    full: bool


@creation.tool(risk=Risk.CHANGE, title="Clone a VM")
async def clone_vm(
    call: Call,
    vmid: Vmid,
    name: GuestName | None = None,
    newid: NewId | None = None,
    node: NodeName | None = None,
    full: Full | None = None,
    target: Target | None = None,
    storage: CloneStorage | None = None,
    snapshot: OfSnapshot | None = None,
    pool: PoolName | None = None,
    description: Description | None = None,
    wait_seconds: WaitSeconds = 0,
) -> Clone:
    """Make a new VM of another or of a template. A template's clone is linked to it unless full is true."""
    more = {"storage": storage, "snapname": snapshot, "pool": pool, "description": description}
    return await _clone(call, "qemu", vmid, name, newid, node, full, target, more, wait_seconds)


@creation.tool(risk=Risk.CHANGE, title="Clone a container")
async def clone_lxc(
    call: Call,
    vmid: Vmid,
    name: GuestName | None = None,
    newid: NewId | None = None,
    node: NodeName | None = None,
    full: Full | None = None,
    target: Target | None = None,
    storage: CloneStorage | None = None,
    snapshot: OfSnapshot | None = None,
    pool: PoolName | None = None,
    description: Description | None = None,
    wait_seconds: WaitSeconds = 0,
) -> Clone:
    """Make a new container of another or of a template. One that runs is cloned from a snapshot only."""
    more = {"storage": storage, "snapname": snapshot, "pool": pool, "description": description}
    return await _clone(call, "lxc", vmid, name, newid, node, full, target, more, wait_seconds)


async def _clone(
    call: Call,
    kind: Kind,
    vmid: int,
    name: str | None,
    newid: int | None,
    node: str | None,
    full: bool | None,
    target: str | None,
    more: dict[str, Any],
    wait_seconds: int,
) -> Clone:
    source = await call.guests.find(vmid, node, kind, check=True)
    template = bool((await read_status(call, source)).get("template"))
    copies = full if full is not None else not template or more["storage"] is not None
    if not copies and not template:
        raise InvalidArgument(
            f"{word_of(source)} is no template, so its clone cannot be linked to it.", "Leave full out, or set it."
        )
    if not copies and more["storage"] is not None:
        raise InvalidArgument("A linked clone's disks lie where the template's do.", "Leave storage out, or set full.")
    newid = await free_vmid(call, newid)
    named = {"name" if kind == "qemu" else "hostname": name, "target": target if target != source.node else None}
    # PVE takes full=0 for no template, and copies all of one only where it is told to.
    params = {"newid": newid, "full": True if copies and template else None, **named, **more}
    upid = await call.pve.post(f"{source.path}/clone", **params)
    task = await follow(call, Guest(newid, kind, target or source.node, name, "unknown"), upid, wait_seconds)
    return Clone(**dict(task), source=vmid, name=name, full=copies)
