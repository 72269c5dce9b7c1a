"""`/cluster/jobs/realm-sync`, and synchronising at once."""

from __future__ import annotations

from typing import Any

from pvesim.access import sync_jobs
from pvesim.access.sync_jobs import RealmSyncJob
from pvesim.core.sections import split_changes
from pvesim.routing import Call, route

_ONE = "/cluster/jobs/realm-sync/{id}"


@route("GET", "/cluster/jobs/realm-sync")
def list_jobs(call: Call) -> list[dict[str, Any]]:
    return [sync_jobs.listed(call.world, job) for job in call.world.rows(RealmSyncJob).values()]


@route("GET", _ONE)
def read_job(call: Call) -> dict[str, Any]:
    return sync_jobs.show(sync_jobs.find_job(call.world, call.params["id"]))


@route("POST", _ONE)
def create_job(call: Call) -> None:
    options, _, _ = split_changes(call.params, "id")
    sync_jobs.create(call.world, call.params["id"], options)


@route("PUT", _ONE)
def update_job(call: Call) -> None:
    options, delete, _ = split_changes(call.params, "id")
    sync_jobs.update(call.world, call.params["id"], options, delete)


@route("DELETE", _ONE)
def delete_job(call: Call) -> None:
    sync_jobs.remove(call.world, call.params["id"])


@route("POST", "/access/domains/{realm}/sync")
def sync_now(call: Call) -> str:
    realm = call.params["realm"]
    type, steps = sync_jobs.sync_now(call.world, realm, call.params)
    return call.start(type, realm, steps)
