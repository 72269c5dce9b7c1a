"""Starting, stopping, suspending and moving many guests by one task, of a node or of the whole cluster.

The task goes through groups of guests, one after the other: those with the same order in their `startup` options. Of a
group it starts as many sub-tasks at a time as it may, waits for them, and says which failed.
Source: recorded exchanges `delete/006-007`, `nodes/069`, `qemu-migrate/007`; the methods' parameters and defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from pvesim.access.rules import Identity, has_privileges
from pvesim.cluster.rules import the_cluster
from pvesim.contract.formats import split_list
from pvesim.core.errors import ApiError, Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.guests.kinds import KINDS
from pvesim.guests.migrate import start_migration
from pvesim.guests.newcomers import check_node
from pvesim.guests.power import ask_ha, run
from pvesim.guests.preconditions import preconditions
from pvesim.guests.records import Guest
from pvesim.guests.rules import managed_by_ha
from pvesim.ha.commands import request_move
from pvesim.nodes.records import Node
from pvesim.qemu.power import state_storage
from pvesim.routing import Call

_POLL = 1.0
_LAST = 1 << 62  # the order of guests that name none
_MOST_WORKERS = 8
_STOP_TIMEOUT = 180
Running = tuple[int, str, float]  # a guest, its sub-task or nothing, and until when its place is taken


# -- requests ------------------------------------------------------------------------------------------------------


def start_all(call: Call) -> str:
    """`POST /nodes/{node}/startall`: those with `onboot`; with `force` all."""
    named = _named(call, "VM.PowerMgmt")
    force = bool(call.params.get("force"))
    return call.start("startall", "", start_steps(call.node, named, _workers(call, call.node), force=force))


def start_steps(node: str, named: Sequence[int] | None, workers: int, *, force: bool = False) -> list[Step]:
    """The steps of such a task; a node that has booted runs them too."""
    wanted = {"force": force}
    return [Step(effect="bulk.begin", arguments=("start", (node,), named, workers, wanted))]


def stop_all(call: Call) -> str:
    """`POST /nodes/{node}/stopall`."""
    named, params = _named(call, "VM.PowerMgmt"), call.params
    wanted = {"force": params.get("force-stop") is not False, "timeout": params.get("timeout", _STOP_TIMEOUT)}
    return call.start("stopall", "", stop_steps(call.node, named, _workers(call, call.node), wanted))


def stop_steps(node: str, named: Sequence[int] | None, workers: int, wanted: Mapping[str, Any]) -> list[Step]:
    """The steps of such a task; a node that goes down runs them too. `wanted` has `force` and `timeout`."""
    return [Step(effect="bulk.begin", arguments=("stop", (node,), named, workers, wanted))]


def suspend_all(call: Call) -> str:
    """`POST /nodes/{node}/suspendall`: machines only, to disk."""
    named = _named(call, "VM.PowerMgmt")
    arguments = ("suspend", (call.node,), named, _workers(call, call.node), {"todisk": True, "storage": None})
    return call.start("suspendall", "", [Step(effect="bulk.begin", arguments=arguments)])


def migrate_all(call: Call) -> str:
    """`POST /nodes/{node}/migrateall`. Raises `Failure` where neither the request nor the cluster limits it."""
    named, params, target = _named(call, "VM.Migrate"), call.params, call.params["target"]
    if target in (call.node, "localhost"):
        raise ParameterErrors({"target": "target is local node."})
    check_node(call.world, target)
    workers = params.get("max-workers") or params.get("maxworkers") or _limit_of_cluster(call.world)
    if not workers:
        raise Failure("either 'maxworkers' parameter or max_workers in datacenter.cfg must be set!")
    wanted = {"target": target, "with-local-disks": params.get("with-local-disks")}
    arguments = ("migrate", (call.node,), named, workers, wanted)
    return call.start("migrateall", "", [Step(effect="bulk.begin", arguments=arguments)])


def bulk_action(call: Call, action: str) -> str:
    """`POST /cluster/bulk-action/guest/…`: the same for guests wherever they are."""
    params, named = call.params, _listed(call, "VM.Migrate" if action == "migrate" else "VM.PowerMgmt")
    workers = params.get("max-workers") or params.get("maxworkers") or (1 if action == "migrate" else 4)
    wanted: dict[str, Any]
    if action == "migrate":
        check_node(call.world, params["target"])
        wanted = {name: params.get(name) for name in ("target", "with-local-disks", "online")}
    elif action == "suspend":
        wanted = {"todisk": bool(params.get("to-disk")), "storage": params.get("statestorage")}
    elif action == "stop":
        wanted = {"force": params.get("force-stop") is not False, "timeout": params.get("timeout", _STOP_TIMEOUT)}
    else:
        wanted = {"force": True}
    nodes = tuple(sorted(call.world.rows(Node)))
    type = "bulkshutdown" if action == "stop" else f"bulk{action}"
    return call.start(type, "", [Step(effect="bulk.begin", arguments=(action, nodes, named, workers, wanted))])


def _named(call: Call, privilege: str) -> tuple[int, ...] | None:
    """The ids that a request names, None where it names none and means all. Raises `Forbidden`."""
    given = call.params.get("vms")
    named = None if given is None else tuple(int(vmid) for vmid in split_list(given))
    _check_rights(call, named, privilege)
    return named


def _listed(call: Call, privilege: str) -> tuple[int, ...] | None:
    given = call.params.get("vms")
    named = None if given is None else tuple(int(vmid) for vmid in given)
    _check_rights(call, named, privilege)
    return named


def _check_rights(call: Call, named: Sequence[int] | None, privilege: str) -> None:
    if call.may("/", privilege):
        return
    for vmid in named or ():
        call.check(f"/vms/{vmid}", privilege)
    if not named:
        call.check("/", privilege)


def _workers(call: Call, node: str) -> int:
    asked: int = call.params.get("max-workers") or default_workers(call.world, node)
    return asked


def default_workers(world: World, node: str) -> int:
    """How many sub-tasks may run at a time: as the cluster is set, or as many as the node has CPUs, at most eight."""
    record = world.get(Node, node)
    cpus = record.hardware.cpus if record is not None else 1
    return _limit_of_cluster(world) or min(cpus, _MOST_WORKERS)


def _limit_of_cluster(world: World) -> int:
    return int(the_cluster(world).options.get("max_workers", 0))


# -- the task ------------------------------------------------------------------------------------------------------


@effect("bulk.begin")
def _begin(
    world: World,
    task: Task,
    action: str,
    nodes: Sequence[str],
    named: Sequence[int] | None,
    workers: int,
    wanted: Mapping[str, Any],
) -> Iterable[Step]:
    log = _drop_left_over_locks(world, nodes[0]) if task.type == "startall" else []
    guests = _chosen(world, action, nodes, named, wanted)
    if action == "migrate" and not guests:
        return [Step(log=("no virtual guests matched, nothing to do..",))]
    groups = [tuple(guest.vmid for guest in group) for _, group in groupby(guests, _order)]
    if action == "migrate":
        groups = [tuple(sorted(vmid for group in groups for vmid in group))]
    elif action != "start":  # what starts last stops first
        groups = [group[::-1] for group in reversed(groups)]
    return [Step(log=tuple(log)), _go_on(0.0, action, wanted, workers, tuple(groups), (), 0)]


def _go_on(
    after: float,
    action: str,
    wanted: Mapping[str, Any],
    workers: int,
    groups: tuple[tuple[int, ...], ...],
    running: tuple[Running, ...],
    started: int,
) -> Step:
    return Step(after, effect="bulk.go_on", arguments=(action, wanted, workers, groups, running, started))


def _chosen(
    world: World, action: str, nodes: Sequence[str], named: Sequence[int] | None, wanted: Mapping[str, Any]
) -> list[Guest]:
    """The guests that are meant, in the order in which they start.

    Templates are only ever moved; what HA manages is left to it unless it is named.
    """
    chosen = [
        guest
        for guest in world.rows(Guest).values()
        if guest.node in nodes
        and (named is None or guest.vmid in named)
        and (not guest.template or action == "migrate")
        and (named is not None or action == "migrate" or not managed_by_ha(world, guest))
        and (action != "start" or wanted["force"] or guest.config.get("onboot"))
    ]
    return sorted(chosen, key=lambda guest: (_order(guest), guest.vmid))


def _startup(guest: Guest) -> Mapping[str, str]:
    return read_options(str(guest.config.get("startup", "")), "order")


def _order(guest: Guest) -> int:
    text = _startup(guest).get("order", "")
    return int(text) if text.isdigit() else _LAST


def _drop_left_over_locks(world: World, node: str) -> list[str]:
    """A backup's lock does not outlive the backup: a node that starts its guests takes it away."""
    if any(task.running and task.type == "vzdump" and task.node == node for task in world.rows(Task).values()):
        return []
    log = []
    for guest in list(world.rows(Guest).values()):
        if guest.node == node and guest.lock == "backup":
            world.put(replace(guest, config={key: value for key, value in guest.config.items() if key != "lock"}))
            log.append(f"removed left over backup lock from '{guest.vmid}'!")
    return log


@effect("bulk.go_on")
def _look(
    world: World,
    task: Task,
    action: str,
    wanted: Mapping[str, Any],
    workers: int,
    groups: tuple[tuple[int, ...], ...],
    running: tuple[Running, ...],
    started: int,
) -> Iterable[Step]:
    """See which sub-tasks have ended, start what may start now, and look again while there is something to do."""
    log: list[str] = []
    busy = [entry for each in running if (entry := _still_busy(world, action, each, log)) is not None]
    pausing = any(not upid for _, upid, _ in busy)
    while groups and not pausing and len(busy) < workers and (groups[0] or not busy):
        if not groups[0]:
            groups = groups[1:]
            continue
        vmid, groups = groups[0][0], (groups[0][1:], *groups[1:])
        upid = _start_one(world, task, action, vmid, wanted, log)
        if upid:
            started += 1
            busy.append((vmid, upid, 0.0))
    if busy or any(groups):
        return [Step(log=tuple(log)), _go_on(_POLL, action, wanted, workers, groups, tuple(busy), started)]
    if action == "migrate":
        if not started:
            return [Step(log=tuple(log)), Step(effect="guests.fail", arguments=("no migrations worker started...",))]
        log.append(f"All jobs finished, used {started} workers in total.")
    return [Step(log=tuple(log))]


def _still_busy(world: World, action: str, entry: Running, log: list[str]) -> Running | None:
    """What a place of the queue goes on with: the same, the pause that a guest wants after its start, or nothing."""
    vmid, upid, until = entry
    if not upid:
        return entry if until > world.now else None
    child, guest = world.get(Task, upid), world.get(Guest, vmid)
    if child is not None and child.running:
        return entry
    if child is None or guest is None or action != "start":
        return None
    if child.exitstatus != "OK" and not str(child.exitstatus).startswith("WARNINGS"):
        log.append(f"Starting {KINDS[guest.kind].word} {vmid} failed: {child.exitstatus}")
        return None
    up = _startup(guest).get("up", "")
    if not up.isdigit() or not int(up):
        return None
    log.append(f"Waiting for {int(up)} seconds (startup delay)")
    return (vmid, "", world.now + int(up))


# -- one guest -----------------------------------------------------------------------------------------------------


def _start_one(
    world: World, task: Task, action: str, vmid: int, wanted: Mapping[str, Any], log: list[str]
) -> str | None:
    """Start the sub-task for a guest; None where there is nothing to do for it."""
    guest = world.get(Guest, vmid)
    node = world.get(Node, guest.node) if guest is not None else None
    if guest is None or node is None:
        return None
    if not node.online:
        log.append(f"skipping {KINDS[guest.kind].word} {vmid}, node '{guest.node}' is offline")
        return None
    return _ACTIONS[action](world, task, guest, wanted, log)


def _start(world: World, task: Task, guest: Guest, wanted: Mapping[str, Any], log: list[str]) -> str | None:
    if guest.running:
        return None
    log.append(f"Starting {KINDS[guest.kind].word} {guest.vmid}")
    if managed_by_ha(world, guest):
        return ask_ha(world, guest, "start", task.owner)
    return run(world, guest.kind, guest.node, "start", guest.vmid, task.owner)


def _stop(world: World, task: Task, guest: Guest, wanted: Mapping[str, Any], log: list[str]) -> str | None:
    if not guest.running:
        return None
    down = _startup(guest).get("down", "")
    limit = int(down) if down.isdigit() else int(wanted["timeout"])
    log.append(f"Stopping {KINDS[guest.kind].word} {guest.vmid} (timeout = {limit} seconds)")
    if managed_by_ha(world, guest):
        return ask_ha(world, guest, "stop", task.owner)
    return run(world, guest.kind, guest.node, "shutdown", guest.vmid, task.owner, False, limit, wanted["force"])


def _suspend(world: World, task: Task, guest: Guest, wanted: Mapping[str, Any], log: list[str]) -> str | None:
    if guest.kind != "qemu":
        log.append(f"skipping {guest.vmid}, only VMs can be suspended")
        return None
    if not guest.running:
        return None
    if wanted["todisk"] and managed_by_ha(world, guest):
        log.append(f"skipping VM {guest.vmid}, HA managed VMs cannot be suspended to disk")
        return None
    if wanted["todisk"] and (refusal := _may_not_save(world, task, guest, wanted["storage"])):
        log.append(refusal)
        return None
    log.append(f"Suspending VM {guest.vmid}")
    if wanted["todisk"]:
        arguments = (False, wanted["storage"])
        return run(world, "qemu", guest.node, "suspend_to_disk", guest.vmid, task.owner, *arguments)
    return run(world, "qemu", guest.node, "suspend", guest.vmid, task.owner)


def _may_not_save(world: World, task: Task, guest: Guest, storage: str | None) -> str | None:
    """What keeps who asked from saving a machine's memory: a right on it, or on the storage that would take it."""
    asker = Identity(task.user, task.tokenid)
    place = f"/storage/{storage or state_storage(world, guest)}"
    for path, privilege in ((f"/vms/{guest.vmid}", "VM.Config.Disk"), (place, "Datastore.AllocateSpace")):
        if not has_privileges(world, asker, path, (privilege,)):
            return f"Permission check failed ({path}, {privilege})"
    return None


def _migrate(world: World, task: Task, guest: Guest, wanted: Mapping[str, Any], log: list[str]) -> str | None:
    vmid, target, with_disks = guest.vmid, wanted["target"], bool(wanted["with-local-disks"])
    if guest.node == target:
        log.append(f"skipping {KINDS[guest.kind].word} {vmid}, it is on node '{target}' already")
        return None
    if guest.kind == "qemu":
        against = _against(world, guest, with_disks=with_disks)
        if against:
            log += [f"Check VM {vmid}: skip VM {vmid} - precondition check failed:", *against]
            return None
        log.append(f"Check VM {vmid}: precondition check passed")
    log.append(f"Migrating {KINDS[guest.kind].word} {vmid}")
    if managed_by_ha(world, guest):
        request_move(world, f"{KINDS[guest.kind].sid}:{vmid}", "migrate", target)
        return None
    live = guest.running and wanted.get("online") is not False
    if guest.running and not live:
        log.append(f"skipping {KINDS[guest.kind].word} {vmid}, it runs and is not to be moved online")
        return None
    params = {"online": live, "restart": live, "with-local-disks": with_disks}
    return start_migration(world, guest, task.owner, target, params)


def _against(world: World, guest: Guest, *, with_disks: bool) -> list[str]:
    try:
        found = preconditions(world, guest)
    except ApiError as error:
        return [error.message]
    lines = []
    if guest.running and not with_disks and found["local_disks"]:
        lines.append(f"  Has local disks: {', '.join(disk['volid'] for disk in found['local_disks'])}")
    if found["local_resources"]:
        lines.append(f"  Has local resources: {', '.join(found['local_resources'])}")
    return lines


_ACTIONS = {"start": _start, "stop": _stop, "suspend": _suspend, "migrate": _migrate}
