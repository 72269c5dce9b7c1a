"""Running replication jobs: a scheduler looks every minute, and a run is a timer, not a task.

A run copies what changed since the one before; the copies are volumes of the target node, with the same names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from pvesim.calendar import parse_calendar_event
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, Timer, effect, set_timer
from pvesim.core.world import World
from pvesim.guests.disks import parse_disks
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.replication.records import ReplicationJob, ReplicationState, jobs_of
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import find_storage, space_of
from pvesim.storage.volumes import volume_of

_MINUTE = 60
_SHORTEST, _SPEED, _CHANGED = 2.0, 100 * 1024**2, 0.02  # seconds, bytes per second, share of the data between two runs
DEFAULT_SCHEDULE = "*/15"
_RETRY_SECONDS, _LONG_RETRY, _SHORT_RETRIES = 300, 1800, 3
_REPLICABLE = "zfspool"  # the one type of storage that can send the difference between two snapshots


def replicated_volumes(world: World, guest: Guest) -> list[Volume]:
    """The volumes of a guest that a job copies. Raises `Failure` for one whose storage cannot do it."""
    found: list[Volume] = []
    for disk in parse_disks(guest):
        if disk.volid is None or disk.cdrom or disk.unused or disk.options.get("replicate") == "0":
            continue
        storage = find_storage(world, disk.volid.partition(":")[0])
        volume = volume_of(world, guest.node, disk.volid)
        if storage.type != _REPLICABLE:
            if storage.shared:
                continue
            raise Failure(f"missing replicate feature on volume '{disk.volid}'")
        if volume is not None:
            found.append(volume)
    return found


# -- the scheduler -----------------------------------------------------------------------------------------------------


def next_sync(world: World, job: ReplicationJob) -> int:
    """When the job is due; 0 if it is disabled. What is long past is due at the scheduler's next look."""
    state = world.get(ReplicationState, job.id) or ReplicationState(job.id)
    if job.options.get("disable"):
        return 0
    if job.options.get("remove_job") or state.asked:
        return 1
    if state.fail_count:
        short = state.fail_count <= _SHORT_RETRIES
        return int(state.last_try) + (_RETRY_SECONDS * state.fail_count if short else _LONG_RETRY)
    event = parse_calendar_event(str(job.options.get("schedule", DEFAULT_SCHEDULE)))
    return event.after(state.last_try) or 0


def _timer(id: str) -> str:
    return f"replication/{id}"


def plan(world: World, id: str) -> None:
    """Set the moment of the job's next run, unless it runs now."""
    job, state = world.get(ReplicationJob, id), world.get(ReplicationState, id)
    if job is None or (state is not None and state.pid):
        return
    due = next_sync(world, job)
    if not due:
        world.remove(Timer, _timer(id))
        return
    look = (int(world.now) // _MINUTE + 1) * _MINUTE
    late = max(0, -(-(due - look) // _MINUTE)) * _MINUTE
    set_timer(world, _timer(id), look + late, "replication.begin", id)


def unplan(world: World, id: str) -> None:
    """Forget a job that is gone."""
    world.remove(Timer, _timer(id))
    world.remove(ReplicationState, id)


def forget_jobs(world: World, vmid: int) -> None:
    """Remove the jobs of a guest that is purged."""
    for job in jobs_of(world, vmid):
        world.remove(ReplicationJob, job.id)
        unplan(world, job.id)


@effect("replication.begin")
def begin(world: World, task: Task | None, id: str) -> Iterable[Step] | None:
    """The job is due: remove it, or start to copy."""
    job = world.get(ReplicationJob, id)
    guest = world.get(Guest, job.options["guest"]) if job else None
    source = world.get(Node, guest.node) if guest else None
    if job is None or guest is None or source is None or not source.online:
        return None  # a node that is down looks at no schedule; another change of the job plans it again
    if job.options.get("remove_job"):
        _remove(world, job, guest)
        return None
    before = world.get(ReplicationState, id) or ReplicationState(id)
    log = [_line(world, f"{id}: start replication job"), _line(world, f"{id}: {_about(guest)}")]
    pid = world.count(f"pid/{guest.node}", 3, start=1000)
    world.put(replace(before, last_try=world.now, pid=pid, asked=False, log=tuple(log)))
    set_timer(world, _timer(id), world.now + _seconds(world, job, guest, bool(before.last_sync)), "replication.end", id)
    return None


def _about(guest: Guest) -> str:
    word = "VM" if guest.kind == "qemu" else "CT"
    return f"guest => {word} {guest.vmid}, running => {int(guest.running)}"


def _line(world: World, text: str) -> str:
    moment = datetime.fromtimestamp(int(world.now), UTC).strftime("%Y-%m-%d %H:%M:%S")
    head, _, rest = text.partition(": ")
    return f"{moment} {head}: {rest}"


def _seconds(world: World, job: ReplicationJob, guest: Guest, again: bool) -> float:
    try:
        used = sum(volume.used for volume in replicated_volumes(world, guest))
    except Failure:
        return _SHORTEST
    speed = min(_SPEED, float(job.options.get("rate", _SPEED)) * 1024**2)
    return max(_SHORTEST, used * (_CHANGED if again else 1.0) / speed)


# -- a run -------------------------------------------------------------------------------------------------------------


@effect("replication.end")
def end(world: World, task: Task | None, id: str) -> None:
    """The run is over: the copies are there, or its error is kept and counted."""
    job, state = world.get(ReplicationJob, id), world.get(ReplicationState, id)
    guest = world.get(Guest, job.options["guest"]) if job else None
    if job is None or state is None or guest is None:
        return
    duration, log = world.now - state.last_try, [*state.log]
    try:
        _copy(world, job, guest, bool(state.last_sync), log)
    except Failure as error:
        log.append(_line(world, f"{id}: end replication job with error: {error.message}"))
        after = replace(state, fail_count=state.fail_count + 1, error=error.message)
    else:
        log.append(_line(world, f"{id}: end replication job"))
        after = replace(state, fail_count=0, error="", last_sync=state.last_try)
    world.put(replace(after, duration=duration, pid=None, log=tuple(log)))
    plan(world, id)


def _copy(world: World, job: ReplicationJob, guest: Guest, again: bool, log: list[str]) -> None:
    target = world.get(Node, job.options["target"])
    if target is None or not target.online:
        raise Failure(f"command '/usr/bin/ssh root@{target.ip if target else '?'} -- true' failed: exit code 255")
    volumes = replicated_volumes(world, guest)
    volids = [f"{volume.storage}:{volume.name}" for volume in volumes]
    log.append(_line(world, f"{job.id}: volumes => {','.join(volids)}"))
    for volume, volid in zip(volumes, volids, strict=True):
        storage = find_storage(world, volume.storage)
        place, total = storage.place(target.name), space_of(world, storage, target.name)
        if not storage.on(target.name) or not total.active:
            raise Failure(f"storage '{storage.storage}' is not available on node '{target.name}'")
        copy = world.get(Volume, (volume.storage, place, volume.name))
        if volume.used - (copy.used if copy else 0) > total.avail:
            raise Failure(f"cannot receive '{volid}': out of space")
        log.append(_line(world, f"{job.id}: {'incremental' if again and copy else 'full'} sync '{volid}'"))
        world.put(replace(volume, place=place, ctime=copy.ctime if copy else world.now))


def _remove(world: World, job: ReplicationJob, guest: Guest) -> None:
    """Take a job away and, unless they are to be kept, its copies."""
    target = job.options["target"]
    if job.options["remove_job"] == "full" and target != guest.node:
        for volume in replicated_volumes(world, guest):
            storage = world.get(Storage, volume.storage)
            if storage is not None:
                world.remove(Volume, (volume.storage, storage.place(target), volume.name))
    world.remove(ReplicationJob, job.id)
    unplan(world, job.id)
