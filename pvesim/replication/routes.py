"""`/cluster/replication` and `/nodes/{node}/replication`."""

from __future__ import annotations

from typing import Any

from pvesim.core.errors import Forbidden
from pvesim.core.sections import split_changes
from pvesim.replication import rules
from pvesim.replication.records import ReplicationJob
from pvesim.routing import Answer, Call, route

_ONE = "/cluster/replication/{id}"
_LOCAL = "/nodes/{node}/replication"


def _may_see(call: Call, job: ReplicationJob) -> bool:
    return call.may(f"/vms/{job.options['guest']}", "VM.Audit")


def _check(call: Call, privilege: str) -> str:
    """The id that the path names, if who asks has the privilege on its guest."""
    id: str = call.params["id"]
    call.check(f"/vms/{rules.guest_of(id)}", privilege)
    return id


@route("GET", "/cluster/replication")
def list_jobs(call: Call) -> list[dict[str, Any]]:
    jobs = call.world.rows(ReplicationJob)
    return [rules.show(jobs[id]) for id in sorted(jobs) if _may_see(call, jobs[id])]


@route("POST", "/cluster/replication")
def create_job(call: Call) -> None:
    id = _check(call, "VM.Replicate")
    options, _, _ = split_changes(call.params, "id", "type")
    rules.create(call.world, call.params["type"], id, options)


@route("GET", _ONE)
def read_job(call: Call) -> dict[str, Any]:
    job = rules.find_job(call.world, call.params["id"])
    _check(call, "VM.Audit")
    return {**rules.show(job), "digest": rules.JOBS.digest(call.world)}


@route("PUT", _ONE)
def update_job(call: Call) -> None:
    id = _check(call, "VM.Replicate")
    rules.update(call.world, id, *split_changes(call.params, "id"))


@route("DELETE", _ONE)
def delete_job(call: Call) -> None:
    id = _check(call, "VM.Replicate")
    rules.delete(call.world, id, bool(call.params.get("keep")), bool(call.params.get("force")))


@route("GET", _LOCAL)
def list_local_jobs(call: Call) -> list[dict[str, Any]]:
    jobs = rules.jobs_on(call.world, call.node, call.params.get("guest"))
    return [rules.status(call.world, job) for job in jobs if _may_see(call, job)]


@route("GET", _LOCAL + "/{id}/status")
def read_status(call: Call) -> dict[str, Any]:
    job = rules.find_job(call.world, call.params["id"])
    _check(call, "VM.Audit")
    return rules.status(call.world, job)


@route("GET", _LOCAL + "/{id}/log")
def read_log(call: Call) -> Answer:
    params = call.params
    path = f"/vms/{rules.guest_of(params['id'])}"
    if not call.may(path, "VM.Audit") and not call.may(f"/nodes/{call.node}", "Sys.Audit"):
        raise Forbidden(f"Permission check failed ({path}, VM.Audit)")
    lines, total = rules.read_log(call.world, params["id"], params.get("start", 0), params.get("limit"))
    return Answer(lines, {"total": total})


@route("POST", _LOCAL + "/{id}/schedule_now")
def schedule_now(call: Call) -> str:
    rules.run_now(call.world, _check(call, "VM.Replicate"))
    return ""
