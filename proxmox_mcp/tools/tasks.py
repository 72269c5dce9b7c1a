"""Tasks: what the cluster is doing, what it did, and how that ended."""

from typing import Annotated, Any

from pydantic import Field

from proxmox_mcp.errors import Answer, InvalidArgument, TaskFailed, UnknownTask, WrongState
from proxmox_mcp.results import Moment, Page, Preview, Result, Seconds, paginate
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.tasks import State, TaskResult, Upid, parse_upid, state_of, stops_in_peace
from proxmox_mcp.tooling import Arguments, Call, Cursor, Limit, NodeName, Risk, Toolset, UpidText, Vmid, WaitSeconds

tasks = Toolset("tasks", "Tasks: what runs, what ran, and how it ended")

# PVE reads its history from a file, newest first: this many cost it little and are more than anyone reads.
_HISTORY = 1000
# What PVE puts in place of a log: that it is still empty, or that there is none.
_EMPTY_LOG = "no content"
_MISSING_LOG = "unable to open file - No such file or directory"


class Task(Result):
    """A task. `duration` is how long it took, in seconds; `exit_status` says why it did not end well."""

    state: State
    type: str
    id: str | None = None
    node: str
    user: str
    starttime: Moment
    duration: Seconds | None = None
    exit_status: str | None = None
    upid: str
    log_tail: list[str] | None = None


class TaskPage(Page):
    """Tasks, the newest first."""

    tasks: list[Task]


class TaskLog(Result):
    """Lines of a task's log."""

    upid: str
    first_line: int
    """The number of the first line shown, counted from 1."""
    log: list[str]
    next_start: int | None = None
    """Give it as `start` to read on; left out at the end of what there is so far."""


@tasks.tool(risk=Risk.READ, title="List tasks")
async def get_cluster_tasks(
    call: Call,
    node: Annotated[NodeName, Field(description="Read this node's whole history")] | None = None,
    vmid: Vmid | None = None,
    type: Annotated[str, Field(max_length=32, description="Such as qmstart, vzdump, qmigrate")] | None = None,
    user: Annotated[str, Field(max_length=128, description="Part of the user's name")] | None = None,
    errors_only: bool = False,
    running: bool = False,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> TaskPage:
    """List recent tasks of the cluster, newest first, with how they ended. Give `node` for older ones."""
    if node is None:
        records = await call.pve.get("/cluster/tasks")
    else:
        records = await call.pve.get(
            f"/nodes/{node}/tasks",
            source="active" if running else "all",
            limit=_HISTORY,
            vmid=vmid,
            typefilter=type,
            userfilter=user,
            errors=True if errors_only else None,
        )
    found = [task_of(record) for record in records]
    passing = [
        task
        for task in found
        if (vmid is None or task.id == str(vmid))
        and (type is None or task.type == type)
        and (user is None or user.lower() in task.user.lower())
        and (not errors_only or task.state in {"failed", "warnings"})
        and (not running or task.state == "running")
    ]
    page, total, following = paginate(passing, lambda task: (-task.starttime, task.upid), limit, cursor)
    return TaskPage(total=total, next_cursor=following, tasks=page)


def task_of(record: dict[str, Any]) -> Task:
    """A task of `GET /cluster/tasks` or `GET /nodes/{node}/tasks`: a running one has no end there."""
    ended = record.get("endtime")
    running = ended is None
    status = "running" if running else "stopped"
    state = state_of({"status": status, "exitstatus": record.get("status")})
    return Task(
        upid=record["upid"],
        state=state,
        type=record["type"],
        id=record.get("id") or None,
        node=record["node"],
        user="!".join(filter(None, (record["user"], record.get("tokenid")))),
        starttime=record["starttime"],
        duration=None if running else ended - record["starttime"],
        exit_status=record.get("status") if state in {"failed", "warnings"} else None,
    )


@tasks.tool(risk=Risk.READ, title="Look at a task")
async def get_task_status(call: Call, upid: UpidText) -> Task:
    """Look at a task as it is now: state, exit status, end of its log. To wait for its end: wait_for_task."""
    task = parse_upid(upid)
    seen = await call.tasks.look(upid)
    return Task(
        upid=task.text,
        state=seen.state,
        type=task.type,
        id=task.id or None,
        node=task.node,
        user=task.user,
        starttime=task.starttime,
        exit_status=seen.exit_status,
        log_tail=seen.log_tail,
    )


@tasks.tool(risk=Risk.READ, title="Read a task's log")
async def get_task_log(
    call: Call,
    upid: UpidText,
    start: Annotated[int, Field(ge=0, description="How many lines to skip")] = 0,
    limit: Limit = 200,
    tail: Annotated[int, Field(ge=1, le=500, description="Read the last lines instead, so many")] | None = None,
) -> TaskLog:
    """Read a task's log, from its beginning or with `tail` from its end. A running task's log still grows."""
    if tail is not None and start:
        raise InvalidArgument("start counts from the log's beginning and tail from its end.", "Give one of them.")
    path = f"{parse_upid(upid).path}/log"
    # One line more than is shown tells whether there are more; to PVE a limit of 0 is none.
    records = await call.pve.get(path, start=start, limit=limit + 1 if tail is None else 0)
    lines = [str(record.get("t", "")) for record in records]
    if lines == [_MISSING_LOG]:
        raise UnknownTask(
            "There is no log of such a task.",
            "Call get_cluster_tasks for the UPIDs of recent tasks; PVE forgets old ones.",
            answer=Answer(200, _MISSING_LOG, "GET", path),
        )
    if lines == [_EMPTY_LOG]:
        lines = []
    if tail is not None:
        return TaskLog(upid=upid, first_line=max(len(lines) - tail, 0) + 1, log=lines[-tail:])
    following = start + limit if len(lines) > limit else None
    return TaskLog(upid=upid, first_line=start + 1, log=lines[:limit], next_start=following)


@tasks.tool(risk=Risk.READ, title="Wait for a task")
async def wait_for_task(call: Call, upid: UpidText, wait_seconds: WaitSeconds = 60) -> TaskResult:
    """Wait for a task's end and report progress meanwhile. A task that failed is an error with the reason."""
    return await call.tasks.follow(upid, wait_seconds, call.report)


async def _preview_stopping(call: Call, upid: str) -> Preview:
    task = await _running(call, upid)
    log = (await call.tasks.look(upid)).log_tail
    left = "what it did is undone" if stops_in_peace(upid) else "what it did until then stays as it is, half done"
    return Preview(
        summary=f"Stop a task: {left}.",
        target=task.subject,
        facts=[f"Started by: {task.user}"],
        passing=[f"Log: {log[-1] if log else 'still empty'}"],
        fingerprint=digest_of(upid),
    )


def _risk_of_stopping(arguments: Arguments) -> Risk:
    return Risk.OPERATE if stops_in_peace(str(arguments["upid"])) else Risk.DESTROY


@tasks.tool(
    risk=Risk.DESTROY, least=Risk.OPERATE, risk_of=_risk_of_stopping, title="Stop a task", preview=_preview_stopping
)
async def stop_task(call: Call, upid: UpidText, wait_seconds: WaitSeconds = 10) -> TaskResult:
    """Stop a running task. A backup, move or clone is undone; of other tasks, what was done until then stays."""
    task = await _running(call, upid)
    await call.pve.delete(task.path)
    try:
        ended = await call.tasks.follow(upid, wait_seconds, call.report)
    except TaskFailed:
        # That it did not reach its end is what was wanted.
        ended = await call.tasks.look(upid)
    call.guests.forget()
    return ended


async def _running(call: Call, upid: str) -> Upid:
    """A task that can be stopped; one that has ended is told, for PVE would report a success."""
    task = parse_upid(upid)
    status = await call.pve.get(f"{task.path}/status")
    if state_of(status) != "running":
        raise WrongState(f"{task.subject} has ended already: {status.get('exitstatus')}.", "Nothing is left to stop.")
    return task
