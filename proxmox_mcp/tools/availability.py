"""Availability: guests kept running by high availability, and copied to other nodes by replication."""

from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Moment, Page, Preview, Result, Seconds, paginate
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, Toolset, Vmid
from proxmox_mcp.tools.backup_jobs import Schedule
from proxmox_mcp.tools.saving import Saved, create, preview_removal, remove, update

availability = Toolset("availability", "High availability and replication", default=False)

Requested = Annotated[
    Literal["started", "stopped", "disabled", "ignored"],
    Field(
        description="started: kept running; stopped: kept stopped; ignored: left alone; disabled: stopped, not moved"
    ),
]
Tries = Annotated[int, Field(ge=0, le=100)]
Comment = Annotated[str, Field(max_length=512)]
RuleName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]+$", max_length=64)]
Members = Annotated[list[Vmid], Field(min_length=1, max_length=200)]
JobNumber = Annotated[str, Field(pattern=r"^[0-9]{3,9}-[0-9]{1,9}$", description="As 100-0: guest and number")]


class HaResource(Result):
    """A guest under high availability."""

    sid: str
    state: str | None = None
    max_restart: int | None = None
    max_relocate: int | None = None
    comment: str | None = None


class HaRule(Result):
    """A rule: where guests belong, or which stay together or apart."""

    rule: str
    type: str
    resources: str
    nodes: str | None = None
    affinity: str | None = None
    strict: bool | None = None
    disable: bool | None = None


class HaSetup(Result):
    """How high availability is set up. What it does now: get_cluster_ha_status."""

    resources: list[HaResource]
    rules: list[HaRule]


class ReplicationJob(Result):
    """A replication job, and how it went last where its node tells."""

    id: str
    guest: int | None = None
    target: str | None = None
    schedule: str | None = None
    disable: bool | None = None
    last_sync: Moment | None = None
    duration: Seconds | None = None
    fail_count: int | None = None
    error: str | None = None


class ReplicationJobs(Page):
    """Replication jobs."""

    jobs: list[ReplicationJob]


@availability.tool(risk=Risk.READ, title="Read how high availability is set up")
async def get_ha_setup(call: Call) -> HaSetup:
    """Read which guests high availability keeps running, and by which rules."""
    resources = sorted(await call.pve.get("/cluster/ha/resources"), key=lambda record: str(record["sid"]))
    rules = sorted(await call.pve.get("/cluster/ha/rules"), key=lambda record: str(record["rule"]))
    return HaSetup(
        resources=[HaResource(**record) for record in resources], rules=[HaRule(**record) for record in rules]
    )


def _stops(arguments: Any) -> bool:
    return arguments["state"] in {"stopped", "disabled"}


@availability.tool(risk=Risk.CHANGE, title="Put a guest under high availability", idempotent=True, interrupts=_stops)
async def set_ha_resource(
    call: Call,
    vmid: Vmid,
    state: Requested | None = None,
    max_restart: Tries | None = None,
    max_relocate: Tries | None = None,
    comment: Comment | None = None,
) -> Saved:
    """Put a guest under high availability, or change how it is kept. A new one is kept running by default."""
    sid = await _sid(call, vmid)
    params: dict[str, Any] = {"max_restart": max_restart, "max_relocate": max_relocate, "comment": comment}
    item, what = f"/cluster/ha/resources/{sid}", f"HA resource {sid}"
    if sid in {record["sid"] for record in await call.pve.get("/cluster/ha/resources")}:
        return await update(call, what, item, {**params, "state": state})
    return await create(call, what, "/cluster/ha/resources", item, {**params, "sid": sid, "state": state or "started"})


async def _preview_resource(call: Call, vmid: int) -> Preview:
    sid = await _sid(call, vmid)
    lost = "it is not started again when its node fails. It goes on as it is."
    return await preview_removal(call, f"HA resource {sid}", f"/cluster/ha/resources/{sid}", lost)


@availability.tool(risk=Risk.DESTROY, title="Take a guest out of high availability", preview=_preview_resource)
async def remove_ha_resource(
    call: Call, vmid: Vmid, purge: Annotated[bool, Field(description="Out of its rules, too")] = True
) -> Saved:
    """Take a guest out of high availability. The guest itself goes on as it is."""
    sid = await _sid(call, vmid)
    return await remove(call, f"HA resource {sid}", f"/cluster/ha/resources/{sid}", purge=purge)


async def _guests_of_rule(call: Call, rule: str) -> dict[str, Any]:
    """Whom a rule binds that is there already."""
    rules = await call.pve.get("/cluster/ha/rules")
    return {"resources": next((record["resources"] for record in rules if record["rule"] == rule), None)}


@availability.tool(risk=Risk.CHANGE, title="Make or change an HA rule", idempotent=True, resolve=_guests_of_rule)
async def set_ha_rule(
    call: Call,
    rule: RuleName,
    guests: Members,
    nodes: Annotated[list[str], Field(max_length=50, description="Where they belong; pve1:2 has priority 2")]
    | None = None,
    strict: Annotated[bool, Field(description="With nodes: nowhere else")] | None = None,
    affinity: Annotated[
        Literal["positive", "negative"], Field(description="Without nodes: together on a node, or apart")
    ]
    | None = None,
    comment: Comment | None = None,
) -> Saved:
    """Say on which nodes guests belong, or that guests stay together or apart. They must be under HA already."""
    if (nodes is None) == (affinity is None):
        raise InvalidArgument("A rule is about nodes, or about guests among each other.", "Give nodes or affinity.")
    sids = ",".join([await _sid(call, vmid) for vmid in guests])
    params: dict[str, Any] = {"resources": sids, "comment": comment, "affinity": affinity, "strict": strict}
    params |= {"nodes": ",".join(nodes) if nodes else None, "type": "node-affinity" if nodes else "resource-affinity"}
    item, what = f"/cluster/ha/rules/{rule}", f"HA rule {rule}"
    if rule in {record["rule"] for record in await call.pve.get("/cluster/ha/rules")}:
        return await update(call, what, item, params)
    return await create(call, what, "/cluster/ha/rules", item, {**params, "rule": rule})


async def _preview_rule(call: Call, rule: str) -> Preview:
    return await preview_removal(call, f"HA rule {rule}", f"/cluster/ha/rules/{rule}", "its guests may run anywhere.")


@availability.tool(risk=Risk.DESTROY, title="Delete an HA rule", preview=_preview_rule, resolve=_guests_of_rule)
async def delete_ha_rule(call: Call, rule: RuleName) -> Saved:
    """Delete a rule of high availability. Its guests stay under HA."""
    return await remove(call, f"HA rule {rule}", f"/cluster/ha/rules/{rule}")


@availability.tool(risk=Risk.READ, title="List replication jobs")
async def list_replication_jobs(
    call: Call, node: NodeName | None = None, limit: Limit = 100, cursor: Cursor | None = None
) -> ReplicationJobs:
    """List the replication jobs; with `node`, those that it runs, with how they went last."""
    records = await call.pve.get("/cluster/replication" if node is None else f"/nodes/{node}/replication")
    page, total, following = paginate(records, lambda record: str(record["id"]), limit, cursor)
    return ReplicationJobs(total=total, next_cursor=following, jobs=[ReplicationJob(**record) for record in page])


@availability.tool(risk=Risk.CHANGE, title="Make or change a replication job", idempotent=True)
async def set_replication_job(
    call: Call,
    job_id: JobNumber,
    target: NodeName | None = None,
    schedule: Schedule | None = None,
    rate: Annotated[float, Field(ge=1, description="MB a second")] | None = None,
    disable: bool | None = None,
    comment: Comment | None = None,
) -> Saved:
    """Copy a guest's disks to another node on a schedule, or change how. Takes disks on ZFS."""
    params: dict[str, Any] = {"schedule": schedule, "rate": rate, "disable": disable, "comment": comment}
    item, what = f"/cluster/replication/{job_id}", f"replication job {job_id}"
    if job_id in {record["id"] for record in await call.pve.get("/cluster/replication")}:
        if target is not None:
            raise InvalidArgument("The target of a replication job cannot be changed.", "Delete it, and make another.")
        return await update(call, what, item, params)
    if target is None:
        raise InvalidArgument(f"There is no replication job {job_id}, and a new one needs a target.", "Give target.")
    return await create(
        call, what, "/cluster/replication", item, {**params, "id": job_id, "target": target, "type": "local"}
    )


async def _preview_replication(call: Call, job_id: str) -> Preview:
    lost = "the copies on its target are removed."
    return await preview_removal(call, f"replication job {job_id}", f"/cluster/replication/{job_id}", lost)


@availability.tool(risk=Risk.DESTROY, title="Delete a replication job", preview=_preview_replication)
async def delete_replication_job(call: Call, job_id: JobNumber) -> Saved:
    """Delete a replication job, and the copies on its target."""
    return await remove(call, f"replication job {job_id}", f"/cluster/replication/{job_id}")


async def _sid(call: Call, vmid: int) -> str:
    guest = await call.guests.find(vmid, check=True)
    return f"{'vm' if guest.kind == 'qemu' else 'ct'}:{vmid}"
