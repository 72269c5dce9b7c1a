"""Scheduled backups, the sections of `jobs.cfg`: reading, creating, updating, deleting them, and running them when due.

Source: `/cluster/backup`, recorded exchanges `backup/027-042`; `pve-behaviour` 36: some errors come nested in others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pvesim.access.rules import ROOT
from pvesim.backup.options import check_job_pool, check_may_set, storage_of, verified
from pvesim.backup.records import BackupJob
from pvesim.backup.run import launch
from pvesim.backup.selection import chosen_guests, split_by_node
from pvesim.calendar import parse_calendar_event
from pvesim.contract import Contract, FormatError, parse_property_string, split_list
from pvesim.contract.calendar_events import calendar_event
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.sections import SectionFile, SectionType, as_stored, split_changes
from pvesim.core.tasks import Task, Timer, effect, set_timer
from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.pools.records import Pool
from pvesim.routing import Call

TYPE = "vzdump"
_OPTIONS = (
    "all bwlimit comment compress dow dumpdir enabled exclude exclude-path fleecing ionice lockwait mailnotification"
    " mailto mode node notes-template notification-mode pbs-change-detection-mode performance pigz pool protected"
    " prune-backups quiet remove repeat-missed schedule script starttime stdexcludes stop stopwait storage tmpdir vmid"
    " zstd"
)
_SECTION = SectionType.of(optional=_OPTIONS)
_TAKEN_APART = ("prune-backups", "performance", "fleecing")  # property strings that answers show taken apart
_NOT_FOR_A_RUN = ("comment", "enabled", "repeat-missed", "schedule", "node")
_ALL_DAYS = frozenset(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))


def _read(type: str, id: str, options: Mapping[str, Any], before: BackupJob | None) -> BackupJob:
    return BackupJob(id, dict(options))


JOBS: SectionFile[BackupJob] = SectionFile(
    BackupJob,
    {TYPE: _SECTION},
    write=lambda job: (TYPE, job.id, job.options),
    read=_read,
)


@contextmanager
def _nested() -> Iterator[None]:
    """PVE writes the file in a program of its own: an error in it comes as text, its status and fields too."""
    try:
        yield
    except ParameterErrors as error:
        fields = "".join(f"{name}: {text}\n" for name, text in sorted((error.errors or {}).items()))
        raise Failure(f"400 {error.message}\n{fields}".rstrip("\n")) from error


def find_job(world: World, id: str) -> BackupJob:
    """The job. Raises `ParameterErrors` for an unknown one."""
    job = world.get(BackupJob, id)
    if job is None:
        raise ParameterErrors({"id": f"No such job '{id}'"})
    return job


# -- reading -------------------------------------------------------------------------------------------------------


def show_job(job: BackupJob) -> dict[str, Any]:
    """`GET /cluster/backup/{id}`."""
    shown = {**job.options, "id": job.id, "type": TYPE}
    for name in _TAKEN_APART:
        if name in shown:
            shown[name] = _apart(name, str(shown[name]))
    return shown


def _apart(name: str, text: str) -> dict[str, Any]:
    found = Contract.load().find("POST", ["cluster", "backup"])
    schema = found[0].parameters.get(name) if found else None
    assert schema is not None
    return as_stored(parse_property_string(schema, text))


def list_jobs(world: World) -> list[dict[str, Any]]:
    """`GET /cluster/backup`: the same with the time of the next run."""
    return [_with_next_run(world, job) for job in world.rows(BackupJob).values()]


def _with_next_run(world: World, job: BackupJob) -> dict[str, Any]:
    due = _next_run(world, job)
    return show_job(job) if due is None else {**show_job(job), "next-run": due}


def _next_run(world: World, job: BackupJob) -> int | None:
    return parse_calendar_event(str(job.options["schedule"])).after(world.now)


# -- writing -------------------------------------------------------------------------------------------------------


def create_job(call: Call) -> None:
    """`POST /cluster/backup`. Raises `Forbidden`, `Failure`, and `ParameterErrors` where there is no schedule."""
    world = call.world
    options, _, _ = split_changes(call.params, "id")
    check_job_pool(call, options)
    check_may_set(call, options.keys(), fleecing=options.get("fleecing"))
    _check_storage(call, options)
    options = _with_schedule(options, required=True)
    options.setdefault("enabled", 1)
    id = call.params.get("id") or world.uuid()
    with _nested():
        if world.get(BackupJob, id) is not None:
            raise Failure(f"Job '{id}' already exists")
        _check_schedule(options)
        job = JOBS.create(world, TYPE, id, verified(options))
    arm(world, job)


def _check_storage(call: Call, options: Mapping[str, Any]) -> None:
    storage = storage_of(options)
    if storage is not None:
        call.check(f"/storage/{storage}", "Datastore.Allocate")


def _with_schedule(options: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    """The options with a start time and days of the old kind made into a schedule."""
    rest = dict(options)
    time, days = rest.pop("starttime", None), rest.pop("dow", None)
    if time is None:
        if required and not rest.get("schedule"):
            raise ParameterErrors({"schedule": "neither 'starttime' nor 'schedule' were set"})
        return rest
    if rest.get("schedule"):
        raise ParameterErrors({"schedule": "'starttime' and 'schedule' cannot both be set"})
    every_day = not days or set(split_list(str(days))) == _ALL_DAYS
    rest["schedule"] = str(time) if every_day else f"{days} {time}"
    return rest


def _check_schedule(options: Mapping[str, Any]) -> None:
    """Raise `ParameterErrors` for a job without a schedule, or with a start time that is none."""
    if not options.get("schedule"):
        raise ParameterErrors({"schedule": "property is missing and it is not optional"})
    try:
        calendar_event(str(options["schedule"]))
    except FormatError as error:
        raise ParameterErrors({"schedule": f"invalid format - {error}"}) from None


def update_job(call: Call) -> None:
    """`PUT /cluster/backup/{id}`. Raises as creating does, and nested for an unknown job."""
    world = call.world
    given, delete, _ = split_changes(call.params, "id")
    check_job_pool(call, given)
    check_may_set(call, [*given, *delete], fleecing=given.get("fleecing"))
    if given.get("storage"):
        call.check(f"/storage/{given['storage']}", "Datastore.Allocate")
    elif "storage" in delete:
        _check_storage(call, {})
    given = _with_schedule(given, required=False)
    with _nested():
        if not given and not delete:
            raise Failure("no options specified")
        job = find_job(world, call.params["id"])
        _check_may_change(call, job)
        options = verified(_changed(job.options, given, delete))
        _check_schedule(options)
        job = BackupJob(job.id, options)
        world.put(job)
    arm(world, job)


def _check_may_change(call: Call, job: BackupJob) -> None:
    if call.identity.is_root:
        return
    if job.options.get("dumpdir"):
        raise Failure("only root@pam may edit jobs with a 'dumpdir' option.")
    _check_storage(call, job.options)


def _changed(before: Mapping[str, Any], given: Mapping[str, Any], delete: Sequence[str]) -> dict[str, Any]:
    """The options after an update: what is chosen by id, by pool, or all, takes the place of what was."""
    for name in delete:
        if name not in _SECTION.options:
            raise ParameterErrors({"delete": f"unknown option '{name}'"})
    options = {name: value for name, value in before.items() if name not in delete} | dict(given)
    dropped: tuple[str, ...]
    if given.get("vmid"):
        dropped = ("all", "exclude", "pool")
    elif given.get("all"):
        dropped = ("vmid", "pool")
    elif options.get("pool"):
        dropped = ("vmid", "all", "exclude")
    else:
        return options
    return {name: value for name, value in options.items() if name not in dropped}


def delete_job(world: World, id: str) -> None:
    """`DELETE /cluster/backup/{id}`. Raises `Failure` for an unknown one."""
    with _nested():
        JOBS.delete(world, find_job(world, id))
    world.remove(Timer, _timer(id))


def leave_jobs(world: World, vmid: int) -> None:
    """Take a guest that is purged out of the jobs that name it; a job left without a guest goes too."""
    for job in list(world.rows(BackupJob).values()):
        named = split_list(str(job.options.get("vmid", "")))
        if str(vmid) not in named:
            continue
        rest = ",".join(name for name in named if name != str(vmid))
        if rest:
            world.put(BackupJob(job.id, {**job.options, "vmid": rest}))
        else:
            delete_job(world, job.id)


# -- running -------------------------------------------------------------------------------------------------------


def _timer(id: str) -> str:
    return f"backup job {id}"


def arm(world: World, job: BackupJob) -> None:
    """Have the job run when it is next due."""
    due = _next_run(world, job)
    if due is None or not job.options.get("enabled", 1):
        world.remove(Timer, _timer(job.id))
    else:
        set_timer(world, _timer(job.id), float(due), "backup.job_due", job.id)


@effect("backup.job_due")
def _job_due(world: World, task: Task | None, id: str) -> None:
    """Every node that is there backs up those of its guests that the job names."""
    job = world.get(BackupJob, id)
    if job is None:
        return
    arm(world, job)
    options = {name: value for name, value in job.options.items() if name not in _NOT_FOR_A_RUN}
    options["quiet"] = 1
    if options.get("pool") and world.get(Pool, options["pool"]) is None:
        return
    vmids = chosen_guests(world, options)
    for node in list(world.rows(Node).values()):
        if not node.online or job.options.get("node", node.name) != node.name:
            continue
        here, elsewhere = split_by_node(world, vmids, node.name)
        if here or options.get("all"):
            launch(world, node.name, ROOT, options, here, elsewhere)
