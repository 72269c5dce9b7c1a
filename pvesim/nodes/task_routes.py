"""`/nodes/{node}/tasks` and `/cluster/tasks`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.tasks import Task, abort_task
from pvesim.nodes import tasks
from pvesim.nodes.records import Node
from pvesim.routing import Answer, Call, route


@route("GET", "/nodes/{node}/tasks")
def list_tasks(call: Call) -> Answer:
    auditor = call.may(f"/nodes/{call.node}", "Sys.Audit")
    page, total = tasks.node_list(call.world, call.node, call.params, call.identity, auditor)
    _watch_first(call, page)
    return Answer([tasks.list_entry(task) for task in page], {"total": total})


@route("GET", "/nodes/{node}/tasks/{upid}/status")
def task_status(call: Call) -> dict[str, Any]:
    task = tasks.find_task(call.world, call.node, call.params["upid"])
    if not tasks.is_own(task, call.identity):
        call.check(f"/nodes/{call.node}", "Sys.Audit")
    _watch_first(call, [task])
    return tasks.status_of(task)


@route("GET", "/nodes/{node}/tasks/{upid}/log")
def task_log(call: Call) -> Answer:
    upid = call.params["upid"]
    if not tasks.parse_upid(upid).belongs_to(call.identity):
        call.check(f"/nodes/{call.node}", "Sys.Audit")
    task = call.world.get(Task, upid)
    lines = tasks.log_lines(task if task is not None and task.node == call.node else None)
    if task is not None:
        _watch_first(call, [task])
    if call.params.get("download"):
        return _download(call, "".join(f"{line}\n" for line in lines))
    start, limit = call.params.get("start", 0), call.params.get("limit", tasks.DEFAULT_LIMIT)
    return Answer(tasks.page_of(lines, start, limit), {"total": len(lines)})


@route("DELETE", "/nodes/{node}/tasks/{upid}")
def stop_task(call: Call) -> None:
    task = tasks.find_task(call.world, call.node, call.params["upid"])
    if not tasks.is_own(task, call.identity):
        call.check(f"/nodes/{call.node}", "Sys.Modify")
    abort_task(call.world, task.upid)


@route("GET", "/cluster/tasks")
def list_cluster_tasks(call: Call) -> list[dict[str, Any]]:
    online = [name for name, node in call.world.rows(Node).items() if node.online]
    shown = tasks.cluster_list(call.world, online, call.identity, call.may("/", "Sys.Audit"))
    _watch_first(call, shown)
    return [tasks.cluster_entry(task) for task in shown]


def _download(call: Call, text: str) -> Answer:
    if "start" in call.params or "limit" in call.params:
        raise Failure("The parameter 'download' can't be used in conjunction with 'limit' or 'start' parameters.")
    return Answer(raw=(text.encode(), "text/plain"))


def _watch_first(call: Call, shown: Iterable[Task]) -> None:
    """Of the running tasks that this answer shows, let the clock follow the oldest."""
    running = [task for task in shown if task.running]
    if running:
        call.watch(min(running, key=lambda task: task.order).upid)
