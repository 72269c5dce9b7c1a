"""Making a template of a guest: its volumes become bases that clones can stand on.

Source: recorded exchanges `qemu-clone/012-014`, `qemu-power/031`, `qemu-snapshot/031`, `lxc/060-065`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import disks_of
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import require_unlocked, start_locked
from pvesim.guests.power import found
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.volumes import with_new_name
from pvesim.routing import Call
from pvesim.storage.records import Volume
from pvesim.storage.rules import find_storage
from pvesim.storage.volumes import volume_of

TEMPLATE_SECONDS = 0.3
_NO_BASE_TYPES = ("lvm", "iscsi", "iscsidirect")
_FILE = re.compile(r"(?P<folder>(?:.*/)?)(?P<kind>vm|subvol)-(?P<rest>[^/]+)")


@dataclass(frozen=True, slots=True)
class _Words:
    """How the texts name a kind of guest."""

    snapshots: str
    running: str


_WORDS: Mapping[Kind, _Words] = {
    "qemu": _Words("VM contains snapshots", "a VM to template if VM is running"),
    "lxc": _Words("CT contains snapshots", "a CT to template if the CT is running"),
}


def make_template(kind: Kind, call: Call) -> str:
    """Start the task that makes a template; the UPID."""
    vmid, disk = call.params["vmid"], call.params.get("disk")
    guest = find_guest(call.world, kind, call.node, vmid)
    require_unlocked(call.world, kind, vmid)
    _check(call.world, guest, disk)
    steps = [Step(TEMPLATE_SECONDS), Step(TEMPLATE_SECONDS, effect="guests.template", arguments=(kind, vmid, disk))]
    type = f"{KINDS[kind].task}template"
    return start_locked(call.world, kind, call.node, type, vmid, call.identity.name, steps)


def _check(world: World, guest: Guest, disk: str | None) -> None:
    words = _WORDS[guest.kind]
    check_lock(guest)
    if guest.snapshots:
        raise Failure(f"unable to create template, because {words.snapshots}")
    if guest.template and not disk:
        raise Failure("you can't convert a template to a template")
    if guest.running:
        raise Failure(f"you can't convert {words.running}")
    for each in disks_of(guest.kind, guest.config):
        stays = each.cdrom or each.unused or not each.volid
        if not stays and find_storage(world, each.storage or "").type in _NO_BASE_TYPES:
            raise Failure(f"Template feature is not available for '{each.volid}'")


@effect("guests.template")
def _template(world: World, task: Task, kind: Kind, vmid: int, only: str | None) -> None:
    guest = found(world, task, kind, vmid)
    _check(world, guest, only)
    names: dict[str, str] = {}
    for disk in disks_of(kind, guest.config):
        if disk.cdrom or disk.unused or disk.volid is None or (only and disk.key != only):
            continue
        volume = volume_of(world, guest.node, disk.volid)
        if volume is None:
            raise Failure(f"volume '{disk.volid}' does not exist")
        names[disk.volid] = _as_base(world, volume).volid
    config = {key: with_new_name(value, names) for key, value in guest.config.items()}
    pending = {key: with_new_name(value, names) for key, value in guest.pending.items()}
    world.put(replace(guest, config={**config, "template": 1}, pending=pending))


def _as_base(world: World, volume: Volume) -> Volume:
    """The volume under the name of a base: `vm-` becomes `base-`, `subvol-` `basevol-`."""
    match = _FILE.fullmatch(volume.name)
    if match is None:  # a base already
        return volume
    prefix = "base" if match["kind"] == "vm" else "basevol"
    world.remove(Volume, volume.key)
    base = replace(volume, name=f"{match['folder']}{prefix}-{match['rest']}")
    world.put(base)
    return base
