"""Moving a drive to another storage or format. Source: recorded exchanges `qemu-disk/010-015`, `qemu-snapshot/026`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.configfile import digest_of
from pvesim.guests.copying import source_of, switch_step
from pvesim.guests.disks import volumes_in
from pvesim.guests.locks import require_unlocked, start_locked
from pvesim.guests.power import found
from pvesim.guests.reassign import check_goal, reassign
from pvesim.guests.records import Guest
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.volumes import add_unused, drop_readded, free_volume, in_use
from pvesim.lxc.update import MODIFIED
from pvesim.qemu.clone import copy_drive
from pvesim.qemu.drives import Drive, print_drive, read_drive
from pvesim.routing import Call
from pvesim.storage.rules import check_enabled


def move(call: Call) -> str:
    """`POST …/move_disk`; the UPID."""
    params, world = call.params, call.world
    check_goal(params)
    if params.get("target-vmid") is not None and not params.get("storage"):
        return reassign("qemu", call, params["disk"], params.get("target-disk"))
    vmid, key, storage = params["vmid"], params["disk"], params["storage"]
    call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
    guest = find_guest(world, "qemu", call.node, vmid)
    require_unlocked(world, "qemu", vmid)
    check_lock(guest)
    if params.get("digest") and params["digest"] != digest_of(world, guest):
        raise Failure(MODIFIED)
    drive = _movable(world, guest, key)
    target = check_enabled(world, storage, call.node)
    source, format = source_of(world, call.node, drive.file), params.get("format")
    if source.storage == storage and (not format or format == source.format):
        raise Failure("you can't move to the same storage with same format")
    if "images" not in target.content:
        raise Failure(f"storage '{storage}' does not support vm images")
    if _in_snapshot(guest, drive.file) and params.get("delete"):
        raise Failure("you can't move a disk with snapshots and delete the source")
    step = Step(effect="qemu.move", arguments=(vmid, key, storage, format, bool(params.get("delete"))))
    user = call.identity.name
    return start_locked(world, "qemu", call.node, "qmmove", vmid, user, [step], "guests.move_over")


def _movable(world: World, guest: Guest, key: str) -> Drive:
    if not guest.config.get(key):
        raise Failure(f"disk '{key}' does not exist")
    drive = read_drive(key, str(guest.config[key]))
    if drive.cdrom and not drive.cloudinit:
        raise Failure("you can't move a cdrom")
    return drive


def _in_snapshot(guest: Guest, volid: str) -> bool:
    return any(volid in volumes_in("qemu", snapshot.config) for snapshot in guest.snapshots)


@effect("qemu.move")
def _move(
    world: World, task: Task, vmid: int, key: str, storage: str, format: str | None, delete: bool
) -> Iterable[Step]:
    guest = found(world, task, "qemu", vmid)
    drive = _movable(world, guest, key)
    source = source_of(world, task.node, drive.file)
    log = [f"copying volume '{source.volid}' from current storage '{source.storage}' to target storage '{storage}'"]
    if _in_snapshot(guest, source.volid):
        log.append("moving disk with snapshots, snapshots will not be moved!")
    steps, volume = copy_drive(world, task.node, vmid, drive, source, storage, format, guest.running)
    last = Step(effect="qemu.moved", arguments=(vmid, key, volume.volid, delete))
    if guest.running and not drive.cloudinit:
        steps.append(switch_step(key))
    return [Step(log=tuple(log)), *steps, last]


@effect("qemu.moved")
def _moved(world: World, task: Task, vmid: int, key: str, volid: str, delete: bool) -> Iterable[Step]:
    guest = found(world, task, "qemu", vmid)
    drive = read_drive(key, str(guest.config[key]))
    size = None if drive.cloudinit else source_of(world, task.node, volid).size
    config = drop_readded("qemu", {**guest.config, key: print_drive(drive, volid, size)})
    if delete:
        log = f"removing source volume '{drive.file}' after successful copy"
        if not in_use(guest, drive.file, config=config):
            free_volume(world, guest.node, drive.file, vmid)
    else:
        unused = add_unused("qemu", config, drive.file)
        log = f"adding source volume '{drive.file}' as '{unused}' to config"
    world.put(replace(guest, config=config))
    return [Step(log=(log,))]
