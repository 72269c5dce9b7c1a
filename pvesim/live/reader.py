"""A source with notes: what cannot be read is noted once and stands as nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pvesim.live.source import LiveError, Source, Unreadable

_NOT_THERE = frozenset((404, 501))  # an older release has not got the method: nothing is missing


def without(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The mapping without some names, and without what is null."""
    left_out = frozenset(names)
    return {name: value for name, value in values.items() if name not in left_out and value is not None}


class Reader:
    """Reads a source. `now` is the cluster's time; `spaces` collects how full its storages are."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.notes: list[str] = []
        self.now = 0.0
        self.spaces: dict[tuple[str, str], int] = {}  # bytes used, by storage and place
        self.offline: set[str] = set()

    def must(self, path: str, **params: Any) -> Any:
        """What cannot be done without. Raises `LiveError`."""
        try:
            return self.source.get(path, **params)
        except Unreadable as error:
            raise LiveError(f"the cluster cannot be read: {error}") from error

    def get(self, path: str, **params: Any) -> Any:
        """The data of a path, or None with a note."""
        try:
            return self.source.get(path, **params)
        except Unreadable as error:
            if error.status not in _NOT_THERE:
                self.notes.append(f"not read: {error}")
            return None

    def list(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """The same of a list."""
        return list(self.get(path, **params) or [])

    def mapping(self, path: str, **params: Any) -> dict[str, Any]:
        """The same of an object."""
        return dict(self.get(path, **params) or {})
