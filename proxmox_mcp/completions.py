"""Completions: what a client offers while a user fills in a prompt or a resource's address."""

from typing import Any

from mcp.server import MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from proxmox_mcp.errors import ProxmoxError
from proxmox_mcp.safety.foreign import visible
from proxmox_mcp.tooling import Call

_MOST = 100


def add_completions(server: MCPServer[Any], call: Call) -> None:
    """Let a server complete nodes, guests, storages, snapshots and tasks."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        try:
            known = await _known(call, argument.name, (context.arguments if context else None) or {})
        except ProxmoxError:
            # A user who types on is better off than one who reads an error here.
            return None
        wanted = argument.value.lower()
        fitting = [visible(text) for text in known if wanted in text.lower()]
        return Completion(values=fitting[:_MOST], total=len(fitting), has_more=len(fitting) > _MOST)


async def _known(call: Call, name: str, others: dict[str, str]) -> list[str]:
    """All that an argument of that name could be."""
    if name == "node":
        return sorted(record["node"] for record in await call.pve.get("/nodes"))
    if name == "vmid":
        return [str(vmid) for vmid in sorted(record["vmid"] for record in await call.guests.records(fresh=False))]
    if name == "storage":
        return sorted({record["storage"] for record in await call.pve.get("/cluster/resources", type="storage")})
    if name == "upid":
        return [str(record["upid"]) for record in await call.pve.get("/cluster/tasks")]
    if name == "snapshot" and others.get("vmid", "").isdecimal():
        guest = await call.guests.find(int(others["vmid"]))
        records = await call.pve.get(f"{guest.path}/snapshot")
        return sorted(record["name"] for record in records if record["name"] != "current")
    return []
