"""Running a backup job by hand: as PVE does on schedule, on every node that has guests of it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from proxmox_mcp.errors import InvalidArgument, ProxmoxError, TaskFailed
from proxmox_mcp.tasks import TaskResult
from proxmox_mcp.tooling import Call

_PASSED = ("all", "vmid", "pool", "exclude", "storage", "mode", "compress", "notes-template", "fleecing")


class JobRun(TaskResult):
    """A job that was run: the task of its first node, and those of the other nodes."""

    note: str | None = None
    """Guests that no task backs up, and why."""
    others: list[TaskResult] | None = None


async def run_job(call: Call, job_id: str, node: str | None, wait_seconds: float) -> JobRun:
    """Start the job's tasks (`POST /nodes/{node}/vzdump`, one a node), and wait for all of them.

    Raises:
        InvalidArgument: no guest of it is on a node that is online.
        TaskFailed: a task failed; the others are named.
        ProxmoxError: a node refused its task; those that run already are named.
    """
    job = await call.pve.get(f"/cluster/backup/{job_id}")
    named = node or job.get("node")
    nodes, missed = ([named], []) if named else await _nodes_of(call, job_id, job)
    params = {key: job[key] for key in _PASSED if job.get(key) not in (None, "")}
    upids: list[str] = []
    for where in nodes:
        try:
            upids.append(await call.pve.post(f"/nodes/{where}/vzdump", **params, remove=False))
        except ProxmoxError as error:
            if not upids:
                raise
            running = ", ".join(f"{name} ({upid})" for name, upid in zip(nodes, upids, strict=False))
            raise ProxmoxError(f"The job runs on {running}, but not on {where}: {error.what}", error.advice) from None
    first, *others = await _ends(call, upids, wait_seconds)
    note = f"Not backed up, for their node is not online: {', '.join(missed)}." if missed else None
    return JobRun(**dict(first), note=note, others=others or None)


async def _nodes_of(call: Call, job_id: str, job: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The nodes that have guests of a job and are online, and the guests on the others (`102 on pve3`)."""
    guests = [record for record in await call.guests.records() if _is_of(job, record)]
    if not guests:
        raise InvalidArgument(
            f"Backup job {job_id} is for no guest that there is and that the configured user may see.",
            "update_backup_job changes whom it is for.",
        )
    online = {record["node"] for record in await call.pve.get("/nodes") if record.get("status") == "online"}
    missed = [f"{record['vmid']} on {record['node']}" for record in guests if record["node"] not in online]
    nodes = sorted({record["node"] for record in guests} & online)
    if not nodes:
        raise InvalidArgument(
            f"No guest of backup job {job_id} is on a node that is online: {', '.join(missed)}.",
            "get_nodes lists the nodes.",
        )
    return nodes, missed


def _is_of(job: Mapping[str, Any], guest: Mapping[str, Any]) -> bool:
    if job.get("all"):
        return str(guest["vmid"]) not in str(job.get("exclude") or "").split(",")
    if job.get("pool"):
        return bool(guest.get("pool") == job["pool"])
    return str(guest["vmid"]) in str(job.get("vmid") or "").split(",")


async def _ends(call: Call, upids: Sequence[str], wait_seconds: float) -> list[TaskResult]:
    """How the tasks ended, or that they run when the time is over. All are waited for before a failure is told."""
    until = time.monotonic() + wait_seconds
    ends: list[TaskResult] = []
    failed: list[TaskFailed] = []
    for upid in upids:
        try:
            end = await call.tasks.follow(upid, max(0.0, until - time.monotonic()) if wait_seconds else 0, call.report)
            ends.append(end if not ends else end.model_copy(update={"log_tail": []}))
        except TaskFailed as error:
            failed.append(error)
    if failed:
        raise _with_others(failed[0], [upid for upid in upids if upid != failed[0].upid])
    return ends


def _with_others(failed: TaskFailed, others: Sequence[str]) -> TaskFailed:
    if not others:
        return failed
    advice = f"{failed.hint} Of the job, its other tasks: {', '.join(others)}.".strip()
    return TaskFailed(failed.upid, failed.reason, failed.log_tail, subject=failed.subject, advice=advice)
