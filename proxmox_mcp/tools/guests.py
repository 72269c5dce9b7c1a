"""Guests: one VM or container, looked at closely."""

from typing import Any

from proxmox_mcp.results import Bytes, Detail, Result, Seconds, Share
from proxmox_mcp.tooling import Call, NodeName, Risk, Toolset, Vmid
from proxmox_mcp.tools.inventory import tags_of

guests = Toolset("guests", "One guest, looked at closely")


class GuestStatus(Result):
    """What a guest is doing. Sizes in bytes, `cpu` as a share of its cores."""

    vmid: int
    node: str
    name: str | None = None
    status: str
    qmpstatus: str | None = None
    lock: str | None = None
    uptime: Seconds | None = None
    cpu: Share | None = None
    cpus: float | None = None
    mem: Bytes | None = None
    maxmem: Bytes | None = None
    maxdisk: Bytes | None = None
    netin: Bytes | None = None
    netout: Bytes | None = None
    diskread: Bytes | None = None
    diskwrite: Bytes | None = None
    pid: int | None = None
    tags: list[str] | None = None
    template: bool | None = None
    ha: dict[str, Any] | None = None


_CONCISE = frozenset({"vmid", "name", "status", "qmpstatus", "lock", "uptime", "cpu", "cpus", "mem", "maxmem"})


@guests.tool(risk=Risk.READ, title="Read a VM's state")
async def get_vm_status(
    call: Call, vmid: Vmid, node: NodeName | None = None, detail: Detail = "concise"
) -> GuestStatus:
    """Read what a VM is doing now: state, load, uptime. `full` adds disk and network counters, HA, tags."""
    guest = await call.guests.find(vmid, node, "qemu")
    record = await call.pve.get(f"{guest.path}/status/current")
    return guest_status(record, guest.node, detail)


def guest_status(record: dict[str, Any], node: str, detail: Detail) -> GuestStatus:
    """The answer of `GET …/status/current` as a result."""
    known = {key: value for key, value in record.items() if detail == "full" or key in _CONCISE}
    if detail == "full":
        known["tags"] = tags_of(record) or None
    if not known.get("lock"):
        known.pop("lock", None)
    return GuestStatus(**{**known, "node": node})
