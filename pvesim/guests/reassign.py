"""Giving a disk to another guest of the same kind on the same node.

Source: the parameters of `POST …/move_disk` and `POST …/move_volume`; recorded exchange `qemu-disk/014`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.configfile import digest_of
from pvesim.guests.copying import source_of
from pvesim.guests.disks import Disk, disks_of
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import require_unlocked, start_locked
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.volumes import in_use, with_new_name
from pvesim.routing import Call
from pvesim.storage.records import Volume
from pvesim.storage.rules import find_storage
from pvesim.storage.types import TYPES
from pvesim.storage.volumes import next_name

_MODIFIED = "detected modified configuration - file changed by other user? Try again."


def check_goal(params: Mapping[str, Any]) -> None:
    """Raise `ParameterErrors` unless a storage or another guest is named, and not both."""
    storage, vmid = params.get("storage"), params.get("target-vmid")
    if storage and vmid is not None:
        text = "either set 'storage' or 'target-vmid', but not both"
    elif not storage and vmid is None:
        text = "both 'storage' and 'target-vmid' missing, either needs to be set"
    else:
        return
    raise ParameterErrors({"storage": text, "target-vmid": text})


def reassign(kind: Kind, call: Call, key: str, target_key: str | None) -> str:
    """Start the task that gives a disk to the guest `target-vmid`; the UPID."""
    vmid, target_vmid, world = call.params["vmid"], call.params["target-vmid"], call.world
    target_key = target_key or key
    call.check(f"/vms/{target_vmid}", "VM.Config.Disk")
    if vmid == target_vmid:
        raise ParameterErrors({"target-vmid": "must be different than source VMID to reassign disk"})
    source = _ready(call, kind, vmid, call.params.get("digest"))
    target = _ready(call, kind, target_vmid, call.params.get("target-digest"))
    _check_disk(world, source, target, key, target_key)
    step = Step(0.3, effect="guests.reassign", arguments=(kind, vmid, target_vmid, key, target_key))
    type = "qmmove" if kind == "qemu" else "move_volume"
    return start_locked(world, kind, call.node, type, vmid, call.identity.name, [step])


def _ready(call: Call, kind: Kind, vmid: int, digest: str | None) -> Guest:
    guest = find_guest(call.world, kind, call.node, vmid)
    require_unlocked(call.world, kind, vmid)
    check_lock(guest)
    if digest and digest != digest_of(call.world, guest):
        raise Failure(_MODIFIED)
    if guest.template:
        raise Failure(f"{KINDS[kind].word} {vmid} is a template")
    return guest


def _check_disk(world: World, source: Guest, target: Guest, key: str, target_key: str) -> Disk:
    word = KINDS[source.kind].word
    disk = next((disk for disk in disks_of(source.kind, source.config) if disk.key == key), None)
    if disk is None or disk.volid is None:
        raise Failure(f"Disk '{key}' for {word} '{source.vmid}' does not exist")
    if target_key in target.config:
        raise Failure(f"Disk key '{target_key}' is already in use for target VMID '{target.vmid}'")
    if disk.cdrom:
        raise Failure(f"Can't move a CD drive to another {word}")
    if source.running and not disk.unused:
        raise Failure(f"Cannot move disk to another {word} while the source {word} is running - detach first")
    without = {name: value for name, value in source.config.items() if name != key}
    if in_use(source, disk.volid, config=without):
        raise Failure(f"Can't move disk used by a snapshot to another {word}")
    if source_of(world, source.node, disk.volid).parent:
        raise Failure(f"Storage does not support moving of this disk to another {word}")
    return disk


@effect("guests.reassign")
def _reassign(
    world: World, task: Task, kind: Kind, vmid: int, target_vmid: int, key: str, target_key: str
) -> list[Step]:
    source, target = (find_guest(world, kind, task.node, each) for each in (vmid, target_vmid))
    disk = _check_disk(world, source, target, key, target_key)
    volume = source_of(world, source.node, disk.volid or "")
    moved = _renamed(world, source.node, volume, target_vmid)
    text = with_new_name(source.config[key], {volume.volid: moved.volid})
    if re.fullmatch(r"unused\d+", target_key):
        text = moved.volid
    world.put(replace(source, config={name: value for name, value in source.config.items() if name != key}))
    world.put(replace(target, config={**target.config, target_key: text}))
    word = KINDS[kind].word
    log = (
        f"moving disk '{key}' from {word} '{vmid}' to '{target_vmid}'",
        f"removing disk '{key}' from {word} '{vmid}' config",
        f"target disk '{target_key}' is now '{moved.volid}'",
    )
    return [Step(log=log)]


def _renamed(world: World, node: str, volume: Volume, vmid: int) -> Volume:
    """The volume under the next free name of another guest."""
    storage = find_storage(world, volume.storage)
    file = next_name(world, storage, node, vmid, volume.format)
    name = f"{vmid}/{file}" if TYPES[storage.type].has_files else file
    world.remove(Volume, volume.key)
    moved = replace(volume, name=name, vmid=vmid)
    world.put(moved)
    return moved
