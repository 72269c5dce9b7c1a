"""What changed between two moments of a world, in words for people and as plain data for programs.

The simulator's own book-keeping (counters, timers, the lines of the cluster log) is left out, and a secret is never
told, only that it is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pvesim.access.records import AclEntry, Token, User
from pvesim.cluster.records import Cluster
from pvesim.core.log import LogEntry
from pvesim.core.tasks import Task, Timer
from pvesim.core.world import Change, Counter, World
from pvesim.firewall.records import Firewall
from pvesim.guests.records import FileLock, Guest
from pvesim.nodes.records import Interface, Node, Service
from pvesim.storage.records import Space, Storage, Volume

What = Literal["made", "removed", "changed"]
_BOOK_KEEPING = frozenset(kind.__name__ for kind in (Counter, Timer, LogEntry, FileLock))
_SECRET = frozenset(("cipassword", "password", "secret"))
_EPOCH = 1e8  # a float above this is a moment, not a duration or a rate
_LONGEST = 80  # characters of a value in words
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, such as `config.memory`, with its value before and after; None where it was not there."""

    field: str
    before: Any
    after: Any

    def words(self) -> str:
        """`config.memory: 2048 → 4096`."""
        # A record keeps a moment that never was as zero.
        if self.before is None or (self.before == 0 and _is_moment(self.after)):
            return f"{self.field} set to {_word(self.after)}"
        if self.after is None or (self.after == 0 and _is_moment(self.before)):
            return f"{self.field} removed (was {_word(self.before)})"
        return f"{self.field}: {_word(self.before)} → {_word(self.after)}"


@dataclass(frozen=True, slots=True)
class RecordChange:
    """One thing that was made, removed or changed. `key` is its place in the table of its kind."""

    kind: str
    key: Any
    name: str
    what: What
    fields: tuple[FieldChange, ...] = ()
    outcome: str = ""

    def words(self) -> str:
        """One line, such as `VM 100 (web) changed: status: running → stopped`."""
        if self.outcome:
            return f"{self.name}: {self.outcome}"
        told = "; ".join(field.words() for field in self.fields)
        return f"{self.name} {self.what}{': ' if told else ''}{told}"


@dataclass(frozen=True, slots=True)
class Difference:
    """All that is different between two moments, `seconds` of virtual time apart."""

    before: str
    after: str
    seconds: float
    changes: tuple[RecordChange, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def words(self) -> list[str]:
        """One line for each thing that is different."""
        return [change.words() for change in self.changes]

    def to_json(self) -> dict[str, Any]:
        """The same as plain data: texts, numbers, lists and mappings."""
        return {
            "before": self.before,
            "after": self.after,
            "seconds": self.seconds,
            "changes": [
                {
                    "kind": change.kind,
                    "key": _plain(change.key),
                    "name": change.name,
                    "what": change.what,
                    "words": change.words(),
                    "fields": [
                        {"field": field.field, "before": _plain(field.before), "after": _plain(field.after)}
                        for field in change.fields
                    ],
                }
                for change in self.changes
            ],
        }

    def __str__(self) -> str:
        head = f"From {self.before} to {self.after} ({self.seconds:g} s):"
        return "\n".join([head, *(f"  {line}" for line in self.words() or ["nothing changed"])])


def difference(before: World, after: World, names: tuple[str, str]) -> Difference:
    """What is different in `after`; `names` are what the two moments are called."""
    changes = [_told(change) for change in before.diff(after) if change.table not in _BOOK_KEEPING]
    return Difference(*names, round(after.now - before.now, 6), tuple(changes))


def _told(change: Change) -> RecordChange:
    record = change.before if change.after is None else change.after
    name = _name(record)
    if change.before is None:
        return RecordChange(change.table, change.key, name, "made", outcome=_outcome(record))
    if change.after is None:
        return RecordChange(change.table, change.key, name, "removed")
    changed = tuple(_fields("", change.before, change.after))
    return RecordChange(change.table, change.key, name, "changed", changed, _outcome(record))


def _outcome(record: Any) -> str:
    """What a task has come to says more than its fields."""
    if not isinstance(record, Task):
        return ""
    return "running" if record.running else str(record.exitstatus)


def _fields(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    parts = _parts(before), _parts(after)
    if parts[0] is None or parts[1] is None:
        known = path.rpartition(".")[2] not in _SECRET
        yield FieldChange(path, before if known else "(secret)", after if known else "(another secret)")
        return
    for name in {**parts[0], **parts[1]}:
        old, new = parts[0].get(name, _ABSENT), parts[1].get(name, _ABSENT)
        if old is new or old == new:
            continue
        below = f"{path}.{name}" if path else str(name)
        if old is _ABSENT or new is _ABSENT:
            hidden = str(name) in _SECRET
            values = [None if value is _ABSENT else "(secret)" if hidden else value for value in (old, new)]
            yield FieldChange(below, *values)
        else:
            yield from _fields(below, old, new)


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """What a value is made of, by name; None if it is told as a whole."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and value and all(is_dataclass(item) and hasattr(item, "name") for item in value):
        return {item.name: item for item in value}
    return None


# -- names and words -----------------------------------------------------------------------------------------------

_NAMES: dict[type[Any], Callable[[Any], str]] = {
    AclEntry: lambda r: f"permission {r.roleid} on {r.path} for {r.type} {r.ugid}",
    Cluster: lambda r: "cluster",
    Firewall: lambda r: f"firewall of {r.scope.replace('/', ' ')}",
    Guest: lambda r: f"{'VM' if r.kind == 'qemu' else 'container'} {r.vmid} ({r.name})",
    Interface: lambda r: f"interface {r.iface} of node {r.node}",
    Node: lambda r: f"node {r.name}",
    Service: lambda r: f"service {r.name} of node {r.node}",
    Space: lambda r: f"space of storage {r.storage}{' on ' if r.place else ''}{r.place}",
    Storage: lambda r: f"storage {r.storage}",
    Task: lambda r: f"task {r.type}{' ' if r.id else ''}{r.id} on {r.node} by {r.owner}",
    Token: lambda r: f"token {r.key}",
    User: lambda r: f"user {r.userid}",
    Volume: lambda r: f"volume {r.volid}{' on ' if r.place else ''}{r.place}",
}


def _name(record: Any) -> str:
    make = _NAMES.get(type(record))
    if make is not None:
        return make(record)
    kind = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in type(record).__name__).strip()
    key = record.key
    return f"{kind} {' '.join(map(str, key)) if isinstance(key, tuple) else key}"


def _is_moment(value: Any) -> bool:
    return isinstance(value, float) and value > _EPOCH


def _word(value: Any) -> str:
    if _is_moment(value):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool) or value in ("", (), [], None):
        return {True: "yes", False: "no"}.get(value, "nothing") if isinstance(value, bool) else "nothing"
    plain = _plain(value)
    text = ", ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    parts = _parts(value) if not isinstance(value, tuple) else None
    if parts is not None:
        return {
            str(name): "(secret)" if str(name) in _SECRET and part is not None else _plain(part)
            for name, part in parts.items()
        }
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float) or value is None else str(value)
