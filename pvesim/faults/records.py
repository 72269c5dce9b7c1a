"""Records of what goes wrong: being records, faults and timelines fork, roll back and are dumped with their world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule by which requests or tasks go wrong. An empty field of the first group matches everything.

    Times are virtual seconds since the epoch. `seen` counts what it matched, `hits` what it struck. Effects on requests
    are `delay` (seconds), `status` with `message` and `errors`, and `connection` (`drop`, `lose`, `cut`, `garbage`);
    on tasks `fail` (the text), `hang` (seconds, None for none), `warn` (a line) and `slow` (a factor); those but the
    last strike before the step number `step`, or after one that logged the text `log`.
    """

    name: str
    method: str = ""
    path: str = ""
    user: str = ""
    guest: int | None = None
    node: str = ""
    storage: str = ""
    task: str = ""

    probability: float = 1.0
    count: int | None = None
    since: float = 0.0
    until: float | None = None

    delay: float = 0.0
    status: int = 0
    message: str = ""
    errors: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    connection: str = ""

    step: int = 0
    log: str = ""
    fail: str = ""
    hang: float | None = None
    warn: str = ""
    slow: float = 1.0

    seen: int = 0
    hits: int = 0

    @property
    def key(self) -> str:
        return self.name

    @property
    def on_requests(self) -> bool:
        return bool(self.delay or self.status or self.connection)

    @property
    def strikes_tasks(self) -> bool:
        return bool(self.fail or self.warn) or self.hang is not None

    def live(self, now: float) -> bool:
        """Whether its time has come and has not gone, and it has hits left."""
        if now < self.since or (self.until is not None and now >= self.until):
            return False
        return self.count is None or self.hits < self.count


@dataclass(frozen=True, slots=True)
class Trigger:
    """An incident that waits for a task: one of a type and id that starts (or `ended`, or logs a line with `log`).

    Only tasks count whose order is past `armed`. `incident` is a name and its argument (see `pvesim.faults.incidents`).
    """

    name: str
    armed: int
    task: str
    id: str = ""
    node: str = ""
    log: str = ""
    ended: bool = False
    after: float = 0.0
    incident: tuple[str, Any] = ("", None)

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Planned:
    """An entry of the timeline whose moment is known, for lists; its timer does the rest. Gone when it is due."""

    name: str
    due: float
    incident: tuple[str, Any]

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Happened:
    """An incident that has come to pass; `refused` says why it could not."""

    number: int
    time: float
    incident: tuple[str, Any]
    refused: str = ""

    @property
    def key(self) -> int:
        return self.number


@dataclass(frozen=True, slots=True)
class Filled:
    """A storage (or a node's root file system) that was filled up: what was used on it before, in bytes."""

    storage: str
    place: str
    used: int
    root: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return (self.storage, self.place)


@dataclass(frozen=True, slots=True)
class Ailing:
    """A guest whose software has failed: how it acted before."""

    vmid: int
    acpi: bool
    agent: bool

    @property
    def key(self) -> int:
        return self.vmid
