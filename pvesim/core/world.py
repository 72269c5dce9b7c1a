"""The world: tables of immutable records, with fork, transaction and diff.

A record is a frozen, slotted dataclass with a `key` property that tells its place in the table of its class. Nothing
is ever changed in place: a change puts a new record under the key. So a fork copies a few dictionaries and no record,
a refused request is rolled back by undoing what was put, and what changed between two worlds is found by comparing
identities. A world knows no rule of PVE; the areas' `rules.py` do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast


class Record(Protocol):
    """What a table holds: immutable, and it knows its key."""

    @property
    def key(self) -> Hashable: ...


R = TypeVar("R", bound=Record)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that only grows (process ids, random draws, log lines): a record, so that it forks and rolls back."""

    name: str
    value: int = 0

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two worlds: `before` or `after` is None where the record was made or removed."""

    table: str
    key: Hashable
    before: Any
    after: Any


_ABSENT: Any = object()


class World:
    """Tables of records, the virtual time, and a seeded source of random values.

    `now` is the virtual time in seconds since the epoch; only the clock sets it.
    """

    __slots__ = ("_cache", "_journal", "_revisions", "_tables", "_touched", "now", "seed", "started")

    def __init__(self, *, seed: int = 0, now: float = 0.0) -> None:
        self._tables: dict[type[Any], dict[Hashable, Any]] = {}
        self._revisions: dict[type[Any], int] = {}
        self._journal: list[tuple[type[Any], Hashable, Any]] | None = None
        self._cache: dict[Hashable, tuple[tuple[int, ...], Any]] = {}
        self._touched: dict[tuple[type[Any], Hashable], bool] | None = None
        self.seed = seed
        self.now = now
        self.started = now

    # -- reading ---------------------------------------------------------------------------------------------------

    def rows(self, kind: type[R]) -> Mapping[Any, R]:
        """The table of a record class, by key, in the order of making. Not to be changed by the reader."""
        table = self._tables.get(kind)
        if table is None:
            table = self._tables[kind] = {}
        return table

    def get(self, kind: type[R], key: Hashable) -> R | None:
        """The record under `key`, or None."""
        table = self._tables.get(kind)
        return None if table is None else cast("R | None", table.get(key))

    def kinds(self) -> list[type[Any]]:
        """The record classes of which there are any."""
        return [kind for kind, table in self._tables.items() if table]

    def revision(self, kind: type[Any]) -> int:
        """A number that differs whenever the table's content may differ."""
        return self._revisions.get(kind, 0)

    def cached(self, name: Hashable, kinds: tuple[type[Any], ...], compute: Callable[[], T]) -> T:
        """`compute()`, kept until one of the tables `kinds` changes. The value must not be changed by the reader."""
        revisions = self._revisions
        stamp = tuple([revisions.get(kind, 0) for kind in kinds])
        entry = self._cache.get(name)
        if entry is not None and entry[0] == stamp:
            return cast("T", entry[1])
        value = compute()
        self._cache[name] = (stamp, value)
        return value

    # -- writing ---------------------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Put a record in its table, in place of the one with the same key."""
        kind = type(record)
        table = self._tables.get(kind)
        if table is None:
            table = self._tables[kind] = {}
        key = record.key
        if self._journal is not None:
            self._journal.append((kind, key, table.get(key, _ABSENT)))
        if self._touched is not None:
            self._touch(kind, key, was_there=key in table)
        table[key] = record
        self._revisions[kind] = self._revisions.get(kind, 0) + 1

    def remove(self, kind: type[Any], key: Hashable) -> None:
        """Remove the record under `key`; nothing happens if there is none."""
        table = self._tables.get(kind)
        if table is None or key not in table:
            return
        if self._journal is not None:
            self._journal.append((kind, key, table[key]))
        if self._touched is not None:
            self._touched[kind, key] = True
        del table[key]
        self._revisions[kind] = self._revisions.get(kind, 0) + 1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is put and removed inside stays, or none of it if the block raises. May be nested."""
        outer, self._journal = self._journal, []
        try:
            yield
        except BaseException:
            self._undo(self._journal)
            self._journal = outer
            raise
        if outer is not None:
            outer.extend(self._journal)
        self._journal = outer

    def _undo(self, journal: list[tuple[type[Any], Hashable, Any]]) -> None:
        for kind, key, before in reversed(journal):
            table = self._tables[kind]
            if self._touched is not None:
                self._touch(kind, key, was_there=key in table)
            if before is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = before
            self._revisions[kind] += 1

    def track(self) -> None:
        """Note from now on what is put and removed; see `touched`. A fork does not."""
        self._touched = {}

    @property
    def touched(self) -> dict[tuple[type[Any], Hashable], bool]:
        """What was put or removed since, by class and key, and whether it went away in between.

        In the order in which what is new was made. To be cleared by who has taken notice.
        """
        return {} if self._touched is None else self._touched

    def _touch(self, kind: type[Any], key: Hashable, *, was_there: bool) -> None:
        touched = self._touched
        assert touched is not None
        if was_there:
            touched.setdefault((kind, key), False)
        else:  # it goes to the end of its table
            touched[kind, key] = touched.pop((kind, key), False)

    # -- copies ----------------------------------------------------------------------------------------------------

    def fork(self) -> World:
        """An independent world with the same records; costs a few dictionary copies whatever the records hold."""
        other = World(seed=self.seed, now=self.now)
        other.started = self.started
        other._tables = {kind: table.copy() for kind, table in self._tables.items()}
        other._revisions = self._revisions.copy()
        other._cache = self._cache.copy()
        return other

    def diff(self, later: World) -> list[Change]:
        """What changed from this world to `later`: the records that are not the same object, unless they are equal."""
        changes: list[Change] = []
        kinds = {**self._tables, **later._tables}
        for kind in kinds:
            before, after = self._tables.get(kind, {}), later._tables.get(kind, {})
            for key in {**before, **after}:
                old, new = before.get(key), after.get(key)
                if old is not new and old != new:
                    changes.append(Change(kind.__name__, key, old, new))
        return changes

    def size(self) -> dict[str, int]:
        """The number of records by table name."""
        return {kind.__name__: len(table) for kind, table in self._tables.items() if table}

    # -- seeded values ---------------------------------------------------------------------------------------------

    def count(self, name: str, step: int = 1, start: int = 0) -> int:
        """The next value of a named counter; the first is `start + step`."""
        counter = self.get(Counter, name) or Counter(name, start)
        counter = replace(counter, value=counter.value + step)
        self.put(counter)
        return counter.value

    def random_bytes(self, length: int, purpose: str = "") -> bytes:
        """Bytes that depend on the seed and on how many were drawn before: the same run gives the same bytes."""
        draw = self.count("random")
        text = f"{self.seed}:{draw}:{purpose}".encode()
        return hashlib.blake2b(text, digest_size=length).digest()

    def random_int(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int.from_bytes(self.random_bytes(8), "big") % (high - low + 1)

    def uuid(self) -> str:
        """A random (version 4) UUID in its usual form."""
        raw = bytearray(self.random_bytes(16, "uuid"))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
