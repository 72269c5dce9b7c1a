"""The extension `io.modelcontextprotocol/tasks`: clients that declare it need not wait for a call that takes long.

Such a client is answered with a handle as soon as a call takes longer than a moment, or has returned and left a task of
PVE at work. What it then asks for by that handle is the call itself: how far it is, what it asks the user, and at last
its result. Handles live in this process; nobody can guess one, so nobody is told of the calls of others.

All other clients wait, and get the tool's result, whose UPID `wait_for_task` takes.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    CallToolRequestParams,
    CallToolResult,
    RequestParams,
    TextContent,
)
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from proxmox_mcp.errors import ProxmoxError, TaskFailed, UnknownTask, WrongState
from proxmox_mcp.handed_out import HandedOut
from proxmox_mcp.safety.foreign import guarded, visible
from proxmox_mcp.safety.redact import redactor
from proxmox_mcp.tasks import TaskResult

IDENTIFIER = "io.modelcontextprotocol/tasks"
_VERSIONS = frozenset({"2026-07-28"})

PATIENCE = 0.5
"""Seconds that a call may take before its client gets a handle in place of the result: reads hardly ever do."""
LIFETIME = 24 * 3600.0
"""Seconds that a handle is good for."""
_MOST = 1000

RequestContext = ServerRequestContext[Any, Any]
Look = Callable[[str, RequestContext], Awaitable[TaskResult]]
Stop = Callable[[str, RequestContext], Awaitable[object]]


class TaskParams(RequestParams):
    """Which handle a request is about."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    task_id: str = Field(max_length=512)


class UpdateParams(TaskParams):
    """Answers to what a call has asked, by the names that the questions were given."""

    input_responses: dict[str, Any] = Field(default_factory=dict)


class TaskHandles(Extension):
    """Hands calls out as tasks, and tells how they are.

    The server's lifespan must yield the task group that the calls run in; what still runs when that is cancelled ends.

    Args:
        look: a task of PVE as it is now; raises `TaskFailed` for one that failed.
        stop: has PVE stop one.
        now: a clock, in seconds.
    """

    identifier = IDENTIFIER

    def __init__(self, look: Look, stop: Stop, now: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._stop = stop
        self._now = now
        self._handles: dict[str, tuple[float, HandedOut]] = {}

    def methods(self) -> Sequence[MethodBinding]:
        """`tasks/get`, `tasks/update`, `tasks/cancel`."""
        return (
            MethodBinding("tasks/get", TaskParams, self._get, _VERSIONS),
            MethodBinding("tasks/update", UpdateParams, self._update, _VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, _VERSIONS),
        )

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: RequestContext, call_next: CallNext
    ) -> HandlerResult:
        """A handle in place of the result, where the client knows handles and would have to wait for it."""
        if not _declares(ctx) or not self._has_room():
            return await call_next(ctx)
        call = HandedOut(params, lambda: call_next(ctx))
        _group(ctx).start_soon(call.run)
        try:
            with anyio.move_on_after(PATIENCE):
                await call.returned.wait()
        except anyio.get_cancelled_exc_class():
            # The client has gone before it was given anything to come back with.
            call.give_up()
            raise
        if call.returned.is_set() and not call.goes_on:
            return call.result()
        self._handles[call.id] = (self._now(), call)
        return {"resultType": "task", **self._shown(call)}

    def _has_room(self) -> bool:
        """Whether one more can be kept; handed out too many at once, a call is waited for."""
        until = self._now() - LIFETIME
        self._handles = {name: kept for name, kept in self._handles.items() if kept[0] > until}
        return len(self._handles) < _MOST

    def _find(self, ctx: RequestContext, params: TaskParams) -> HandedOut:
        _require_routable(ctx, params.task_id)
        require_client_extension(ctx, IDENTIFIER)
        created, call = self._handles.get(params.task_id, (0.0, None))
        if call is None or created <= self._now() - LIFETIME:
            raise MCPError(
                INVALID_PARAMS,
                "There is no such task here: a handle is good for a day, and until the server is started again. "
                "get_cluster_tasks shows the tasks of the cluster.",
            )
        return call

    async def _get(self, ctx: RequestContext, params: TaskParams) -> HandlerResult:
        call = self._find(ctx, params)
        if call.upid is not None:
            await self._follow(call, call.upid, ctx)
        return {"resultType": "complete", **self._shown(call), **call.detail()}

    async def _follow(self, call: HandedOut, upid: str, ctx: RequestContext) -> None:
        """Look whether the task of PVE that a call has left at work has ended, and how."""
        try:
            task = await self._look(upid, ctx)
        except (TaskFailed, UnknownTask) as error:
            failed = CallToolResult(content=[TextContent(type="text", text=_text(error))], is_error=True)
            call.end_with(failed, stopped=_text(error))
            return
        except ProxmoxError as error:
            # That says nothing about the task, which may be asked for again.
            raise MCPError(INTERNAL_ERROR, _text(error)) from None
        if task.state != "running":
            call.end_with(guarded(task))

    async def _update(self, ctx: RequestContext, params: UpdateParams) -> HandlerResult:
        call = self._find(ctx, params)
        if call.answer(params.input_responses):
            _group(ctx).start_soon(call.run)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: RequestContext, params: TaskParams) -> HandlerResult:
        call = self._find(ctx, params)
        if call.upid is None:
            call.give_up()
            await call.returned.wait()
        else:
            await self._stop_left(call, call.upid, ctx)
        return {"resultType": "complete"}

    async def _stop_left(self, call: HandedOut, upid: str, ctx: RequestContext) -> None:
        """Stop the task of PVE that a call has left at work: it is all that there is of it any more."""
        try:
            await self._stop(upid, ctx)
        except (WrongState, UnknownTask):
            return  # It has ended meanwhile: the next look tells how.
        except ProxmoxError as error:
            raise MCPError(INVALID_REQUEST, _text(error)) from None
        call.stopped = True

    def _shown(self, call: HandedOut) -> dict[str, Any]:
        return {**call.shown(), "ttlMs": int(LIFETIME * 1000)}


def _declares(ctx: RequestContext) -> bool:
    capabilities = ctx.session.client_capabilities
    declared = (capabilities.extensions if capabilities else None) or {}
    return IDENTIFIER in declared and ctx.protocol_version in _VERSIONS


def _require_routable(ctx: RequestContext, task_id: str) -> None:
    """Over HTTP, that the header which routes a request to the process that has the task names the same task."""
    headers = getattr(ctx.request, "headers", None)
    if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(HEADER_MISMATCH, "The header Mcp-Name must be there, and name the task that taskId names.")


def _group(ctx: RequestContext) -> TaskGroup:
    group: TaskGroup = ctx.lifespan_context
    return group


def _text(error: ProxmoxError) -> str:
    return visible(redactor.text(str(error)))
