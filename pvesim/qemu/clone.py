"""Cloning virtual machines. Source: recorded exchanges `qemu-clone/*`, `qemu-snapshot/029-030`, `offline-node/007`."""

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
from pvesim.guests.copying import all_shared, check_target, copy_steps, release_step, source_of, take_over
from pvesim.guests.disks import Disk, disks_of
from pvesim.guests.features import volume_has_feature
from pvesim.guests.locks import require_unlocked
from pvesim.guests.newcomers import check_pool
from pvesim.guests.options import new_mac, parse_option, print_option
from pvesim.guests.records import Guest
from pvesim.guests.rules import agent_enabled, check_lock, find_snapshot, guest_at, require_existing
from pvesim.guests.volumes import make_volume
from pvesim.qemu.drives import Drive, is_drive, print_drive, read_drive
from pvesim.routing import Call
from pvesim.storage.records import Volume
from pvesim.storage.rules import default_format, find_storage, formats_of
from pvesim.storage.types import TYPES

_NOT_COPIED = {"lock", "parent", "snaptime", "vmstate", "template", "snapstate", "digest"}
_NOT_COPIED |= {"runningmachine", "runningcpu", "running-nets-host-mtu"}


def clone(call: Call) -> str:
    """`POST …/clone`; the UPID. What refuses it does so at once, in PVE's order."""
    params, world = call.params, call.world
    vmid, newid, storage, snapname = params["vmid"], params["newid"], params.get("storage"), params.get("snapname")
    target = None if params.get("target") in (None, "localhost", call.node) else params["target"]
    guest = require_existing(world, "qemu", call.node, vmid)
    check_pool(world, params.get("pool"))
    check_target(world, call.node, target, storage, "images")
    require_unlocked(world, "qemu", vmid)
    check_lock(guest)
    config = find_snapshot(guest, snapname).config if snapname else guest.config
    full = params["full"] if params.get("full") is not None else not guest.template
    if not full and (storage or params.get("format")):
        raise Failure(f"parameter '{'storage' if storage else 'format'}' not allowed for linked clones")
    disks = [disk for disk in disks_of("qemu", config) if is_drive(disk.key) and (not disk.cdrom or disk.cloudinit)]
    _check_storages(call, disks, storage)
    check_networks(call, config)
    used = [each for each in disks_of("qemu", config) if is_drive(each.key) and each.volid]
    if target and not all_shared(world, [each.volid or "" for each in used if each.cdrom or not (full and storage)]):
        raise Failure(f"can't clone VM to node '{target}' (VM uses local storage)")
    if guest_at(world, "qemu", call.node, newid) is not None:
        raise Failure(f"unable to create VM {newid}: config file already exists")
    _check_features(world, call.node, disks, full, snapname)
    how = {"full": bool(full), "storage": storage, "format": params.get("format")}
    labels = {key: params[key] for key in ("name", "description") if params.get(key) is not None}
    steps = [
        Step(effect="qemu.clone", arguments=(vmid, newid, snapname, how, labels)),
        Step(effect="guests.cloned", arguments=(newid, params.get("pool"), target)),
    ]
    return start_clone(call, "qemu", newid, steps)


def _check_storages(call: Call, disks: list[Disk], storage: str | None) -> None:
    for name in {storage or disk.storage: None for disk in disks if disk.storage}:
        call.check(f"/storage/{name}", "Datastore.AllocateSpace")


def _check_features(world: World, node: str, disks: list[Disk], full: bool, snapname: str | None) -> None:
    for disk in disks:
        copied = full or disk.cloudinit
        of_snapshot = snapname is not None
        if not volume_has_feature(world, node, disk, "copy" if copied else "clone", of_snapshot=of_snapshot):
            word = "Full" if copied else "Linked"
            raise Failure(f"{word} clone feature is not supported for '{disk.volid}' ({disk.key})")


@effect("qemu.clone")
def _clone(
    world: World,
    task: Task,
    vmid: int,
    newid: int,
    snapname: str | None,
    how: Mapping[str, Any],
    labels: Mapping[str, Any],
) -> Iterable[Step]:
    guest = require_existing(world, "qemu", task.node, vmid)
    source = find_snapshot(guest, snapname).config if snapname else guest.config
    config = _new_config(world, vmid, source, labels)
    drives = [key for key in config if is_drive(key) and _is_copied(key, str(config[key]))]
    start = {key: value for key, value in config.items() if key not in drives}
    new = Guest(newid, "qemu", task.node, {**start, "lock": "clone"}, behaviour=guest.behaviour)
    take_place(world, task, new)
    running = guest.running and snapname is None
    steps = [Step(log=(f"creating a clone of VM {vmid} with ID {newid}",))]
    copies = ((newid, key, str(config[key]), how, running) for key in drives)
    steps += [Step(effect="qemu.clone_drive", arguments=arguments) for arguments in copies]
    mirrored = [key for key in drives if how["full"] and not read_drive(key, str(config[key])).cloudinit]
    if running and mirrored:
        steps.append(release_step(mirrored, agent=guest.behaviour.agent and agent_enabled(guest.config)))
    return steps


def _is_copied(key: str, text: str) -> bool:
    drive = read_drive(key, text)
    return not drive.cdrom or drive.cloudinit


def _new_config(world: World, vmid: int, source: Mapping[str, Any], labels: Mapping[str, Any]) -> dict[str, Any]:
    config = {key: value for key, value in source.items() if key not in _NOT_COPIED and not key.startswith("unused")}
    for key in config:
        if re.fullmatch(r"net\d+", key):
            config[key] = print_option(
                "qemu", key, {**parse_option("qemu", key, str(config[key])), "macaddr": new_mac(world)}
            )
    identity = parse_option("qemu", "smbios1", str(config.get("smbios1", "")))
    config["smbios1"] = print_option("qemu", "smbios1", {**identity, "uuid": world.uuid()})
    if config.get("vmgenid"):
        config["vmgenid"] = world.uuid()
    name = source.get("name")
    config["name"] = labels.get("name") or (f"Copy-of-VM-{name}" if name else f"Copy-of-VM-{vmid}")
    if "description" in labels:
        config["description"] = labels["description"]
    return config


@effect("qemu.clone_drive")
def _clone_drive(
    world: World, task: Task, newid: int, key: str, text: str, how: Mapping[str, Any], running: bool
) -> Iterable[Step]:
    drive = read_drive(key, text)
    source = source_of(world, task.node, drive.file)
    if drive.cloudinit or how["full"]:
        steps, volume = copy_drive(world, task.node, newid, drive, source, how["storage"], how["format"], running)
    else:
        steps, volume = _link_drive(world, task.node, newid, drive, source)
    guest = world.rows(Guest)[newid]
    size = None if drive.cloudinit else volume.size
    world.put(replace(guest, config={**guest.config, key: print_drive(drive, volume.volid, size)}))
    return steps


def copy_drive(
    world: World,
    node: str,
    vmid: int,
    drive: Drive,
    source: Volume,
    storage: str | None,
    format: str | None,
    running: bool,
) -> tuple[list[Step], Volume]:
    """A new volume with what the source holds, and the steps that pass meanwhile."""
    storage = storage or source.storage
    log = [f"create full clone of drive {drive.key} ({source.volid})"]
    name, format = _target_form(world, vmid, drive, source, storage, format)
    volume = make_volume(world, node, vmid, storage, source.size, log, format=format, name=name)
    take_over(world, source, volume)
    if drive.cloudinit:
        return [Step(0.2, tuple(log))], volume
    log.append(f"allocated target volume '{volume.volid}'")
    return [Step(log=tuple(log)), *copy_steps(source, drive.key, running=running)], volume


def _target_form(
    world: World, vmid: int, drive: Drive, source: Volume, storage: str, format: str | None
) -> tuple[str | None, str]:
    """The file name (None for the next free one) and the format of a copy: the source's where the storage takes it."""
    target = find_storage(world, storage)
    form = format or source.format
    if form not in formats_of(target):
        form = default_format(target)
    if not drive.cloudinit:
        return None, form
    suffix = f".{form}" if TYPES[target.type].has_files else ""
    return f"vm-{vmid}-cloudinit{suffix}", form


def _link_drive(world: World, node: str, newid: int, drive: Drive, source: Volume) -> tuple[list[Step], Volume]:
    log = [f"create linked clone of drive {drive.key} ({source.volid})"]
    format = "qcow2" if TYPES[find_storage(world, source.storage).type].has_files else source.format
    volume = make_volume(world, node, newid, source.storage, source.size, log, format=format, base=source)
    return [Step(0.2, tuple(log))], volume
