"""Guests: one VM or container, looked at closely."""

import re
from typing import Any

from proxmox_mcp.locate import Guest, Kind
from proxmox_mcp.results import Bytes, Detail, Moment, Result, Seconds, Share
from proxmox_mcp.safety.redact import HIDDEN, redactor
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
    swap: Bytes | None = None
    maxswap: Bytes | None = None
    disk: Bytes | None = None
    maxdisk: Bytes | None = None
    netin: Bytes | None = None
    netout: Bytes | None = None
    diskread: Bytes | None = None
    diskwrite: Bytes | None = None
    pid: int | None = None
    tags: list[str] | None = None
    template: bool | None = None
    ha: dict[str, Any] | None = None


class SnapshotRow(Result):
    """A snapshot; `current` marks the one that the guest's present state goes back to."""

    name: str
    snaptime: Moment | None = None
    parent: str | None = None
    vmstate: bool | None = None
    current: bool | None = None
    description: str | None = None


class GuestInfo(GuestStatus):
    """A guest: state, configuration (PVE's own keys, secrets hidden), snapshots.

    `config` is what it runs with; `pending` and `pending_delete` take effect at its next start.
    """

    config: dict[str, Any]
    pending: dict[str, Any] | None = None
    pending_delete: list[str] | None = None
    snapshots: list[SnapshotRow]


_CONCISE = frozenset({"vmid", "name", "status", "qmpstatus", "lock", "uptime", "cpu", "cpus", "mem", "maxmem"})
_CONCISE_AT_REST = _CONCISE - {"uptime", "cpu", "mem"}
_FULL = frozenset(GuestStatus.model_fields)
# What PVE keeps for itself: a reader of the configuration learns nothing from it.
_MACHINE_MADE = frozenset({"digest", "meta", "smbios1", "vmgenid"})
_SECRET_KEY = re.compile(r"password|secret|token|sshkeys", re.IGNORECASE)


@guests.tool(risk=Risk.READ, title="Read a VM's state")
async def get_vm_status(
    call: Call, vmid: Vmid, node: NodeName | None = None, detail: Detail = "concise"
) -> GuestStatus:
    """Read what a VM is doing now: state, load, uptime. `full` adds disk and network counters, tags."""
    return await _status(call, "qemu", vmid, node, detail)


@guests.tool(risk=Risk.READ, title="Read a container's state")
async def get_lxc_status(
    call: Call, vmid: Vmid, node: NodeName | None = None, detail: Detail = "concise"
) -> GuestStatus:
    """Read what a container is doing now: state, load, uptime. `full` adds disk and network counters, tags."""
    return await _status(call, "lxc", vmid, node, detail)


@guests.tool(risk=Risk.READ, title="Read all about a VM")
async def get_vm_info(call: Call, vmid: Vmid, node: NodeName | None = None, detail: Detail = "concise") -> GuestInfo:
    """Read a VM's state, configuration, pending changes and snapshots. `full` adds counters, digest, identifiers."""
    return await _info(call, "qemu", vmid, node, detail)


@guests.tool(risk=Risk.READ, title="Read all about a container")
async def get_lxc_container_info(
    call: Call, vmid: Vmid, node: NodeName | None = None, detail: Detail = "concise"
) -> GuestInfo:
    """Read a container's state, configuration, pending changes and snapshots. `full` adds counters, digest."""
    return await _info(call, "lxc", vmid, node, detail)


async def _status(call: Call, kind: Kind, vmid: int, node: str | None, detail: Detail) -> GuestStatus:
    guest = await call.guests.find(vmid, node, kind)
    return guest_status(await read_status(call, guest), guest.node, detail)


async def _info(call: Call, kind: Kind, vmid: int, node: str | None, detail: Detail) -> GuestInfo:
    guest = await call.guests.find(vmid, node, kind)
    record = await read_status(call, guest)
    # Where `…/config` would give the changes that wait for a start as if they had come into force.
    options = await call.pve.get(f"{guest.path}/pending")
    snapshots = await call.pve.get(f"{guest.path}/snapshot")
    config = {option["key"]: option["value"] for option in options if "value" in option}
    pending = {option["key"]: option["pending"] for option in options if "pending" in option}
    return GuestInfo(
        **_known(record, guest.node, detail),
        config=readable_config(config, detail),
        pending=readable_config(pending, detail) or None,
        pending_delete=sorted(option["key"] for option in options if option.get("delete")) or None,
        snapshots=snapshot_rows(snapshots),
    )


async def read_status(call: Call, guest: Guest) -> dict[str, Any]:
    """What a guest is doing at this moment, where the lists lag behind (`GET …/status/current`)."""
    record: dict[str, Any] = await call.pve.get(f"{guest.path}/status/current")
    return record


def guest_status(record: dict[str, Any], node: str, detail: Detail) -> GuestStatus:
    """The answer of `GET …/status/current` as a result."""
    return GuestStatus(**_known(record, node, detail))


def _known(record: dict[str, Any], node: str, detail: Detail) -> dict[str, Any]:
    concise = _CONCISE if record.get("status") == "running" else _CONCISE_AT_REST
    shown = concise if detail == "concise" else _FULL
    known = {key: value for key, value in record.items() if key in shown}
    if detail == "full":
        known["tags"] = tags_of(record) or None
    elif known.get("qmpstatus") == known.get("status"):
        known.pop("qmpstatus", None)
    for key in ("lock", "template"):
        if not known.get(key):
            known.pop(key, None)
    managed = (record.get("ha") or {}).get("managed")
    return {**known, "node": node, "ha": record["ha"] if managed else None}


def readable_config(config: dict[str, Any], detail: Detail) -> dict[str, Any]:
    """A configuration, its keys in order and without secrets; concise leaves out what machines made for machines."""
    drop = _MACHINE_MADE if detail == "concise" else frozenset()
    return {key: hidden_secrets(key, config[key]) for key in sorted(config) if key not in drop}


def hidden_secrets(key: str, value: Any) -> Any:
    """The value of an option, without the secrets in it; None stays None."""
    if value is None:
        return None
    if _SECRET_KEY.search(key):
        return HIDDEN
    if not isinstance(value, str):
        return value
    if key == "env":
        # Environment of an application container: the names say what it needs, the values may be anything.
        return " ".join(f"{pair.partition('=')[0]}={HIDDEN}" for pair in value.split("\0"))
    return redactor.text(value)


def snapshot_rows(records: list[dict[str, Any]]) -> list[SnapshotRow]:
    """The answer of `GET …/snapshot`, oldest first; PVE lists the present state among them, as `current`."""
    current = next((record.get("parent") for record in records if record["name"] == "current"), None)
    kept = [record for record in records if record["name"] != "current"]
    return [
        SnapshotRow(
            name=record["name"],
            snaptime=record.get("snaptime"),
            parent=record.get("parent"),
            vmstate=True if record.get("vmstate") else None,
            current=True if record["name"] == current else None,
            description=str(record.get("description") or "").strip() or None,
        )
        for record in sorted(kept, key=lambda record: (record.get("snaptime", 0), record["name"]))
    ]
