"""Diagnosis: what is wrong with a guest or the cluster, the worst first, with what shows it."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Annotated, Any, Literal

import anyio
from pydantic import Field

from proxmox_mcp.errors import ProxmoxError
from proxmox_mcp.locate import Guest
from proxmox_mcp.moments import cluster_now
from proxmox_mcp.results import Result, seconds_text
from proxmox_mcp.tooling import Call, NodeName, Risk, Vmid
from proxmox_mcp.tools.backups import GuestBackup, backups_by_guest
from proxmox_mcp.tools.finding import diagnosis
from proxmox_mcp.tools.guests import read_status
from proxmox_mcp.tools.storage import spaces
from proxmox_mcp.tools.tasks import task_of

Severity = Literal["critical", "warning", "notice"]
_ORDER: dict[Severity, int] = {"critical": 0, "warning": 1, "notice": 2}

_FULL, _NEARLY_FULL = 0.95, 0.85
_OLD_BACKUP = 7 * 86_400
_DRIFT = 5
_RECENT = 86_400
_MOST_NAMED = 12
_NOWHERE = " (there is no storage for backups, or none that the configured user may see)"
_AFTER_AN_ERROR = (
    "Put right what stopped it; then set_ha_resource with state disabled clears the error, and state started starts it."
)


class Problem(Result):
    """Something wrong: what it is, what shows it, and what to do about it."""

    severity: Severity
    what: str
    evidence: str
    advice: str


class Diagnosis(Result):
    """What is wrong, the worst first. `unread` is what could not be looked at, and is not known to be well."""

    subject: str
    healthy: bool | None = None
    """Nothing critical and no warning was found; left out when that is so, but something could not be read."""
    unread: list[str] | None = None
    problems: list[Problem]


class _Findings:
    """Problems as they are gathered; what cannot be read is noted, and the rest goes on."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.unread: list[str] = []

    async def take(self, what: str, problems: AsyncIterator[Problem]) -> None:
        try:
            async for problem in problems:
                self.problems.append(problem)
        except ProxmoxError as error:
            self.unread.append(f"{what}: {error.what}")

    def ranked(self, subject: str) -> Diagnosis:
        self.problems.sort(key=lambda problem: (_ORDER[problem.severity], problem.what))
        well = all(problem.severity == "notice" for problem in self.problems)
        return Diagnosis(
            subject=subject,
            healthy=None if well and self.unread else well,
            unread=sorted(self.unread) or None,
            problems=self.problems,
        )


@diagnosis.tool(risk=Risk.READ, title="Say what is wrong with a guest")
async def diagnose_guest(call: Call, vmid: Vmid, node: NodeName | None = None) -> Diagnosis:
    """Say what is wrong with a VM or container, with evidence: locks, load, storage, failed tasks, backups, agent."""
    guest = await call.guests.find(vmid, node)
    findings = _Findings()
    status = await read_status(call, guest)
    findings.problems.extend(_of_status(guest, status))
    await findings.take("pending changes", _pending(call, guest))
    await findings.take("agent", _agent(call, guest, status))
    await findings.take("failed tasks", _failed_tasks(call, guest))
    await findings.take("storages", _storages_of(call, guest))
    await findings.take("snapshots", _old_snapshots(call, guest, 30))
    await findings.take("backups", _backups(call, guest.vmid))
    name = f" ({status['name']})" if status.get("name") else ""
    return findings.ranked(f"{'VM' if guest.kind == 'qemu' else 'container'} {vmid}{name} on {guest.node}")


@diagnosis.tool(risk=Risk.READ, title="Say what is wrong with the cluster")
async def diagnose_cluster(
    call: Call,
    snapshot_days: Annotated[
        int, Field(ge=1, le=3650, description="Look for snapshots older than so many days, a request for each guest")
    ]
    | None = None,
) -> Diagnosis:
    """Say what is wrong with the cluster, ranked: quorum, nodes, HA, full storages, failed tasks, backups, clocks."""
    findings = _Findings()
    resources = await call.pve.get("/cluster/resources")
    findings.problems.extend(_of_resources(resources))
    await findings.take("quorum", _quorum(call))
    await findings.take("high availability", _ha(call))
    await findings.take("tasks", _cluster_tasks(call))
    await findings.take("backups", _backups(call, None))
    await findings.take("clocks", _clocks(call, resources, findings.unread))
    if snapshot_days is not None:
        for record in resources:
            if record["type"] in {"qemu", "lxc"}:
                guest = Guest(record["vmid"], record["type"], record["node"], record.get("name"), record["status"])
                await findings.take(f"snapshots of {guest.vmid}", _old_snapshots(call, guest, snapshot_days))
    return findings.ranked("the cluster")


# -- a guest -----------------------------------------------------------------------------------------------------------


def _of_status(guest: Guest, status: dict[str, Any]) -> Iterator[Problem]:
    if lock := status.get("lock"):
        yield Problem(
            severity="warning",
            what=f"It is locked ({lock})",
            evidence=f"status/current says lock={lock}",
            advice="A task holds it, or one that broke off left its lock: see get_cluster_tasks with its vmid.",
        )
    if status.get("qmpstatus") == "paused" and status.get("status") == "running":
        yield Problem(
            severity="warning",
            what="It is paused",
            evidence="qmpstatus=paused",
            advice="A full storage pauses VMs, too: look at that first; then manage_vm with action resume.",
        )
    ha = status.get("ha") or {}
    if ha.get("managed") and ha.get("state") in {"error", "fence"}:
        yield Problem(
            severity="critical",
            what=f"High availability holds it in state {ha['state']}",
            evidence=str(ha),
            advice=_AFTER_AN_ERROR,
        )
    for what, used, total in (("memory", "mem", "maxmem"), ("root disk", "disk", "maxdisk")):
        share = (status.get(used) or 0) / status[total] if status.get(total) else 0
        if status.get("status") == "running" and share > 0.9 and (what == "memory" or guest.kind == "lxc"):
            yield Problem(
                severity="warning",
                what=f"Its {what} is nearly used up",
                evidence=f"{share * 100:.0f}% of {what} used",
                advice="get_metrics shows since when; it can be given more, or has to let something go.",
            )
    if status.get("status") == "running" and (status.get("cpu") or 0) > 0.95:
        yield Problem(
            severity="warning",
            what="Its CPU is at its limit",
            evidence=f"cpu={status['cpu'] * 100:.0f}%",
            advice="get_metrics shows since when; more cores help only if it can use them.",
        )


async def _pending(call: Call, guest: Guest) -> AsyncIterator[Problem]:
    options = await call.pve.get(f"{guest.path}/pending")
    waiting = sorted(option["key"] for option in options if "pending" in option or option.get("delete"))
    if waiting:
        yield Problem(
            severity="notice",
            what="Changes wait for its next start",
            evidence=f"pending: {', '.join(waiting)}",
            advice="They come into force when it is shut down and started; a reboot by the guest itself is not enough.",
        )


async def _agent(call: Call, guest: Guest, status: dict[str, Any]) -> AsyncIterator[Problem]:
    if guest.kind != "qemu" or status.get("status") != "running" or not status.get("agent"):
        return
    try:
        await call.pve.post(f"{guest.path}/agent/ping")
    except ProxmoxError as error:
        yield Problem(
            severity="warning",
            what="Its guest agent gives no answer",
            evidence=error.what,
            advice="Install and start qemu-guest-agent in it; without it, shutdown and consistent backups are at risk.",
        )


async def _failed_tasks(call: Call, guest: Guest) -> AsyncIterator[Problem]:
    records = await call.pve.get(f"/nodes/{guest.node}/tasks", vmid=guest.vmid, errors=True, limit=5)
    for task in (task_of(record) for record in records):
        yield Problem(
            severity="warning",
            what=f"A task failed: {task.type}",
            evidence=f"{task.exit_status} ({task.upid})",
            advice="get_task_log with that UPID says more.",
        )


async def _storages_of(call: Call, guest: Guest) -> AsyncIterator[Problem]:
    config = await call.pve.get(f"{guest.path}/config")
    used = {str(value).partition(":")[0] for value in config.values() if ":" in str(value)}
    records = await call.pve.get("/cluster/resources", type="storage")
    here = [record for record in records if record["node"] == guest.node and record["storage"] in used]
    for problem in _full_storages(here):
        yield problem


async def _old_snapshots(call: Call, guest: Guest, days: int) -> AsyncIterator[Problem]:
    now = await cluster_now(call.pve)
    for record in await call.pve.get(f"{guest.path}/snapshot"):
        age = now - int(record.get("snaptime") or now)
        if age > days * 86_400:
            yield Problem(
                severity="notice",
                what=f"Guest {guest.vmid} has an old snapshot {record['name']}",
                evidence=f"taken {seconds_text(age)} ago",
                advice="Snapshots take space and time; delete_snapshot if nobody goes back to it.",
            )


# -- the cluster -------------------------------------------------------------------------------------------------------


def _of_resources(resources: Iterable[dict[str, Any]]) -> Iterator[Problem]:
    records = list(resources)
    for record in records:
        if record["type"] == "node" and record.get("status") != "online":
            yield Problem(
                severity="critical",
                what=f"Node {record['node']} is {record.get('status')}",
                evidence="cluster/resources",
                advice="Its guests do not run, unless HA moved them; see to its power and network.",
            )
        elif record["type"] == "node" and record.get("maxmem") and record["mem"] / record["maxmem"] > 0.9:
            share = record["mem"] / record["maxmem"] * 100
            yield Problem(
                severity="warning",
                what=f"Memory of node {record['node']} is short",
                evidence=f"{share:.0f}% used",
                advice="migrate_vm or migrate_lxc moves guests to a node with more; get_nodes shows it.",
            )
        elif record["type"] in {"qemu", "lxc"} and record.get("lock"):
            yield Problem(
                severity="warning",
                what=f"Guest {record['vmid']} is locked",
                evidence=f"lock={record['lock']}",
                advice="diagnose_guest says more.",
            )
        elif record["type"] in {"qemu", "lxc"} and record.get("hastate") in {"error", "fence"}:
            yield Problem(
                severity="critical",
                what=f"HA holds guest {record['vmid']}",
                evidence=f"hastate={record['hastate']}",
                advice=_AFTER_AN_ERROR,
            )
    yield from _full_storages(record for record in records if record["type"] == "storage")


def _full_storages(records: Iterable[dict[str, Any]]) -> Iterator[Problem]:
    for space in spaces(list(records)):
        where = f"Storage {space.storage}" + ("" if space.shared else f" on {', '.join(space.nodes)}")
        if space.status != "available":
            yield Problem(
                severity="warning",
                what=f"{where} does not work",
                evidence=f"status={space.status}",
                advice="See to its server, disk or mount; guests and backups on it are out of reach meanwhile.",
            )
        elif space.used_fraction is not None and space.used_fraction > _NEARLY_FULL:
            yield Problem(
                severity="critical" if space.used_fraction > _FULL else "warning",
                what=f"{where} is {'full' if space.used_fraction > _FULL else 'nearly full'}",
                evidence=f"{space.used_fraction * 100:.0f}% used",
                advice="get_storage_content shows what lies there.",
            )


async def _quorum(call: Call) -> AsyncIterator[Problem]:
    for record in await call.pve.get("/cluster/status"):
        if record.get("type") == "cluster" and not record.get("quorate"):
            yield Problem(
                severity="critical",
                what="The cluster has no quorum",
                evidence="quorate=0",
                advice="Nothing can be changed until more nodes are back; see get_cluster_status.",
            )


async def _ha(call: Call) -> AsyncIterator[Problem]:
    for record in await call.pve.get("/cluster/ha/status/current"):
        state = str(record.get("state") or record.get("status") or "")
        if record.get("type") == "service" and state in {"error", "fence", "recovery"}:
            yield Problem(
                severity="critical",
                what=f"High availability: {record.get('sid')} is in state {state}",
                evidence=str(record.get("status")),
                advice=_AFTER_AN_ERROR,
            )
        elif record.get("type") == "lrm" and ("old timestamp" in state or "dead" in state):
            yield Problem(
                severity="critical",
                what=f"High availability: node {record.get('node')} is not heard of",
                evidence=state,
                advice="It may be fenced, and its guests be started elsewhere; see get_cluster_ha_status.",
            )


async def _cluster_tasks(call: Call) -> AsyncIterator[Problem]:
    now = await cluster_now(call.pve)
    for task in (task_of(record) for record in await call.pve.get("/cluster/tasks")):
        if task.state == "failed" and now - task.starttime < _RECENT:
            about = f" of {task.id}" if task.id else ""
            yield Problem(
                severity="warning",
                what=f"A task failed in the last day: {task.type}{about} on {task.node}",
                evidence=f"{task.exit_status} ({task.upid})",
                advice="get_task_log with that UPID says more.",
            )


async def _backups(call: Call, vmid: int | None) -> AsyncIterator[Problem]:
    everything, unreadable, places = await backups_by_guest(call)
    rows = sorted((row for row in everything if vmid in (None, row.vmid)), key=lambda row: row.vmid)
    if missing := [row for row in rows if not row.backups]:
        yield Problem(
            severity="warning",
            what="It has no backup" if vmid else f"{_guests(missing, 'has', 'have')} no backup",
            evidence=_named(missing) + ("" if places else _NOWHERE),
            advice="create_backup makes one; a backup job would keep them coming.",
        )
    if old := [row for row in rows if (row.age or 0) > _OLD_BACKUP]:
        yield Problem(
            severity="notice",
            what="Its newest backup is old" if vmid else f"{_guests(old, 'has', 'have')} only old backups",
            evidence=_named(old),
            advice="list_backup_jobs shows whether a job is for them, get_cluster_tasks whether it failed.",
        )
    for unread in unreadable:
        yield Problem(
            severity="notice",
            what="Backups on a storage could not be read",
            evidence=unread,
            advice="What lies there is not counted here.",
        )


def _guests(rows: list[GuestBackup], one: str, several: str) -> str:
    return f"1 guest {one}" if len(rows) == 1 else f"{len(rows)} guests {several}"


def _named(rows: list[GuestBackup]) -> str:
    texts = [f"{row.vmid}" + (f" {row.name}" if row.name else "") + _aged(row) for row in rows[:_MOST_NAMED]]
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    return ", ".join(texts) + more


def _aged(row: GuestBackup) -> str:
    return f" ({seconds_text(row.age)} old)" if row.age is not None else ""


async def _clocks(call: Call, resources: Iterable[dict[str, Any]], unread: list[str]) -> AsyncIterator[Problem]:
    """Nodes whose clock differs from the middle of all, read at about the same moment."""
    nodes = [record["node"] for record in resources if record["type"] == "node" and record.get("status") == "online"]
    times: dict[str, int] = {}

    async def read(node: str) -> None:
        try:
            times[node] = int((await call.pve.get(f"/nodes/{node}/time"))["time"])
        except ProxmoxError as error:
            unread.append(f"clock of {node}: {error.what}")

    async with anyio.create_task_group() as group:
        for node in nodes:
            group.start_soon(read, node)
    middle = sorted(times.values())[len(times) // 2] if times else 0
    for node, moment in sorted(times.items()):
        if abs(moment - middle) > _DRIFT:
            yield Problem(
                severity="warning",
                what=f"The clock of node {node} is off",
                evidence=f"{moment - middle:+d} s against the others",
                advice="Certificates, tickets and quorum rest on clocks: see its time service.",
            )
