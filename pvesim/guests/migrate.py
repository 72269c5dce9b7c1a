"""Moving guests to another node.

Source: recorded exchanges `qemu-migrate/*`, `qemu-lock/011`, `lxc/077-078`, `offline-node/009`; the log lines that a
node's migration writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pvesim.core.errors import ApiError, Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect, start_task
from pvesim.core.world import World
from pvesim.guests.copying import copy_seconds
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import lock_step, unlock
from pvesim.guests.newcomers import check_node
from pvesim.guests.power import failing, halt_step
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import check_lock, find_guest, managed_by_ha
from pvesim.guests.sizes import MIB, maxmem
from pvesim.guests.travel import LocalVolume, carry, local_volumes, storage_map
from pvesim.nodes.records import Node
from pvesim.routing import Call

_ABORTED = "migration aborted"
_MEMORY_SPEED = 1024 * MIB  # a second, of a live migration


def migrate(kind: Kind, call: Call) -> str:
    """`POST …/migrate`; the UPID. Raises in PVE's order: target, who asks, the guest, its lock, its state."""
    params, world, target = call.params, call.world, call.params["target"]
    if target in (call.node, "localhost"):
        raise ParameterErrors({"target": "target is local node."})
    check_node(world, target)
    for name in ("force", "migration_type", "migration_network"):
        call.root_only(name)
    guest = find_guest(world, kind, call.node, params["vmid"])
    check_lock(guest)
    online, restart = bool(params.get("online")), bool(params.get("restart"))
    if guest.running and not online and kind == "qemu":
        raise Failure("can't migrate running VM without --online")
    if guest.running and not (online or restart) and kind == "lxc":
        raise Failure("can't migrate running container without --online or --restart")
    mapping = params.get("targetstorage") or params.get("target-storage")
    for storage in storage_map(mapping).values():
        call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
    user, with_disks = call.identity.name, bool(params.get("with-local-disks"))
    if managed_by_ha(world, guest):
        log = (f"Requesting HA migration for {KINDS[guest.kind].word} {guest.vmid} to node {target}",)
        arguments = (guest.vmid, target, with_disks, mapping)
        return call.start("hamigrate", guest.vmid, [Step(0.3, log, "guests.ha_migrate", arguments)])
    return start_migration(world, guest, user, target, online=online or restart, with_disks=with_disks, mapping=mapping)


def start_migration(
    world: World,
    guest: Guest,
    user: str,
    target: str,
    *,
    online: bool,
    with_disks: bool = False,
    mapping: str | None = None,
) -> str:
    """Start the task that moves a guest; the UPID. `mapping` is what `targetstorage` says."""
    arguments = (guest.vmid, target, online and guest.running, with_disks, mapping)
    steps = [lock_step(guest.kind, guest.vmid), Step(effect="guests.migrate", arguments=arguments)]
    cleanup = Step(effect="guests.migrate_over", arguments=(guest.vmid,))
    type = "qmigrate" if guest.kind == "qemu" else "vzmigrate"
    return start_task(world, guest.node, type, guest.vmid, user, steps, cleanup=cleanup)


@effect("guests.ha_migrate")
def _ha_migrate(world: World, task: Task, vmid: int, target: str, with_disks: bool, mapping: str | None) -> None:
    guest = world.get(Guest, vmid)
    if guest is not None:
        start_migration(world, guest, "root@pam", target, online=True, with_disks=with_disks, mapping=mapping)


# -- the log -------------------------------------------------------------------------------------------------------


def _stamped(world: World, lines: Iterable[str]) -> tuple[str, ...]:
    stamp = f"{datetime.fromtimestamp(world.now, UTC):%Y-%m-%d %H:%M:%S}"
    return tuple(f"{stamp} {line}" for line in lines)


def _say(after: float, *lines: str) -> Step:
    """A step that writes lines with the time at which it is due."""
    return Step(after, effect="guests.say", arguments=(lines,))


@effect("guests.say")
def _write(world: World, task: Task, lines: Sequence[str]) -> list[Step]:
    return [Step(log=_stamped(world, lines))]


def _refused(world: World, task: Task, lines: Iterable[str], reason: str) -> list[Step]:
    """What a migration that cannot begin ends with."""
    seconds = int(world.now - task.starttime)
    last = f"migration aborted (duration {_clock(seconds)}): {reason}"
    log = [*lines, f"ERROR: {reason}", "aborting phase 1 - cleanup resources", f"ERROR: {last}"]
    return [failing(_ABORTED, log=_stamped(world, log))]


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


# -- the way -------------------------------------------------------------------------------------------------------


@effect("guests.migrate")
def _migrate(
    world: World, task: Task, vmid: int, target: str, live: bool, with_disks: bool, mapping: str | None
) -> Iterable[Step]:
    guest = world.get(Guest, vmid)
    if guest is None:
        raise Failure(f"no such {vmid}")
    check_lock(guest)
    node = world.rows(Node)[target]
    word = KINDS[guest.kind].word
    lines = [f"starting migration of {word} {vmid} to node '{target}' ({node.ip})"]
    if not node.online:
        return _unreachable(world, task, lines, node)
    if live and guest.kind == "qemu" and not guest.running:
        lines.append("VM isn't running. Doing offline migration instead.")
    volumes, problems = local_volumes(world, guest, target, mapping, live=live, with_disks=with_disks)
    if problems:
        problem = f"Problem found while scanning volumes - can't migrate {word} - check log"
        return _refused(world, task, [*lines, *(f"ERROR: {each}" for each in problems)], problem)
    world.put(replace(guest, config={**guest.config, "lock": "migrate"}))
    lines += [f"found {_local(guest)} '{each.volume.volid}' {each.where}" for each in volumes]
    way = _live_steps(guest, volumes) if live and guest.kind == "qemu" else _offline_steps(guest, volumes, live)
    last = Step(0.5, effect="guests.migrated", arguments=(vmid, target, live, mapping))
    return [Step(log=_stamped(world, lines)), *way, last]


def _local(guest: Guest) -> str:
    return "local disk" if guest.kind == "qemu" else "local volume"


def _unreachable(world: World, task: Task, lines: list[str], node: Node) -> list[Step]:
    ssh = f"/usr/bin/ssh -o 'BatchMode=yes' -o 'HostKeyAlias={node.name}' root@{node.ip} /bin/true"
    reason = "Can't connect to destination address using public key"
    log = [*lines, f"# {ssh}", f"ssh: connect to host {node.ip} port 22: No route to host"]
    return _refused(world, task, log, reason)


def _offline_steps(guest: Guest, volumes: Sequence[LocalVolume], restart: bool) -> list[Step]:
    steps: list[Step] = []
    if guest.running and restart:
        steps += [_say(0.0, f"shutdown CT {guest.vmid}"), halt_step(guest.kind, guest.vmid, 2.0)]
    if volumes:
        steps.append(_say(0.2, "copying local disk images"))
    for each in volumes:
        name = each.volume.volid
        steps.append(_say(copy_seconds(each.volume), f"volume '{name}' is '{each.goal}' on the target"))
    return steps


def _live_steps(guest: Guest, volumes: Sequence[LocalVolume]) -> list[Step]:
    memory = maxmem(guest) * guest.behaviour.memory_load
    socket = f"/run/qemu-server/{guest.vmid}.migrate"
    steps = [_say(1.0, f"starting VM {guest.vmid} on remote node", "start remote tunnel", "ssh tunnel ver 1")]
    if volumes:
        steps.append(_say(0.2, "starting storage migration"))
    for each in volumes:
        job = f"drive-{each.key}"
        steps.append(_say(0.1, f"{job}: start migration to nbd:unix:/run/qemu-server/{guest.vmid}_nbd.migrate:{job}"))
        steps.append(_say(copy_seconds(each.volume), "all 'mirror' jobs are ready"))
    begin = (
        f"starting online/live migration on unix:{socket}",
        "set migration capabilities",
        "migration downtime limit: 100 ms",
        "migration cachesize: 64.0 MiB",
        "set migration parameters",
        f"start migrate command to unix:{socket}",
    )
    end = ("average migration speed: 1.0 GiB/s - downtime 24 ms", "migration status: completed")
    return [*steps, _say(0.2, *begin), _say(max(0.5, memory / _MEMORY_SPEED), *end)]


@effect("guests.migrated")
def _migrated(world: World, task: Task, vmid: int, target: str, live: bool, mapping: str | None) -> Iterable[Step]:
    guest = world.rows(Guest)[vmid]
    try:
        with world.transaction():
            arrived = carry(world, guest, target, mapping)
            arrived = replace(arrived, config={key: value for key, value in arrived.config.items() if key != "lock"})
            if arrived.running:
                pid = world.count(f"pid/{target}", 1 + world.random_int(2, 40), start=1000)
                arrived = replace(arrived, started=world.now, pid=pid)
            world.put(arrived)
    except ApiError as error:
        world.put(replace(guest, config={key: value for key, value in guest.config.items() if key != "lock"}))
        return _refused(world, task, [], error.message)
    steps: list[Step] = []
    if guest.kind == "lxc" and live:
        steps = [
            _say(0.0, "start container on target node"),
            Step(0.6, effect="guests.boot", arguments=("lxc", vmid)),
        ]
    return [*steps, Step(effect="guests.migration_ends")]


@effect("guests.migration_ends")
def _ends(world: World, task: Task) -> list[Step]:
    line = f"migration finished successfully (duration {_clock(world.now - task.starttime)})"
    return [Step(log=_stamped(world, [line]))]


@effect("guests.migrate_over")
def _over(world: World, task: Task, vmid: int) -> None:
    """Where the task was interrupted on its way, the guest stays where it is, without its lock."""
    guest = world.get(Guest, vmid)
    on_the_way = any(step.effect == "guests.migrated" for step in task.steps)
    if guest is not None and on_the_way and guest.lock == "migrate":
        world.put(replace(guest, config={key: value for key, value in guest.config.items() if key != "lock"}))
    unlock(world, task, vmid)
