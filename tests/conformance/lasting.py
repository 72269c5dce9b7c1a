"""The conformance suite's tools that last, which a client that knows the tasks extension need not wait for.

They are handed out by the product's own extension, as every call is that takes longer than a moment: none of them knows
anything of handles. What they wait for is only time.
"""

from __future__ import annotations

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR

from proxmox_mcp.server import ProxmoxServer
from proxmox_mcp.task_handles import IDENTIFIER, PATIENCE
from tests.conformance.asking import Answered, asked, filled_in, form

_LONG_ENOUGH = PATIENCE + 0.5  # seconds
_NAME = {"type": "string"}


def add_lasting(server: ProxmoxServer) -> None:
    """Give a server the tools that last, and the one that the suite compares them with."""
    for tool in (
        greet,
        slow_compute,
        failing_job,
        protocol_error_job,
        confirm_delete,
        multi_input,
        test_tool_with_task,
    ):
        server.add_tool(tool, structured_output=False)


def greet(name: str) -> str:
    """Is done at once."""
    return f"Hello, {name}!"


async def slow_compute(seconds: float, label: str = "") -> str:
    """Takes as long as it is told to."""
    await anyio.sleep(seconds)
    return f"computed {label} for {seconds:g} s"


async def failing_job(ctx: Context) -> str:
    """Fails as a tool does, after a while; for clients that know tasks alone."""
    require_client_extension(ctx.request_context, IDENTIFIER)
    await anyio.sleep(_LONG_ENOUGH)
    raise ToolError("This job fails on purpose.")


async def protocol_error_job() -> str:
    """Is refused by the protocol, after a while."""
    await anyio.sleep(_LONG_ENOUGH)
    raise MCPError(INTERNAL_ERROR, "This job breaks on purpose.")


async def confirm_delete(filename: str, ctx: Context) -> Answered:
    """Thinks for a while, and then asks before it goes on; it deletes nothing."""
    if filled_in(ctx, "sure", "confirm", bool):
        return f"{filename} would be deleted"
    await anyio.sleep(_LONG_ENOUGH)
    return asked(sure=form(f"Delete {filename}?", confirm={"type": "boolean"}))


async def multi_input(ctx: Context) -> Answered:
    """Thinks for a while, and then asks two things at once."""
    names = [filled_in(ctx, question, "name") for question in ("first", "second")]
    if all(names):
        return f"{names[0]} and {names[1]}"
    await anyio.sleep(_LONG_ENOUGH)
    return asked(first=form("The first name?", name=_NAME), second=form("The second name?", name=_NAME))


async def test_tool_with_task(ctx: Context) -> Answered:
    """Asks at once; it is what follows the answer that lasts."""
    name = filled_in(ctx, "user_name", "name")
    if name is None:
        return asked(user_name=form("What is your name?", name=_NAME))
    await anyio.sleep(_LONG_ENOUGH)
    return f"done for {name}"
