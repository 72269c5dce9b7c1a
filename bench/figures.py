"""What the measurements share: rounds, medians, child processes and the table."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parent.parent
_COMPILED = tempfile.TemporaryDirectory(prefix="bench-pycache-")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, with what it is compared with: `floor` in the same run, and the target it has to reach."""

    name: str
    value: float
    unit: str
    target: str
    reached: bool
    floor: float | None = None


def at_most(name: str, value: float, limit: float, unit: str, floor: float | None = None) -> Figure:
    """A figure that must not be above `limit`, or above `floor + limit` where there is a floor."""
    bound = limit if floor is None else floor + limit
    target = f"<= {limit:g}" if floor is None else f"<= floor + {limit:g}"
    return Figure(name, value, unit, target, value <= bound, floor)


def at_least(name: str, value: float, limit: float, unit: str) -> Figure:
    """A figure that must not be below `limit`."""
    return Figure(name, value, unit, f">= {limit:g}", value >= limit)


def untargeted(name: str, value: float, unit: str, floor: float | None = None) -> Figure:
    """A figure to know that no target is set for."""
    return Figure(name, value, unit, "-", True, floor)


def median_seconds(work: Callable[[], object], rounds: int = 7) -> float:
    """The median time of one call, after one call that does not count."""
    work()
    times = []
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def per_second(work: Callable[[int], object], number: int, rounds: int = 5) -> float:
    """How many of `number` calls, done by `work(number)`, happen in a second: the median of the rounds."""
    return number / median_seconds(lambda: work(number), rounds)


@contextmanager
def child(
    *arguments: str, variables: dict[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process of this environment, ended by its own process id.

    Modules are compiled once and kept, as an installer leaves them: both sides of a comparison run the same way.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": _COMPILED.name, **(variables or {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def resident_mib(process: subprocess.Popen[bytes]) -> float:
    """The resident memory of a process, in MiB."""
    return float(psutil.Process(process.pid).memory_info().rss / MIB)


def print_table(figures: list[Figure]) -> None:
    """Print the figures for people."""
    width = max(len(figure.name) for figure in figures)
    print(f"{'figure':{width}}  {'median':>12}  {'floor':>10}  target")
    for figure in figures:
        floor = "" if figure.floor is None else f"{figure.floor:,.2f}"
        mark = "" if figure.reached else "   NOT REACHED"
        value = f"{figure.value:,.2f} {figure.unit}"
        target = figure.target if figure.target == "-" else f"{figure.target} {figure.unit}"
        print(f"{figure.name:{width}}  {value:>12}  {floor:>10}  {target}{mark}")


def save(figures: list[Figure], path: Path) -> None:
    """Write the figures as JSON."""
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
