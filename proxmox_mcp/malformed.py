"""Requests that are wrong before any tool sees them: what is told of them, in both eras and over every transport.

The SDK answers some of them with no word on what is wrong, and others as if nothing were. Errors say which part of the
request is wrong and what would be right, without the values that were given.
"""

from collections.abc import Iterable, Mapping
from contextvars import Context
from typing import Any, Self

from anyio import EndOfStream
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

_LISTS = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})
_FIRST_WITHOUT_HANDSHAKE = "2026-07-28"
_MOST_PROBLEMS = 4
_LONGEST = 200  # characters of a text that was given, and is said again


async def explaining(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: every message passes here before it is checked against the protocol's schema.

    Raises:
        MCPError: it does not fit the schema, comes too early, or asks for a page that no list has.
    """
    if ctx.method in _LISTS and isinstance((ctx.params or {}).get("cursor"), str):
        raise MCPError(
            INVALID_PARAMS, f"There is no such page: {ctx.method} is answered whole, and gives no cursor to go on with."
        )
    try:
        return await call_next(ctx)
    except ValidationError as error:
        raise MCPError(INVALID_PARAMS, f"Malformed {ctx.method}: {'; '.join(_problems(error))}.") from None
    except MCPError as error:
        if error.error.code == INVALID_PARAMS and _is_too_early(ctx):
            raise MCPError(
                INVALID_PARAMS,
                f"{ctx.method} came before initialize, which a client of {ctx.protocol_version} sends first.",
            ) from None
        raise


class Answering:
    """A stream of messages in which there is nothing but messages: whoever sent something else is told so.

    Over HTTP the SDK does that itself; on other streams it says nothing, and a client waits for its answer for ever.

    Args:
        messages: the stream that comes in, with an exception for each thing that is no message.
        answers: the stream that goes out.
    """

    def __init__(self, messages: Any, answers: Any) -> None:
        self._messages = messages
        self._answers = answers

    @property
    def last_context(self) -> Context | None:
        """The context that the last message was sent in."""
        context: Context | None = getattr(self._messages, "last_context", None)
        return context

    async def receive(self) -> SessionMessage | Exception:
        """The next message."""
        while True:
            item: SessionMessage | Exception = await self._messages.receive()
            if not isinstance(item, Exception):
                return item
            await self._answers.send(SessionMessage(_no_message(item)))

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        """The next message."""
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Close what comes in."""
        await self._messages.aclose()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close what comes in."""
        await self.aclose()


def _no_message(error: Exception) -> JSONRPCError:
    """The answer to what is no message of JSON-RPC."""
    problems = error.errors(include_url=False, include_context=False) if isinstance(error, ValidationError) else []
    if not problems or any(problem["type"] == "json_invalid" for problem in problems):
        told = ErrorData(code=PARSE_ERROR, message="Parse error: a message is one line of JSON in UTF-8.")
        return JSONRPCError(jsonrpc="2.0", id=None, error=told)
    told = ErrorData(
        code=INVALID_REQUEST,
        message='Invalid request: a message has jsonrpc "2.0", an id that is text or a whole number, a method that is '
        "text, and params that are an object; several do not go in one.",
    )
    # What misses a field is told with the whole of it.
    whole = next((problem["input"] for problem in problems if isinstance(problem["input"], dict)), {})
    known = whole.get("id") if "method" in whole else None
    return JSONRPCError(jsonrpc="2.0", id=known if type(known) in (int, str) else None, error=told)


def _is_too_early(ctx: ServerRequestContext[Any, Any]) -> bool:
    handshaking = ctx.protocol_version < _FIRST_WITHOUT_HANDSHAKE and ctx.method != "initialize"
    return handshaking and ctx.session.client_params is None


def _problems(error: ValidationError) -> list[str]:
    """What is wrong with a message, a text for each part of it."""
    told: dict[str, str] = {}
    kinds: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        parts = [str(part) for part in problem["loc"]]
        # Of what may be one of several classes, the schema tells how it misses each; their names have capitals.
        index = next((index for index, part in enumerate(parts) if part[:1].isupper()), len(parts))
        where = ".".join(parts[:index])
        if index < len(parts):
            kinds.setdefault(where, []).append(parts[index])
        told[where] = "is missing" if problem["type"] == "missing" else _in_json(problem["msg"])
    told |= {where: f"should be one of {', '.join(dict.fromkeys(names))}" for where, names in kinds.items()}
    return [f"{where} {text}" for where, text in told.items()][:_MOST_PROBLEMS]


def _in_json(text: str) -> str:
    return text.removeprefix("Input ").replace("dictionary", "object")


def check_arguments(kind: str, known: Mapping[str, bool], given: Iterable[str]) -> None:
    """Check the names of arguments against those that there are.

    Args:
        kind: what they are of, as in `The prompt restore_guest`.
        known: the arguments there are, each with whether it is required.
        given: the arguments that were given.

    Raises:
        MCPError: one is unknown, or a required one is missing.
    """
    names = list(given)
    missing = [name for name, required in known.items() if required and name not in names]
    unknown = [name for name in names if name not in known]
    problems = [f"{shortened(name)} is none of them" for name in unknown] + [f"{name} is missing" for name in missing]
    if problems:
        takes = f"takes {', '.join(known)}" if known else "takes no arguments"
        raise MCPError(INVALID_PARAMS, f"{kind} {takes}: {'; '.join(problems[:_MOST_PROBLEMS])}.")


def shortened(text: str) -> str:
    """A text that was given, so that it can be said again."""
    shown = "".join(character for character in text if character.isprintable())
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
