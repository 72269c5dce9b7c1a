"""A call that a client does not wait for: it runs on its own, and is looked at from outside.

    working ──▶ completed       the tool has returned, or told its error
       │  ╲───▶ failed          the call itself was refused by the protocol, or broke
       │   ╲──▶ cancelled       given up
       ▼
    input_required              it asks the user; answered, it works on

When the tool has returned and left a task of PVE at work (`upid`), the call works until that has ended.
"""

import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import anyio
from mcp.server.context import HandlerResult
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ErrorData,
    InputRequest,
    InputRequiredResult,
    InputResponses,
    TextContent,
)
from pydantic import BaseModel, TypeAdapter, ValidationError

from proxmox_mcp.pve import started
from proxmox_mcp.safety.foreign import MARK, NOTE, visible

logger = logging.getLogger(__name__)

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]

# How often a client should ask: what takes a little longer than usual is soon done, what takes long is not.
_POLL_SOON, _POLL_LATER = 500, 2000  # milliseconds
_SOON = 10.0  # seconds
_ANSWERS: TypeAdapter[InputResponses] = TypeAdapter(InputResponses)

_current: ContextVar["HandedOut | None"] = ContextVar("handed_out", default=None)


def tell(text: str) -> bool:
    """Keep how far the call at work is, for those who ask; whether that is all there is to do.

    It is not as long as the client still waits for an answer: then it wants to be told, too.
    """
    call = _current.get()
    return call is not None and call.tell(text)


class HandedOut:
    """A call that was handed out, or may be.

    Args:
        params: of the call; answers to what it asks are put there.
        call: makes it.

    Attributes:
        id: what it is known by; nobody guesses it.
        status: see above.
        returned: set while nothing of it runs here.
        upid: the task of PVE that it has left at work; None when there is none, or none any more.
        stopped: that task was asked to stop.
    """

    def __init__(self, params: CallToolRequestParams, call: Callable[[], Awaitable[HandlerResult]]) -> None:
        self.id = secrets.token_urlsafe(18)
        self.status: Status = "working"
        self.returned = anyio.Event()
        self.upid: str | None = None
        self.stopped = False
        # Both hold on to the request that has long been answered: they go when nothing is left to be called.
        self._params: CallToolRequestParams | None = params
        self._call: Callable[[], Awaitable[HandlerResult]] | None = call
        self._scope = anyio.CancelScope()
        self._upids: list[str] = []
        self._outcome: HandlerResult | Exception = None
        self._questions: dict[str, tuple[str, InputRequest]] = {}
        self._answers: InputResponses = {}
        self._round = 0
        self._shown = False
        self._message: str | None = None
        self._created = self._changed = _now()
        self._begin = time.monotonic()

    async def run(self) -> None:
        """Make the call, and keep what comes of it; nothing is raised."""
        assert self._call is not None
        _current.set(self)
        started.set(self._upids)
        try:
            with self._scope:
                self._settle(await self._call())
            if self._scope.cancelled_caught:
                self._change("cancelled", _left_behind(self._upids))
        except Exception as error:
            if self._shown and not isinstance(error, MCPError):
                logger.exception("A call that was handed out broke")
            self._outcome = error
            self._change("failed")
        finally:
            if self.status != "input_required":
                self._call = self._params = None
            self.returned.set()

    def _settle(self, outcome: HandlerResult) -> None:
        self._outcome = outcome
        if isinstance(outcome, InputRequiredResult):
            self._round += 1
            asked = (outcome.input_requests or {}).items()
            # An answer that comes too late must not be taken for that of the next round.
            self._questions = {f"{self._round}-{name}": (name, request) for name, request in asked}
            self._change("input_required")
            return
        self.upid = _left_at_work(outcome)
        if self.upid is None:
            self._change("completed")
        else:
            self._change("working", f"In PVE goes on: {self.upid}")

    def _change(self, status: Status, message: str | None = None) -> None:
        self.status, self._message, self._changed = status, message, _now()

    def tell(self, text: str) -> bool:
        """Keep how far it is; whether the client has a handle, and asks for it by that."""
        if self.status == "working":
            self._change("working", visible(text))
        return self._shown

    @property
    def goes_on(self) -> bool:
        """Whether it is no answer to the client yet: at work here, or in PVE."""
        return self.status == "working"

    def result(self) -> HandlerResult:
        """What the call has come to, for a client that still waits.

        Raises:
            Exception: what the call has raised.
        """
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def give_up(self) -> None:
        """Wait no longer, and take no further step; what PVE was given to do goes on. Nothing, once it has ended."""
        if self.status == "input_required":
            self._call = self._params = None
            self._change("cancelled", _left_behind(self._upids))
        elif not self.returned.is_set():
            self._scope.cancel()

    def answer(self, given: Mapping[str, Any]) -> bool:
        """Take answers to what it has asked; others are left alone.

        Returns:
            Whether that was the last of them, and the call is to be run again.

        Raises:
            MCPError: something is no answer; none is taken then.
        """
        if self.status != "input_required":
            return False
        fitting = {self._questions[name][0]: value for name, value in given.items() if name in self._questions}
        try:
            self._answers.update(_ANSWERS.validate_python(fitting))
        except ValidationError:
            raise MCPError(
                INVALID_PARAMS,
                "inputResponses: an answer has the form of the result that was asked for, such as "
                '{"action": "accept", "content": {…}} for elicitation/create.',
            ) from None
        self._questions = {name: asked for name, asked in self._questions.items() if name not in given}
        self._change("input_required")
        return not self._questions and self._take_up()

    def _take_up(self) -> bool:
        """Prepare the call to be made again, with the answers."""
        assert isinstance(self._outcome, InputRequiredResult)
        assert self._params is not None
        # The handler is bound to these very parameters.
        self._params.input_responses, self._answers = self._answers, {}
        self._params.request_state = self._outcome.request_state
        self.returned = anyio.Event()
        self._scope = anyio.CancelScope()
        self._change("working")
        return True

    def end_with(self, ended: CallToolResult, stopped: str | None = None) -> None:
        """The task that it has left at work has ended.

        Args:
            ended: what is to be told about it.
            stopped: how it ended, if that may be because it was stopped.
        """
        if self.upid is None:
            return  # Two have looked at once.
        self.upid = None
        if stopped is not None and self.stopped:
            self._change("cancelled", stopped)
            return
        assert isinstance(self._outcome, CallToolResult)
        self._outcome = _joined(self._outcome, ended)
        self._change("completed")

    def shown(self) -> dict[str, Any]:
        """What is told of it always; from now on its client has a handle."""
        self._shown = True
        message = {} if self._message is None else {"statusMessage": self._message}
        return {
            "taskId": self.id,
            "status": self.status,
            **message,
            "createdAt": self._created,
            "lastUpdatedAt": self._changed,
            "pollIntervalMs": _POLL_SOON if time.monotonic() - self._begin < _SOON else _POLL_LATER,
        }

    def detail(self) -> dict[str, Any]:
        """What is told of it besides, as it now is: its questions, its result, or its error."""
        match self.status:
            case "input_required":
                return {"inputRequests": {name: _wire(asked) for name, (_, asked) in self._questions.items()}}
            case "completed" if isinstance(self._outcome, BaseModel):
                return {"result": _wire(self._outcome)}
            case "failed" if isinstance(self._outcome, MCPError):
                return {"error": _wire(self._outcome.error)}
            case "failed":
                return {"error": _wire(ErrorData(code=INTERNAL_ERROR, message=_BROKE))}
        return {}


_BROKE = "The call failed inside the server, which is a fault of the server's own; its log says more."


def _left_at_work(outcome: HandlerResult) -> str | None:
    """The task of PVE that a result says is still running."""
    if not isinstance(outcome, CallToolResult) or outcome.is_error:
        return None
    facts = outcome.structured_content
    running = isinstance(facts, dict) and facts.get("state") == "running" and facts.get("upid")
    return str(running) if running else None


def _joined(begun: CallToolResult, ended: CallToolResult) -> CallToolResult:
    """What the tool returned, brought up to date with how its task has ended."""
    if ended.is_error:
        return ended
    before, after = begun.structured_content or {}, ended.structured_content or {}
    more = {name: value for name, value in before.items() if name not in after and name != MARK}
    lines = [f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in more.items()]
    if untrusted := [name for name in before.get(MARK, ()) if name in more]:
        lines.append(f"{MARK}: {', '.join(untrusted)} ({NOTE})")
        more[MARK] = sorted({*untrusted, *after.get(MARK, ())})
    texts = [block.text for block in ended.content if isinstance(block, TextContent)]
    text = TextContent(type="text", text="\n".join([*lines, *texts]))
    return CallToolResult(content=[text], structured_content={**after, **more})


def _left_behind(upids: list[str]) -> str:
    """What is told of a call that was given up."""
    if not upids:
        return "Given up. PVE had told of no task by then; get_cluster_tasks shows one that was just being started."
    named = ", ".join(upids)
    return (
        f"Given up: no further step is taken. In PVE this goes on, unless it has ended: {named} . wait_for_task "
        "follows it, stop_task stops it."
    )


def _wire(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
