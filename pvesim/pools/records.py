"""Records of the pools area."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool with the ids of its guests and storages. A nested one is named `parent/child`."""

    poolid: str
    comment: str = ""
    vmids: tuple[int, ...] = ()
    storages: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.poolid
