"""Completions: what a client offers while a user fills in a prompt or a resource's address.

Each offers what a tool would list, and so is allowed, and recorded, as that is.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any

from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from proxmox_mcp.errors import ProxmoxError, Refused
from proxmox_mcp.malformed import shortened
from proxmox_mcp.resources import declared, reader, vmid_of
from proxmox_mcp.safety.foreign import visible
from proxmox_mcp.safety.gate import Gate
from proxmox_mcp.tooling import Call, ToolFunction
from proxmox_mcp.tools.inventory import get_lxc_containers, get_nodes, get_vms
from proxmox_mcp.tools.snapshots import list_snapshots
from proxmox_mcp.tools.storage import get_storage
from proxmox_mcp.tools.tasks import get_cluster_tasks

_MOST = 100


def add_completions(server: MCPServer[Any], call: Call, gate: Gate) -> None:
    """Let a server complete nodes, guests, storages, snapshots and tasks."""
    offers = _Offers(call, gate)

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        if not await _is_there(server, ref):
            return None
        try:
            known = await offers.of(argument.name, (context.arguments if context else None) or {})
        except ProxmoxError:
            # A user who types on is better off than one who reads an error here.
            return None
        wanted = argument.value.lower()
        fitting = [visible(text) for text in known if wanted in text.lower()]
        return Completion(values=fitting[:_MOST], total=len(fitting), has_more=len(fitting) > _MOST)


async def _is_there(server: MCPServer[Any], ref: PromptReference | ResourceTemplateReference) -> bool:
    """Whether there is what is to be completed.

    Nothing is offered for a prompt that there is not: the conformance suite has every server complete one of its own.

    Raises:
        MCPError: there is no such resource template; with which there are.
    """
    if isinstance(ref, PromptReference):
        return any(prompt.name == ref.name for prompt in await server.list_prompts())
    known = [template.uri_template for template in await server.list_resource_templates()]
    if ref.uri not in known:
        raise MCPError(
            INVALID_PARAMS, f"There is no resource template {shortened(ref.uri)!r}. There are: {', '.join(known)}."
        )
    return True


class _Offers:
    """All that an argument could be, each kind by leave of the gate."""

    def __init__(self, call: Call, gate: Gate) -> None:
        self._call = call
        self._gate = gate

    def _by(self, function: ToolFunction, **given: Any) -> AbstractAsyncContextManager[Call]:
        return self._gate.reading(declared(function), self._call, given, reader.get())

    async def of(self, name: str, others: dict[str, str]) -> list[str]:
        """What an argument of that name could be, beside those that are filled in already.

        Raises:
            ProxmoxError: it may not, or cannot, be read.
        """
        if name == "node":
            async with self._by(get_nodes) as call:
                return sorted(record["node"] for record in await call.pve.get("/nodes"))
        if name == "vmid":
            return [str(vmid) for vmid in sorted(await self._vmids())]
        if name == "storage":
            async with self._by(get_storage) as call:
                return sorted(
                    {record["storage"] for record in await call.pve.get("/cluster/resources", type="storage")}
                )
        if name == "upid":
            async with self._by(get_cluster_tasks) as call:
                return [str(record["upid"]) for record in await call.pve.get("/cluster/tasks")]
        if name == "snapshot" and (vmid := vmid_of(others.get("vmid", ""))) is not None:
            return await self._snapshots(vmid)
        return []

    async def _snapshots(self, vmid: int) -> list[str]:
        async with self._by(list_snapshots, vmid=vmid) as call:
            guest = await call.guests.find(vmid)
            records = await call.pve.get(f"{guest.path}/snapshot")
            return sorted(record["name"] for record in records if record["name"] != "current")

    async def _vmids(self) -> set[int]:
        """Of VMs and of containers, of whichever may be listed."""
        found: set[int] = set()
        for function, kind in ((get_vms, "qemu"), (get_lxc_containers, "lxc")):
            try:
                async with self._by(function) as call:
                    records = await call.guests.records(fresh=False)
            except Refused:
                continue
            found |= {record["vmid"] for record in records if record["type"] == kind}
        return found
