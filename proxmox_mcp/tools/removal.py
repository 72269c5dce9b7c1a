"""Removal: guests deleted for good."""

from typing import Annotated

from pydantic import Field

from proxmox_mcp.errors import WrongState
from proxmox_mcp.locate import Guest, Kind
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.preview import preview_of
from proxmox_mcp.tooling import Call, NodeName, Risk, Vmid, WaitSeconds
from proxmox_mcp.tools.creation import creation
from proxmox_mcp.tools.guests import read_status
from proxmox_mcp.tools.writing import GuestTask, follow, word_of

Purge = Annotated[bool, Field(description="Take it out of backup jobs, replication and high availability, too")]


async def _preview_vm(call: Call, vmid: int, node: str | None = None, purge: bool = False) -> Preview:
    return await _preview(call, "qemu", vmid, node, purge)


async def _preview_container(call: Call, vmid: int, node: str | None = None, purge: bool = False) -> Preview:
    return await _preview(call, "lxc", vmid, node, purge)


@creation.tool(risk=Risk.DESTROY, title="Delete a VM", preview=_preview_vm)
async def delete_vm(
    call: Call, vmid: Vmid, node: NodeName | None = None, purge: Purge = False, wait_seconds: WaitSeconds = 0
) -> GuestTask:
    """Delete a stopped VM with its disks and snapshots, for good. Its backups stay."""
    return await _delete(call, "qemu", vmid, node, purge, wait_seconds)


@creation.tool(risk=Risk.DESTROY, title="Delete a container", preview=_preview_container)
async def delete_lxc(
    call: Call, vmid: Vmid, node: NodeName | None = None, purge: Purge = False, wait_seconds: WaitSeconds = 0
) -> GuestTask:
    """Delete a stopped container with its disks and snapshots, for good. Its backups stay."""
    return await _delete(call, "lxc", vmid, node, purge, wait_seconds)


async def _delete(call: Call, kind: Kind, vmid: int, node: str | None, purge: bool, wait_seconds: int) -> GuestTask:
    guest = await _to_delete(call, kind, vmid, node)
    upid = await call.pve.delete(guest.path, purge=purge or None)
    return await follow(call, guest, upid, wait_seconds)


async def _preview(call: Call, kind: Kind, vmid: int, node: str | None, purge: bool) -> Preview:
    guest = await _to_delete(call, kind, vmid, node)
    also = " It is taken out of backup jobs, replication and high availability, too." if purge else ""
    return await preview_of(call, guest, f"Delete it with its disks and snapshots, for good.{also}")


async def _to_delete(call: Call, kind: Kind, vmid: int, node: str | None) -> Guest:
    """The guest, which must not run."""
    guest = await call.guests.find(vmid, node, kind, check=True)
    if (await read_status(call, guest)).get("status") == "running":
        tool = "manage_vm" if kind == "qemu" else "manage_lxc_container"
        raise WrongState(f"{word_of(guest)} is running, so it cannot be deleted.", f"Shut it down first, with {tool}.")
    return guest
