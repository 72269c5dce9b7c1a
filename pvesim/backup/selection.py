"""Which guests a backup covers, and which of their volumes.

Source: recorded exchanges `backup/038-040`; PVE's documentation of `backup=` on drives and mount points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pvesim.backup.options import find_pool
from pvesim.backup.records import BackupJob
from pvesim.contract.formats import split_list
from pvesim.core.world import World
from pvesim.guests.disks import Disk, disks_of
from pvesim.guests.records import Guest
from pvesim.pools.records import Pool

_OFF = ("0", "no", "off", "false")
_BIND_WORD = "not a volume"


@dataclass(frozen=True, slots=True)
class BackupVolume:
    """A drive or mount point, whether a backup of its guest includes it, and why (not)."""

    disk: Disk
    included: bool
    reason: str


def backup_volumes(guest: Guest) -> Iterator[BackupVolume]:
    """The drives or mount points of a guest that a backup looks at; CD drives and unused volumes it does not."""
    for disk in disks_of(guest.kind, guest.config):
        if disk.unused or disk.cdrom:
            continue
        yield _machine_volume(guest, disk) if guest.kind == "qemu" else _container_volume(disk)


def _machine_volume(guest: Guest, disk: Disk) -> BackupVolume:
    if disk.key.startswith("efidisk") and guest.config.get("bios") != "ovmf":
        return BackupVolume(disk, False, "efidisk but no OMVF BIOS")
    included = disk.options.get("backup", "1") not in _OFF
    return BackupVolume(disk, included, f"backup={'yes' if included else 'no'}")


def _container_volume(disk: Disk) -> BackupVolume:
    if disk.key == "rootfs":
        return BackupVolume(disk, True, "rootfs")
    if disk.volid is None:
        return BackupVolume(disk, False, _BIND_WORD)
    included = disk.options.get("backup", "0") not in _OFF
    return BackupVolume(disk, included, "enabled" if included else "disabled")


def is_bind(volume: BackupVolume) -> bool:
    """Whether a mount point is a directory or device of the host."""
    return volume.reason == _BIND_WORD


# -- guests --------------------------------------------------------------------------------------------------------


def chosen_guests(world: World, options: Mapping[str, Any]) -> list[int]:
    """The ids that a backup's options name, sorted, some of which may be no guests. Raises `Failure`: unknown pool."""
    if options.get("pool"):
        chosen = set(find_pool(world, str(options["pool"])).vmids)
    elif options.get("vmid"):
        chosen = {int(vmid) for vmid in split_list(str(options["vmid"]))}
    elif options.get("all"):
        chosen = set(world.rows(Guest))
    else:
        return []
    if not options.get("vmid"):
        chosen -= {int(vmid) for vmid in split_list(str(options.get("exclude") or ""))}
    return sorted(chosen)


def split_by_node(world: World, vmids: list[int], node: str) -> tuple[list[int], list[int]]:
    """Those that a task on a node backs up, and those that are elsewhere. An id that is no guest belongs to all."""
    here: list[int] = []
    elsewhere: list[int] = []
    for vmid in vmids:
        guest = world.get(Guest, vmid)
        (here if guest is None or guest.node == node else elsewhere).append(vmid)
    return here, elsewhere


def covered_by(world: World, job: BackupJob) -> list[int]:
    """The ids that a job covers: of its own node only, if it has one; none where its pool is gone."""
    options = job.options
    if options.get("pool") and world.get(Pool, options["pool"]) is None:
        return []
    vmids = chosen_guests(world, options)
    return split_by_node(world, vmids, str(options["node"]))[0] if options.get("node") else vmids


# -- reports -------------------------------------------------------------------------------------------------------


def included_volumes(world: World, job: BackupJob, may_see: Callable[[int], bool]) -> dict[str, Any]:
    """`GET /cluster/backup/{id}/included_volumes`: a tree of guests and volumes, of those that the asker may see."""
    return {"children": [_branch(world, vmid) for vmid in covered_by(world, job) if may_see(vmid)]}


def _branch(world: World, vmid: int) -> dict[str, Any]:
    guest = world.get(Guest, vmid)
    if guest is None:
        return {"id": vmid, "leaf": 1, "type": "unknown"}
    leaves = [
        {
            "id": f"{vmid}:{volume.disk.key}",
            "included": int(volume.included),
            "leaf": 1,
            "name": volume.disk.file,
            "reason": volume.reason,
        }
        for volume in backup_volumes(guest)
    ]
    return {"children": leaves, "id": vmid, "leaf": int(not leaves), "name": guest.name, "type": guest.kind}


def not_backed_up(world: World, may_see: Callable[[int], bool]) -> list[dict[str, Any]]:
    """`GET /cluster/backup-info/not-backed-up`: the guests that no job covers, of those that the asker may see."""
    covered = {vmid for job in world.rows(BackupJob).values() for vmid in covered_by(world, job)}
    return [
        {"name": guest.name, "type": guest.kind, "vmid": vmid}
        for vmid, guest in sorted(world.rows(Guest).items())
        if vmid not in covered and may_see(vmid)
    ]
