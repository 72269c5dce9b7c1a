"""Backup jobs: who is backed up when and where to; what retention would remove."""

from typing import Annotated, Any

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Moment, Page, Preview, Result, paginate
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.tooling import Arguments, Call, Cursor, Limit, NodeName, Risk, StorageName, Toolset, Vmid, WaitSeconds
from proxmox_mcp.tools.backing_up import Mode
from proxmox_mcp.tools.config import Options
from proxmox_mcp.tools.job_running import JobRun, run_job
from proxmox_mcp.tools.placing import require_node
from proxmox_mcp.tools.saving import Saved, create, preview_removal, remove, saved, update
from proxmox_mcp.tools.storage import node_with
from proxmox_mcp.tools.writing import PoolName

backup_jobs = Toolset("backup_jobs", "Backup jobs and retention", default=False)

JobId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{1,49}$|^[0-9a-f-]{36}$", description="Id of the job")]
Schedule = Annotated[str, Field(max_length=128, description="Calendar event, as 02:00 or sat 03:30 or */6:00")]
Vmids = Annotated[list[Vmid], Field(max_length=1000)]
Keep = Annotated[str, Field(max_length=200, pattern=r"^keep-", description="As keep-daily=7,keep-weekly=4")]


class Job(Result):
    """A backup job: either of listed guests, of a pool, or of all but some."""

    id: str
    enabled: bool
    schedule: str | None = None
    storage: str | None = None
    guests: str
    node: str | None = None
    mode: str | None = None
    prune_backups: str | None = None
    next_run: Moment | None = None
    comment: str | None = None


class Jobs(Page):
    """Backup jobs."""

    jobs: list[Job]


class UnprotectedGuest(Result):
    """A guest that no job backs up."""

    vmid: int
    name: str | None = None
    type: str


class UnprotectedGuests(Page):
    """Guests that no job backs up."""

    guests: list[UnprotectedGuest]


class Marked(Result):
    """A backup, and what retention makes of it: keep, remove, protected or renamed."""

    volid: str
    mark: str
    ctime: Moment
    vmid: int | None = None


class Pruning(Page):
    """What retention would do, or did, on one storage."""

    storage: str
    node: str
    removed: int
    applied: bool
    backups: list[Marked]


@backup_jobs.tool(risk=Risk.READ, title="List backup jobs")
async def list_backup_jobs(call: Call, limit: Limit = 100, cursor: Cursor | None = None) -> Jobs:
    """List the backup jobs with schedule, storage, guests and next run."""
    records = await call.pve.get("/cluster/backup")
    page, total, following = paginate(records, lambda record: str(record["id"]), limit, cursor)
    return Jobs(total=total, next_cursor=following, jobs=[_job(record) for record in page])


@backup_jobs.tool(risk=Risk.READ, title="List guests that no job backs up")
async def list_unprotected_guests(call: Call, limit: Limit = 100, cursor: Cursor | None = None) -> UnprotectedGuests:
    """List the guests that no backup job covers."""
    records = await call.pve.get("/cluster/backup-info/not-backed-up")
    page, total, following = paginate(records, lambda record: int(record["vmid"]), limit, cursor)
    return UnprotectedGuests(total=total, next_cursor=following, guests=[UnprotectedGuest(**row) for row in page])


def _stops(arguments: Arguments) -> bool:
    """Whether guests are stopped or paused while they are backed up."""
    mode = {**arguments, **(arguments.get("options") or {})}.get("mode")
    return mode not in (None, "snapshot")


# Whenever it runs, PVE removes what its retention, or the storage's, marks.
@backup_jobs.tool(risk=Risk.DESTROY, title="Make a backup job", destructive=False, interrupts=_stops)
async def create_backup_job(
    call: Call,
    schedule: Schedule,
    storage: StorageName,
    vmids: Vmids | None = None,
    pool: PoolName | None = None,
    all_guests: Annotated[bool, Field(description="All but those in exclude")] = False,
    exclude: Vmids | None = None,
    node: NodeName | None = None,
    mode: Mode = "snapshot",
    keep: Keep | None = None,
    job_id: JobId | None = None,
    comment: Annotated[str, Field(max_length=512)] | None = None,
    enabled: bool = True,
) -> Saved:
    """Make a backup job for some guests, for those of a pool, or for all."""
    if sum((vmids is not None, pool is not None, all_guests)) != 1:
        raise InvalidArgument("A job is for listed guests, for a pool, or for all.", "Give vmids, pool or all_guests.")
    await _require_known(call, node)
    before = {record["id"] for record in await call.pve.get("/cluster/backup")} if job_id is None else set()
    params: dict[str, Any] = {
        "id": job_id,
        "schedule": schedule,
        "storage": storage,
        "vmid": _listed(vmids),
        "pool": pool,
        "all": all_guests or None,
        "exclude": _listed(exclude),
        "node": node,
        "mode": mode,
        "compress": "zstd",
        "prune-backups": keep,
        "comment": comment,
        "enabled": enabled,
    }
    if job_id is not None:
        return await create(call, f"backup job {job_id}", "/cluster/backup", f"/cluster/backup/{job_id}", params)
    await call.pve.post("/cluster/backup", **params)
    made = next(record for record in await call.pve.get("/cluster/backup") if record["id"] not in before)
    return saved(f"backup job {made['id']}", "created", {}, made)


async def _guests_of_job(call: Call, job_id: str) -> dict[str, Any]:
    """Whom a job is for, which its id does not say."""
    job = await call.pve.get(f"/cluster/backup/{job_id}")
    return {key: job.get(key) for key in ("vmid", "pool", "all")}


def _risk_of_updating(arguments: Arguments) -> Risk:
    """To switch a job on or off removes nothing that it did not remove before."""
    others = [value for name, value in arguments.items() if name not in {"job_id", "enabled"} and value is not None]
    return Risk.DESTROY if others else Risk.CHANGE


@backup_jobs.tool(
    risk=Risk.DESTROY,
    least=Risk.CHANGE,
    risk_of=_risk_of_updating,
    title="Change a backup job",
    idempotent=True,
    destructive=False,
    interrupts=_stops,
    resolve=_guests_of_job,
)
async def update_backup_job(
    call: Call,
    job_id: JobId,
    enabled: bool | None = None,
    schedule: Schedule | None = None,
    storage: StorageName | None = None,
    vmids: Vmids | None = None,
    keep: Keep | None = None,
    options: Annotated[Options, Field(description="Further options of PVE's backup jobs")] | None = None,
) -> Saved:
    """Change a backup job, or switch it on or off. What is left out stays."""
    params: dict[str, Any] = {"enabled": enabled, "schedule": schedule, "storage": storage, "vmid": _listed(vmids)}
    params |= {"prune-backups": keep, **(options or {})}
    if all(value is None for value in params.values()):
        raise InvalidArgument("There is nothing to change.", "Give what is to be another.")
    return await update(call, f"backup job {job_id}", f"/cluster/backup/{job_id}", params)


async def _require_known(call: Call, node: str | None) -> None:
    """PVE would take any name, and the job never run."""
    if node is not None:
        await require_node(call, node)


async def _preview_deletion(call: Call, job_id: str) -> Preview:
    lost = "its guests are backed up no more; backups that there are stay."
    return await preview_removal(call, f"backup job {job_id}", f"/cluster/backup/{job_id}", lost)


@backup_jobs.tool(risk=Risk.DESTROY, title="Delete a backup job", preview=_preview_deletion, resolve=_guests_of_job)
async def delete_backup_job(call: Call, job_id: JobId) -> Saved:
    """Delete a backup job. The backups that it made stay."""
    return await remove(call, f"backup job {job_id}", f"/cluster/backup/{job_id}")


async def _job_to_run(call: Call, job_id: str, node: str | None = None) -> dict[str, Any]:
    """Whom a job is for, and how it is done, which its id does not say."""
    job = await call.pve.get(f"/cluster/backup/{job_id}")
    kept = {key: job.get(key) for key in ("vmid", "pool", "all", "mode", "storage")}
    return {**kept, "node": node or job.get("node")}


@backup_jobs.tool(
    risk=Risk.OPERATE, title="Run a backup job now", destructive=False, interrupts=_stops, resolve=_job_to_run
)
async def run_backup_job(
    call: Call, job_id: JobId, node: NodeName | None = None, wait_seconds: WaitSeconds = 0
) -> JobRun:
    """Run a backup job now, on all its nodes or the one named; older backups stay, whatever its retention says."""
    return await run_job(call, job_id, node, wait_seconds)


@backup_jobs.tool(risk=Risk.READ, title="Preview retention")
async def preview_prune(
    call: Call,
    storage: StorageName,
    keep: Keep | None = None,
    vmid: Vmid | None = None,
    node: NodeName | None = None,
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> Pruning:
    """Show which backups on a storage a retention would remove; by default the storage's own retention."""
    where = node or await node_with(call, storage)
    records = await _marks(call, where, storage, keep, vmid)
    return _pruning(storage, where, records, limit, cursor, applied=False)


async def _preview_pruning(
    call: Call, storage: str, keep: str | None = None, vmid: int | None = None, node: str | None = None
) -> Preview:
    where = node or await node_with(call, storage)
    gone = [record["volid"] for record in await _marks(call, where, storage, keep, vmid) if record["mark"] == "remove"]
    shown = [*gone[:50], *([f"and {len(gone) - 50} more"] if len(gone) > 50 else [])]
    summary = f"Remove {len(gone)} backups from {storage}, for good."
    return Preview(summary=summary, target=f"storage {storage}", facts=shown, fingerprint=digest_of(gone))


@backup_jobs.tool(risk=Risk.DESTROY, title="Remove old backups", preview=_preview_pruning)
async def prune_backups(
    call: Call, storage: StorageName, keep: Keep | None = None, vmid: Vmid | None = None, node: NodeName | None = None
) -> Pruning:
    """Remove the backups that preview_prune marks so, for good. Protected ones stay."""
    where = node or await node_with(call, storage)
    records = await _marks(call, where, storage, keep, vmid)
    params: dict[str, Any] = {"prune-backups": keep, "vmid": vmid}
    upid = await call.pve.delete(f"/nodes/{where}/storage/{storage}/prunebackups", **params)
    if isinstance(upid, str) and upid.startswith("UPID:"):
        await call.tasks.follow(upid, 3600, call.report)
    return _pruning(storage, where, records, 500, None, applied=True)


async def _marks(call: Call, node: str, storage: str, keep: str | None, vmid: int | None) -> list[dict[str, Any]]:
    params: dict[str, Any] = {"prune-backups": keep, "vmid": vmid}
    records: list[dict[str, Any]] = await call.pve.get(f"/nodes/{node}/storage/{storage}/prunebackups", **params)
    return records


def _pruning(
    storage: str, node: str, records: list[dict[str, Any]], limit: int, cursor: str | None, *, applied: bool
) -> Pruning:
    page, total, following = paginate(records, lambda record: (record["ctime"], record["volid"]), limit, cursor)
    return Pruning(
        total=total,
        next_cursor=following,
        storage=storage,
        node=node,
        removed=sum(record["mark"] == "remove" for record in records),
        applied=applied,
        backups=[Marked(**record) for record in page],
    )


def _job(record: dict[str, Any]) -> Job:
    guests = f"pool {record['pool']}" if record.get("pool") else str(record.get("vmid") or "")
    if record.get("all"):
        guests = "all" + (f" but {record['exclude']}" if record.get("exclude") else "")
    return Job(
        id=record["id"],
        enabled=bool(int(record.get("enabled", 1))),
        schedule=record.get("schedule"),
        storage=record.get("storage"),
        guests=guests,
        node=record.get("node"),
        mode=record.get("mode"),
        prune_backups=_words(record.get("prune-backups")),
        next_run=record.get("next-run"),
        comment=record.get("comment"),
    )


def _words(value: Any) -> str | None:
    if isinstance(value, dict):
        return ",".join(f"{key}={count}" for key, count in sorted(value.items()))
    return value or None


def _listed(vmids: list[int] | None) -> str | None:
    return ",".join(str(vmid) for vmid in vmids) if vmids is not None else None
