"""Follow a PVE task: what it is, how far it is, how it ended."""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import anyio
from pydantic import Field

from proxmox_mcp.advice import advice_on
from proxmox_mcp.errors import InvalidArgument, TaskFailed
from proxmox_mcp.pve import Pve
from proxmox_mcp.results import Result

Report = Callable[[float, float | None, str], Awaitable[None]]
"""Tells the client how far a call is: progress, total, text."""

State = Literal["running", "ok", "warnings", "failed"]

_UPID = re.compile(
    r"UPID:(?P<node>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<pid>[0-9A-Fa-f]{8,9}):(?P<pstart>[0-9A-Fa-f]{8,9})"
    r":(?P<starttime>[0-9A-Fa-f]{8}):(?P<type>[^:\s/]+):(?P<id>[^:\s/]*):(?P<user>[^:\s/]+):"
)
_ERROR = re.compile(r"(?<!TASK )\bERROR: (?:migration aborted \([^)]*\): )?(.+)")
_MOST_ERRORS = 3
_EMPTY = frozenset({"job errors", "migration aborted"})
"""Exit statuses that say that something went wrong, and not what."""
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")

LOG_TAIL = 10
"""How many lines of a task's log a result shows."""
_LOG_CHUNK = 500
_MOST_CHUNKS = 40  # of one look: a log may grow as fast as it is read
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class Upid(NamedTuple):
    """What a task's id says about it."""

    text: str
    node: str
    type: str
    id: str
    user: str
    starttime: int

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/nodes/{self.node}/tasks/{self.text}"

    @property
    def subject(self) -> str:
        """What it does to what: `qmstart 100 on pve1`."""
        return f"{self.type} {self.id} on {self.node}" if self.id else f"{self.type} on {self.node}"


def parse_upid(text: str) -> Upid:
    """Read a UPID (`UPID:node:pid:pstart:starttime:type:id:user:`).

    Raises:
        InvalidArgument: it is not one.
    """
    found = _UPID.fullmatch(text.strip())
    if found is None:
        raise InvalidArgument(
            f"{text!r} is no UPID.", "One looks like UPID:pve1:0000022A:00089A36:6B03C403:qmstart:100:root@pam: ."
        )
    return Upid(text.strip(), found["node"], found["type"], found["id"], found["user"], int(found["starttime"], 16))


# Their workers undo what they began, or only wait: a stop leaves guests, disks and settings as they were.
_STOPPED_IN_PEACE = frozenset(
    {
        "vzdump", "qmigrate", "qmclone", "vzclone", "qmshutdown", "vzshutdown", "download", "aptupdate", "imgcopy",
    }
)  # fmt: skip


def stops_in_peace(upid: str) -> bool:
    """Whether a task can be stopped midway, and leave everything as it was before it began.

    Source: what PVE's workers do when they are interrupted; a type that is not known may leave anything behind.
    """
    found = _UPID.fullmatch(upid.strip())
    return found is not None and found["type"] in _STOPPED_IN_PEACE


class TaskResult(Result):
    """A task: still running, or how it ended."""

    upid: str
    node: str
    state: State
    exit_status: str | None = Field(None, description="PVE's exit status: OK, WARNINGS: n, or the error's text")
    log_tail: list[str] = Field(default_factory=list)


def state_of(status: dict[str, Any]) -> State:
    """The state that a task's status record tells (`GET /nodes/{node}/tasks/{upid}/status`)."""
    if status.get("status") == "running":
        return "running"
    exit_status = status.get("exitstatus")
    if exit_status == "OK":
        return "ok"
    return "warnings" if str(exit_status).startswith("WARNINGS:") else "failed"


@dataclass(slots=True)
class _Log:
    """What was read of a growing log."""

    read: int = 0
    tail: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    """The first lines that tell of an error; what follows may have pushed them out of the tail."""

    def add(self, lines: list[dict[str, Any]]) -> None:
        texts = [str(line.get("t", "")) for line in lines]
        if self.read == 0 and texts == ["no content"]:
            return
        self.read += len(texts)
        self.tail = (*self.tail, *texts)[-LOG_TAIL:]
        found = (match[1].strip() for text in texts if (match := _ERROR.search(text)) is not None)
        self.errors = tuple(dict.fromkeys((*self.errors, *found)))[:_MOST_ERRORS]


class Tasks:
    """The tasks of a cluster."""

    def __init__(self, pve: Pve, now: Callable[[], float] = time.monotonic) -> None:
        self._pve = pve
        self._now = now

    async def look(self, upid: str) -> TaskResult:
        """A task as it is at this moment; one that failed is no error here.

        Raises:
            InvalidArgument: no UPID.
            UnknownTask: PVE has no such task.
        """
        task = parse_upid(upid)
        log = _Log()
        status = await self._pve.get(f"{task.path}/status")
        await self._read_log(task, log)
        return _result(task, status, log)

    async def follow(self, upid: str, wait_seconds: float, report: Report | None = None) -> TaskResult:
        """Wait for a task's end, and tell how far it is meanwhile.

        Args:
            upid: the task.
            wait_seconds: how long at most; with 0 it is looked at once, and the log read only if it has ended.
            report: is told the seconds waited, the most there can be, and the last line of the log.

        Returns:
            The task; `state` is `running` when the time was over first.

        Raises:
            TaskFailed: it ended with an error; the text holds the reason and the log's end.
            InvalidArgument: no UPID.
            UnknownTask: PVE has no such task.
        """
        task = parse_upid(upid)
        log = _Log()
        begin, pause = self._now(), _FIRST_PAUSE
        # Told once, at first: who gives up waiting must know which task goes on.
        named = f" {upid}"
        while True:
            status = await self._pve.get(f"{task.path}/status")
            state = state_of(status)
            if state == "running" and wait_seconds == 0:
                # Its log would say little yet, or tell of an end that came after the status.
                break
            await self._read_log(task, log)
            waited = self._now() - begin
            if report is not None and wait_seconds > 0:
                await report(min(waited, wait_seconds), wait_seconds, _progress_text(task, state, log) + named)
                named = ""
            if state != "running" or waited >= wait_seconds:
                break
            await anyio.sleep(min(pause, wait_seconds - waited))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        if state == "failed":
            reason = _reason(str(status.get("exitstatus")), log)
            raise TaskFailed(upid, reason, log.tail, subject=task.subject, advice=_advice(reason, log))
        return _result(task, status, log)

    async def _read_log(self, task: Upid, log: _Log) -> None:
        """Read what the log has grown by, or the part of that which one look may take."""
        for _ in range(_MOST_CHUNKS):
            lines = await self._pve.get(f"{task.path}/log", start=log.read, limit=_LOG_CHUNK)
            log.add(lines)
            if len(lines) < _LOG_CHUNK:
                return


def _reason(exit_status: str, log: _Log) -> str:
    """The exit status; where it says nothing of what happened, with the errors that the log tells."""
    return ": ".join([exit_status, "; ".join(log.errors)]) if exit_status in _EMPTY and log.errors else exit_status


def _advice(reason: str, log: _Log) -> str:
    """On the reason; where that says nothing (`migration aborted`), on what the log's end says."""
    return advice_on(reason) or advice_on("\n".join(log.tail))


def _progress_text(task: Upid, state: State, log: _Log) -> str:
    last = next((line for line in reversed(log.tail) if line.strip()), "")
    percent = _PERCENT.search(last)
    parts = [f"{task.subject}: {state}", f"{percent[1]}%" if percent else "", last]
    return ", ".join(part for part in parts if part)


def _result(task: Upid, status: dict[str, Any], log: _Log) -> TaskResult:
    return TaskResult(
        upid=task.text,
        node=task.node,
        state=state_of(status),
        exit_status=status.get("exitstatus"),
        log_tail=list(log.tail),
    )
