"""`/nodes/{node}/vzdump`, `/cluster/backup` and `/cluster/backup-info`."""

from __future__ import annotations

from typing import Any

from pvesim.backup import archive, defaults, jobs, rules, selection
from pvesim.routing import Call, route


@route("POST", "/nodes/{node}/vzdump")
def back_up(call: Call) -> str:
    return rules.back_up(call)


@route("GET", "/nodes/{node}/vzdump/defaults")
def read_defaults(call: Call) -> dict[str, Any]:
    return defaults.defaults(call)


@route("GET", "/nodes/{node}/vzdump/extractconfig")
def extract_config(call: Call) -> str:
    return archive.extract_config(call, call.params["volume"])


@route("GET", "/cluster/backup")
def list_jobs(call: Call) -> list[dict[str, Any]]:
    return jobs.list_jobs(call.world)


@route("POST", "/cluster/backup")
def create_job(call: Call) -> None:
    jobs.create_job(call)


@route("GET", "/cluster/backup/{id}")
def read_job(call: Call) -> dict[str, Any]:
    return jobs.show_job(jobs.find_job(call.world, call.params["id"]))


@route("PUT", "/cluster/backup/{id}")
def update_job(call: Call) -> None:
    jobs.update_job(call)


@route("DELETE", "/cluster/backup/{id}")
def delete_job(call: Call) -> None:
    jobs.delete_job(call.world, call.params["id"])


@route("GET", "/cluster/backup/{id}/included_volumes")
def included_volumes(call: Call) -> dict[str, Any]:
    job = jobs.find_job(call.world, call.params["id"])
    return selection.included_volumes(call.world, job, lambda vmid: call.may(f"/vms/{vmid}", "VM.Audit"))


@route("GET", "/cluster/backup-info/not-backed-up")
def not_backed_up(call: Call) -> list[dict[str, Any]]:
    return selection.not_backed_up(call.world, lambda vmid: call.may(f"/vms/{vmid}", "VM.Audit"))
