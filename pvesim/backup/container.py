"""What a backup does to a container, and says of it. Source: `backup/007`, and the logs of a genuine node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pvesim.backup.archive import archive_name, disk_use
from pvesim.backup.common import archive_lines, mode_lines, stop_steps
from pvesim.backup.records import BackupRun
from pvesim.backup.selection import backup_volumes, is_bind
from pvesim.backup.target import archive_path
from pvesim.backup.texts import info, packed_amount
from pvesim.core.tasks import Step
from pvesim.core.world import World
from pvesim.guests.features import volume_has_feature
from pvesim.guests.records import Guest
from pvesim.guests.volumes import existing_volume
from pvesim.storage.names import parse_name
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import find_storage
from pvesim.storage.volumes import path_of

SYNC_SECONDS = 1.0
_BYTES_PER_SECOND = 150 * 1024**2
_SHORTEST, _LONGEST = 1.0, 20.0
_RECORD = 10_240  # an archive is a whole number of these


def container_steps(world: World, run: BackupRun, guest: Guest, storage: Storage) -> list[Step]:
    """The steps from the mode to the complete archive. Raises `Failure` for a volume that is not there."""
    for volume in backup_volumes(guest):
        if volume.included and volume.disk.volid:
            existing_volume(world, guest.node, volume.disk.volid)
    prepared = info(*_prepare_lines(guest))
    steps = []
    if run.mode == "snapshot" and not _can_snapshot(world, guest):
        failure = info("mode failure - some volumes do not support snapshots", "trying 'suspend' mode instead")
        steps.append(Step(log=prepared + failure))
        run = replace(run, mode="suspend")
        world.put(run)
    mode = mode_lines(run)
    steps.append(Step(log=prepared + mode if run.mode == "snapshot" else mode + prepared))
    if run.mode == "snapshot":
        lines = ["create storage snapshot 'vzdump'", *_snapshot_lines(world, guest)]
        steps.append(Step(log=info(*lines)))
    elif run.mode == "suspend":
        steps += _sync_steps(world, run, guest, storage)
    elif guest.running:
        steps += stop_steps(run, guest)
    steps.append(Step(log=info(*archive_lines(storage, guest, run))))
    data = sum(disk_use(world, guest).values())
    seconds = min(_LONGEST, max(_SHORTEST, data / _BYTES_PER_SECOND))
    return [*steps, Step(seconds, effect="backup.pack")]


def _can_snapshot(world: World, guest: Guest) -> bool:
    return all(
        volume_has_feature(world, guest.node, volume.disk, "snapshot")
        for volume in backup_volumes(guest)
        if volume.included
    )


def _prepare_lines(guest: Guest) -> Iterator[str]:
    yield f"CT Name: {guest.name}"
    for volume in backup_volumes(guest):
        disk = volume.disk
        place = "/" if disk.key == "rootfs" else disk.options.get("mp", "")
        if volume.included:
            yield f"including mount point {disk.key} ('{place}') in backup"
        else:
            kind = "device" if disk.file.startswith("/dev/") else "bind" if is_bind(volume) else "volume"
            yield f"excluding {kind} mount point {disk.key} ('{place}') from backup ({volume.reason})"


def _snapshot_lines(world: World, guest: Guest) -> Iterator[str]:
    for volume in backup_volumes(guest):
        if not volume.included or volume.disk.volid is None:
            continue
        found = existing_volume(world, guest.node, volume.disk.volid)
        storage = find_storage(world, found.storage)
        if storage.type == "lvmthin":
            yield f'  Logical volume "snap_{parse_name(storage, found.name).file}_vzdump" created.'


def _sync_steps(world: World, run: BackupRun, guest: Guest, storage: Storage) -> list[Step]:
    """The container's files are copied twice; it stands still only for the second, short time."""
    name, format = archive_name(storage, "lxc", guest.vmid, run.since, str(run.options.get("compress", "0")))
    source = f"/proc/{guest.pid}/root/"
    if storage.type == "pbs":
        folder = "/var/tmp/vzdumptmp" + format  # noqa: S108
    else:
        folder = f"{archive_path(storage, name).removesuffix(f'.{format}')}.tmp"
    data = sum(disk_use(world, guest).values())
    first = f"first sync finished - transferred {data} bytes in {SYNC_SECONDS:.0f}s"
    final = f"final sync finished - transferred 0 bytes in {SYNC_SECONDS:.0f}s"
    return [
        Step(log=info(f"starting first sync {source} to {folder}")),
        Step(SYNC_SECONDS, info(first, "suspending guest", f"starting final sync {source} to {folder}")),
        Step(SYNC_SECONDS, info(final, "resuming guest", f"guest is online again after {SYNC_SECONDS:.0f} seconds")),
    ]


def packed_size(data: int) -> int:
    """The size of an archive of that much data before it is compressed."""
    return -(-(data + 4096) // _RECORD) * _RECORD


def tar_line(world: World, archive: Volume) -> str:
    """What `tar` says in the end."""
    data = sum(archive.contents.disk_use.values()) if archive.contents else archive.size
    written = packed_size(data)
    rate = world.random_int(90, 240)
    return f"Total bytes written: {written} ({packed_amount(written)}, {rate}MiB/s)"


def tar_failure(world: World, archive: Volume) -> str:
    """Why a backup failed whose storage is full."""
    if archive.format.startswith("pbs"):
        return "command '/usr/bin/proxmox-backup-client backup' failed: exit code 255"
    path = path_of(world, archive)
    target = f"{path.rpartition('.')[0]}.dat"
    command = f"set -o pipefail && tar cpf - --totals --one-file-system -p --sparse ./ >{target}"
    return f"command '{command}' failed: exit code 2"
