"""Replication jobs, the sections of `replication.cfg`.

Sources: `/cluster/replication`, `/nodes/{node}/replication`, the recorded exchanges `cluster/020` to `cluster/022`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.sections import SectionType, plain_file
from pvesim.core.tasks import MISSING_LOG
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.replication.records import ReplicationJob, ReplicationState, jobs_of
from pvesim.replication.run import next_sync, plan, replicated_volumes, unplan

JOBS = plain_file(
    ReplicationJob,
    {
        "local": SectionType.of(
            required="guest jobnum target",
            optional="source schedule comment disable rate remove_job",
            fixed="guest jobnum target",
        )
    },
)
Options = Mapping[str, Any]


def guest_of(id: str) -> int:
    """The guest that a job's id names."""
    return int(id.partition("-")[0])


def find_job(world: World, id: str) -> ReplicationJob:
    """The job. Raises `Failure`."""
    job = world.get(ReplicationJob, id)
    if job is None:
        raise Failure(f"no such replication job '{id}'")
    return job


def show(job: ReplicationJob) -> dict[str, Any]:
    """A job as its file has it."""
    return {**job.options, "id": job.id, "type": job.type}


# -- writing -----------------------------------------------------------------------------------------------------------


def create(world: World, type: str, id: str, options: Options) -> None:
    """`POST /cluster/replication`. Raises `Failure`."""
    vmid, jobnum = (int(part) for part in id.split("-"))
    guest = world.get(Guest, vmid)
    target = options.get("target")
    if guest is None:
        raise Failure(f"Guest '{vmid}' does not exist.")
    if target is not None and world.get(Node, target) is None:
        raise Failure(f"Target '{target}' does not exist.")
    source = options.get("source", guest.node)
    if source != guest.node:
        raise Failure(f"Source '{source}' does not match current node of guest '{vmid}' ({guest.node})")
    if source == target:
        raise Failure(f"Source '{source}' equals target '{target}' and cannot overlap")
    replicated_volumes(world, guest)
    for other in jobs_of(world, vmid):
        if other.id == id:
            raise Failure(f"replication job '{id}' already exists")
        if other.options["target"] == target:
            raise Failure(f"replication job for guest '{vmid}' to target '{target}' already exists")
    JOBS.create(world, type, id, {**options, "guest": vmid, "jobnum": jobnum, "source": source})
    plan(world, id)


def update(world: World, id: str, options: Options, delete: Sequence[str], digest: str | None) -> None:
    """`PUT /cluster/replication/{id}`. Raises `Failure`."""
    JOBS.check_digest(world, digest)
    job = world.get(ReplicationJob, id)
    if job is None:
        raise Failure(f"no such job '{id}'")
    JOBS.update(world, job, options, delete)
    plan(world, id)


def delete(world: World, id: str, keep: bool, force: bool) -> None:
    """`DELETE /cluster/replication/{id}`: the next run removes the copies and the job. Raises `Failure`.

    With `keep` the copies stay; with `force` the job goes at once.
    """
    job = world.get(ReplicationJob, id)
    if job is None:
        raise Failure(f"no such job '{id}'")
    if force:
        JOBS.delete(world, job)
        unplan(world, id)
    else:
        JOBS.update(world, job, {"remove_job": "local" if keep else "full"})
        plan(world, id)


def run_now(world: World, id: str) -> None:
    """`POST …/schedule_now`: the job runs when the scheduler looks next. Raises `Failure`."""
    find_job(world, id)
    state = world.get(ReplicationState, id) or ReplicationState(id)
    world.put(replace(state, asked=True))
    plan(world, id)


# -- how it is ---------------------------------------------------------------------------------------------------------


def status(world: World, job: ReplicationJob) -> dict[str, Any]:
    """`GET /nodes/{node}/replication/{id}/status`."""
    state = world.get(ReplicationState, job.id) or ReplicationState(job.id)
    guest = world.get(Guest, job.options["guest"])
    row = {
        **show(job),
        "fail_count": state.fail_count,
        "last_sync": int(state.last_sync),
        "last_try": int(state.last_try),
        "next_sync": next_sync(world, job),
        "vmtype": guest.kind if guest else "qemu",
    }
    if state.last_try:
        row["duration"] = round(state.duration, 6)
    if state.error:
        row["error"] = state.error
    return {**row, "pid": state.pid} if state.pid else row


def jobs_on(world: World, node: str, vmid: int | None) -> list[ReplicationJob]:
    """The jobs whose guest is on a node, of one guest if named."""
    jobs = []
    for id in sorted(world.rows(ReplicationJob)):
        job = world.rows(ReplicationJob)[id]
        guest = world.get(Guest, job.options["guest"])
        if guest is not None and guest.node == node and vmid in (None, guest.vmid):
            jobs.append(job)
    return jobs


def read_log(world: World, id: str, start: int, limit: int | None) -> tuple[list[dict[str, Any]], int]:
    """A page of the latest run's log, and how many lines there are. Raises `Failure`."""
    find_job(world, id)
    state = world.get(ReplicationState, id)
    lines = state.log if state and state.log else (MISSING_LOG,)
    numbered = [{"n": number, "t": text} for number, text in enumerate(lines, start=1)]
    return numbered[start : start + (limit or len(lines))], len(lines)
