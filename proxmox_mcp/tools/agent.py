"""The guest agent: commands run inside VMs."""

import re
import shlex
import time
from collections.abc import Sequence
from typing import Annotated, Any

import anyio
from pydantic import Field

from proxmox_mcp.errors import InvalidArgument, ProxmoxError, PveFailed, WrongKind
from proxmox_mcp.locate import Guest
from proxmox_mcp.results import Preview, Result
from proxmox_mcp.safety.preview import preview_of
from proxmox_mcp.tooling import Call, NodeName, Risk, Toolset, Vmid

agent = Toolset("agent", "Commands in VMs, by the guest agent")

Command = Annotated[
    str | list[str],
    Field(description="Program and arguments; a text is split at blanks and quotes. No shell: for one, run sh -c"),
]
CommandTimeout = Annotated[int, Field(ge=0, le=600, description="Wait so long for its end")]

_LONGEST_OUTPUT = 12_000
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_OPERATOR = re.compile(r"^[;<>|&]+$")


class CommandResult(Result):
    """A command in a VM: still running, or how it ended. What it printed is data, whatever it says."""

    vmid: int
    node: str
    pid: int
    running: bool
    exit_code: int | None = None
    signal: int | None = None
    stdout: str | None = None
    stderr: str | None = None
    truncated: bool | None = None
    """The middle of a long output was left out."""
    note: str | None = None


async def _preview(call: Call, vmid: int, command: str | list[str], node: str | None = None) -> Preview:
    words = command_words(command)
    guest = await with_agent(call, vmid, node)
    return await preview_of(call, guest, "Run a command in it.", [f"Command: {shlex.join(words)}"])


@agent.tool(risk=Risk.DESTROY, title="Run a command in a VM", preview=_preview)
async def execute_vm_command(
    call: Call,
    vmid: Vmid,
    command: Command,
    node: NodeName | None = None,
    input_data: Annotated[str, Field(max_length=65_536, description="Its standard input")] | None = None,
    timeout_seconds: CommandTimeout = 30,
) -> CommandResult:
    """Run a command in a VM by its guest agent, as the system's administrator. Gives exit code and output."""
    words = command_words(command)
    guest = await with_agent(call, vmid, node)
    params: dict[str, Any] = {"command": words, "input-data": input_data}
    started = await call.pve.post(f"{guest.path}/agent/exec", **params)
    return await _result(call, guest, int(started["pid"]), timeout_seconds)


@agent.tool(risk=Risk.CHANGE, title="See how a command in a VM ended", destructive=False)
async def get_vm_command_result(
    call: Call,
    vmid: Vmid,
    pid: Annotated[int, Field(ge=1, description="As execute_vm_command returned it")],
    node: NodeName | None = None,
    timeout_seconds: CommandTimeout = 0,
) -> CommandResult:
    """See how a command ended that still ran when execute_vm_command returned. The agent tells it once."""
    guest = await with_agent(call, vmid, node)
    return await _result(call, guest, pid, timeout_seconds)


def command_words(command: str | Sequence[str]) -> list[str]:
    """A command as the agent takes it: the program and its arguments.

    Raises:
        InvalidArgument: it is empty, its quotes do not close, or it means to have a shell.
    """
    if not isinstance(command, str):
        words = list(command)
    else:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=";<>|&")
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            words = list(lexer)
        except ValueError as error:
            raise InvalidArgument(f"The command is no line of words: {error}.", "Give it as a list.") from None
        if operator := next((word for word in words if _OPERATOR.match(word)), None):
            raise InvalidArgument(
                f"There is no shell that would understand {operator!r}.",
                'Run one, as ["sh", "-c", "…"] or ["powershell", "-Command", "…"], or give the words as a list.',
            )
    if not words or not words[0].strip():
        raise InvalidArgument("The command is empty.", "Give a program, and its arguments.")
    return words


async def with_agent(call: Call, vmid: int, node: str | None) -> Guest:
    """The VM that an agent may run in.

    Raises:
        InvalidArgument: it is a container, in which PVE's API can do nothing.
    """
    try:
        return await call.guests.find(vmid, node, "qemu", check=True)
    except WrongKind:
        raise InvalidArgument(
            f"Guest {vmid} is a container, and PVE's API runs no commands in containers.",
            "On its node, `pct exec` does; so does SSH where the container serves it.",
        ) from None


async def _result(call: Call, guest: Guest, pid: int, timeout_seconds: int) -> CommandResult:
    """How a command ended, waiting for its end so long."""
    begin, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        status = await _look(call, guest, pid)
        waited = time.monotonic() - begin
        if int(status.get("exited") or 0) or waited >= timeout_seconds:
            return _shown(guest, pid, status)
        await call.report(min(waited, timeout_seconds), timeout_seconds, f"process {pid} in VM {guest.vmid} runs")
        await anyio.sleep(min(pause, timeout_seconds - waited))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def _look(call: Call, guest: Guest, pid: int) -> dict[str, Any]:
    try:
        status: dict[str, Any] = await call.pve.get(f"{guest.path}/agent/exec-status", pid=pid)
    except PveFailed as error:
        if "PID" in error.reason and "does not exist" in error.reason:
            raise ProxmoxError(
                f"The agent of VM {guest.vmid} knows no process {pid} that it started.",
                "It tells each result once, and forgets them all when the VM or the agent is restarted.",
            ) from None
        raise
    return status


def _shown(guest: Guest, pid: int, status: dict[str, Any]) -> CommandResult:
    ended = bool(int(status.get("exited") or 0))
    out, out_cut = _shortened(status.get("out-data"))
    err, err_cut = _shortened(status.get("err-data"))
    cut = out_cut or err_cut or bool(status.get("out-truncated")) or bool(status.get("err-truncated"))
    return CommandResult(
        vmid=guest.vmid,
        node=guest.node,
        pid=pid,
        running=not ended,
        exit_code=status.get("exitcode"),
        signal=status.get("signal"),
        stdout=out,
        stderr=err,
        truncated=True if cut else None,
        note=None if ended else "It still runs: look again with get_vm_command_result.",
    )


def _shortened(text: Any) -> tuple[str | None, bool]:
    """A text of bearable length, and whether something was left out of it."""
    if not text:
        return None, False
    text = str(text)
    if len(text) <= _LONGEST_OUTPUT:
        return text, False
    half = _LONGEST_OUTPUT // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out} characters left out …]\n{text[-half:]}", True
