"""Resources: the cluster, a guest and a task as documents that a user can put into a conversation.

Each shows what tools show, and so is allowed, and recorded, as those are.
"""

import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.types import TextContent

from proxmox_mcp.errors import InvalidArgument, ProxmoxError, UnknownGuest, UnknownTask, WrongKind
from proxmox_mcp.malformed import shortened
from proxmox_mcp.results import Result
from proxmox_mcp.safety.foreign import guarded, visible
from proxmox_mcp.safety.gate import Gate
from proxmox_mcp.safety.redact import redactor
from proxmox_mcp.tooling import Call, Declaration, ToolFunction
from proxmox_mcp.tools.guests import get_lxc_container_info, get_vm_info, guests
from proxmox_mcp.tools.inventory import (
    ClusterStatus,
    GuestRow,
    Node,
    get_cluster_status,
    get_lxc_containers,
    get_nodes,
    get_vms,
    guest_row,
    inventory,
)
from proxmox_mcp.tools.snapshots import snapshots
from proxmox_mcp.tools.storage import storage
from proxmox_mcp.tools.tasks import get_task_status, tasks

R = TypeVar("R", bound=Result)

reader: ContextVar[Context[Any, Any] | None] = ContextVar("reader", default=None)
"""The request that a resource is read by: one without parameters is not told by the SDK."""


class NothingThere(ResourceNotFoundError):
    """There is such a kind of resource, and not this one; the text says why."""


class Cluster(Result):
    """The cluster at a glance: its members, their load, and the guests that run."""

    status: ClusterStatus
    running: int
    stopped: int
    nodes: list[Node]
    guests: list[GuestRow]


_MOST_GUESTS = 500


def add_resources(server: MCPServer[Any], call: Call, gate: Gate) -> None:
    """Give a server the resources `pve://cluster`, `pve://guest/{vmid}` and `pve://task/{upid}`."""
    documents = _Documents(call, gate)

    @server.resource("pve://cluster", title="The cluster", mime_type="text/plain")
    async def cluster() -> str:
        """Its members with their load, and its guests."""
        return await _text("pve://cluster", documents.cluster())

    @server.resource("pve://guest/{vmid}", title="A guest", mime_type="text/plain")
    async def guest(vmid: str) -> str:
        """State, configuration and snapshots of a VM or container."""
        return await _text(f"pve://guest/{vmid}", documents.guest(vmid))

    @server.resource("pve://task/{upid}", title="A task", mime_type="text/plain")
    async def task(upid: str) -> str:
        """State of a task, and the end of its log."""
        return await _text(f"pve://task/{upid}", documents.task(upid))


class _Documents:
    """What the resources show, each part of it by leave of the gate."""

    def __init__(self, call: Call, gate: Gate) -> None:
        self._call = call
        self._gate = gate

    async def _by_tool(self, function: Callable[..., Awaitable[R]], **given: Any) -> R:
        async with self._gate.reading(declared(function), self._call, given, reader.get()) as call:
            return await function(call, **given)

    async def cluster(self) -> Result:
        status = await self._by_tool(get_cluster_status)
        nodes = (await self._by_tool(get_nodes, limit=500)).nodes
        rows = await self._guests()
        return Cluster(
            status=status,
            running=sum(row.status == "running" for row in rows),
            stopped=sum(row.status != "running" for row in rows),
            nodes=nodes,
            guests=sorted(rows, key=lambda row: row.vmid)[:_MOST_GUESTS],
        )

    async def _guests(self) -> list[GuestRow]:
        """VMs and containers, which two tools list, by one request."""
        vms, containers = declared(get_vms), declared(get_lxc_containers)
        async with (
            self._gate.reading(vms, self._call, {}, reader.get()) as of_vms,
            self._gate.reading(containers, self._call, {}, reader.get()) as of_containers,
        ):
            found = [record for record in await of_vms.guests.records() if record["type"] == "qemu"]
            others = await of_containers.guests.records(fresh=False)
            found += [record for record in others if record["type"] == "lxc"]
            return [guest_row(record, "concise") for record in found]

    async def guest(self, text: str) -> Result:
        vmid = vmid_of(text)
        if vmid is None:
            raise InvalidArgument(f"{shortened(text)!r} is no guest's id.", "Write a number, as pve://guest/100.")
        found = await self._call.guests.find(vmid)
        read = get_vm_info if found.kind == "qemu" else get_lxc_container_info
        return await self._by_tool(read, vmid=found.vmid, node=found.node)

    async def task(self, upid: str) -> Result:
        return await self._by_tool(get_task_status, upid=upid)


def vmid_of(text: str) -> int | None:
    """The id of a guest that part of an address, or an argument of a prompt, is; None if it cannot be one."""
    return int(text) if re.fullmatch(r"[1-9][0-9]{2,8}", text) else None


def declared(function: ToolFunction) -> Declaration:
    """The declaration of a tool of one of the toolsets that show what resources and completions do."""
    known = (tool for toolset in (guests, inventory, snapshots, storage, tasks) for tool in toolset.declarations)
    return next(tool for tool in known if tool.function is function)


async def _text(uri: str, result: Awaitable[Result]) -> str:
    """A result as a document: guarded as those of tools are; an error in words that help."""
    try:
        content = guarded(await result).content[0]
    except (InvalidArgument, UnknownGuest, UnknownTask, WrongKind) as error:
        raise NothingThere(f"{shortened(uri)}: {visible(redactor.text(str(error)))}") from None
    except ProxmoxError as error:
        raise ResourceError(visible(redactor.text(str(error)))) from None
    return content.text if isinstance(content, TextContent) else ""
