"""Tasks as the API shows them: lists with filters, status, log, and who may see which.

Source: recorded exchanges `tasks/*`, `cluster/007` and `nodes/*`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pvesim.access.rules import Identity
from pvesim.core.errors import ParameterErrors
from pvesim.core.tasks import MISSING_LOG, NO_CONTENT, Task, running_tasks
from pvesim.core.world import World

SHOWN_IN_CLUSTER = 25  # finished and running tasks that each node tells the cluster about
DEFAULT_LIMIT = 50
_UPID = re.compile(
    r"UPID:(?P<node>[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?):(?P<pid>[0-9A-Fa-f]{8}):(?P<pstart>[0-9A-Fa-f]{8,9}):"
    r"(?P<starttime>[0-9A-Fa-f]{8}):(?P<type>[^:\s]+):(?P<id>[^:\s]*):(?P<user>[^:\s]+):"
)


@dataclass(frozen=True, slots=True)
class Upid:
    """What the id of a task tells about it; `user` may name a token."""

    node: str
    type: str
    id: str
    user: str

    def belongs_to(self, identity: Identity) -> bool:
        """Whether it is the task of who asks: a user's are those of its tokens as well, a token's only its own."""
        return identity.name in (self.user, self.user.partition("!")[0])


def parse_upid(upid: str) -> Upid:
    """Take the id of a task apart. Raises `ParameterErrors` as PVE does."""
    match = _UPID.fullmatch(upid)
    if match is None:
        raise ParameterErrors({"upid": "unable to parse worker upid"})
    return Upid(match["node"], match["type"], match["id"], match["user"])


def find_task(world: World, node: str, upid: str) -> Task:
    """The task of that id on that node. Raises `ParameterErrors` when the id is none, or the node has no such task."""
    parse_upid(upid)
    task = world.get(Task, upid)
    if task is None or task.node != node:
        raise ParameterErrors({"upid": "no such task"})
    return task


def is_own(task: Task, identity: Identity) -> bool:
    """Whether it is the task of who asks, see `Upid.belongs_to`."""
    return identity.name in (task.owner, task.user)


# -- one task ------------------------------------------------------------------------------------------------------


def describe(task: Task) -> dict[str, Any]:
    """What every view of a task holds."""
    view: dict[str, Any] = {
        "upid": task.upid,
        "node": task.node,
        "pid": task.pid,
        "pstart": task.pstart,
        "starttime": int(task.starttime),
        "type": task.type,
        "id": task.id,
        "user": task.user,
    }
    if task.tokenid:
        view["tokenid"] = task.tokenid
    return view


def status_of(task: Task) -> dict[str, Any]:
    """The answer of `GET /nodes/{node}/tasks/{upid}/status`."""
    if task.running:
        return {**describe(task), "status": "running"}
    return {**describe(task), "status": "stopped", "exitstatus": task.exitstatus}


def log_lines(task: Task | None) -> Sequence[str]:
    """The log, line by line; PVE puts a line of its own where there is no log, or nothing in it."""
    if task is None:
        return (MISSING_LOG,)
    return [line for entry in task.log for line in entry.split("\n")] or (NO_CONTENT,)


def page_of(lines: Sequence[str], start: int, limit: int) -> list[dict[str, Any]]:
    """`limit` lines from `start` on (counted from 0), numbered from 1; a limit of 0 means all."""
    end = start + limit if limit else len(lines)
    return [{"n": number, "t": line} for number, line in enumerate(lines[start:end], start + 1)]


# -- lists ---------------------------------------------------------------------------------------------------------


def finished_tasks(world: World, node: str) -> Sequence[Task]:
    """The finished tasks of a node, the last to end first."""

    def by_node() -> dict[str, list[Task]]:
        tasks: dict[str, list[Task]] = {}
        for task in sorted(world.rows(Task).values(), key=lambda task: (task.endtime or 0, task.order), reverse=True):
            if not task.running:
                tasks.setdefault(task.node, []).append(task)
        return tasks

    return world.cached("finished tasks", (Task,), by_node).get(node, ())


def running_on(world: World, node: str) -> list[Task]:
    """The running tasks of a node, the last to start first."""
    return [task for task in reversed(running_tasks(world)) if task.node == node]


def node_list(
    world: World, node: str, filters: Mapping[str, Any], identity: Identity, sees_all: bool
) -> tuple[list[Task], int]:
    """A page of the tasks that pass the filters of `GET /nodes/{node}/tasks`, and how many do in all."""
    source = filters.get("source", "archive")
    candidates: list[Task] = []
    if source in ("active", "all"):
        candidates += running_on(world, node)
    if source in ("archive", "all"):
        candidates += finished_tasks(world, node)
    passing = [task for task in candidates if (sees_all or is_own(task, identity)) and _passes(task, filters)]
    start = filters.get("start", 0)
    return passing[start : start + filters.get("limit", DEFAULT_LIMIT)], len(passing)


def list_entry(task: Task) -> dict[str, Any]:
    """A task in the list of its node."""
    if task.running:
        return {**describe(task), "status": "RUNNING", "saved": "0"}
    return {**describe(task), "status": task.exitstatus, "endtime": int(task.endtime or 0)}


def cluster_list(world: World, nodes: Sequence[str], identity: Identity, sees_all: bool) -> list[Task]:
    """The tasks that the nodes have told the cluster about: the running ones, then the latest; newest first."""
    tasks: list[Task] = []
    for node in nodes:
        running = running_on(world, node)
        kept = max(0, SHOWN_IN_CLUSTER - len(running))
        tasks += [*running, *finished_tasks(world, node)[:kept]]
    tasks.sort(key=lambda task: (task.running, task.starttime, task.order), reverse=True)
    return [task for task in tasks if sees_all or is_own(task, identity)]


def cluster_entry(task: Task) -> dict[str, Any]:
    """A task in the list of the cluster: a running one has its process id, a finished one its result."""
    view = describe(task)
    del view["pstart"]
    if task.running:
        return view
    del view["pid"]
    return {**view, "saved": "1", "status": task.exitstatus, "endtime": int(task.endtime or 0)}


def status_type(status: str | None) -> str:
    """The kind of an exit status, as `statusfilter` names it."""
    if not status or status == "unexpected status":
        return "unknown"
    if status == "OK":
        return "ok"
    return "warning" if re.fullmatch(r"WARNINGS: \d+", status) else "error"


def _passes(task: Task, filters: Mapping[str, Any]) -> bool:
    status = task.exitstatus or "RUNNING"
    wanted = filters.get("statusfilter")
    return not (
        (filters.get("errors") and status == "OK")
        or ("typefilter" in filters and task.type != filters["typefilter"])
        or ("userfilter" in filters and filters["userfilter"].lower() not in task.owner.lower())
        or ("vmid" in filters and task.id != str(filters["vmid"]))
        or ("since" in filters and int(task.starttime) < filters["since"])
        or ("until" in filters and int(task.starttime) > filters["until"])
        or (wanted and status_type(status) not in re.split(r"[,;\s]+", wanted))
    )
