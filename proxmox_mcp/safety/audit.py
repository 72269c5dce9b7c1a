"""The audit: one line of JSON for what is about to be done, and one for how it went, each chained to the line before.

A line holds the hash of the one before it and its own, so that a line changed, left out or put in between is found.
Lines cut off at the end are not: keep the last hash that `proxmox-mcp audit verify` prints somewhere else.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxmox_mcp.errors import AuditUnwritable
from proxmox_mcp.safety.files import locked, open_own, own_folder

FILE = "audit.jsonl"
START = "0" * 64
"""What stands as the hash before the first line."""
_LONGEST = 1 << 16  # characters of a record
_TAIL = 1 << 18
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Verified:
    """What the check of an audit found.

    Attributes:
        lines: how many are right, from the first on.
        last: the hash of the last of them.
        problem: what is wrong with the next; empty when nothing is.
    """

    lines: int
    last: str
    problem: str = ""


class Audit:
    """The audit of all servers of one user, in one file that only grows.

    Args:
        folder: where the file is kept; made when it is first needed.
        now: a clock, in seconds since 1970.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self.path = folder / FILE
        self._now = now
        self._written = 0  # the number of the last line that this process wrote

    def append(self, record: dict[str, Any], unless: Callable[[], None] = lambda: None) -> str:
        """Write a line, to the disk itself.

        Args:
            record: what it says.
            unless: raises what keeps the line from being written; called while nobody else can write one.

        Returns:
            The line's hash.

        Raises:
            AuditUnwritable: it could not be written, or what is there is no audit, or not the one that was there.
        """
        try:
            with locked(own_folder(self._folder) / "audit.lock"):
                unless()
                descriptor = open_own(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
                try:
                    return self._append(descriptor, record)
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise AuditUnwritable(
                f"The audit {self.path} cannot be written ({error.strerror or error}), so nothing is changed.",
                "The operator must put that right; reading still works.",
            ) from None

    def _append(self, descriptor: int, record: dict[str, Any]) -> str:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        sequence, previous = self._end(descriptor, size)
        if sequence < self._written:
            raise AuditUnwritable(
                f"The audit {self.path} was cut while this server ran: of {self._written} lines it has {sequence}.",
                "The operator must find out by whom. Nothing is changed until the server is started anew.",
            )
        moment = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        line = {"sequence": sequence + 1, "time": moment, **_bounded(record), "previous": previous}
        hashed = _hash(line)
        text = json.dumps({**line, "hash": hashed}, separators=(",", ":"), ensure_ascii=True, default=str) + "\n"
        content = text.encode()
        if os.write(descriptor, content) != len(content):
            os.ftruncate(descriptor, size)  # no half a line stays behind on a full disk
            raise OSError("the disk is full")
        os.fsync(descriptor)
        self._written = sequence + 1
        return hashed

    def _end(self, descriptor: int, size: int) -> tuple[int, str]:
        """Number and hash of the last line."""
        if size == 0:
            return 0, START
        begin = max(0, size - _TAIL)
        os.lseek(descriptor, begin, os.SEEK_SET)
        tail = os.read(descriptor, size - begin)
        try:
            last = json.loads(tail.rstrip(b"\n").rpartition(b"\n")[2])
            if not tail.endswith(b"\n"):
                raise ValueError
            return int(last["sequence"]), str(last["hash"])
        except (ValueError, KeyError, TypeError):
            raise AuditUnwritable(
                f"The audit {self.path} does not end with a line of an audit, so nothing is changed.",
                "The operator must look at it with proxmox-mcp audit verify, and put the file aside.",
            ) from None

    def records(self) -> Iterator[dict[str, Any]]:
        """All lines, the oldest first; those that are no JSON are left out. Nothing when there is no file."""
        try:
            with self.path.open("rb") as file:
                for line in file:
                    try:
                        record = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(record, dict):
                        yield record
        except FileNotFoundError:
            return

    def since(self, moment: float) -> Iterator[dict[str, Any]]:
        """The lines written since a moment (seconds since 1970), the newest first."""
        first = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
        for line in self._backwards():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if not isinstance(record, dict):
                continue
            if str(record.get("time", "")) < first:
                return
            yield record

    def _backwards(self) -> Iterator[bytes]:
        """The lines from the last to the first, of which no more is read than is asked for."""
        try:
            with self.path.open("rb") as file:
                position, rest = file.seek(0, os.SEEK_END), b""
                while position > 0:
                    begin = max(0, position - _BLOCK)
                    file.seek(begin)
                    rest, *lines = (file.read(position - begin) + rest).split(b"\n")
                    yield from reversed(lines)
                    position = begin
                yield rest
        except FileNotFoundError:
            return

    def verify(self) -> Verified:
        """Check the chain from the first line on."""
        lines, previous = 0, START
        try:
            with self.path.open("rb") as file:
                for content in file:
                    problem = _wrong(content, lines + 1, previous)
                    if problem:
                        return Verified(lines, previous, f"line {lines + 1}: {problem}")
                    previous = json.loads(content)["hash"]
                    lines += 1
        except FileNotFoundError:
            return Verified(0, START, f"there is no {self.path}")
        return Verified(lines, previous)


def _bounded(record: dict[str, Any]) -> dict[str, Any]:
    """A record that fits a line: no argument can be so long that the next line finds no end of this one."""
    size = len(json.dumps(record, default=str))
    if size <= _LONGEST:
        return record
    kept = {name: value for name, value in record.items() if len(json.dumps(value, default=str)) <= _LONGEST // 16}
    return {**kept, "left_out": sorted(set(record) - set(kept)), "size": size, "digest": _hash(record)}


def _wrong(content: bytes, number: int, previous: str) -> str:
    try:
        line = json.loads(content)
        hashed = line.pop("hash")
    except (ValueError, KeyError, AttributeError, TypeError):
        return "it is no line of an audit"
    if not content.endswith(b"\n"):
        return "it breaks off"
    if hashed != _hash(line):
        return "it was changed after it was written"
    if line.get("previous") != previous:
        return "a line before it was changed, taken out or put in"
    if line.get("sequence") != number:
        return f"its number is {line.get('sequence')}"
    return ""


def _hash(line: dict[str, Any]) -> str:
    text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
