"""What the power actions do to a container.

Source: recorded exchanges `lxc/041-046`, `lxc/054-069`. A stock node has no software to freeze containers, so
suspending one fails there; with `Behaviour.checkpoint` it succeeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.power import (
    KILL_SECONDS,
    STOP_SECONDS,
    boot_steps,
    failing,
    found,
    halt_step,
    time_limit,
    waits_for_shutdown,
)
from pvesim.guests.records import Guest
from pvesim.guests.rules import check_lock, check_not_template
from pvesim.guests.startable import bridge_log, check_volumes, missing_bridge

BOOT_SECONDS = 0.6
FROZEN = "suspended"
_DUMP_DIRECTORY = "/var/lib/vz/dump"


@effect("lxc.start")
def _start(world: World, task: Task, vmid: int, skiplock: bool = False) -> Iterable[Step]:
    guest = found(world, task, "lxc", vmid)
    check_not_template(guest)
    check_lock(guest, "mounted", skip=skiplock)
    if guest.running:
        raise Failure(f"CT {vmid} already running")
    return boot_steps("lxc", vmid, BOOT_SECONDS)


@effect("lxc.prepare")
def _prepare(world: World, task: Task, vmid: int) -> Iterable[Step] | None:
    guest = found(world, task, "lxc", vmid)
    check_volumes(world, guest)
    missing = missing_bridge(world, guest)
    if missing is None:
        return None
    return [failing(f"startup for container '{vmid}' failed", BOOT_SECONDS, bridge_log(guest, *missing))]


@effect("lxc.stop")
def _stop(world: World, task: Task, vmid: int, skiplock: bool = False) -> Iterable[Step]:
    guest = _still_running(world, task, vmid)
    check_lock(guest, skip=skiplock)
    return [halt_step("lxc", vmid, STOP_SECONDS)]


@effect("lxc.shutdown")
def _shutdown(
    world: World, task: Task, vmid: int, skiplock: bool = False, timeout: float | None = None, force: bool = False
) -> Iterable[Step]:
    guest = _still_running(world, task, vmid)
    check_lock(guest, skip=skiplock)
    return _shutdown_steps(guest, time_limit(guest, timeout), force)


def _shutdown_steps(guest: Guest, limit: float, force: bool) -> list[Step]:
    vmid = guest.vmid
    if waits_for_shutdown(guest, guest.behaviour.acpi, limit):
        return [halt_step("lxc", vmid, guest.behaviour.shutdown_seconds)]
    if force:
        return [halt_step("lxc", vmid, limit + KILL_SECONDS)]
    return [failing(f"command 'lxc-stop -n {vmid} --nokill --timeout {limit:g}' failed: exit code 1", limit)]


@effect("lxc.reboot")
def _reboot(world: World, task: Task, vmid: int, timeout: float | None = None) -> Iterable[Step]:
    guest = _still_running(world, task, vmid)
    check_lock(guest)
    return [*_shutdown_steps(guest, time_limit(guest, timeout), False), *boot_steps("lxc", vmid, BOOT_SECONDS)]


@effect("lxc.suspend")
def _suspend(world: World, task: Task, vmid: int) -> Iterable[Step]:
    guest = _still_running(world, task, vmid)
    check_lock(guest)
    if not guest.behaviour.checkpoint:
        return [_no_checkpoint(vmid, f"-s -D {_DUMP_DIRECTORY}")]
    return [Step(1.0, effect="lxc.frozen", arguments=(vmid,))]


@effect("lxc.frozen")
def _freeze(world: World, task: Task, vmid: int) -> None:
    guest = found(world, task, "lxc", vmid)
    world.put(replace(guest, status="stopped", qmpstatus=FROZEN, started=0.0, pid=None))


@effect("lxc.resume")
def _resume(world: World, task: Task, vmid: int) -> Iterable[Step]:
    guest = found(world, task, "lxc", vmid)
    check_lock(guest)
    if guest.qmpstatus != FROZEN:
        return [_no_checkpoint(vmid, f"-r --foreground -D {_DUMP_DIRECTORY}")]
    return [Step(0.6, effect="guests.boot", arguments=("lxc", vmid))]


def _no_checkpoint(vmid: int, arguments: str) -> Step:
    return failing(f"command 'lxc-checkpoint -n {vmid} {arguments}' failed: exit code 1", log=("",))


def _still_running(world: World, task: Task, vmid: int) -> Guest:
    guest = found(world, task, "lxc", vmid)
    if not guest.running:
        raise Failure(f"CT {vmid} not running")
    return guest
