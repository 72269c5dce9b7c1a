"""Backups, written: guests are backed up, and brought back from their backups."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument, ProxmoxError, WrongState
from proxmox_mcp.locate import Guest, Kind
from proxmox_mcp.results import Bytes, Preview
from proxmox_mcp.safety.preview import preview_of
from proxmox_mcp.tooling import Arguments, Call, NodeName, Risk, StorageName, Vmid, WaitSeconds
from proxmox_mcp.tools.backups import backups
from proxmox_mcp.tools.creation import GuestName
from proxmox_mcp.tools.guests import read_status
from proxmox_mcp.tools.placing import choose_storage, free_vmid, storage_of
from proxmox_mcp.tools.storage import node_with
from proxmox_mcp.tools.writing import GuestTask, PoolName, follow, word_of

# local:backup/vzdump-qemu-100-2026_11_23-05_00_00.vma.zst, pbs:backup/vm/100/2026-11-23T05:00:00Z
_KIND = re.compile(r":backup/(?:(?:[^/]+/)?vzdump-(?P<file>qemu|lxc)-|(?:ns/.+/)?(?P<pbs>vm|ct)/)")

Mode = Annotated[
    Literal["snapshot", "suspend", "stop"],
    Field(description="snapshot: it runs on; suspend: paused meanwhile; stop: shut down for it and started again"),
]


class BackupTask(GuestTask):
    """The task that backs a guest up, and the backup that it made."""

    storage: str
    volid: str | None = None
    size: Bytes | None = None


class Restore(GuestTask):
    """The task that brings a guest back."""

    volid: str
    storage: str | None = None
    replaced: bool


async def _preview_backup(
    call: Call, vmid: int, mode: str = "snapshot", node: str | None = None, prune: bool = False
) -> Preview:
    guest = await call.guests.find(vmid, node)
    meanwhile = {"stop": " If it runs, it is shut down meanwhile.", "suspend": " If it runs, it is paused meanwhile."}
    pruned = " Older backups of it go for good, as the storage's retention says." if prune else ""
    return await preview_of(call, guest, f"Back it up in mode {mode}.{meanwhile.get(mode, '')}{pruned}")


def _risk_of_backup(arguments: Arguments) -> Risk:
    return Risk.DESTROY if arguments["prune"] else Risk.OPERATE


@backups.tool(
    risk=Risk.DESTROY,
    least=Risk.OPERATE,
    risk_of=_risk_of_backup,
    title="Back a guest up",
    preview=_preview_backup,
    interrupts=lambda arguments: arguments["mode"] != "snapshot",
)
async def create_backup(
    call: Call,
    vmid: Vmid,
    storage: Annotated[StorageName, Field(description="By default a shared one that takes backups")] | None = None,
    node: NodeName | None = None,
    mode: Mode = "snapshot",
    compress: Literal["zstd", "lzo", "gzip", "0"] = "zstd",
    notes: Annotated[str, Field(max_length=1024, description="May hold {{guestname}}, {{vmid}}, {{node}}")]
    | None = None,
    protected: Annotated[bool, Field(description="Keep it from being removed and pruned")] = False,
    prune: Annotated[bool, Field(description="Then remove older ones, as the storage's retention says")] = False,
    wait_seconds: WaitSeconds = 0,
) -> BackupTask:
    """Back a VM or container up, now. Older backups of it stay unless prune is set."""
    guest = await call.guests.find(vmid, node)
    storage = storage or await choose_storage(call, guest.node, "backup")
    params: dict[str, Any] = {
        "vmid": vmid,
        "storage": storage,
        "mode": mode,
        "compress": compress,
        "remove": prune,
        "protected": protected or None,
        # PVE wants line breaks written out, and backslashes doubled for that.
        "notes-template": notes.replace("\\", "\\\\").replace("\n", "\\n") if notes else None,
    }
    upid = await call.pve.post(f"/nodes/{guest.node}/vzdump", **params)
    task = await follow(call, guest, upid, wait_seconds)
    made = await _newest(call, guest, storage) if task.state != "running" else {}
    return BackupTask(**dict(task), storage=storage, volid=made.get("volid"), size=made.get("size"))


async def _newest(call: Call, guest: Guest, storage: str) -> dict[str, Any]:
    """The newest backup of a guest on a storage; nothing where it cannot be read: the backup was made all the same."""
    path = f"/nodes/{guest.node}/storage/{storage}/content"
    try:
        records = await call.pve.get(path, content="backup", vmid=guest.vmid)
    except ProxmoxError:
        return {}
    found: dict[str, Any] = max(records, key=lambda record: (record["ctime"], record["volid"]), default={})
    return found


async def _preview_restore(
    call: Call, volid: str, vmid: int | None = None, node: str | None = None, overwrite: bool = False
) -> Preview:
    kind = kind_of(volid)
    if vmid is None:
        raise InvalidArgument("overwrite replaces a guest, and none is named.", "Give vmid, or leave overwrite out.")
    guest = await _to_replace(call, kind, vmid, node)
    return await preview_of(
        call, guest, f"Replace it, its disks and its configuration by {volid}: what it holds now is lost."
    )


def _risk_of_restore(arguments: Arguments) -> Risk:
    return Risk.DESTROY if arguments["overwrite"] else Risk.CHANGE


@backups.tool(
    risk=Risk.DESTROY,
    least=Risk.CHANGE,
    risk_of=_risk_of_restore,
    title="Bring a guest back from a backup",
    preview=_preview_restore,
)
async def restore_backup(
    call: Call,
    volid: Annotated[str, Field(max_length=512, description="The backup, as list_backups shows it")],
    vmid: Annotated[Vmid, Field(description="Guest to make, by default under a free id; or to replace")] | None = None,
    node: NodeName | None = None,
    storage: Annotated[StorageName, Field(description="For its disks; by default a VM's are put where they were")]
    | None = None,
    name: GuestName | None = None,
    overwrite: Annotated[bool, Field(description="Replace the guest with this id; what it holds is lost")] = False,
    pool: PoolName | None = None,
    start: bool = False,
    wait_seconds: WaitSeconds = 0,
) -> Restore:
    """Make a guest of a backup: a new one beside the old, or with overwrite the stopped guest of that id anew."""
    kind = kind_of(volid)
    archive_storage = storage_of(volid)
    if overwrite and vmid is None:
        raise InvalidArgument("overwrite replaces a guest, and none is named.", "Give vmid, or leave overwrite out.")
    if vmid is not None and overwrite:
        guest = await _to_replace(call, kind, vmid, node)
    else:
        vmid = await _free(call, vmid)
        guest = Guest(vmid, kind, node or await node_with(call, archive_storage), name, "unknown")
    if kind == "lxc" and storage is None:
        # PVE puts a container on `local` otherwise, which takes none on most nodes.
        storage = await choose_storage(call, guest.node, "rootdir")
    params: dict[str, Any] = {
        "archive" if kind == "qemu" else "ostemplate": volid,
        "restore": True if kind == "lxc" else None,
        "storage": storage,
        "name" if kind == "qemu" else "hostname": name,
        # Two guests with one hardware address would disturb each other.
        "unique": None if overwrite else True,
        "force": overwrite or None,
        "pool": pool,
        "start": start or None,
    }
    upid = await call.pve.post(f"/nodes/{guest.node}/{kind}", vmid=vmid, **params)
    task = await follow(call, guest, upid, wait_seconds)
    return Restore(**dict(task), volid=volid, storage=storage, replaced=overwrite)


async def _free(call: Call, vmid: int | None) -> int:
    if vmid is not None and any(record.get("vmid") == vmid for record in await call.guests.records(fresh=False)):
        raise WrongState(
            f"There is a guest {vmid} already.",
            "Leave vmid out to restore beside it, or set overwrite to replace it: what it holds now is then lost.",
        )
    return await free_vmid(call, vmid)


async def _to_replace(call: Call, kind: Kind, vmid: int, node: str | None) -> Guest:
    """The guest that a backup takes the place of: of the same kind, and stopped."""
    guest = await call.guests.find(vmid, node, kind, check=True)
    if (await read_status(call, guest)).get("status") == "running":
        raise WrongState(f"{word_of(guest)} is running, so it cannot be replaced.", "Shut it down first.")
    return guest


def kind_of(volid: str) -> Kind:
    """Of which kind of guest a backup is, by its volume id.

    Raises:
        InvalidArgument: it is no backup's.
    """
    storage_of(volid)
    found = _KIND.search(volid)
    if found is None:
        raise InvalidArgument(f"{volid!r} is no backup's volume id.", "Call list_backups for those there are.")
    return "lxc" if "lxc" in (found["file"] or "") or found["pbs"] == "ct" else "qemu"
