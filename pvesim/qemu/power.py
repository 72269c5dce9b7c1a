"""What the power actions do to a virtual machine.

Source: recorded exchanges `qemu-power/*`, `qemu-lock/005-017`, `qemu-clone/015`, `tasks/027-037`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.locks import holds_lock, unlock
from pvesim.guests.power import (
    KILL_SECONDS,
    STOP_SECONDS,
    boot_steps,
    drop_volume,
    failing,
    found,
    halt,
    halt_step,
    time_limit,
    waits_for_shutdown,
)
from pvesim.guests.records import Guest
from pvesim.guests.rules import agent_enabled, check_lock, check_not_template, parse_disks, require_existing
from pvesim.guests.sizes import MIB, maxmem
from pvesim.guests.startable import bridge_log, check_cpus, check_passed_through, check_volumes, missing_bridge
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import find_storage
from pvesim.storage.types import TYPES
from pvesim.storage.volumes import allocate

BOOT_SECONDS = 1.0
SAVE_SECONDS = 2.0
PING_SECONDS = 3.0  # until an agent that does not answer is given up
_STATE_RESERVE = 500 * MIB


@effect("qemu.start")
def _start(world: World, task: Task, vmid: int, skiplock: bool = False) -> Iterable[Step] | None:
    guest = found(world, task, "qemu", vmid)
    check_not_template(guest)
    if guest.lock == "backup" and guest.running:  # a backup started it, and holds it back until now
        world.put(replace(guest, qmpstatus="running"))
        return None
    check_lock(guest, "suspended", skip=skiplock)
    if guest.running:
        raise Failure(f"VM {vmid} already running")
    return boot_steps("qemu", vmid, BOOT_SECONDS)


@effect("qemu.prepare")
def _prepare(world: World, task: Task, vmid: int) -> Iterable[Step]:
    guest = found(world, task, "qemu", vmid)
    check_cpus(world, guest)
    check_passed_through(world, guest)
    check_volumes(world, guest)
    steps: list[Step] = []
    if guest.config.get("bios") == "ovmf" and "efidisk0" not in guest.config:
        steps.append(Step(log=("WARN: no efidisk configured! Using temporary efivars disk.",), warning=True))
    if any(disk.cloudinit for disk in parse_disks(guest)):
        world.put(replace(guest, cloudinit={}))
        steps.append(Step(log=("generating cloud-init ISO",)))
    if guest.lock == "suspended":
        steps.append(Step(log=("Resuming suspended VM",)))
    missing = missing_bridge(world, guest)
    if missing is not None:
        steps.append(failing("start failed: QEMU exited with code 1", BOOT_SECONDS, bridge_log(guest, *missing)))
    return steps


@effect("qemu.stop")
def _stop(world: World, task: Task, vmid: int, skiplock: bool = False) -> Iterable[Step] | None:
    guest = require_existing(world, "qemu", task.node, vmid)
    if not guest.running:
        return None
    check_lock(guest, skip=skiplock)
    return [halt_step("qemu", vmid, STOP_SECONDS)]


@effect("qemu.shutdown")
def _shutdown(
    world: World, task: Task, vmid: int, skiplock: bool = False, timeout: float | None = None, force: bool = False
) -> Iterable[Step] | None:
    guest = require_existing(world, "qemu", task.node, vmid)
    if not guest.running:
        return None
    check_lock(guest, skip=skiplock)
    return _shutdown_steps(guest, time_limit(guest, timeout), force)


def _shutdown_steps(guest: Guest, limit: float, force: bool) -> list[Step]:
    vmid, steps, heeds = guest.vmid, [], guest.behaviour.acpi
    if agent_enabled(guest.config):
        if guest.behaviour.agent:
            heeds = True
        else:
            silence = f"QEMU Guest Agent is not running - VM {vmid} qga command 'guest-ping' failed - got timeout"
            steps.append(Step(PING_SECONDS, (silence,)))
    if waits_for_shutdown(guest, heeds, limit):
        steps.append(halt_step("qemu", vmid, guest.behaviour.shutdown_seconds))
    elif force:
        steps.append(Step(limit, ("VM still running - terminating now with SIGTERM",)))
        steps.append(halt_step("qemu", vmid, KILL_SECONDS))
    else:
        steps.append(failing("VM quit/powerdown failed - got timeout", limit))
    return steps


@effect("qemu.reboot")
def _reboot(world: World, task: Task, vmid: int, timeout: float | None = None) -> Iterable[Step] | None:
    guest = require_existing(world, "qemu", task.node, vmid)
    if not guest.running:
        return None
    check_lock(guest)
    return [*_shutdown_steps(guest, time_limit(guest, timeout), False), *boot_steps("qemu", vmid, BOOT_SECONDS)]


@effect("qemu.reset")
def _reset(world: World, task: Task, vmid: int, skiplock: bool = False) -> None:
    """The guest begins anew inside its process, so nothing that the API shows changes."""
    check_lock(found(world, task, "qemu", vmid), skip=skiplock)


@effect("qemu.suspend")
def _suspend(world: World, task: Task, vmid: int, skiplock: bool = False) -> None:
    guest = _still_running(world, task, vmid)
    check_lock(guest, "backup", skip=skiplock)
    world.put(replace(guest, qmpstatus="paused"))


@effect("qemu.suspend_to_disk")
def _suspend_to_disk(
    world: World, task: Task, vmid: int, skiplock: bool = False, storage: str | None = None
) -> Iterable[Step]:
    guest = _still_running(world, task, vmid)
    check_lock(guest, skip=skiplock)
    volume = _state_volume(world, guest, storage or state_storage(world, guest))
    world.put(replace(guest, config={**guest.config, "lock": "suspending", "vmstate": volume.volid}))
    return [Step(SAVE_SECONDS, ("State saved, quitting",), "qemu.suspended", (vmid,))]


@effect("qemu.suspended")
def _suspended(world: World, task: Task, vmid: int) -> None:
    guest = found(world, task, "qemu", vmid)
    world.put(replace(guest, config={**guest.config, "lock": "suspended"}))
    halt(world, task, "qemu", vmid)


@effect("qemu.suspend_over")
def _suspend_over(world: World, task: Task, vmid: int) -> None:
    """Where saving the state was interrupted, what there is of it goes away."""
    guest = world.get(Guest, vmid)
    if guest is not None and guest.lock == "suspending" and holds_lock(world, task, vmid):
        config = {key: value for key, value in guest.config.items() if key not in ("lock", "vmstate")}
        world.put(replace(guest, config=config))
        drop_volume(world, guest.node, str(guest.config["vmstate"]))
    unlock(world, task, vmid)


@effect("qemu.resume")
def _resume(world: World, task: Task, vmid: int, skiplock: bool = False) -> Iterable[Step] | None:
    guest = found(world, task, "qemu", vmid)
    if guest.lock == "suspended" and not guest.running:
        return boot_steps("qemu", vmid, BOOT_SECONDS)
    check_lock(guest, "backup", skip=skiplock)
    _still_running(world, task, vmid)
    world.put(replace(guest, qmpstatus="running"))
    return None


def _still_running(world: World, task: Task, vmid: int) -> Guest:
    guest = found(world, task, "qemu", vmid)
    if not guest.running:
        raise Failure(f"VM {vmid} not running")
    return guest


def state_storage(world: World, guest: Guest) -> str:
    """Where a memory state is saved when nobody says: as configured, with the disks (shared first), or `local`."""
    if guest.config.get("vmstatestorage"):
        return str(guest.config["vmstatestorage"])
    used = [world.get(Storage, disk.storage) for disk in parse_disks(guest) if disk.storage and not disk.cdrom]
    storages = [storage for storage in used if storage is not None and "images" in storage.content]
    storages.sort(key=lambda storage: not storage.shared)
    return storages[0].storage if storages else "local"


def _state_volume(world: World, guest: Guest, storage: str) -> Volume:
    """A volume for the whole memory, with what of it is in use written to it."""
    found, memory = find_storage(world, storage), maxmem(guest)
    suffix = ".raw" if TYPES[found.type].has_files else ""
    name = f"vm-{guest.vmid}-state-suspend-{datetime.fromtimestamp(world.now, UTC):%Y-%m-%d}{suffix}"
    volume = allocate(world, storage, guest.node, guest.vmid, 2 * memory + _STATE_RESERVE, "raw", name=name)
    volume = replace(volume, used=int(memory * guest.behaviour.memory_load))
    world.put(volume)
    return volume
