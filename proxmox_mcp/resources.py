"""Resources: the cluster, a guest and a task as documents that a user can put into a conversation."""

from collections.abc import Awaitable
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.types import TextContent

from proxmox_mcp.errors import InvalidArgument, ProxmoxError, UnknownGuest, UnknownTask, WrongKind
from proxmox_mcp.results import Result
from proxmox_mcp.safety.foreign import guarded, visible
from proxmox_mcp.safety.redact import redactor
from proxmox_mcp.tooling import Call
from proxmox_mcp.tools.guests import get_lxc_container_info, get_vm_info
from proxmox_mcp.tools.inventory import ClusterStatus, GuestRow, Node, get_cluster_status, get_nodes, guest_row
from proxmox_mcp.tools.tasks import get_task_status


class Cluster(Result):
    """The cluster at a glance: its members, their load, and the guests that run."""

    status: ClusterStatus
    running: int
    stopped: int
    nodes: list[Node]
    guests: list[GuestRow]


_MOST_GUESTS = 500


def add_resources(server: MCPServer[Any], call: Call) -> None:
    """Give a server the resources `pve://cluster`, `pve://guest/{vmid}` and `pve://task/{upid}`."""

    @server.resource("pve://cluster", title="The cluster", mime_type="text/plain")
    async def cluster() -> str:
        """Its members with their load, and its guests."""
        return await _text("pve://cluster", _cluster(call))

    @server.resource("pve://guest/{vmid}", title="A guest", mime_type="text/plain")
    async def guest(vmid: str) -> str:
        """State, configuration and snapshots of a VM or container."""
        return await _text(f"pve://guest/{vmid}", _guest(call, vmid))

    @server.resource("pve://task/{upid}", title="A task", mime_type="text/plain")
    async def task(upid: str) -> str:
        """State of a task, and the end of its log."""
        return await _text(f"pve://task/{upid}", get_task_status(call, upid))


async def _cluster(call: Call) -> Result:
    rows = [guest_row(record, "concise") for record in await call.guests.records()]
    return Cluster(
        status=await get_cluster_status(call),
        running=sum(row.status == "running" for row in rows),
        stopped=sum(row.status != "running" for row in rows),
        nodes=(await get_nodes(call, limit=500)).nodes,
        guests=sorted(rows, key=lambda row: row.vmid)[:_MOST_GUESTS],
    )


async def _guest(call: Call, text: str) -> Result:
    if not text.isdecimal():
        raise InvalidArgument(f"{text!r} is no guest's id.", "Write a number, as pve://guest/100.")
    found = await call.guests.find(int(text))
    read = get_vm_info if found.kind == "qemu" else get_lxc_container_info
    return await read(call, found.vmid, found.node)


async def _text(uri: str, result: Awaitable[Result]) -> str:
    """A result as a document: guarded as those of tools are; an error in words that help."""
    try:
        content = guarded(await result).content[0]
    except (InvalidArgument, UnknownGuest, UnknownTask, WrongKind) as error:
        raise ResourceNotFoundError(f"{uri}: {visible(redactor.text(str(error)))}") from None
    except ProxmoxError as error:
        raise ResourceError(visible(redactor.text(str(error)))) from None
    return content.text if isinstance(content, TextContent) else ""
