"""Moving a container's volume to another storage. Source: recorded exchange `lxc/079`; `pve-behaviour` 40 and 41."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.configfile import digest_of
from pvesim.guests.copying import copy_seconds, source_of, take_over
from pvesim.guests.disks import volumes_in
from pvesim.guests.locks import require_unlocked, start_locked
from pvesim.guests.power import found
from pvesim.guests.reassign import check_goal, reassign
from pvesim.guests.resize import mount_of
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.volumes import add_unused, drop_readded, free_volume, in_use
from pvesim.lxc.mounts import check_storage, new_file_system, print_mount
from pvesim.lxc.update import MODIFIED
from pvesim.routing import Call


def move(call: Call) -> str:
    """`POST …/move_volume`; the UPID."""
    params, world, vmid = call.params, call.world, call.params["vmid"]
    check_goal(params)
    key, storage = params["volume"], params.get("storage")
    if not storage:
        return reassign("lxc", call, key, params.get("target-volume"))
    guest = find_guest(world, "lxc", call.node, vmid)
    require_unlocked(world, "lxc", vmid)
    check_lock(guest)
    if params.get("digest") and params["digest"] != digest_of(world, guest):
        raise Failure(MODIFIED)
    if guest.running:
        raise Failure("cannot move volumes of a running container")
    mount = mount_of(guest, key)
    if mount.kind != "volume":
        raise Failure("you can't move a bind mount or a device")
    check_storage(call, storage)
    used = any(mount.volume in volumes_in("lxc", snapshot.config) for snapshot in guest.snapshots)
    if used and params.get("delete"):
        raise Failure("you can't move a volume with snapshots and delete the source")
    step = Step(effect="lxc.move", arguments=(vmid, key, storage, bool(params.get("delete"))))
    user = call.identity.name
    return start_locked(world, "lxc", call.node, "move_volume", vmid, user, [step], "guests.move_over")


@effect("lxc.move")
def _move(world: World, task: Task, vmid: int, key: str, storage: str, delete: bool) -> Iterable[Step]:
    guest = found(world, task, "lxc", vmid)
    source = source_of(world, task.node, mount_of(guest, key).volume)
    log: list[str] = []
    volume = new_file_system(world, task.node, vmid, storage, source.size, log)
    take_over(world, source, volume)
    last = Step(copy_seconds(source), effect="lxc.moved", arguments=(vmid, key, volume.volid, delete))
    return [Step(log=tuple(log)), last]


@effect("lxc.moved")
def _moved(world: World, task: Task, vmid: int, key: str, volid: str, delete: bool) -> None:
    guest = found(world, task, "lxc", vmid)
    mount, volume = mount_of(guest, key), source_of(world, task.node, volid)
    config = drop_readded("lxc", {**guest.config, key: print_mount(mount, volid, volume.size)})
    if delete:
        if not in_use(guest, mount.volume, config=config):
            free_volume(world, guest.node, mount.volume, vmid)
    else:
        add_unused("lxc", config, mount.volume)
    world.put(replace(guest, config=config))
