"""Cloning containers. Source: recorded exchanges `lxc/058-059`, `lxc/065`, `lxc/072`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.checks import check_networks
from pvesim.guests.clones import start_clone, take_place
from pvesim.guests.copying import all_shared, check_target, copy_seconds, source_of, take_over
from pvesim.guests.disks import Disk, disks_of
from pvesim.guests.features import volume_has_feature
from pvesim.guests.locks import require_unlocked
from pvesim.guests.newcomers import check_id_free, check_pool
from pvesim.guests.options import new_mac, parse_option, print_option
from pvesim.guests.records import Guest
from pvesim.guests.rules import check_lock, find_snapshot, require_existing
from pvesim.guests.volumes import make_volume
from pvesim.lxc.mounts import is_mount, mounts_in, new_file_system, print_mount, read_mount
from pvesim.routing import Call
from pvesim.storage.rules import find_storage
from pvesim.storage.types import TYPES

_NOT_COPIED = ("lock", "parent", "snaptime", "template", "snapstate", "digest")


def clone(call: Call) -> str:
    """`POST …/clone`; the UPID. What refuses it does so at once, in PVE's order."""
    params, world, vmid, newid = call.params, call.world, call.params["vmid"], call.params["newid"]
    storage, snapname = params.get("storage"), params.get("snapname")
    target = None if params.get("target") in (None, "localhost", call.node) else params["target"]
    check_pool(world, params.get("pool"))
    check_target(world, call.node, target, storage, "rootdir")
    guest = require_existing(world, "lxc", call.node, vmid)
    check_id_free(world, newid)
    require_unlocked(world, "lxc", vmid)
    check_lock(guest)
    config = find_snapshot(guest, snapname).config if snapname else guest.config
    full = params["full"] if params.get("full") is not None else not guest.template
    if not full and storage:
        raise Failure("parameter 'storage' not allowed for linked clones")
    disks = [disk for disk in disks_of("lxc", config) if is_mount(disk.key)]
    _check_mounts(call, guest, disks, full=bool(full), snapname=snapname)
    check_networks(call, config)
    for name in {storage or disk.storage: None for disk in disks}:
        call.check(f"/storage/{name}", "Datastore.AllocateSpace")
    if target and not all_shared(world, [disk.volid for disk in disks if disk.volid and not (full and storage)]):
        raise Failure(f"can't clone CT to node '{target}' (CT uses local storage)")
    labels = {key: params[key] for key in ("hostname", "description") if params.get(key) is not None}
    steps = [
        Step(effect="lxc.clone", arguments=(vmid, newid, snapname, bool(full), storage, labels)),
        Step(effect="guests.cloned", arguments=(newid, params.get("pool"), target)),
    ]
    return start_clone(call, "lxc", newid, steps)


def _check_mounts(call: Call, guest: Guest, disks: list[Disk], *, full: bool, snapname: str | None) -> None:
    for disk in disks:
        mount = read_mount(disk.key, str(guest.config.get(disk.key) or disk.file))
        if mount.kind != "volume":
            raise Failure(f"unable to clone mountpoint '{disk.key}' (type {mount.kind})")
        if full:
            if guest.running and snapname is None:
                raise Failure("Cannot do full clones on a running container without snapshots")
            if not volume_has_feature(call.world, call.node, disk, "copy"):
                raise Failure(f"Full clone feature for '{disk.volid}' is not available")
        elif not _can_link(call.world, call.node, disk, snapname):
            raise Failure(f"Linked clone feature for '{disk.volid}' is not available")


def _can_link(world: World, node: str, disk: Disk, snapname: str | None) -> bool:
    """A linked clone in a file would be of a format that containers do not take."""
    storage = find_storage(world, disk.storage or "")
    if TYPES[storage.type].has_files and storage.type != "btrfs":
        return False
    return volume_has_feature(world, node, disk, "clone", of_snapshot=snapname is not None)


@effect("lxc.clone")
def _clone(
    world: World,
    task: Task,
    vmid: int,
    newid: int,
    snapname: str | None,
    full: bool,
    storage: str | None,
    labels: Mapping[str, Any],
) -> Iterable[Step]:
    guest = require_existing(world, "lxc", task.node, vmid)
    source = find_snapshot(guest, snapname).config if snapname else guest.config
    config = {key: value for key, value in source.items() if key not in _NOT_COPIED and not key.startswith("unused")}
    for key in config:
        if re.fullmatch(r"net\d+", key):
            fields = {**parse_option("lxc", key, str(config[key])), "hwaddr": new_mac(world)}
            config[key] = print_option("lxc", key, fields)
    start = {key: value for key, value in config.items() if not is_mount(key)}
    new = Guest(newid, "lxc", task.node, {**start, **labels, "lock": "create"}, behaviour=guest.behaviour)
    take_place(world, task, new)
    steps = [Step(log=(f"creating a clone of container {vmid} with ID {newid}",))]
    for mount in reversed(list(mounts_in(config))):  # the root disk last
        arguments = (newid, mount.key, str(config[mount.key]), full, storage)
        steps.append(Step(effect="lxc.clone_mount", arguments=arguments))
    return steps


@effect("lxc.clone_mount")
def _clone_mount(
    world: World, task: Task, newid: int, key: str, text: str, full: bool, storage: str | None
) -> Iterable[Step]:
    mount = read_mount(key, text)
    source = source_of(world, task.node, mount.volume)
    log = [f"create {'full' if full else 'linked'} clone of mountpoint {key} ({source.volid})"]
    if full:
        size = 0 if source.format == "subvol" and source.size == 0 else source.size
        volume = new_file_system(world, task.node, newid, storage or source.storage, size, log)
        take_over(world, source, volume)
    else:
        volume = make_volume(
            world,
            task.node,
            newid,
            source.storage,
            source.size,
            log,
            format=source.format,
            content="rootdir",
            base=source,
        )
    guest = world.rows(Guest)[newid]
    world.put(replace(guest, config={**guest.config, key: print_mount(mount, volume.volid, volume.size)}))
    return [Step(log=tuple(log)), Step(copy_seconds(source) if full else 0.2)]
