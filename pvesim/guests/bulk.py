"""Starting, stopping, suspending and moving many guests of a node by one task.

Source: recorded exchanges `delete/006-007`, `qemu-migrate/007`; parameters of `startall`, `stopall`, `suspendall`,
`migrateall`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pvesim.contract import split_list
from pvesim.core.errors import ApiError, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.guests.kinds import KINDS
from pvesim.guests.migrate import start_migration
from pvesim.guests.newcomers import check_node
from pvesim.guests.power import run
from pvesim.guests.records import Guest
from pvesim.guests.rules import guests_on, managed_by_ha
from pvesim.routing import Call

_POLL = 0.2
_STOP_TIMEOUT = {"qemu": 180, "lxc": 60}
_LAST = 1 << 30


def start_all(call: Call) -> str:
    """`POST /nodes/{node}/startall`: those with `onboot`, or with `force` or by id any that are off."""
    vmids = _named(call, "VM.PowerMgmt")
    arguments = (vmids, bool(call.params.get("force")))
    return call.start("startall", "", [Step(effect="guests.start_all", arguments=arguments)])


def stop_all(call: Call) -> str:
    """`POST /nodes/{node}/stopall`."""
    vmids, force = _named(call, "VM.PowerMgmt"), call.params.get("force-stop") is not False
    arguments = (vmids, force, call.params.get("timeout"))
    return call.start("stopall", "", [Step(effect="guests.stop_all", arguments=arguments)])


def suspend_all(call: Call) -> str:
    """`POST /nodes/{node}/suspendall`: machines only."""
    return call.start("suspendall", "", [Step(effect="guests.suspend_all", arguments=(_named(call, "VM.PowerMgmt"),))])


def migrate_all(call: Call) -> str:
    """`POST /nodes/{node}/migrateall`."""
    vmids, target = _named(call, "VM.Migrate"), call.params["target"]
    if target in (call.node, "localhost"):
        raise ParameterErrors({"target": "target is local node."})
    check_node(call.world, target)
    arguments = (vmids, target, bool(call.params.get("with-local-disks")))
    return call.start("migrateall", "", [Step(effect="guests.migrate_all", arguments=arguments)])


def _named(call: Call, privilege: str) -> tuple[int, ...]:
    """The ids that a request names, none for all. Raises `Forbidden`."""
    vmids = tuple(int(vmid) for vmid in split_list(call.params.get("vms") or ""))
    if not call.may("/", privilege):
        for vmid in vmids:
            call.check(f"/vms/{vmid}", privilege)
        if not vmids:
            call.check("/", privilege)
    return vmids


def _chosen(world: World, node: str, vmids: Sequence[int]) -> list[Guest]:
    """The node's guests that are meant, in the order in which they start; templates are none."""
    guests = [*guests_on(world, "qemu", node), *guests_on(world, "lxc", node)]
    chosen = [guest for guest in guests if not guest.template and (not vmids or guest.vmid in vmids)]
    return sorted(chosen, key=lambda guest: (_order(guest), guest.vmid))


def _order(guest: Guest) -> int:
    text = read_options(str(guest.config.get("startup", "")), "order").get("order", "")
    return int(text) if text.isdigit() else _LAST


@effect("guests.start_all")
def _start_all(world: World, task: Task, vmids: Sequence[int], force: bool) -> Iterable[Step]:
    for guest in _chosen(world, task.node, vmids):
        wanted = force or bool(vmids) or bool(guest.config.get("onboot"))
        if wanted and not guest.running and not managed_by_ha(world, guest):
            yield Step(
                log=(f"Starting {KINDS[guest.kind].word} {guest.vmid}",),
                effect="guests.start_one",
                arguments=(guest.vmid,),
            )


@effect("guests.start_one")
def _start_one(world: World, task: Task, vmid: int) -> Iterable[Step]:
    guest = world.get(Guest, vmid)
    if guest is None:
        return []
    upid = run(world, guest.kind, task.node, "start", vmid, task.owner)
    return [_await(guest, upid, "Starting"), *_delay(guest)]


def _delay(guest: Guest) -> list[Step]:
    """The pause that the guest's startup options ask for before the next one starts."""
    up = read_options(str(guest.config.get("startup", "")), "order").get("up", "0")
    if not up.isdigit() or not int(up):
        return []
    return [Step(log=(f"Waiting for {up} seconds (startup delay)",)), Step(float(up))]


def _await(guest: Guest, upid: str, what: str) -> Step:
    return Step(effect="guests.await", arguments=(upid, f"{what} {KINDS[guest.kind].word} {guest.vmid} failed"))


@effect("guests.await")
def _look(world: World, task: Task, upid: str, failure: str) -> Iterable[Step]:
    child = world.get(Task, upid)
    if child is None:
        return []
    if child.running:
        return [Step(_POLL, effect="guests.await", arguments=(upid, failure))]
    status = child.exitstatus or ""
    return [] if status == "OK" or status.startswith("WARNINGS") else [Step(log=(f"{failure}: {status}",))]


@effect("guests.stop_all")
def _stop_all(world: World, task: Task, vmids: Sequence[int], force: bool, timeout: int | None) -> Iterable[Step]:
    """All are asked at once, those that start last first."""
    waits: list[Step] = []
    for guest in reversed(_chosen(world, task.node, vmids)):
        if not guest.running or managed_by_ha(world, guest):
            continue
        down = read_options(str(guest.config.get("startup", "")), "order").get("down")
        limit = int(down) if down else timeout if timeout is not None else _STOP_TIMEOUT[guest.kind]
        arguments: tuple[Any, ...] = (False, limit, force) if guest.kind == "qemu" else (limit, force)
        upid = run(world, guest.kind, task.node, "shutdown", guest.vmid, task.owner, *arguments)
        waits.append(_await(guest, upid, "Stopping"))
        yield Step(log=(f"Stopping {KINDS[guest.kind].word} {guest.vmid} (timeout = {limit} seconds)",))
    yield from waits


@effect("guests.suspend_all")
def _suspend_all(world: World, task: Task, vmids: Sequence[int]) -> Iterable[Step]:
    waits: list[Step] = []
    for guest in reversed(_chosen(world, task.node, vmids)):
        if guest.kind != "qemu" or not guest.running or managed_by_ha(world, guest):
            continue
        upid = run(world, "qemu", task.node, "suspend_to_disk", guest.vmid, task.owner, False, None)
        waits.append(_await(guest, upid, "Suspending"))
        yield Step(log=(f"Suspending VM {guest.vmid}",))
    yield from waits


@effect("guests.migrate_all")
def _migrate_all(world: World, task: Task, vmids: Sequence[int], target: str, with_disks: bool) -> Iterable[Step]:
    for guest in _chosen(world, task.node, vmids):
        arguments = (guest.vmid, target, with_disks)
        log = (f"Migrating {KINDS[guest.kind].word} {guest.vmid}",)
        yield Step(log=log, effect="guests.migrate_one", arguments=arguments)


@effect("guests.migrate_one")
def _migrate_one(world: World, task: Task, vmid: int, target: str, with_disks: bool) -> Iterable[Step]:
    guest = world.get(Guest, vmid)
    if guest is None:
        return []
    try:
        upid = start_migration(world, guest, task.owner, target, online=guest.running, with_disks=with_disks)
    except ApiError as error:
        return [Step(log=(error.message,))]
    return [_await(guest, upid, "Migrating")]
