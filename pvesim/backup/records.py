"""Records of the backup area. Sizes are bytes, times seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BackupJob:
    """A scheduled backup, a section of `jobs.cfg`. `options` are as the API takes them, switches as 0 and 1."""

    id: str
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class BackupRun:
    """A backup task that has begun, from before it has its node's lock until it ends.

    `todo` are the guests that are left, the one under way first; `failures` counts those that failed. Of the guest
    under way: `guest` is its id while it is locked, `undo` what has to be done to it in the end (`stop`, `start` or
    `resume`), `since` when it began, `stopped` when the guest was stopped or paused, `mode` how it is backed up.
    """

    upid: str
    node: str
    options: Mapping[str, Any]
    todo: tuple[int, ...]
    skipped: tuple[int, ...] = ()
    active: bool = False
    failures: int = 0
    guest: int | None = None
    undo: str = ""
    since: float = 0.0
    stopped: float = 0.0
    mode: str = ""

    @property
    def key(self) -> str:
        return self.upid


@dataclass(frozen=True, slots=True)
class RestoreRun:
    """A restore that has not yet made its guest; `existed` where it replaces one."""

    upid: str
    vmid: int
    existed: bool

    @property
    def key(self) -> str:
        return self.upid
