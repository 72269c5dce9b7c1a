"""A session to look at: an MCP client talks to this server, and the server runs a simulated cluster.

    python -m proxmox_mcp.demo

Client and server are two processes that speak MCP over stdio; nothing leaves this machine.
"""

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, ElicitResult, TextContent
from rich.console import Console
from rich.text import Text

from proxmox_mcp.client_configuration import (
    PACKAGE_COMMAND,
    REAL_CLUSTER,
    checkout_command,
    claude_code,
    mcp_servers,
    vs_code,
)

SCENARIO = "homelab"
# A simulated second takes this many real ones: tasks are seen running, and nobody waits long for them.
_TIME_SCALE = "0.1"
_LONGEST = 60.0  # seconds; a demo that takes longer hangs
_INDENT = 4
_GAP = "  "
_NARROWEST = 12  # no column is cut to less
_PLAIN_WIDTH = 100  # columns where there is no terminal to measure


class DemoFailed(Exception):
    """The session did not go as it should; the text says where."""


@dataclass(slots=True)
class Session:
    """A client's session with the server, told on a console as it goes on."""

    client: Client
    console: Console
    _told: tuple[str, float] = ("", 0.0)
    """The last progress shown: what, and when."""

    async def ask(self, question: str, tool: str, *, refused: bool = False, **arguments: Any) -> dict[str, Any]:
        """Show a question, the tool call that answers it, its progress, and its answer as a model reads it.

        Args:
            question: as a user would ask it.
            tool: the tool that answers it, called with `arguments`.
            refused: the answer is to be an error; a session that goes otherwise is broken.
            arguments: of the tool.

        Returns:
            The structured result.

        Raises:
            DemoFailed: an error where none was to be, or the other way round.
        """
        shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        self.console.print()
        self._say(f"❯ {question}", 0, "bold")
        self._say(f"{tool}({shown})", 2, "cyan")
        self._told = ("", 0.0)
        result = await self.client.call_tool(tool, arguments, progress_callback=self._progress)
        self._answer(_text(result), bool(result.is_error))
        if bool(result.is_error) != refused:
            raise DemoFailed(f"{tool} {'failed' if result.is_error else 'did not fail'}: {_text(result)}")
        return result.structured_content or {}

    async def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Show how far the call is, once a second while nothing new is said."""
        before, moment = self._told
        if message != before or progress >= moment + 1:
            self._told = (message or "", progress)
            self._say(f"… {progress:.1f} s: {message}", 2, "yellow")

    def _answer(self, text: str, is_error: bool) -> None:
        style = "red" if is_error else ""
        for is_table, lines in groupby(text.splitlines(), lambda line: "\t" in line):
            block = list(lines)
            self._say(_table(block, self.console.width - _INDENT) if is_table else "\n".join(block), _INDENT, style)

    def _say(self, text: str, indent: int, style: str) -> None:
        margin = " " * indent
        for line in text.splitlines():
            deeper = margin + " " * (len(line) - len(line.lstrip()))
            parts = wrap(
                line,
                self.console.width,
                initial_indent=margin,
                subsequent_indent=deeper,
                break_on_hyphens=False,
                replace_whitespace=False,
            )
            self.console.print(Text("\n".join(parts) or "", style=style), soft_wrap=True)


def _text(result: CallToolResult) -> str:
    return "\n".join(content.text for content in result.content if isinstance(content, TextContent))


def _table(lines: list[str], width: int) -> str:
    """Lines with tabs as columns; the longest columns are cut until all fit, and what still does not is left out."""
    rows = [line.split("\t") for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    while _breadth(widths) > width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    while _breadth(widths) > width:
        widths.pop()
    return "\n".join(
        _GAP.join(_cut(cell, size) for cell, size in zip(row, widths, strict=False)).rstrip() for row in rows
    )


def _breadth(widths: list[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _cut(cell: str, size: int) -> str:
    return cell.ljust(size) if len(cell) <= size else cell[: size - 1] + "…"


def _environment() -> dict[str, str]:
    """Of the server and of the person's commands: this package, and no settings."""
    package = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(part for part in (package, os.environ.get("PYTHONPATH")) if part)
    return {"PYTHONPATH": path, "PROXMOX_CONFIG": ""}


def _server(access: str, state: str) -> StdioServerParameters:
    """The server as a client starts it: a command line, an environment, a working directory without settings."""
    options = ["--simulate", SCENARIO, "--time-scale", _TIME_SCALE, "--access", access]
    # What waits for approval is shown by a command below, so the server need not tell of it in between.
    options += ["--state-dir", state, "--log-level", "ERROR"]
    return StdioServerParameters(
        command=sys.executable, args=["-m", "proxmox_mcp", "serve", *options], env=_environment(), cwd=state
    )


async def _connect(stack: AsyncExitStack, console: Console, access: str, state: str, *, forms: bool = True) -> Session:
    """A client's session; `forms`: the client can ask the person who sits before it."""

    async def approve(context: Any, params: Any) -> ElicitResult:
        """The person at the client reads what is about to be done, and agrees."""
        first, *facts = str(params.message).splitlines()
        console.print(Text("\n".join([f"  ? {first}", *(f"    {fact}" for fact in facts)]), style="magenta"))
        console.print(Text("  The person at the client: approved", style="magenta"))
        return ElicitResult(action="accept", content={"approve": True})

    client = await stack.enter_async_context(
        Client(_server(access, state), elicitation_callback=approve if forms else None)
    )
    tools = (await client.list_tools()).tools
    told = f"$ proxmox-mcp serve --simulate {SCENARIO} --access {access}   ({len(tools)} tools)"
    console.print()
    console.rule(Text(told, style="dim"), align="left", style="dim")
    return Session(client, console)


async def play(console: Console) -> None:
    """The session from beginning to end.

    Raises:
        DemoFailed: it did not go as it should.
    """
    with tempfile.TemporaryDirectory() as state:
        async with AsyncExitStack() as stack:
            await _operate(await _connect(stack, console, "operate", state))
            await _only_look(await _connect(stack, console, "read", state))
            if sys.platform != "win32":  # where no terminal can be had for the person who approves
                await _delete(await _connect(stack, console, "admin", state, forms=False), state)


async def _operate(session: Session) -> None:
    await session.ask("How is my cluster?", "get_nodes")
    await session.ask("Which VMs do I have?", "get_vms")
    started = await session.ask("Shut the web server down, please.", "manage_vm", vmid=100, action="shutdown")
    await session.ask("Tell me when it is down.", "wait_for_task", upid=started["upid"], wait_seconds=60)
    await session.ask(
        "And the legacy machine.",
        "manage_vm",
        refused=True,
        vmid=103,
        action="shutdown",
        timeout_seconds=15,
        wait_seconds=60,
    )
    await session.ask("Then pull its plug.", "manage_vm", vmid=103, action="stop", wait_seconds=30)
    await session.ask("Start the build machine.", "manage_vm", refused=True, vmid=106, action="start", wait_seconds=30)
    await session.ask("What is known of VM 107?", "get_vm_status", refused=True, vmid=107)
    await session.ask("Is everything backed up?", "get_backup_status", limit=4)
    await session.ask("What went wrong lately?", "get_cluster_tasks", errors_only=True, limit=4)


async def _only_look(session: Session) -> None:
    """An assistant that may only look."""
    await session.ask("Start the web server again.", "manage_vm", refused=True, vmid=100, action="start")


async def _delete(session: Session, state: str) -> None:
    """An assistant that may do all, at a client that cannot ask: a person approves at the server's machine."""
    deletion: dict[str, Any] = {"vmid": 202, "wait_seconds": 30}
    await session.ask("The sandbox is of no use any more, delete it.", "delete_lxc", refused=True, **deletion)
    listed = _command(session, state, "approvals")
    code = listed.split(maxsplit=1)[0]
    with _typing("y\n") as keyboard:
        _command(session, state, "approve", code, keyboard=keyboard)
    await session.ask("I approved it.", "delete_lxc", **deletion)
    _command(session, state, "audit", "show", "--guest", "202")
    _command(session, state, "audit", "verify")


def _command(session: Session, state: str, *arguments: str, keyboard: int = subprocess.DEVNULL) -> str:
    """Run a command as the person at the server's machine would, and show it with what it prints."""
    session.console.print()
    session._say(f"$ proxmox-mcp {' '.join(arguments)}", 0, "bold magenta")
    done = subprocess.run(  # noqa: S603 - this interpreter, and no argument from elsewhere
        [sys.executable, "-m", "proxmox_mcp", *arguments, "--state-dir", state],
        stdin=keyboard,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_LONGEST,
        cwd=state,
        env={**_without_settings(), **_environment(), "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    if done.returncode != 0:
        raise DemoFailed(f"proxmox-mcp {arguments[0]} failed: {done.stderr}")
    session._say(done.stdout.strip(), 2, "magenta")
    return done.stdout


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PROXMOX_")}


@contextmanager
def _typing(text: str) -> Iterator[int]:
    """A terminal at which somebody types, for a command that reads from nothing else."""
    import pty  # there is none on Windows

    terminal, theirs = pty.openpty()
    try:
        os.write(terminal, text.encode())
        yield theirs
    finally:
        os.close(terminal)
        os.close(theirs)


def print_configuration(console: Console) -> None:
    """What to paste into a client: this checkout on the simulated cluster, and the package on a real one."""
    simulated = ("serve", "--simulate", SCENARIO, "--access", "operate")
    here = checkout_command()
    parts = [
        ("Claude Desktop, Cursor: this checkout, the simulated cluster", mcp_servers(here, simulated)),
        ("Claude Code: the same", claude_code(here, simulated)),
        ("Claude Desktop, Cursor: a real cluster", mcp_servers(PACKAGE_COMMAND, ("serve",), REAL_CLUSTER)),
        ("Claude Code: the same", claude_code(PACKAGE_COMMAND, ("serve",), REAL_CLUSTER)),
        ("VS Code (.vscode/mcp.json): the same", vs_code(PACKAGE_COMMAND, ("serve",), REAL_CLUSTER)),
    ]
    console.print()
    console.rule(Text("To use it yourself, paste one of these", style="bold"), align="left", style="dim")
    for title, text in parts:
        console.print()
        console.print(Text(title, style="bold"))
        # Neither wrapped nor padded: it is there to be copied.
        console.print(Text(text), soft_wrap=True)


async def _play_in_time(console: Console) -> None:
    with anyio.fail_after(_LONGEST):
        await play(console)


def main() -> int:
    """Run the demo. Returns the exit status: 0, or 1 when something went otherwise than it should."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PLAIN_WIDTH
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where a character cannot be shown, ? stands for it
    console = Console(highlight=False, width=width)
    problems: list[BaseException] = []
    stopped = False
    try:
        anyio.run(_play_in_time, console)
    except* (DemoFailed, MCPError, OSError) as group:
        problems.extend(_leaves(group))
    except* (KeyboardInterrupt, SystemExit):
        stopped = True  # by Ctrl-C, or because who read the output went away
    if stopped:
        return 1
    if problems:
        print(f"The demo broke off: {str(problems[0]) or 'it took too long'}", file=sys.stderr)
        return 1
    print_configuration(console)
    return 0


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


if __name__ == "__main__":
    sys.exit(main())
