"""Scheduled synchronisation of realms with their directories, as sections of `jobs.cfg`.

No simulated node reaches a directory, so a run's task fails as it does where the server cannot be reached.
Source: `/cluster/jobs/realm-sync`; `pve-behaviour` 36 on errors that come nested in others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pvesim.access.records import Realm
from pvesim.access.rules import ROOT
from pvesim.calendar import parse_calendar_event
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.sections import Section, SectionType, nested, plain_file
from pvesim.core.tasks import Step, Task, Timer, effect, set_timer, start_task
from pvesim.core.world import World
from pvesim.nodes.records import Node

TYPE = "realm-sync"


class RealmSyncJob(Section):
    """A job for one realm."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class LastRun:
    """When a job ran last, in seconds since the epoch."""

    id: str
    time: float

    @property
    def key(self) -> str:
        return self.id


JOBS = plain_file(
    RealmSyncJob,
    {
        TYPE: SectionType.of(
            required="realm schedule", optional="comment enabled enable-new remove-vanished scope", fixed="realm"
        )
    },
)


def find_job(world: World, id: str) -> RealmSyncJob:
    """The job. Raises `ParameterErrors`."""
    job = world.get(RealmSyncJob, id)
    if job is None:
        raise ParameterErrors({"id": f"No such job '{id}'"})
    return job


def show(job: RealmSyncJob) -> dict[str, Any]:
    """`GET /cluster/jobs/realm-sync/{id}`."""
    return {**job.options, "id": job.id, "type": job.type}


def listed(world: World, job: RealmSyncJob) -> dict[str, Any]:
    """One element of `GET /cluster/jobs/realm-sync`, with when it ran and will run."""
    row = {"enabled": 1, **{name: value for name, value in job.options.items() if name != "enable-new"}, "id": job.id}
    last, due = world.get(LastRun, job.id), _next_run(world, job)
    if last is not None:
        row["last-run"] = int(last.time)
    return row if due is None else {**row, "next-run": due}


def _next_run(world: World, job: RealmSyncJob) -> int | None:
    if not job.options.get("enabled", 1):
        return None
    return parse_calendar_event(str(job.options["schedule"])).after(world.now)


# -- writing -----------------------------------------------------------------------------------------------------------


def create(world: World, id: str, options: Mapping[str, Any]) -> None:
    """`POST`. Raises `Failure`, with the fields of the request nested in its text."""
    with nested():
        if world.get(RealmSyncJob, id) is not None:
            raise Failure(f"Job '{id}' already exists")
        realm = world.get(Realm, str(options.get("realm")))
        if realm is None:
            raise ParameterErrors({"realm": f"No such realm '{options.get('realm')}'"})
        if realm.type not in ("ad", "ldap"):
            raise ParameterErrors({"realm": f"Cannot sync realm of type '{realm.type}'"})
        job = JOBS.create(world, TYPE, id, options)
    _arm(world, job)


def update(world: World, id: str, options: Mapping[str, Any], delete: Sequence[str]) -> None:
    """`PUT`. Raises `Failure`."""
    with nested():
        job = world.get(RealmSyncJob, id)
        if job is None:
            raise Failure("no such realm-sync job")
        changed = JOBS.update(world, job, options, delete)
    _arm(world, changed)


def remove(world: World, id: str) -> None:
    """`DELETE`. Raises `Failure`."""
    with nested():
        JOBS.delete(world, find_job(world, id))
    world.remove(LastRun, id)
    world.remove(Timer, _timer(id))


# -- running -----------------------------------------------------------------------------------------------------------


def _timer(id: str) -> str:
    return f"{TYPE}/{id}"


def _arm(world: World, job: RealmSyncJob) -> None:
    due = _next_run(world, job)
    if due is None:
        world.remove(Timer, _timer(job.id))
    else:
        set_timer(world, _timer(job.id), due, "access.sync_due", job.id)


@effect("access.sync_due")
def _due(world: World, task: None, id: str) -> None:
    job = world.get(RealmSyncJob, id)
    node = next((name for name, node in world.rows(Node).items() if node.online), None)
    if job is None:
        return
    if node is not None:
        world.put(LastRun(id, world.now))
        realm = str(job.options["realm"])
        start_task(world, node, "auth-realm-sync", realm, ROOT, _sync_steps(realm, "sync"))
    _arm(world, job)


def _sync_steps(realm: str, what: str) -> list[Step]:
    return [
        Step(log=(f"starting {what} for realm {realm}",)),
        Step(after=3.0, effect="access.sync", arguments=(realm,)),
    ]


def sync_now(world: World, name: str, given: Mapping[str, Any]) -> tuple[str, list[Step]]:
    """`POST /access/domains/{realm}/sync`: the type of its task, and its steps. Raises `ApiError`."""
    realm = world.get(Realm, name)
    if realm is None:
        raise ParameterErrors({"realm": "Realm does not exist."})
    if realm.type not in ("ad", "ldap"):
        raise Failure(f"Cannot sync realm type '{realm.type}'! Only LDAP/AD realms can be synced.")
    defaults = str(realm.options.get("sync-defaults-options", ""))
    if given.get("scope") is None and "scope" not in (pair.partition("=")[0] for pair in defaults.split(",")):
        text = "Not passed as parameter and not defined in realm default sync options."
        raise ParameterErrors({"scope": text})
    if given.get("dry-run"):
        return "auth-realm-sync-test", _sync_steps(name, "sync test")
    return "auth-realm-sync", _sync_steps(name, "sync")


@effect("access.sync")
def _sync(world: World, task: Task, realm: str) -> Iterable[Step] | None:
    found = world.get(Realm, realm)
    if found is None:
        raise Failure(f"domain '{realm}' does not exist")
    raise Failure(f"unable to connect to {found.options['server1']}: No route to host")
