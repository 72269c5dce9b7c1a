"""What a backup does to a virtual machine, and says of it. Source: the logs of a genuine node; `backup/008`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pvesim.backup.archive import archive_name, disk_use
from pvesim.backup.common import archive_lines, mode_lines, stop_steps
from pvesim.backup.records import BackupRun
from pvesim.backup.selection import BackupVolume, backup_volumes
from pvesim.backup.target import archive_path
from pvesim.backup.texts import amount, info
from pvesim.core.tasks import Step
from pvesim.core.world import World
from pvesim.guests.disks import parse_disks, read_options
from pvesim.guests.records import Guest
from pvesim.guests.rules import agent_enabled
from pvesim.guests.volumes import existing_volume, size_text
from pvesim.storage.records import Storage, Volume
from pvesim.storage.volumes import path_of

KVM_SECONDS = 1.0
_BYTES_PER_SECOND = 400 * 1024**2
_SHORTEST, _LONGEST, _LOOKS = 1.0, 20.0, 4


def machine_steps(world: World, run: BackupRun, guest: Guest, storage: Storage) -> list[Step]:
    """The steps from the mode to the complete archive. Raises `Failure` for a disk that is not there."""
    included = [volume for volume in backup_volumes(guest) if volume.included]
    for volume in included:
        if volume.disk.volid:
            existing_volume(world, guest.node, volume.disk.volid)
    prepared, mode = info(*_prepare_lines(guest)), mode_lines(run)
    steps = [Step(log=prepared + mode if run.mode == "snapshot" else mode + prepared)]
    if run.mode == "suspend":
        steps += [Step(log=info("suspending guest"), effect="backup.interrupt"), Step(effect="backup.pause")]
    elif guest.running and run.mode == "stop":
        steps += stop_steps(run, guest)
    steps.append(Step(log=info(*_left_out_lines(guest), *archive_lines(storage, guest, run))))
    if included and not guest.template:
        steps += _online_steps(world, run, guest, storage)
    else:
        steps += _offline_steps(world, run, guest, storage, included)
    return [*steps, Step(effect="backup.pack")]


def _prepare_lines(guest: Guest) -> Iterator[str]:
    if guest.config.get("name"):
        yield f"VM Name: {guest.config['name']}"
    for volume in backup_volumes(guest):
        line = f"disk '{volume.disk.key}' '{volume.disk.file}'"
        if not volume.included:
            yield f"exclude {line} ({volume.reason})"
        else:
            yield f"include {line}" + (f" {size_text(volume.disk.size)}" if volume.disk.size else "")


def _left_out_lines(guest: Guest) -> Iterator[str]:
    for disk in parse_disks(guest):
        if disk.unused:
            yield f"skip unused drive '{disk.file}' (not included into backup)"
    if guest.snapshots:
        yield "snapshots found (not included into backup)"
    if guest.pending:
        yield "pending configuration changes found (not included into backup)"


# -- by QEMU -------------------------------------------------------------------------------------------------------


def _online_steps(world: World, run: BackupRun, guest: Guest, storage: Storage) -> list[Step]:
    """QEMU copies the disks, while the machine runs or before it does."""
    steps: list[Step] = []
    if run.mode == "stop":
        steps += [Step(log=info("starting kvm to execute backup task")), Step(KVM_SECONDS, effect="backup.launch")]
    freezes = run.mode == "snapshot" and _wants_freeze(guest.config)
    if freezes and not guest.behaviour.agent:
        steps.append(Step(log=info("skipping guest-agent 'fs-freeze', agent configured but not running?")))
    elif freezes:
        steps.append(Step(log=info("issuing guest-agent 'fs-freeze' command")))
    steps.append(Step(log=info(f"started backup task '{world.uuid()}'")))
    if freezes and guest.behaviour.agent:
        steps.append(Step(log=info("issuing guest-agent 'fs-thaw' command")))
    if guest.running:
        steps.append(Step(effect="backup.resume"))
    steps += _copy_steps(world, guest, storage)
    return steps if guest.running else [*steps, Step(0.5, effect="backup.quit")]


def _wants_freeze(config: Mapping[str, Any]) -> bool:
    options = read_options(str(config.get("agent", "0")), "enabled")
    return agent_enabled(config) and options.get("freeze-fs-on-backup", "1") not in ("0", "no", "off", "false")


def _copy_steps(world: World, guest: Guest, storage: Storage) -> list[Step]:
    """How far it is, from time to time, and what it comes to."""
    use = disk_use(world, guest)
    sizes = {volume.disk.key: volume.disk.size for volume in backup_volumes(guest) if volume.disk.key in use}
    total = sum(sizes.values()) or sum(use.values()) or 1
    data = min(total, sum(use.values()))
    seconds = float(math.ceil(min(_LONGEST, max(_SHORTEST, total / _BYTES_PER_SECOND))))
    looks = min(_LOOKS, int(seconds))
    steps = []
    for look in range(1, looks + 1):
        percent, spent = 100 * look // looks, seconds * look / looks
        speed = f"read: {amount(total / seconds)}/s, write: {amount(data / seconds)}/s"
        line = f"{percent:3}% ({amount(total * look / looks)} of {amount(total)}) in {spent:.0f}s, {speed}"
        steps.append(Step(seconds / looks, info(line)))
    zero = total - data
    lines = [f"transferred {total / 1024**3:.2f} GiB in {seconds:.0f} seconds ({amount(total / seconds)}/s)"]
    if storage.type != "pbs" and zero:
        lines.insert(0, f"backup is sparse: {zero / 1024**3:.2f} GiB ({100 * zero // total}%) total zero data")
    return [*steps, Step(log=info(*lines))]


# -- without QEMU --------------------------------------------------------------------------------------------------


def _offline_steps(
    world: World, run: BackupRun, guest: Guest, storage: Storage, included: list[BackupVolume]
) -> list[Step]:
    """A template, or a machine without disks, is packed by a program of its own."""
    lines = ["starting template backup"] if included else ["backup contains no disks", "starting diskless backup"]
    if storage.type != "pbs":
        drives = [
            f"drive-{volume.disk.key}={path_of(world, existing_volume(world, guest.node, volume.disk.volid))}"
            for volume in included
            if volume.disk.volid
        ]
        lines.append(" ".join(["/usr/bin/vma create -v -c", *_vma_arguments(run, guest, storage), *drives]))
    return [Step(log=info(*lines)), Step(_SHORTEST)]


def _vma_arguments(run: BackupRun, guest: Guest, storage: Storage) -> list[str]:
    compress = str(run.options.get("compress", "0"))
    name, format = archive_name(storage, "qemu", guest.vmid, run.since, compress)
    path = archive_path(storage, name)
    folder = f"{path.removesuffix(f'.{format}')}.tmp"
    packer = {"0": "cat", "zstd": "zstd --threads=1", "gzip": "gzip"}.get(compress, "lzop")
    return [f"{folder}/qemu-server.conf", f"exec:{packer} > {path.rpartition('.')[0]}.dat"]


def vma_failure(archive: Volume) -> str:
    """Why a backup failed whose storage is full."""
    if archive.format.startswith("pbs"):
        return "backup write data failed: command error: write_data upload error: No space left on device"
    if archive.format == "vma":
        return "vma_queue_write: write error - No space left on device"
    return "vma_queue_write: write error - Broken pipe"  # the compressor met the full disk
