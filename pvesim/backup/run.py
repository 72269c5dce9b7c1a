"""The backup task: one guest after the other, on one node, with PVE's log.

A run begins with its target storage and its node's lock, then goes through its guests; one that fails does not stop
the others, but the task then ends with `job errors`. While a guest is backed up its configuration is locked. What a
kind of guest does of its own is in `machine.py` and `container.py`; both end with the effect `backup.pack`.

Source: recorded exchanges `backup/002-009`, and what a genuine node logs for running guests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.access.rules import Identity, has_privileges
from pvesim.backup.archive import make_archive
from pvesim.backup.container import container_steps, tar_failure, tar_line
from pvesim.backup.machine import machine_steps, vma_failure
from pvesim.backup.options import command_line, render_notes
from pvesim.backup.records import BackupRun
from pvesim.backup.retention import check_limits, keep_rules, prune
from pvesim.backup.target import check_target, target_of
from pvesim.backup.texts import file_size, info, lasted, moment
from pvesim.cluster.records import Cluster
from pvesim.core.errors import ApiError, Failure
from pvesim.core.tasks import Step, Task, effect, start_task
from pvesim.core.world import World
from pvesim.guests.locks import PATIENCE, require_unlocked
from pvesim.guests.power import boot, failing, halt
from pvesim.guests.records import FileLock, Guest
from pvesim.guests.rules import check_lock
from pvesim.storage.records import Volume
from pvesim.storage.rules import space_of

RETRY_SECONDS = 5.0  # between two looks at the node's lock
LOOK_SECONDS = 0.5  # and at a guest's
DEFAULT_LOCK_MINUTES = 180


def launch(world: World, node: str, user: str, options: Mapping[str, Any], vmids: list[int], skipped: list[int]) -> str:
    """Start the task that backs up these guests on a node; the UPID. `skipped` are those that are on other nodes."""
    id = vmids[0] if len(vmids) == 1 else ""
    upid = start_task(
        world, node, "vzdump", id, user, [Step(effect="backup.begin")], cleanup=Step(effect="backup.over")
    )
    world.put(BackupRun(upid, node, options, tuple(vmids), tuple(skipped)))
    return upid


def running_on(world: World, node: str) -> list[BackupRun]:
    """The runs that have a node's lock: one at most."""
    return [run for run in world.rows(BackupRun).values() if run.active and run.node == node]


# -- before the first guest ----------------------------------------------------------------------------------------


@effect("backup.begin")
def _begin(world: World, task: Task) -> list[Step]:
    run = world.rows(BackupRun)[task.upid]
    check_target(world, run.node, run.options)
    return [Step(effect="backup.lock")]


@effect("backup.lock")
def _lock(world: World, task: Task, deadline: float | None = None) -> list[Step]:
    run = world.rows(BackupRun)[task.upid]
    begin = Step(effect="backup.start")
    if not running_on(world, run.node):
        world.put(replace(run, active=True))
        return [begin] if deadline is None else [Step(log=info("got global lock")), begin]
    log: tuple[str, ...] = ()
    if deadline is None:
        deadline = world.now + 60 * int(run.options.get("lockwait", DEFAULT_LOCK_MINUTES))
        log = info("trying to get global lock - waiting...")
    if world.now >= deadline:
        return [failing("can't acquire lock '/var/run/vzdump.lock' - got timeout", log=log)]
    return [Step(log=log), Step(RETRY_SECONDS, effect="backup.lock", arguments=(deadline,))]


@effect("backup.start")
def _start(world: World, task: Task) -> list[Step]:
    run = world.rows(BackupRun)[task.upid]
    log = [f"starting new backup job: {command_line(run.options)}"]
    if run.skipped:
        log.append(f"skip external VMs: {', '.join(map(str, run.skipped))}")
    identity = Identity(task.user, task.tokenid)
    allowed = []
    for vmid in run.todo:
        if world.get(Guest, vmid) is None or has_privileges(world, identity, f"/vms/{vmid}", ("VM.Backup",)):
            allowed.append(vmid)
        elif not run.options.get("all"):
            return [failing(f"403 Permission check failed (/vms/{vmid}, VM.Backup)", log=info(*log))]
    world.put(replace(run, todo=tuple(allowed)))
    return [Step(log=info(*log)), Step(effect="backup.next")]


# -- one guest -----------------------------------------------------------------------------------------------------


@effect("backup.next")
def _next(world: World, task: Task) -> Iterable[Step]:
    run = world.rows(BackupRun)[task.upid]
    if not run.todo:
        word = "finished with errors" if run.failures else "finished successfully"
        log = info(f"Backup job {word}")
        return [failing("job errors", log=log)] if run.failures else [Step(log=log)]
    vmid = run.todo[0]
    run = replace(run, since=world.now)
    world.put(run)
    guest = world.get(Guest, vmid)
    if guest is None:
        return _failed(world, run, f"unable to find VM '{vmid}'")
    log = info(
        f"Starting Backup of VM {vmid} ({guest.kind})",
        f"Backup started at {moment(world.now)}",
        f"status = {guest.status}",
    )
    return [Step(log=log), Step(effect="backup.guest", arguments=(world.now + PATIENCE,))]


@effect("backup.guest")
def _guest(world: World, task: Task, deadline: float) -> Iterable[Step]:
    """Begin with a guest once no other task works with it."""
    run = world.rows(BackupRun)[task.upid]
    vmid = run.todo[0]
    if world.get(FileLock, vmid) is not None and world.now < deadline:
        return [Step(LOOK_SECONDS, effect="backup.guest", arguments=(deadline,))]
    try:
        with world.transaction():
            return _begin_guest(world, run, world.get(Guest, vmid))
    except ApiError as error:
        return _failed(world, run, error.message)


def _begin_guest(world: World, run: BackupRun, guest: Guest | None) -> list[Step]:
    """Lock the guest and say what will be done with it. Raises `Failure` for one that cannot be backed up."""
    if guest is None or guest.node != run.node:
        raise Failure(f"unable to find VM '{run.todo[0]}'")
    require_unlocked(world, guest.kind, guest.vmid)
    storage = target_of(world, run.node, run.options)
    check_limits(world, storage, guest, run.options)
    check_lock(guest)
    mode = str(run.options.get("mode", "snapshot")) if guest.running else "stop"
    run = replace(run, guest=guest.vmid, mode=mode)
    world.put(run)
    guest = replace(guest, config={**guest.config, "lock": "backup"})
    world.put(guest)
    if guest.kind == "qemu":
        return machine_steps(world, run, guest, storage)
    return container_steps(world, run, guest, storage)


@effect("backup.pack")
def _pack(world: World, task: Task) -> Iterable[Step]:
    """The archive is complete: it takes its place on the storage, and the guest is let go."""
    run = world.rows(BackupRun)[task.upid]
    vmid = run.todo[0]
    try:
        with world.transaction():
            log = _store(world, run, world.rows(Guest)[vmid])
            run = world.rows(BackupRun)[task.upid]
            log += _release(world, task, run)
    except ApiError as error:
        return _failed(world, world.rows(BackupRun)[task.upid], error.message, task)
    log += [
        f"Finished Backup of VM {vmid} ({lasted(world.now - run.since)})",
        f"Backup finished at {moment(world.now)}",
    ]
    world.put(replace(run, todo=run.todo[1:], guest=None, undo=""))
    return [Step(log=info(*log)), Step(effect="backup.next")]


def _store(world: World, run: BackupRun, guest: Guest) -> list[str]:
    """Put the archive on its storage, with its notes, and let go what the retention does not keep."""
    storage = target_of(world, run.node, run.options)
    archive = make_archive(world, storage, guest, run.since, str(run.options.get("compress", "0")))
    if archive.used > space_of(world, storage, run.node).avail:
        raise Failure(vma_failure(archive) if guest.kind == "qemu" else tar_failure(world, archive))
    log = [] if guest.kind == "qemu" or storage.type == "pbs" else [tar_line(world, archive)]
    if storage.type != "pbs":
        log.append(f"archive file size: {file_size(archive.size)}")
    archive, lines = _mark(world, run, guest, archive)
    world.put(archive)
    rules = keep_rules(storage, run.options)
    return log + lines + (prune(world, storage, archive, rules) if rules else [])


def _mark(world: World, run: BackupRun, guest: Guest, archive: Volume) -> tuple[Volume, list[str]]:
    log: list[str] = []
    template = run.options.get("notes-template")
    if template:
        cluster = world.get(Cluster, "cluster")
        values = {
            "cluster": (cluster.name if cluster else "") or "standalone node",
            "guestname": guest.name,
            "node": run.node,
            "vmid": str(guest.vmid),
        }
        archive = replace(archive, notes=render_notes(str(template), values))
        log.append("adding notes to backup")
    if run.options.get("protected"):
        archive = replace(archive, protected=True)
        log.append("marking backup as protected")
    return archive, log


def _release(world: World, task: Task | None, run: BackupRun) -> list[str]:
    """Unlock the guest under way and bring it back to what it was; what the log says of it."""
    guest = world.get(Guest, run.guest) if run.guest is not None else None
    if guest is None:
        return []
    if guest.lock == "backup":
        guest = replace(guest, config={key: value for key, value in guest.config.items() if key != "lock"})
        world.put(guest)
    if run.mode == "snapshot" and guest.kind == "lxc":
        return ["cleanup temporary 'vzdump' snapshot"]
    if run.undo == "stop" and guest.qmpstatus == "prelaunch":
        halt(world, task, guest.kind, guest.vmid)
    elif run.undo == "start" and not guest.running:
        boot(world, task, guest.kind, guest.vmid)
        return ["restarting vm", f"guest is online again after {int(world.now - run.stopped)} seconds"]
    elif run.undo == "resume" and guest.qmpstatus == "paused":
        world.put(replace(guest, qmpstatus="running"))
        return ["resume vm", f"guest is online again after {int(world.now - run.stopped)} seconds"]
    return []


def _failed(world: World, run: BackupRun, text: str, task: Task | None = None) -> list[Step]:
    log = _release(world, task, run)
    world.put(replace(run, todo=run.todo[1:], failures=run.failures + 1, guest=None, undo=""))
    error = f"ERROR: Backup of VM {run.todo[0]} failed - {text}"
    return [Step(log=(*info(*log), error, *info(f"Failed at {moment(world.now)}"))), Step(effect="backup.next")]


@effect("backup.fail")
def _fail(world: World, task: Task, text: str) -> list[Step]:
    return _failed(world, world.rows(BackupRun)[task.upid], text, task)


@effect("backup.over")
def _over(world: World, task: Task) -> None:
    """However the task ends, no guest stays locked or stopped."""
    run = world.get(BackupRun, task.upid)
    if run is not None:
        _release(world, task, run)
        world.remove(BackupRun, task.upid)


# -- what happens to the guest meanwhile ---------------------------------------------------------------------------


@effect("backup.halt")
def _halt(world: World, task: Task) -> None:
    """The guest has been shut down; it runs again when that is over."""
    run = world.rows(BackupRun)[task.upid]
    guest = world.rows(Guest)[run.todo[0]]
    halt(world, task, guest.kind, guest.vmid)
    world.put(replace(run, undo="start"))


@effect("backup.interrupt")
def _interrupt(world: World, task: Task) -> None:
    """From now on the guest is out of service."""
    run = world.rows(BackupRun)[task.upid]
    world.put(replace(run, stopped=world.now))


@effect("backup.pause")
def _pause(world: World, task: Task) -> None:
    """The machine stands still until the backup has begun."""
    run = world.rows(BackupRun)[task.upid]
    guest = world.rows(Guest)[run.todo[0]]
    world.put(replace(guest, qmpstatus="paused"))
    world.put(replace(run, undo="resume"))


@effect("backup.launch")
def _launch(world: World, task: Task) -> None:
    """QEMU starts to read the disks of a machine that is off; the machine itself does not run."""
    run = world.rows(BackupRun)[task.upid]
    vmid = run.todo[0]
    boot(world, task, "qemu", vmid)
    if run.undo != "start":
        world.put(replace(world.rows(Guest)[vmid], qmpstatus="prelaunch"))
        world.put(replace(run, undo="stop"))


@effect("backup.resume")
def _resume(world: World, task: Task) -> Iterable[Step]:
    """The backup has begun: a machine that ran before runs again."""
    run = world.rows(BackupRun)[task.upid]
    guest = world.rows(Guest)[run.todo[0]]
    if guest.running and guest.qmpstatus != "running":
        world.put(replace(guest, qmpstatus="running"))
    world.put(replace(run, undo=""))
    after = f" after {int(world.now - run.stopped)} seconds" if run.stopped >= run.since else ""
    return [Step(log=info(f"resuming VM again{after}"))]


@effect("backup.quit")
def _quit(world: World, task: Task) -> Iterable[Step]:
    """QEMU ends again, unless somebody has started the machine in the meantime."""
    run = world.rows(BackupRun)[task.upid]
    guest = world.rows(Guest)[run.todo[0]]
    world.put(replace(run, undo=""))
    if guest.qmpstatus != "prelaunch":
        return []
    halt(world, task, "qemu", guest.vmid)
    return [Step(log=info("stopping kvm after backup task"))]
