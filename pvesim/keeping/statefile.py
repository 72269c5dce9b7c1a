"""The file that holds a world: SQLite, one row a record, changed in one transaction for each request.

A killed process loses nothing that was answered: SQLite's write-ahead log has it. (A machine that loses power may lose
the last moments, and finds the world as it was before them.) A new file is made beside its place and moved there when
it is whole. One process at a time has it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Hashable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from pvesim.core.errors import SimError
from pvesim.core.world import World
from pvesim.keeping.plain import Decoder, UnknownRecord, class_of, encode_key, encode_record, field_names, name_of

FORMAT = 1
_APPLICATION = 0x50564553  # "PVES": SQLite keeps it in the head of the file
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE kinds (name TEXT PRIMARY KEY, fields TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key BLOB NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (kind, key)
);
"""
# What stands in a table already keeps its position, so that a table is read in the order in which it was made.
_PUT = (
    "INSERT INTO records (kind, key, record) VALUES (?, ?, ?) "
    "ON CONFLICT (kind, key) DO UPDATE SET record = excluded.record"
)
_META = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


class StateError(SimError):
    """A state file that cannot be read, written, or had: one text that names it and says what to do."""


class StateFile:
    """An open state file. Raises `StateError` if it is no state file, damaged, of another version, or in use."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._kinds: set[str] = set()
        self._connection = self._connect()
        try:
            self._check()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, path: str | Path, world: World, scenario: str) -> StateFile:
        """Make the file with a world in it. Raises `StateError` if it cannot be written."""
        path = Path(path)
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            new.unlink(missing_ok=True)
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                connection.execute("BEGIN")
                _write_all(connection, world, set())
                connection.execute(_META, ("scenario", scenario))
                connection.execute("COMMIT")
            new.replace(path)
        except (sqlite3.Error, OSError) as error:
            new.unlink(missing_ok=True)
            raise StateError(f"{path}: the state file cannot be written: {error}") from error
        return cls(path)

    @property
    def scenario(self) -> str:
        """The scenario that the world began as."""
        return self._meta("scenario")

    def load(self) -> World:
        """The world as it was left. Raises `StateError`."""
        try:
            return self._load()
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise self._damaged(error) from error

    def write(self, world: World, touched: Iterable[tuple[tuple[type[Any], Hashable], bool]]) -> None:
        """Write what was touched (and whether it was away in between), all or nothing. Raises `StateError`."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for (kind, key), moved in touched:
                    self._write_record(world, kind, key, moved)
                _write_time(connection, world)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: the state cannot be written: {error}") from error

    def write_all(self, world: World) -> None:
        """Write a world in place of what is there, all or nothing. Raises `StateError`."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("DELETE FROM records")
                _write_all(connection, world, self._kinds)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: the state cannot be written: {error}") from error

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    # -- opening ---------------------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        try:
            if not self.path.stat().st_size:
                raise StateError(f"{self.path}: the state file is empty: remove it to begin anew")
            uri = f"{self.path.resolve().as_uri()}?mode=rw"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise StateError(f"{self.path}: the state file cannot be opened: {reason}") from error
        return connection

    def _check(self) -> None:
        connection = self._connection
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if application != _APPLICATION:
                raise StateError(f"{self.path}: this is an SQLite file, and no state of pvesim")
            if version != FORMAT:
                raise self._other_version(f"its format is {version}, this version reads {FORMAT}")
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise self._damaged(found)
            self._check_kinds()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise StateError(f"{self.path}: another pvesim has this state file: stop it first") from error
            raise self._damaged(error) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _check_kinds(self) -> None:
        for name, fields in self._connection.execute("SELECT name, fields FROM kinds"):
            try:
                known = " ".join(field_names(class_of(name)))
            except UnknownRecord as error:
                raise self._other_version(str(error)) from error
            if known != fields:
                raise self._other_version(f"'{name}' has other fields there")
            self._kinds.add(name)

    def _damaged(self, reason: object) -> StateError:
        text = str(reason).splitlines()[-1:]
        return StateError(
            f"{self.path}: the state file is damaged ({''.join(text)}): "
            "put back a copy, or remove it (and its -wal) to begin anew"
        )

    def _other_version(self, reason: str) -> StateError:
        return StateError(
            f"{self.path}: the state file was written by another version of pvesim ({reason}): "
            "use that version, or remove the file to begin anew"
        )

    # -- reading and writing ---------------------------------------------------------------------------------------

    def _meta(self, name: str) -> str:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise self._damaged(f"it has no '{name}'")
        return str(row[0])

    def _load(self) -> World:
        clock = orjson.loads(self._meta("clock"))
        world = World(seed=int(self._meta("seed")), now=clock["now"])
        world.started = clock["started"]
        decoder = Decoder()
        for name, text in self._connection.execute("SELECT kind, record FROM records ORDER BY position"):
            world.put(decoder.record(class_of(name), text))
        return world

    def _write_record(self, world: World, kind: type[Any], key: Hashable, moved: bool) -> None:
        record = world.get(kind, key)
        name, place = name_of(kind), encode_key(key)
        if record is None or moved:
            self._connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (name, place))
        if record is not None:
            _note_kind(self._connection, kind, self._kinds)
            self._connection.execute(_PUT, (name, place, encode_record(record)))


def _write_all(connection: sqlite3.Connection, world: World, kinds: set[str]) -> None:
    for kind in world.kinds():
        _note_kind(connection, kind, kinds)
        name = name_of(kind)
        rows = ((name, encode_key(key), encode_record(record)) for key, record in world.rows(kind).items())
        connection.executemany("INSERT INTO records (kind, key, record) VALUES (?, ?, ?)", rows)
    connection.execute(_META, ("seed", str(world.seed)))
    _write_time(connection, world)


def _write_time(connection: sqlite3.Connection, world: World) -> None:
    connection.execute(_META, ("clock", orjson.dumps({"now": world.now, "started": world.started}).decode()))


def _note_kind(connection: sqlite3.Connection, kind: type[Any], known: set[str]) -> None:
    name = name_of(kind)
    if name not in known:
        fields = " ".join(field_names(kind))
        connection.execute("INSERT OR REPLACE INTO kinds (name, fields) VALUES (?, ?)", (name, fields))
        known.add(name)
