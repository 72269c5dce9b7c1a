"""The statistics that PVE keeps in round-robin databases: rows of figures over an hour up to a decade."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pvesim.core.world import World

# Timeframe to the seconds of a row, and to how many rows reach back (recorded exchange for the hour: one row less is
# shown, the newest of them the last that is complete).
RESOLUTIONS: dict[str, tuple[int, int]] = {
    "hour": (60, 60),
    "day": (60, 1440),
    "week": (1800, 336),
    "month": (1800, 1440),
    "year": (21_600, 1440),
    "decade": (604_800, 570),
}
_MINUTE = 60
_SAMPLES = 4  # of a row that is longer than a minute

Figures = Mapping[str, float]


def rrd_rows(
    world: World, timeframe: str, cf: str, figures_at: Callable[[float], Figures | None]
) -> list[dict[str, Any]]:
    """The rows of `GET …/rrddata`, oldest first; a row without figures holds its `time` alone.

    `figures_at` tells the figures at a time, or None where none were taken. `cf` is `AVERAGE` or `MAX`.
    """
    step, count = RESOLUTIONS[timeframe]
    end = int(world.now) // step * step
    return [_row(time, step, cf, figures_at) for time in range(end - (count - 1) * step, end, step)]


def _row(time: int, step: int, cf: str, figures_at: Callable[[float], Figures | None]) -> dict[str, Any]:
    points = [time] if step == _MINUTE else [time + step * index // _SAMPLES for index in range(_SAMPLES)]
    samples = [figures for point in points if (figures := figures_at(float(point))) is not None]
    if not samples:
        return {"time": time}
    if len(samples) == 1:
        return {"time": time, **samples[0]}
    row: dict[str, Any] = {"time": time}
    for name in {name: None for figures in samples for name in figures}:
        values = [figures[name] for figures in samples if name in figures]
        row[name] = max(values) if cf == "MAX" else sum(values) / len(values)
    return row
