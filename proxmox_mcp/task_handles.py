"""The extension `io.modelcontextprotocol/tasks`: to clients that declare it, a task of PVE that goes on is one of MCP.

Its id is the UPID. All other clients see the tool's own result, whose UPID `wait_for_task` takes. Only tasks that this
process has started for such a client are known, so that nothing else is reached by these methods.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, CallToolResult, RequestParams, TextContent
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from proxmox_mcp.errors import ProxmoxError, TaskFailed
from proxmox_mcp.safety.foreign import guarded, visible
from proxmox_mcp.safety.redact import redactor
from proxmox_mcp.tasks import TaskResult

IDENTIFIER = "io.modelcontextprotocol/tasks"
_VERSIONS = frozenset({"2026-07-28"})
_POLL_MILLISECONDS = 2000
_MOST_KNOWN = 1000

Look = Callable[[str], Awaitable[TaskResult]]
Stop = Callable[[str], Awaitable[None]]


class TaskParams(RequestParams):
    """Which task a request is about."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    task_id: str = Field(max_length=512)


class UpdateParams(TaskParams):
    """Answers to what a task asked; tasks of PVE ask nothing."""

    input_responses: dict[str, Any] = Field(default_factory=dict)


class _Known:
    """A task that was handed out: what its tool returned, and since when."""

    def __init__(self, result: CallToolResult) -> None:
        self.result = result
        self.created = self.changed = _now()
        self.ended: dict[str, Any] | None = None


class TaskHandles(Extension):
    """Hands out tasks, and tells how they are.

    Args:
        look: the task as it is now; raises `TaskFailed` for one that failed.
        stop: asks PVE to stop it.
    """

    identifier = IDENTIFIER

    def __init__(self, look: Look, stop: Stop) -> None:
        self._look = look
        self._stop = stop
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def methods(self) -> Sequence[MethodBinding]:
        """`tasks/get`, `tasks/update`, `tasks/cancel`."""
        return (
            MethodBinding("tasks/get", TaskParams, self._get, _VERSIONS),
            MethodBinding("tasks/update", UpdateParams, self._update, _VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, _VERSIONS),
        )

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """A handle in place of the result, when that tells of a task that goes on and the client knows handles."""
        result = await call_next(ctx)
        capabilities = ctx.session.client_capabilities
        declared = (capabilities.extensions if capabilities else None) or {}
        if IDENTIFIER not in declared or ctx.protocol_version not in _VERSIONS:
            return result
        if not isinstance(result, CallToolResult) or result.is_error:
            return result
        facts = result.structured_content
        if not isinstance(facts, dict) or facts.get("state") != "running" or not facts.get("upid"):
            return result
        upid = str(facts["upid"])
        self._known[upid] = _Known(result)
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return {"resultType": "task", **self._shown(upid, "working")}

    def _find(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> _Known:
        require_client_extension(ctx, IDENTIFIER)
        known = self._known.get(params.task_id)
        if known is None:
            raise MCPError(INVALID_PARAMS, "There is no such task; get_cluster_tasks shows those of the cluster.")
        return known

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        known = self._find(ctx, params)
        if known.ended is None:
            result = await self._result(params.task_id, known.result)
            if result is not None:
                known.ended, known.changed = result.model_dump(by_alias=True, mode="json", exclude_none=True), _now()
        if known.ended is None:
            return {"resultType": "complete", **self._shown(params.task_id, "working")}
        return {"resultType": "complete", **self._shown(params.task_id, "completed"), "result": known.ended}

    async def _result(self, upid: str, begun: CallToolResult) -> CallToolResult | None:
        """What the tool would have returned at the task's end; None while it goes on."""
        try:
            task = await self._look(upid)
        except TaskFailed as error:
            return CallToolResult(content=[TextContent(type="text", text=_text(error))], is_error=True)
        except ProxmoxError as error:
            # That says nothing about the task, which may be asked for again.
            raise MCPError(INTERNAL_ERROR, _text(error)) from None
        if task.state == "running":
            return None
        ended = guarded(task)
        return ended.model_copy(
            update={"structured_content": {**(begun.structured_content or {}), **(ended.structured_content or {})}}
        )

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: UpdateParams) -> HandlerResult:
        self._find(ctx, params)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        known = self._find(ctx, params)
        if known.ended is None:
            try:
                await self._stop(params.task_id)
            except ProxmoxError as error:
                raise MCPError(INVALID_PARAMS, _text(error)) from None
        return {"resultType": "complete"}

    def _shown(self, upid: str, status: str) -> dict[str, Any]:
        known = self._known[upid]
        return {
            "taskId": upid,
            "status": status,
            "createdAt": known.created,
            "lastUpdatedAt": known.changed,
            "ttlMs": None,
            "pollIntervalMs": _POLL_MILLISECONDS,
        }


def _text(error: ProxmoxError) -> str:
    return visible(redactor.text(str(error)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
