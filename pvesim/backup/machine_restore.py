"""Restoring a machine: `POST /nodes/{node}/qemu` with `archive`.

Source: recorded exchanges `backup/022-025`, and the log of a genuine node.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pvesim.backup.archive import config_text, contents_of, find_archive, require_archive_id, require_config, volid_of
from pvesim.backup.restore import (
    check_may_restore,
    duration,
    new_macs,
    put_restored,
    refusal,
    replaced_guest,
    restore_firewall,
    start_restore,
    task_may,
)
from pvesim.backup.selection import backup_volumes
from pvesim.core.errors import ApiError, Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import Disk, disks_of, read_options
from pvesim.guests.newcomers import add_to_pool, check_pool
from pvesim.guests.power import drop_volume, failing
from pvesim.guests.records import Guest
from pvesim.guests.volumes import add_unused, fill, free_volume, make_volume, owned_volumes
from pvesim.qemu.create import requested_options
from pvesim.qemu.drives import check_access, is_drive, print_drive, read_drive
from pvesim.qemu.privileges import check_options
from pvesim.routing import Call
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import check_enabled, default_format, formats_of
from pvesim.storage.types import TYPES
from pvesim.storage.volumes import path_of, volume_of

# Parameters that say how to restore, and are no options of the machine.
_HOW = frozenset(
    (
        "archive", "bwlimit", "force", "ha-managed", "import-working-storage", "live-restore", "node", "pool", "start",
        "storage", "unique", "vmid",
    )
)  # fmt: skip
_UNPACKERS: Mapping[str, str] = {"vma.zst": "zstd -q -d -c", "vma.gz": "zcat", "vma.lzo": "lzop -d -c"}
_CLOUDINIT_SIZE = 4 * 1024**2
_DEFAULT_STORAGE = "local"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A drive that a restore makes: as it was, and its new volume."""

    disk: Disk
    volume: Volume


def restore_machine(call: Call) -> str:
    """Start the restore; the UPID. Raises in PVE's order: pool, rights, drives, archive, options, then the id."""
    world, params, vmid = call.world, call.params, call.params["vmid"]
    pool, storage = params.get("pool"), params.get("storage")
    replaced = replaced_guest(call, "qemu")
    check_pool(world, pool)
    if storage:
        call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
    whole = check_may_restore(call, replaced, pool)
    given = {key: value for key, value in params.items() if key not in _HOW}
    for key in sorted(given):
        if is_drive(key):
            raise ParameterErrors({key: "option conflicts with option 'archive'"})
    require_archive_id(call, params["archive"], vmid)
    volid = volid_of(world, call.node, params["archive"])
    find_archive(world, call.node, volid)
    options = requested_options(world, given)
    check_access(call, vmid, options, storage)
    check_options(call, vmid, pool, options)
    how = {name: params.get(name) for name in ("unique", "pool", "start", "storage", "live-restore")}
    request = {**how, "archive": volid, "options": options, "firewall": whole}
    return start_restore(call, "qemu", "backup.restore_machine", replaced, request)


# -- the task ------------------------------------------------------------------------------------------------------


@effect("backup.restore_machine")
def _extract(world: World, task: Task, vmid: int, request: Mapping[str, Any]) -> Iterable[Step]:
    """Make the volumes, after those that they replace are removed."""
    log: list[str] = []
    try:
        with world.transaction():
            _check_replaced(world.rows(Guest)[vmid], request)
            archive = find_archive(world, task.node, request["archive"])
            log += _opening_lines(world, task, archive)
            _check_content(world, task, archive, request)
            pieces, lines = _make_volumes(world, task, vmid, archive, request)
    except ApiError as error:
        return [failing(error.message, log=tuple(log))]
    drives = {piece.disk.key: piece.volume.volid for piece in pieces}
    seconds = duration(sum(piece.volume.size for piece in pieces))
    restored = Step(seconds, effect="backup.machine_restored", arguments=(vmid, request, drives))
    return [Step(log=(*log, *lines)), restored]


def _check_replaced(guest: Guest, request: Mapping[str, Any]) -> None:
    if request["existed"] and guest.config.get("protection"):
        raise refusal("qemu", guest.vmid, "- protection mode enabled")
    if guest.running:
        raise refusal("qemu", guest.vmid, "vm is running")


def _opening_lines(world: World, task: Task, archive: Volume) -> list[str]:
    if archive.format.startswith("pbs"):
        return []
    return [f"restore vma archive: {_command(world, task, archive)}"]


def _command(world: World, task: Task, archive: Volume) -> str:
    path, folder = path_of(world, archive), f"/var/tmp/vzdumptmp{task.pid}"  # noqa: S108
    unpacker = _UNPACKERS.get(archive.format)
    source = "-" if unpacker else path
    extract = f"vma extract -v -r {folder}.fifo {source} {folder}"
    return f"{unpacker} {path} | {extract}" if unpacker else extract


def _check_content(world: World, task: Task, archive: Volume, request: Mapping[str, Any]) -> None:
    """Raise `Failure` for an archive of a container, and for one that cannot be read."""
    if archive.format.startswith("tar"):
        raise Failure(f"ERROR: file '{path_of(world, archive)}' does not look like a QemuServer vzdump backup")
    if not archive.guest_config:
        raise Failure(f"command 'set -o pipefail && {_command(world, task, archive)}' failed: exit code 133")
    if require_config(archive) != "qemu":
        raise Failure("unable to find qemu-server.conf in the backup")
    if request["live-restore"] and not archive.format.startswith("pbs"):
        raise Failure("live-restore is only compatible with backup images from a Proxmox Backup Server")


# -- volumes -------------------------------------------------------------------------------------------------------


def _make_volumes(
    world: World, task: Task, vmid: int, archive: Volume, request: Mapping[str, Any]
) -> tuple[list[_Piece], list[str]]:
    disks = list(_disks_in(archive))
    targets = {disk.key: _target(world, task, disk, request["storage"]) for disk in disks}
    guest, use = world.rows(Guest)[vmid], contents_of(archive).disk_use
    log = _header_lines(archive, disks)
    lines: list[str] = []
    _remove_replaced(world, guest, {disk.key for disk in disks}, lines)
    pieces = []
    for disk in disks:
        piece = _Piece(disk, _make(world, task.node, vmid, disk, targets[disk.key], lines))
        lines.append(f"new volume ID is '{piece.volume.volid}'")
        fill(world, piece.volume, use.get(disk.key, 0))
        pieces.append(piece)
    world.put(replace(guest, config=_in_the_making(guest, pieces)))
    if archive.format.startswith("pbs"):
        return pieces, lines + [line for piece in pieces for line in _server_lines(world, archive, piece)]
    maps = [
        f"map 'drive-{piece.disk.key}' to '{path_of(world, piece.volume)}' (write zeros = 0)"
        for piece in pieces
        if not piece.disk.cloudinit
    ]
    return pieces, log + lines + maps


def _disks_in(archive: Volume) -> Iterator[Disk]:
    """The drives whose content is in the archive, and those of cloud-init, which are made anew."""
    old = Guest(archive.vmid or 0, "qemu", "", archive.guest_config)
    included = {volume.disk.key for volume in backup_volumes(old) if volume.included}
    for disk in disks_of("qemu", archive.guest_config):
        if disk.key in included or disk.cloudinit:
            yield disk


def _target(world: World, task: Task, disk: Disk, asked: str | None) -> Storage:
    """The storage that a drive goes to. Raises `Failure`."""
    name = asked or disk.storage or _DEFAULT_STORAGE
    storage = check_enabled(world, name, task.node)
    if "images" not in storage.content:
        raise Failure(f"storage '{name}' does not support content-type 'images'")
    if not task_may(world, task, f"/storage/{name}", "Datastore.AllocateSpace"):
        raise Failure(f"403 Permission check failed (/storage/{name}, Datastore.AllocateSpace)")
    return storage


def _make(world: World, node: str, vmid: int, disk: Disk, storage: Storage, log: list[str]) -> Volume:
    wanted = disk.file.rpartition(".")[2]
    format = wanted if wanted in formats_of(storage) else default_format(storage)
    if not disk.cloudinit:
        return make_volume(world, node, vmid, storage.storage, disk.size, log, format=format)
    name = f"vm-{vmid}-cloudinit" + (f".{format}" if TYPES[storage.type].has_files else "")
    return make_volume(world, node, vmid, storage.storage, _CLOUDINIT_SIZE, log, format=format, name=name)


def _remove_replaced(world: World, guest: Guest, keys: set[str], log: list[str]) -> None:
    """Remove the volumes that stand where restored ones will, and memory states; a base with clones stays."""
    for disk in disks_of("qemu", guest.config):
        if disk.key in keys and disk.volid:
            try:
                free_volume(world, guest.node, disk.volid, guest.vmid)
            except Failure as error:
                log.append(error.message)
    for snapshot in guest.snapshots:
        if snapshot.config.get("vmstate"):
            drop_volume(world, guest.node, str(snapshot.config["vmstate"]))


def _in_the_making(guest: Guest, pieces: list[_Piece]) -> dict[str, Any]:
    """What the configuration names until all is there, so that nothing is lost if the task is stopped."""
    return {**guest.config, **{piece.disk.key: piece.volume.volid for piece in pieces}}


# -- what the log says ---------------------------------------------------------------------------------------------


def _header_lines(archive: Volume, disks: list[Disk]) -> list[str]:
    if archive.format.startswith("pbs"):
        return []
    devices = [
        f"DEV: dev_id={number} size: {disk.size} devname: drive-{disk.key}"
        for number, disk in enumerate((disk for disk in disks if not disk.cloudinit), 1)
    ]
    begun = f"CTIME: {time.asctime(time.gmtime(archive.ctime))}"
    return [f"CFG: size: {len(config_text(archive))} name: qemu-server.conf", *devices, begun]


def _server_lines(world: World, archive: Volume, piece: _Piece) -> list[str]:
    image = f"{archive.name.removeprefix('backup/')} drive-{piece.disk.key}.img.fidx"
    return [
        f"restore proxmox backup image: {image} {path_of(world, piece.volume)}",
        f"progress 100% (read {piece.volume.size} bytes, zeroes = 0%, duration 0 sec)",
        f"restore image complete (bytes={piece.volume.size}, duration=1.00s)",
    ]


def _closing_lines(archive: Volume, total: int) -> list[str]:
    if archive.format.startswith("pbs"):
        return []
    sparse = max(0, total - sum(contents_of(archive).disk_use.values()))
    share = 100 * sparse // total if total else 0
    return [
        f"progress 100% (read {total} bytes, duration {int(duration(total))} sec)",
        f"total bytes read {total}, sparse bytes {sparse} ({share}%)",
        "space reduction due to 4K zero blocks 0%",
    ]


# -- the configuration ---------------------------------------------------------------------------------------------


@effect("backup.machine_restored")
def _restored(
    world: World, task: Task, vmid: int, request: Mapping[str, Any], drives: Mapping[str, str]
) -> Iterable[Step]:
    """The disks are there: the archive's configuration comes back, and what was asked for on top of it."""
    archive = find_archive(world, task.node, request["archive"])
    guest = world.rows(Guest)[vmid]
    config = _config(world, task.node, archive, drives, request)
    log = [*_closing_lines(archive, _total(world, task.node, drives)), "rescan volumes..."]
    for volume in owned_volumes(world, task.node, vmid):
        key = add_unused("qemu", config, volume.volid)
        if key:
            log.append(f"VM {vmid} add unreferenced volume '{volume.volid}' as '{key}' to config")
    is_template = bool(config.pop("template", None))
    behaviour = contents_of(archive).behaviour
    put_restored(world, task, replace(guest, config=config, pending={}, snapshots=(), behaviour=behaviour))
    add_to_pool(world, request["pool"], vmid)
    if request["firewall"]:
        restore_firewall(world, archive, vmid)
    steps = [Step(log=tuple(log))]
    if is_template:
        steps.append(Step(log=("Convert to template.",), effect="guests.template", arguments=("qemu", vmid, None)))
    elif request["start"] or request["live-restore"]:
        steps.append(Step(log=("Execute autostart",), effect="qemu.autostart", arguments=(vmid,)))
    return steps


def _total(world: World, node: str, drives: Mapping[str, str]) -> int:
    found = (volume_of(world, node, volid) for volid in drives.values())
    return sum(volume.size for volume in found if volume is not None)


def _config(
    world: World, node: str, archive: Volume, drives: Mapping[str, str], request: Mapping[str, Any]
) -> dict[str, Any]:
    config: dict[str, Any] = {}
    notes: list[str] = []
    for key, value in archive.guest_config.items():
        if key in drives:
            volume = volume_of(world, node, drives[key])
            drive = read_drive(key, str(value))
            size = volume.size if volume is not None and not drive.cloudinit else None
            config[key] = print_drive(drive, drives[key], size)
        elif is_drive(key) and read_options(str(value), "file").get("backup", "1") in ("0", "no", "off"):
            notes.append(f"{key}: {value}")  # what was not backed up is left as a comment
        elif not key.startswith("unused"):
            config[key] = value
    if notes:
        config["description"] = "\n".join([*filter(None, [str(config.get("description", ""))]), *notes])
    if request["unique"]:
        config = _unique(world, config)
    if config.get("vmgenid", "0") != "0":
        config["vmgenid"] = world.uuid()
    return {**config, **request["options"]}


def _unique(world: World, config: Mapping[str, Any]) -> dict[str, Any]:
    changed = new_macs(world, "qemu", config)
    if "smbios1" in changed:
        rest = [part for part in str(changed["smbios1"]).split(",") if not part.startswith("uuid=")]
        changed["smbios1"] = ",".join([f"uuid={world.uuid()}", *rest])
    return changed
