"""Taking snapshots, going back to them, removing them: of both kinds of guest.

Source: recorded exchanges `qemu-snapshot/*`, `qemu-lock/007`, `qemu-power/032`, `lxc/047-050`, `lxc/071`;
`pve-behaviour` 22 and 41.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import Disk, disks_of, volumes_in
from pvesim.guests.features import has_feature
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import require_unlocked, start_locked, unlock
from pvesim.guests.power import found, halt, run
from pvesim.guests.records import Guest, Kind, Snapshot
from pvesim.guests.rules import check_lock, find_guest, find_snapshot
from pvesim.guests.sizes import MIB, maxmem
from pvesim.guests.volumes import add_unused, fill, free_volume, make_volume
from pvesim.routing import Call
from pvesim.storage.names import parse_name
from pvesim.storage.records import Storage
from pvesim.storage.types import TYPES
from pvesim.storage.volumes import volume_of

SNAPSHOT_SECONDS = 0.4
SAVE_SECONDS = 1.0
_RESERVED: Mapping[Kind, tuple[str, ...]] = {"qemu": ("current", "pending"), "lxc": ("current", "vzdump")}
_OVER = "guests.snapshot_over"
_LOCKS = ("snapshot", "rollback", "snapshot-delete")
_SECOND_HALVES = ("guests.snapshot_taken", "guests.rolled_back", "guests.snapshot_deleted")  # done with the lock held
_NOT_KEPT = ("lock", "description", "snaptime", "vmstate", "runningmachine", "runningcpu", "running-nets-host-mtu")


def _start(call: Call, kind: Kind, action: str, name: str, *arguments: Any) -> str:
    vmid = call.params["vmid"]
    step = Step(effect=f"guests.{action}", arguments=(kind, vmid, name, *arguments))
    type = f"{KINDS[kind].task}{action}"
    return start_locked(call.world, kind, call.node, type, vmid, call.identity.name, [step], _OVER)


@effect(_OVER)
def _over(world: World, task: Task, vmid: int) -> None:
    """Where the task was interrupted after it had locked the guest, that lock is taken away again."""
    guest = world.get(Guest, vmid)
    rest = next((step for step in task.steps if step.effect in _SECOND_HALVES), None)
    if guest is not None and rest is not None and guest.lock in _LOCKS:
        world.put(_unlocked(guest))
        if rest.effect == "guests.snapshot_taken" and rest.arguments[-1]:
            free_volume(world, guest.node, rest.arguments[-1], vmid)
    unlock(world, task, vmid)


def _unlocked(guest: Guest) -> Guest:
    return replace(guest, config={key: value for key, value in guest.config.items() if key != "lock"})


def _locked(guest: Guest, lock: str) -> Guest:
    return replace(guest, config={**guest.config, "lock": lock})


# -- taking --------------------------------------------------------------------------------------------------------


def take(kind: Kind, call: Call) -> str:
    """`POST …/snapshot`; the UPID. Raises `Failure` for a reserved name and for a machine that does not exist."""
    name = call.params["snapname"]
    if name in _RESERVED[kind]:
        raise Failure(f"unable to use snapshot name '{name}' (reserved name)")
    if kind == "qemu":
        find_guest(call.world, kind, call.node, call.params["vmid"])
    return _start(
        call, kind, "snapshot", name, str(call.params.get("description") or ""), bool(call.params.get("vmstate"))
    )


@effect("guests.snapshot")
def _take(
    world: World, task: Task, kind: Kind, vmid: int, name: str, description: str, with_memory: bool
) -> Iterable[Step]:
    guest = found(world, task, kind, vmid)
    if guest.template:
        raise Failure("you can't take a snapshot if it's a template")
    check_lock(guest)
    if any(snapshot.name == name for snapshot in guest.snapshots):
        raise Failure(f"snapshot name '{name}' already used")
    if not has_feature(world, guest, "snapshot"):
        raise Failure("snapshot feature is not available")
    world.put(_locked(guest, "snapshot"))
    steps: list[Step] = []
    volid = None
    if with_memory and guest.running and kind == "qemu":
        volid, saving = _save_memory(world, guest, name)
        steps.append(saving)
    log = tuple(line for disk in _snapshot_disks(kind, guest.config) for line in _snapshot_log(world, kind, disk, name))
    return [*steps, Step(SNAPSHOT_SECONDS, log, "guests.snapshot_taken", (kind, vmid, name, description, volid))]


def _save_memory(world: World, guest: Guest, name: str) -> tuple[str, Step]:
    """Make the volume for the memory; it is removed again with the snapshot."""
    from pvesim.qemu.power import state_storage

    storage = state_storage(world, guest)
    suffix = ".raw" if TYPES[world.rows(Storage)[storage].type].has_files else ""
    size = 2 * maxmem(guest) + 500 * MIB
    file = f"vm-{guest.vmid}-state-{name}{suffix}"
    volume = make_volume(world, guest.node, guest.vmid, storage, size, [], format="raw", name=file)
    used = int(maxmem(guest) * guest.behaviour.memory_load)
    fill(world, volume, used)
    saved = f"completed saving the VM state in {SAVE_SECONDS:.0f}s, saved {used / MIB:.2f} MiB"
    log = (f"saving VM state and RAM using storage '{storage}'", saved)
    return volume.volid, Step(SAVE_SECONDS, log)


def _snapshot_disks(kind: Kind, config: Mapping[str, Any]) -> Iterator[Disk]:
    for disk in disks_of(kind, config):
        if disk.volid and not disk.unused and (not disk.cdrom or disk.cloudinit):
            yield disk


def _snapshot_log(world: World, kind: Kind, disk: Disk, name: str) -> list[str]:
    log = [f"snapshotting 'drive-{disk.key}' ({disk.volid})"] if kind == "qemu" else []
    storage = world.get(Storage, disk.storage or "")
    if storage is not None and storage.type == "lvmthin":
        file = parse_name(storage, (disk.volid or "").partition(":")[2]).file
        log.append(f'  Logical volume "snap_{file}_{name}" created.')
    return log


@effect("guests.snapshot_taken")
def _taken(world: World, task: Task, kind: Kind, vmid: int, name: str, description: str, volid: str | None) -> None:
    guest = found(world, task, kind, vmid)
    config = {key: value for key, value in guest.config.items() if key not in _NOT_KEPT and key[:6] != "unused"}
    parent = config.pop("parent", None)
    if volid is not None:
        config["vmstate"] = volid
    snapshot = Snapshot(name, world.now, config, parent, description, volid is not None)
    now = {**_unlocked(guest).config, "parent": name}
    world.put(replace(guest, config=now, snapshots=(*guest.snapshots, snapshot)))


# -- going back ----------------------------------------------------------------------------------------------------


def rollback(kind: Kind, call: Call) -> str:
    """`POST …/snapshot/{snapname}/rollback`; the UPID."""
    return _start(call, kind, "rollback", call.params["snapname"], bool(call.params.get("start")))


@effect("guests.rollback")
def _rollback(world: World, task: Task, kind: Kind, vmid: int, name: str, start: bool) -> Iterable[Step]:
    guest = found(world, task, kind, vmid)
    if guest.template:
        raise Failure("you can't rollback if vm is a template")
    snapshot = find_snapshot(guest, name)
    _check_rollback(world, guest, snapshot)
    check_lock(guest)
    if guest.running:
        halt(world, task, kind, vmid)
    world.put(_locked(world.rows(Guest)[vmid], "rollback"))
    return [Step(SNAPSHOT_SECONDS, effect="guests.rolled_back", arguments=(kind, vmid, name, start))]


def _check_rollback(world: World, guest: Guest, snapshot: Snapshot) -> None:
    """Raise `Failure` where a storage goes back to its latest snapshot only."""
    newer = {other.parent for other in guest.snapshots}
    for disk in _snapshot_disks(guest.kind, snapshot.config):
        storage = world.get(Storage, disk.storage or "")
        if storage is not None and storage.type == "zfspool" and snapshot.name in newer:
            raise Failure(f"can't rollback, '{snapshot.name}' is not most recent snapshot on '{disk.volid}'")
        if storage is None or volume_of(world, guest.node, disk.volid or "") is None:
            raise Failure(f"volume '{disk.volid}' does not exist")


@effect("guests.rolled_back")
def _rolled_back(world: World, task: Task, kind: Kind, vmid: int, name: str, start: bool) -> Iterable[Step] | None:
    guest = found(world, task, kind, vmid)
    snapshot = find_snapshot(guest, name)
    kept = {key: value for key, value in guest.config.items() if key == "description" or key[:6] == "unused"}
    config = {**kept, **{key: value for key, value in snapshot.config.items() if key not in _NOT_KEPT}, "parent": name}
    if "vmgenid" in config:
        config["vmgenid"] = world.uuid()
    for disk in _snapshot_disks(kind, guest.config):
        if disk.volid:
            add_unused(kind, config, disk.volid)
    world.put(replace(guest, config=config, pending={}))
    if snapshot.vmstate:
        return [Step(0.5, effect="guests.boot", arguments=(kind, vmid))]
    if start:
        unlock(world, task, vmid)
        run(world, kind, task.node, "start", vmid, task.owner)
    return None


# -- removing ------------------------------------------------------------------------------------------------------


def delete(kind: Kind, call: Call) -> str:
    """`DELETE …/snapshot/{snapname}`; the UPID."""
    return _start(call, kind, "delsnapshot", call.params["snapname"])


@effect("guests.delsnapshot")
def _delete(world: World, task: Task, kind: Kind, vmid: int, name: str) -> Iterable[Step]:
    guest = found(world, task, kind, vmid)
    find_snapshot(guest, name)
    check_lock(guest)
    world.put(_locked(guest, "snapshot-delete"))
    return [Step(SNAPSHOT_SECONDS, effect="guests.snapshot_deleted", arguments=(kind, vmid, name))]


@effect("guests.snapshot_deleted")
def _deleted(world: World, task: Task, kind: Kind, vmid: int, name: str) -> Iterable[Step]:
    """The children of the snapshot become its parent's; volumes that nothing else names become unused."""
    guest = _unlocked(found(world, task, kind, vmid))
    gone = find_snapshot(guest, name)
    rest = tuple(
        replace(each, parent=gone.parent) if each.parent == name else each
        for each in guest.snapshots
        if each.name != name
    )
    config = dict(guest.config)
    if config.get("parent") == name:
        if gone.parent:
            config["parent"] = gone.parent
        else:
            del config["parent"]
    named = {volid for each in rest for volid in volumes_in(kind, each.config)}
    log: list[str] = []
    for disk in _snapshot_disks(kind, gone.config):
        log += _deletion_log(world, disk, name)
        if disk.volid and disk.volid not in named and volume_of(world, guest.node, disk.volid) is not None:
            add_unused(kind, config, disk.volid)
    if gone.vmstate:
        free_volume(world, guest.node, str(gone.config["vmstate"]), vmid)
    world.put(replace(guest, config=config, snapshots=rest))
    return [Step(log=tuple(log))] if log else []


def _deletion_log(world: World, disk: Disk, name: str) -> list[str]:
    storage = world.get(Storage, disk.storage or "")
    if storage is None or storage.type != "lvmthin":
        return []
    file = parse_name(storage, (disk.volid or "").partition(":")[2]).file
    return [f'  Logical volume "snap_{file}_{name}" successfully removed.']


# -- describing ----------------------------------------------------------------------------------------------------


def describe(kind: Kind, call: Call) -> None:
    """`PUT …/snapshot/{snapname}/config`: a new description. Raises `Failure` for a locked guest, an unknown name."""
    guest = find_guest(call.world, kind, call.node, call.params["vmid"])
    require_unlocked(call.world, kind, guest.vmid)
    check_lock(guest)
    snapshot = find_snapshot(guest, call.params["snapname"])
    if call.params.get("description") is None:
        return
    changed = replace(snapshot, description=call.params["description"])
    snapshots = tuple(changed if each is snapshot else each for each in guest.snapshots)
    call.world.put(replace(guest, snapshots=snapshots))
