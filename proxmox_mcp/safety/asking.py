"""Ask the person at the client, where the client can: in both eras of the protocol.

Since 2026-07-28 a server sends no requests: the call ends with a question, and the client calls again with the answer.
Before, the server asks in the middle of the call.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import anyio
from mcp.server.elicitation import AcceptedElicitation, DeclinedElicitation
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Answer = Literal["yes", "no", "none"]
"""`none`: the client showed no question, or closed it without an answer."""

_QUESTION = "approval"
_FIRST_INPUT_REQUIRED = "2026-07-28"
_MOST_OPEN = 256


class Verdict(BaseModel):
    """The form that a person fills in. There is no default: an empty form approves nothing."""

    model_config = ConfigDict(strict=True, extra="forbid")

    approve: bool = Field(description="Do it?")


_SCHEMA = {
    "type": "object",
    "properties": {"approve": {"type": "boolean", "title": "Approve", "description": "Do it?"}},
    "required": ["approve"],
}


@dataclass(frozen=True, slots=True)
class _Open:
    """A question that a client was sent away with."""

    digest: str
    until: float


class Asking:
    """Questions to the person at the client, each bound to one act in one state.

    Args:
        seconds: how long an answer may take.
        now: a clock, in seconds.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._open: dict[str, _Open] = {}

    @staticmethod
    def can(context: Context[Any, Any]) -> bool:
        """Whether the client says that it can show a form."""
        capabilities = context.client_capabilities
        elicitation = capabilities.elicitation if capabilities is not None else None
        return elicitation is not None and (elicitation.form is not None or elicitation.url is None)

    async def ask(self, context: Context[Any, Any], question: str, digest: str) -> Answer | InputRequiredResult:
        """Ask, or take the answer that the client comes back with.

        Args:
            context: of the call.
            question: what the person reads.
            digest: of the act and the state it was previewed in. An answer counts for this digest alone, and once.

        Returns:
            The answer; or what the call must end with, so that the client asks and calls again.
        """
        version = context.protocol_version
        if version is None or version < _FIRST_INPUT_REQUIRED:
            return await self._ask_now(context, question)
        answer = self._brought(context, digest)
        return self._send_away(question, digest) if answer is None else answer

    async def _ask_now(self, context: Context[Any, Any], question: str) -> Answer:
        outcome: Any = None
        try:
            with anyio.move_on_after(self._seconds):
                outcome = await context.elicit(question, Verdict)
        except (ValueError, MCPError):
            # Accepted with a form that is not filled in; or the client says that it can ask, and then cannot.
            return "none"
        if isinstance(outcome, AcceptedElicitation):
            return "yes" if outcome.data.approve else "no"
        return "no" if isinstance(outcome, DeclinedElicitation) else "none"

    def _brought(self, context: Context[Any, Any], digest: str) -> Answer | None:
        """The answer that this call brings, if it brings one to the very question that would be asked now."""
        opened = self._open.pop(context.request_state or "", None)
        given = (context.input_responses or {}).get(_QUESTION)
        if opened is None or opened.until < self._now() or not isinstance(given, ElicitResult):
            return None
        if not hmac.compare_digest(opened.digest, digest):
            return None
        if given.action != "accept":
            return "no" if given.action == "decline" else "none"
        try:
            return "yes" if Verdict.model_validate(given.content).approve else "no"
        except ValidationError:
            return "none"

    def _send_away(self, question: str, digest: str) -> InputRequiredResult:
        now = self._now()
        kept = [(nonce, opened) for nonce, opened in self._open.items() if opened.until >= now]
        self._open = dict(kept[-_MOST_OPEN + 1 :])
        nonce = secrets.token_urlsafe(24)
        self._open[nonce] = _Open(digest, now + self._seconds)
        form = ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=_SCHEMA))
        return InputRequiredResult(input_requests={_QUESTION: form}, request_state=nonce)
