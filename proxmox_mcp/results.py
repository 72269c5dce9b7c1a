"""The shapes that tools return: structured data, and the same facts as compact text.

A result is a pydantic model. What a client gets of it twice: `structured()`, without empty fields, for programs and
clients that show structured content; `text()`, one line per fact and one table per list, for those that show text.
Figures are PVE's own units in the structured form; the text shows them as people read them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from proxmox_mcp.errors import InvalidArgument

Detail = Literal["concise", "full"]

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Shown:
    """Marks a field with how its value is written in text."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        self.write = write


def bytes_text(value: float) -> str:
    """A size as people read it: `1.5 GiB`."""
    power = min(((int(abs(value)) | 1).bit_length() - 1) // 10, len(_SIZES) - 1)
    return f"{value / 1024**power:.4g} {_SIZES[power]}"


def seconds_text(value: float) -> str:
    """A length of time as people read it: `1h32m`."""
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")) if count]
    return "".join(parts[:2]) or "0s"


def moment_text(value: float) -> str:
    """Seconds since 1970 as people read them: `2026-11-23T05:40:00Z`."""
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Bytes = Annotated[int, Shown(bytes_text)]
"""A size in bytes; text: `1.5 GiB`."""
Share = Annotated[float, Shown(lambda value: f"{value * 100:.1f}%")]
"""A share of one, such as the load of a CPU; text: `12.5%`."""
Seconds = Annotated[int, Shown(seconds_text)]
"""A length of time in seconds; text: `1h32m`."""
Moment = Annotated[int, Shown(moment_text)]
"""Seconds since 1970, UTC; text: `2026-11-23T05:40:00Z`."""


def _as_value(value: Any) -> Any:
    """Items that a list of values cannot hold, as JSON text."""
    if not isinstance(value, list | tuple):
        return value
    return [item if isinstance(item, str | int | float | dict) else json.dumps(item, default=str) for item in value]


Scalar = str | int | float | bool
Value = Annotated[Scalar | dict[str, Any] | list[Scalar | dict[str, Any]], BeforeValidator(_as_value)]
"""What PVE has for an option, or answers: it says itself what it is, for schemas that allow anything say nothing."""


class Result(BaseModel):
    """What a tool returns. Fields that are `None` are left out everywhere."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    def structured(self) -> dict[str, Any]:
        """The facts as JSON values, without the empty ones."""
        return self.model_dump(mode="json", exclude_none=True)

    def text(self) -> str:
        """The facts as compact text: `name: value` lines, then a table per list of records, tabs between columns.

        The facts of a record or map inside stand as `name.fact: value`.
        """
        lines: list[str] = []
        tables: list[str] = []
        for name, value in self._facts():
            if isinstance(value, Result):
                lines.extend(f"{name}.{line}" for line in value.text().splitlines())
            elif isinstance(value, dict) and value:
                lines.extend(f"{name}.{key}: {_on_one_line(inner)}" for key, inner in value.items())
            elif isinstance(value, list | tuple) and value and isinstance(value[0], Result):
                tables.append(f"{name}:\n{table(value)}")
            elif name == "log_tail" and not value:
                continue
            elif isinstance(value, list | tuple) and (name.endswith(("log", "log_tail")) or _are_sentences(value)):
                tables.append("\n".join([f"{name}:", *(f"  {line}" for line in value)]))
            else:
                lines.append(f"{name}: {_on_one_line(value)}")
        return "\n".join([*lines, *tables])

    def _facts(self) -> list[tuple[str, Any]]:
        """Name and value of every field that is not empty; marked values are already text."""
        values = self.__dict__
        return [
            (name, value if write is None else write(value))
            for name, write in _writers(type(self))
            if (value := values[name]) is not None
        ]


@cache
def _writers(kind: type[Result]) -> tuple[tuple[str, Callable[[Any], str] | None], ...]:
    """The fields of a result class, each with how its value is written; looked up once, a list has many rows."""
    writers = []
    for name, info in kind.model_fields.items():
        mark = next((mark for mark in info.metadata if isinstance(mark, Shown)), None) or _optional_mark(info)
        writers.append((name, mark.write if mark else None))
    return tuple(writers)


def _optional_mark(info: Any) -> Shown | None:
    """The mark inside `Bytes | None`, which pydantic leaves on the member of the union."""
    for member in getattr(info.annotation, "__args__", ()):
        for mark in getattr(member, "__metadata__", ()):
            if isinstance(mark, Shown):
                return mark
    return None


def _are_sentences(values: Sequence[Any]) -> bool:
    """Whether texts would run into each other in one line: with commas within, or with full stops."""
    return len(values) > 1 and any(isinstance(value, str) and (", " in value or ". " in value) for value in values)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in value):
        return ", ".join([_plain(item) for item in value]) or "none"
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    return str(value)


def _on_one_line(value: Any) -> str:
    return _plain(value).strip().replace("\n", "\\n")


def table(rows: Sequence[Result]) -> str:
    """Records as lines with tabs between columns, below a line of column names; columns empty in all are left out."""
    writers: dict[str, Callable[[Any], str] | None] = {}
    for kind in dict.fromkeys(map(type, rows)):
        for name, write in _writers(kind):
            writers.setdefault(name, write)
    records = [row.__dict__ for row in rows]
    columns = []
    for name, write in writers.items():
        values = [record.get(name) for record in records]
        if values.count(None) < len(values):
            shown = write or _cell
            columns.append([name, *["-" if value is None else shown(value) for value in values]])
    return "\n".join(["\t".join(line) for line in zip(*columns, strict=True)])


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else _plain(value)
    return " ".join(text.split()) or "-"


class Page(Result):
    """A part of a list. A subclass adds the list itself, under its own name."""

    total: int
    """How many match the filters."""
    next_cursor: str | None = None
    """Give it as `cursor` to get what follows; left out when this is the end."""


_CURSOR = "after:"


Item = TypeVar("Item")


def paginate(
    items: Iterable[Item], key: Callable[[Item], Any], limit: int, cursor: str | None
) -> tuple[list[Item], int, str | None]:
    """Cut a page out of a list.

    A cursor names the last item seen, not a position, so that items which come or go between two calls shift nothing.

    Args:
        items: all that match.
        key: what orders them: text, a number, or a tuple of these; no two items share one.
        limit: how many at most.
        cursor: from the page before; `None` starts.

    Returns:
        The page, how many there are in all, and the cursor of the next page, if there is one.

    Raises:
        InvalidArgument: the cursor is not one that was given out for this list.
    """
    ordered = sorted(items, key=key)
    rest = ordered
    if cursor is not None:
        after = _read_cursor(cursor)
        try:
            rest = [item for item in ordered if key(item) > after]
        except TypeError:
            raise _bad_cursor(cursor) from None
    page = rest[:limit]
    more = len(rest) > limit
    return page, len(ordered), _CURSOR + json.dumps(key(page[-1]), separators=(",", ":")) if more else None


def _read_cursor(cursor: str) -> Any:
    try:
        key = json.loads(cursor.removeprefix(_CURSOR))
    except ValueError:
        raise _bad_cursor(cursor) from None
    return tuple(key) if isinstance(key, list) else key


def _bad_cursor(cursor: str) -> InvalidArgument:
    return InvalidArgument(
        f"cursor {cursor!r} is not one of this list.", "Give next_cursor of the page before, or none."
    )


class Preview(Result):
    """What a call is about to do, for the person who decides whether it may.

    Made by the `preview` of a declaration; `safety.preview` has what previews of guests share.
    """

    summary: str
    """One sentence: what is done to what, and what is lost by it."""
    target: str
    """What it is done to, such as `VM 100 (web) on pve1`."""
    facts: list[str] = []
    """One line each: state, disks and their sizes, snapshots, the newest backup, high availability, dependents."""
    passing: list[str] = []
    """Lines on what changes by itself, such as the end of a log: shown, and no part of the state."""
    fingerprint: str = ""
    """Of the state that the facts tell; another one at the moment of doing voids the approval."""
