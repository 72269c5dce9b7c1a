"""What a scenario carries of a running world beside what its other sections say."""

# ruff: noqa: RUF012 - a pydantic model copies its defaults for every instance.
from __future__ import annotations

from typing import Any

from pvesim.scenario.values import Model


class TableModel(Model):
    """What to do to one table: `records` are put (fields by name, those left out have their defaults), the keys in
    `removed` are taken away, and `order` is the order of all keys where it is another one.
    """

    records: list[dict[str, Any]] = []
    removed: list[Any] = []
    order: list[Any] = []


class StateModel(Model):
    """Records of the simulator as they are, by the name of their class (such as `core.tasks.Task`): tasks that run,
    counters, the log. Written by `pvesim dump`, and hardly by hand. `started` is when the world began.
    """

    started: float | None = None
    tables: dict[str, TableModel] = {}
