"""What a person is shown before a guest is changed for good, and what tells whether it is still the same later."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from proxmox_mcp.errors import ProxmoxError
from proxmox_mcp.locate import Guest
from proxmox_mcp.results import Preview

if TYPE_CHECKING:
    from proxmox_mcp.tooling import Call

_DISK_KEY = re.compile(r"(?:scsi|virtio|ide|sata|efidisk|tpmstate|mp|unused)\d+|rootfs")
_AGE = re.compile(r"less than a minute|\d+ (?:second|minute|hour|day)s?")
_BASE = re.compile(r"[/:]base(?:vol)?-(?P<vmid>\d+)-")


async def fingerprint_of(call: "Call", vmid: int) -> str:
    """A hash over what an approval of a change to this guest rests on.

    That is: where it is, whether it runs, its lock, and its configuration file, snapshots and pending changes among
    it, by the digest that PVE makes of that file (`GET …/config`).

    Raises:
        InvalidArgument: there is no such guest.
        RequestRefused: PVE does not let it be read.
    """
    guest = await call.guests.find(vmid, check=True)
    status = await call.pve.get(f"{guest.path}/status/current")
    config = await call.pve.get(f"{guest.path}/config")
    return _fingerprint(guest, status, config)


def _fingerprint(guest: Guest, status: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    return digest_of(guest.kind, guest.node, guest.vmid, status.get("status"), status.get("lock"), config.get("digest"))


def digest_of(*parts: Any) -> str:
    """A hash over JSON values: 64 hexadecimal digits, the same for equal values."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def bound(preview: Preview) -> Preview:
    """The preview with a fingerprint of all that it tells: what a person was shown is what is looked at again.

    But for ages, which grow while the person reads.
    """
    told = [_AGE.sub("some time", line) for line in (preview.summary, preview.target, *preview.facts)]
    return preview.model_copy(update={"fingerprint": digest_of(preview.fingerprint, *told)})


async def preview_of(call: "Call", guest: Guest, summary: str, facts: Iterable[str] = ()) -> Preview:
    """What is to be known of a guest before something is done to it that cannot be undone.

    Args:
        call: what the tool works with.
        guest: as `Guests.find` found it.
        summary: one sentence: what is done, and what is lost by it.
        facts: further lines, put before those on the guest.

    Raises:
        RequestRefused: PVE does not let the guest be read; nothing is approved unseen.
    """
    status = await call.pve.get(f"{guest.path}/status/current")
    config = await call.pve.get(f"{guest.path}/config")
    kind = "VM" if guest.kind == "qemu" else "container"
    name = status.get("name") or guest.name
    target = f"{kind} {guest.vmid}" + (f" ({name})" if name else "") + f" on {guest.node}"
    told = [*facts, _state(status), *_disks(config)]
    for read in (_snapshots, _newest_backup, _dependents):
        told.extend(await _if_readable(read(call, guest, config), read.__doc__ or ""))
    return Preview(summary=summary, target=target, facts=told, fingerprint=_fingerprint(guest, status, config))


async def _if_readable(lines: Any, what: str) -> list[str]:
    """Lines of a preview; what cannot be read is said to be unknown, for it may matter to who decides."""
    try:
        return [line async for line in lines]
    except ProxmoxError as error:
        return [f"{what.rstrip('.')}: unknown, for it cannot be read ({error.what})"]


def _state(status: Mapping[str, Any]) -> str:
    words = [str(status.get("qmpstatus") or status.get("status", "unknown"))]
    if status.get("template"):
        words.append("a template")
    if status.get("lock"):
        words.append(f"locked ({status['lock']})")
    if (status.get("ha") or {}).get("managed"):
        words.append("under high availability")
    return f"State: {', '.join(words)}"


def _disks(config: Mapping[str, Any]) -> list[str]:
    disks = []
    for key, value in sorted(config.items()):
        if not _DISK_KEY.fullmatch(key) or "media=cdrom" in str(value):
            continue
        volume, *options = str(value).split(",")
        size = next((option.removeprefix("size=") for option in options if option.startswith("size=")), "size unknown")
        disks.append(f"{key} {volume} ({size})")
    return [f"Disks: {'; '.join(disks)}"] if disks else ["Disks: none"]


async def _snapshots(call: "Call", guest: Guest, config: Mapping[str, Any]) -> Any:
    """Snapshots."""
    records = await call.pve.get(f"{guest.path}/snapshot")
    names = [record["name"] for record in records if record["name"] != "current"]
    yield f"Snapshots: {', '.join(names) if names else 'none'}"


async def _newest_backup(call: "Call", guest: Guest, config: Mapping[str, Any]) -> Any:
    """Newest backup."""
    from proxmox_mcp.tools.backups import list_backups

    found = await list_backups(call, vmid=guest.vmid, limit=1)
    unread = f" (not looked at: {'; '.join(found.unread)})" if found.unread else ""
    if not found.backups:
        yield f"Newest backup: none{unread}"
        return
    newest = found.backups[0]
    yield f"Newest backup: {_age(newest.age)} old, {newest.volid}{unread}"


def _age(seconds: int) -> str:
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {word}{'s' if count != 1 else ''}"
    return "less than a minute"


async def _dependents(call: "Call", guest: Guest, config: Mapping[str, Any]) -> Any:
    """What depends on it."""
    found = []
    if config.get("template"):
        clones = await _linked_clones(call, guest, config)
        found += [f"disks of guest {vmid} build on it" for vmid in clones]
    replicated = [job["id"] for job in await call.pve.get("/cluster/replication") if job.get("guest") == guest.vmid]
    found += [f"replication job {job}" for job in replicated]
    jobs = await call.pve.get("/cluster/backup")
    found += [f"backup job {job['id']}" for job in jobs if str(guest.vmid) in str(job.get("vmid", "")).split(",")]
    yield f"What depends on it: {'; '.join(found) if found else 'nothing that is known'}"


def storages_in(config: Mapping[str, Any]) -> frozenset[str]:
    """The storages that a guest's disks are on."""
    volumes = [str(value).partition(",")[0] for key, value in config.items() if _DISK_KEY.fullmatch(key)]
    return frozenset(volume.partition(":")[0] for volume in volumes if ":" in volume)


async def _linked_clones(call: "Call", guest: Guest, config: Mapping[str, Any]) -> list[int]:
    """The guests whose disks build on a template's: PVE writes the base in their volume ids and `parent`."""
    clones = set()
    for storage in sorted(storages_in(config)):
        path = f"/nodes/{guest.node}/storage/{storage}/content"
        for volume in await call.pve.get(path):
            base = _BASE.search(f"/{volume.get('parent') or ''} {volume.get('volid', '')}")
            if base and int(base["vmid"]) == guest.vmid and volume.get("vmid") not in (None, guest.vmid):
                clones.add(int(volume["vmid"]))
    return sorted(clones)
