"""A guest's way to another node: the task of a migration, step by step.

First what can keep the guest from going is looked for; then it is locked and its local volumes are copied; in the end
its configuration changes hands. Whatever goes wrong before that, an interrupt too, leaves it where it was: the copies
are removed, the lock is given back, and a container that was shut down for it is started again.
Source: the log lines that a node's migrations write, and the texts that they end with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.copying import copy_seconds, copy_steps, human, source_of
from pvesim.guests.disks import disks_of
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import holds_lock, lock_step, unlock
from pvesim.guests.power import boot, failing, halt_step, waits_for_shutdown
from pvesim.guests.records import Guest, Journey, Kind
from pvesim.guests.replicas import bring_up_to_date, copied_to, turn_round
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.sizes import MIB, maxmem
from pvesim.guests.startable import bridge_log, missing_bridge
from pvesim.guests.travel import (
    Use,
    arrive,
    goal_of,
    local_resources,
    local_uses,
    mapped_resources,
    problem_with,
    send,
    words_for,
)
from pvesim.guests.volumes import free_volume
from pvesim.nodes.records import Node
from pvesim.storage.rules import check_enabled

_ABORTED = "migration aborted"
_PROBLEMS = "migration problems"
_MEMORY_SPEED = 1024 * MIB  # a second, of a live migration
_SYNC_SECONDS = 2.0  # for what has changed since the last run of a replication job
_CACHE = 8  # the part of the memory that the cache of a live migration takes
_SCAN_FAILED = "Problem found while scanning volumes - can't migrate {word} - check log"


# -- the log -------------------------------------------------------------------------------------------------------


def _stamped(world: World, lines: Iterable[str]) -> tuple[str, ...]:
    stamp = f"{datetime.fromtimestamp(world.now, UTC):%Y-%m-%d %H:%M:%S}"
    return tuple(f"{stamp} {line}" for line in lines)


def _say(after: float, *lines: str) -> Step:
    """A step that writes lines with the time at which it is due."""
    return Step(after, effect="journey.say", arguments=(lines,))


@effect("journey.say")
def _write(world: World, task: Task, lines: Sequence[str]) -> list[Step]:
    return [Step(log=_stamped(world, lines))]


def _duration(world: World, task: Task) -> str:
    whole = int(world.now - task.starttime)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _give_up(world: World, task: Task, lines: Sequence[str], reason: str, *, phase: bool = True) -> list[Step]:
    """The end of a migration that cannot go on; `phase` says whether it had begun with the copying."""
    begun = [f"ERROR: {reason}", "aborting phase 1 - cleanup resources"] if phase else []
    last = f"ERROR: migration aborted (duration {_duration(world, task)}): {reason}"
    return [failing(_ABORTED, log=_stamped(world, [*lines, *begun, last]))]


# -- before it leaves ----------------------------------------------------------------------------------------------


def journey_of(guest: Guest, target: str, wanted: Mapping[str, Any]) -> tuple[list[Step], Step]:
    """The steps of the task that moves a guest, and its cleanup.

    `wanted` has `online`, `restart`, `with-local-disks`, `targetstorage`, `force`, `timeout` (seconds) and `bwlimit`
    (KiB a second, 0 for none).
    """
    begin = Step(effect="journey.begin", arguments=(guest.kind, guest.vmid, target, wanted))
    return [lock_step(guest.kind, guest.vmid), begin], Step(effect="journey.over", arguments=(guest.vmid,))


@effect("journey.begin")
def _begin(world: World, task: Task, kind: Kind, vmid: int, target: str, wanted: Mapping[str, Any]) -> Iterable[Step]:
    """What is looked at before anything is done."""
    node = world.rows(Node)[target]
    try:
        guest = find_guest(world, kind, task.node, vmid)
        check_lock(guest)
    except ApiError as error:
        return _give_up(world, task, [], error.message, phase=False)
    reason = _machine_problem(guest, wanted) if kind == "qemu" else _container_problem(world, guest, target, wanted)
    if reason is not None:
        return _give_up(world, task, [], reason, phase=False)
    if not node.online:
        return _unreachable(world, task, node)
    was_running = guest.running and kind == "lxc"
    world.put(Journey(vmid, task.upid, target, was_running=was_running))
    steps = _shutdown(world, guest, float(wanted["timeout"])) if was_running else []
    return [*steps, Step(effect="journey.scan", arguments=(vmid, wanted))]


def _machine_problem(guest: Guest, wanted: Mapping[str, Any]) -> str | None:
    mapped = mapped_resources(guest)
    blocking = [key for key in local_resources(guest) if key not in mapped]
    if blocking and (guest.running or not wanted["force"]):
        return f"can't migrate VM which uses local devices: {', '.join(blocking)}"
    return None


def _container_problem(world: World, guest: Guest, target: str, wanted: Mapping[str, Any]) -> str | None:
    if guest.running and not wanted["restart"]:
        return "lxc live migration is currently not implemented"
    for disk in disks_of("lxc", guest.config):
        if disk.volid is None:
            if disk.options.get("shared", "0") == "0":
                type = "device" if disk.file.startswith("/dev/") else "bind"
                return f"cannot migrate local {type} mount point '{disk.key}'"
            continue
        goal = goal_of(wanted["targetstorage"], disk.storage or "")
        try:
            storage = check_enabled(world, goal, target)
        except ApiError as error:
            return error.message
        if "rootdir" not in storage.content:
            return f"{disk.volid}: content type 'rootdir' is not available on storage '{goal}'"
    return None


def _unreachable(world: World, task: Task, node: Node) -> list[Step]:
    hosts = f"-o 'UserKnownHostsFile=/etc/pve/nodes/{node.name}/ssh_known_hosts' -o 'GlobalKnownHostsFile=none'"
    ssh = f"/usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias={node.name}' {hosts} root@{node.ip} /bin/true"
    log = [f"# {ssh}", f"ssh: connect to host {node.ip} port 22: No route to host"]
    return _give_up(world, task, log, "Can't connect to destination address using public key", phase=False)


def _shutdown(world: World, guest: Guest, timeout: float) -> list[Step]:
    """A container travels while it is off."""
    begin = Step(log=_stamped(world, [f"shutdown CT {guest.vmid}"]))
    if waits_for_shutdown(guest, guest.behaviour.acpi, timeout):
        return [begin, halt_step("lxc", guest.vmid, guest.behaviour.shutdown_seconds)]
    reason = f"command 'lxc-stop -n {guest.vmid} --nokill --timeout {timeout:g}' failed: exit code 1"
    return [begin, Step(timeout, effect="journey.give_up", arguments=(reason,))]


@effect("journey.give_up")
def _stop_here(world: World, task: Task, reason: str) -> list[Step]:
    return _give_up(world, task, [], reason, phase=False)


@effect("journey.scan")
def _scan(world: World, task: Task, vmid: int, wanted: Mapping[str, Any]) -> Iterable[Step]:
    """Lock the guest, and find what has to be copied."""
    guest, target = world.rows(Guest)[vmid], world.rows(Journey)[vmid].target
    word, node = KINDS[guest.kind].word, world.rows(Node)[target]
    lines = [f"starting migration of {word} {vmid} to node '{target}' ({node.ip})"]
    live = guest.running
    uses = local_uses(world, guest)
    copied = copied_to(world, guest, target, uses)
    problems = []
    for use in uses:
        goal = goal_of(wanted["targetstorage"], use.storage)
        with_disks = wanted["with-local-disks"] or use.volid in copied
        problem = problem_with(world, guest, use, goal, target, with_disks=with_disks)
        lines.append(words_for(guest, use))
        if problem:
            what = "disk" if guest.kind == "qemu" else "volume"
            problems.append(f"ERROR: can't migrate local {what} '{use.volid}': {problem}")
    if problems:
        return _give_up(world, task, [*lines, *problems], _SCAN_FAILED.format(word=word))
    world.put(replace(guest, config={**guest.config, "lock": "migrate"}))
    world.put(replace(world.rows(Journey)[vmid], copied=tuple(copied)))
    uses = [use for use in uses if use.volid not in copied]
    way = _live_way(world, guest, uses, wanted) if live else _quiet_way(uses, guest, wanted)
    replicating = [_say(0.1, "replicating disk images"), Step(_SYNC_SECONDS)] if copied else []
    last = Step(0.5, effect="journey.arrive", arguments=(vmid,))
    return [Step(log=_stamped(world, lines)), *replicating, *way, last]


# -- on the way ----------------------------------------------------------------------------------------------------


def _sending(guest: Guest, use: Use, wanted: Mapping[str, Any], *, live: bool) -> Step:
    goal = goal_of(wanted["targetstorage"], use.storage)
    arguments = (guest.vmid, use.volid, goal, use.disk.key, live, wanted["bwlimit"])
    return Step(0.1, effect="journey.send", arguments=arguments)


def _quiet_way(uses: Sequence[Use], guest: Guest, wanted: Mapping[str, Any]) -> list[Step]:
    begin = [_say(0.1, "copying local disk images")] if uses and guest.kind == "qemu" else []
    return [*begin, *(_sending(guest, use, wanted, live=False) for use in uses)]


def _live_way(world: World, guest: Guest, uses: Sequence[Use], wanted: Mapping[str, Any]) -> list[Step]:
    """A machine that runs is started a second time on the target; its drives are mirrored, then its memory."""
    vmid, target = guest.vmid, world.rows(Journey)[guest.vmid].target
    steps = [_say(0.1, f"starting VM {vmid} on remote node '{target}'")]
    missing = missing_bridge(world, replace(guest, node=target))
    if missing is not None:
        lines = [f"[{target}] {line}" for line in bridge_log(guest, *missing)]
        return [*steps, Step(1.0, effect="journey.fail_online", arguments=(tuple(lines),))]
    steps.append(_say(1.0, "start remote tunnel", "ssh tunnel ver 1"))
    offline = [use for use in uses if not use.attached or use.generated]
    if offline:
        steps += [
            _say(0.1, "copying local disk images"),
            *(_sending(guest, use, wanted, live=False) for use in offline),
        ]
    mirrored = [use for use in uses if use not in offline]
    if mirrored:
        steps.append(_say(0.1, "starting storage migration"))
        steps += [_sending(guest, use, wanted, live=True) for use in mirrored]
        steps.append(_say(0.1, "switching mirror jobs to actively synced mode"))
    return [*steps, *_memory_way(guest), *_end_of_mirrors(mirrored)]


def _end_of_mirrors(mirrored: Sequence[Use]) -> list[Step]:
    """The mirrors are completed only when the memory has moved."""
    if not mirrored:
        return []
    jobs = [f"drive-{use.disk.key}" for use in mirrored]
    ends = ("Completing block job...", "Completed successfully.", "mirror-job finished")
    log = ["all 'mirror' jobs are ready", *(f"{job}: {end}" for job in jobs for end in ends)]
    return [Step(0.2, (*log, "stopping NBD storage migration server on target."))]


def _memory_way(guest: Guest) -> list[Step]:
    memory = maxmem(guest)
    moved = int(memory * guest.behaviour.memory_load)
    seconds = max(0.5, moved / _MEMORY_SPEED)
    socket = f"/run/qemu-server/{guest.vmid}.migrate"
    begin = _say(0.2, f"starting online/live migration on unix:{socket}", "set migration capabilities")
    limits = ("migration downtime limit: 100 ms", f"migration cachesize: {human(_cache_size(memory))}")
    halfway = f"migration active, transferred {human(moved / 2)} of {human(memory)} VM-state, {human(_MEMORY_SPEED)}/s"
    ends = (f"average migration speed: {human(memory / seconds)}/s - downtime 24 ms", "migration status: completed")
    return [
        begin,
        _say(0.0, *limits, "set migration parameters", f"start migrate command to unix:{socket}"),
        _say(seconds / 2, halfway),
        _say(seconds / 2, *ends),
    ]


def _cache_size(memory: int) -> int:
    """An eighth of the memory, as a power of two."""
    return 1 << (memory // _CACHE).bit_length() - 1


@effect("journey.send")
def _send(
    world: World, task: Task, vmid: int, volid: str, goal: str, drive: str, live: bool, bwlimit: int
) -> Iterable[Step]:
    guest, journey = world.rows(Guest)[vmid], world.rows(Journey)[vmid]
    try:
        with world.transaction():
            source = source_of(world, guest.node, volid)
            made = send(world, guest, volid, goal, journey.target)
    except ApiError as error:
        reason = f"storage migration for '{volid}' to storage '{goal}' failed - {error.message}"
        return _give_up(world, task, [], reason)
    world.put(replace(journey, sent={**journey.sent, volid: made.volid}))
    said = _say(0.0, f"volume '{volid}' is '{made.volid}' on the target")
    slowed = max(0.0, source.used / (bwlimit * 1024) - copy_seconds(source)) if bwlimit else 0.0
    if not live:
        return [Step(copy_seconds(source) + slowed), said]
    socket = f"nbd:unix:/run/qemu-server/{vmid}_nbd.migrate:exportname=drive-{drive}"
    begin = _say(0.0, f"{drive}: start migration to {socket}")
    mirror, ready = copy_steps(source, drive, running=True)[:2]
    return [said, begin, mirror, replace(ready, after=ready.after + slowed)]


@effect("journey.fail_online")
def _fail_online(world: World, task: Task, lines: Sequence[str]) -> list[Step]:
    """The machine does not start on the target; it goes on where it is."""
    log = [
        *lines,
        "ERROR: online migrate failure - remote command failed with exit code 255",
        "aborting phase 2 - cleanup resources",
        "migrate_cancel",
        f"ERROR: migration finished with problems (duration {_duration(world, task)})",
    ]
    return [failing(_PROBLEMS, log=_stamped(world, log))]


# -- there ---------------------------------------------------------------------------------------------------------


@effect("journey.arrive")
def _arrive(world: World, task: Task, vmid: int) -> Iterable[Step]:
    """The configuration changes hands. The target may have been lost meanwhile, or the last of the space."""
    guest, journey = world.rows(Guest)[vmid], world.rows(Journey)[vmid]
    node = world.rows(Node)[journey.target]
    if not node.online:
        return _unreachable(world, task, node)
    bring_up_to_date(world, guest, journey.target, journey.copied)
    arrived = arrive(world, guest, journey.target, journey.sent)
    arrived = replace(arrived, config={key: value for key, value in arrived.config.items() if key != "lock"})
    if arrived.running:  # on the target it is another process
        pid = world.count(f"pid/{journey.target}", 1 + world.random_int(2, 40), start=1000)
        arrived = replace(arrived, started=world.now, pid=pid)
    world.put(arrived)
    world.remove(Journey, vmid)
    finished = Step(log=_stamped(world, turn_round(world, vmid, guest.node, node.name)), effect="journey.finished")
    if not journey.was_running:
        return [finished]
    target = f"# /usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias={node.name}' root@{node.ip} pct start {vmid}"
    start = _say(0.0, "start final cleanup", "start container on target node", target)
    return [start, Step(0.6, effect="journey.start_there", arguments=(vmid,)), finished]


@effect("journey.start_there")
def _start_there(world: World, task: Task, vmid: int) -> Iterable[Step]:
    guest = world.rows(Guest)[vmid]
    missing = missing_bridge(world, guest)
    if missing is None:
        boot(world, task, "lxc", vmid)
        return []
    log = [*bridge_log(guest, *missing), f"ERROR: startup for container '{vmid}' failed"]
    last = f"ERROR: migration finished with problems (duration {_duration(world, task)})"
    return [failing(_PROBLEMS, log=_stamped(world, [*log, last]))]


@effect("journey.finished")
def _finished(world: World, task: Task) -> list[Step]:
    return [Step(log=_stamped(world, [f"migration finished successfully (duration {_duration(world, task)})"]))]


@effect("journey.over")
def _over(world: World, task: Task, vmid: int) -> None:
    """Undo what was done for a journey that did not come to its end."""
    journey, guest = world.get(Journey, vmid), world.get(Guest, vmid)
    if journey is not None and journey.holder == task.upid:
        world.remove(Journey, vmid)
        for volid in journey.sent.values():
            free_volume(world, journey.target, volid, vmid)
        if guest is not None and holds_lock(world, task, vmid):
            if guest.lock == "migrate":
                guest = replace(guest, config={key: value for key, value in guest.config.items() if key != "lock"})
                world.put(guest)
            if journey.was_running and not guest.running:
                boot(world, task, "lxc", vmid)
    unlock(world, task, vmid)
