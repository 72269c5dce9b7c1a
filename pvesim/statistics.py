"""The statistics that PVE keeps in round-robin databases: rows of figures over an hour up to a decade.

They are worked out when they are asked for, from the same functions as the current figures.
Source: recorded exchanges `nodes/019`, `qemu-power/044`; the columns are those of PVE 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.guests.sizes import maxcpu, maxdisk, maxmem
from pvesim.metrics import ROUND, GuestFigures, guest_figures, node_figures
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage
from pvesim.storage.rules import root_space, space_of

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
_CREATED = re.compile(r"(?:^|,)ctime=(\d+)")
_RATES = ("netin", "netout", "diskread", "diskwrite")
_GUEST_PRESSURES = tuple(f"pressure{what}{how}" for what in ("cpu", "io", "memory") for how in ("some", "full"))
_NODE_PRESSURES = tuple(name for name in _GUEST_PRESSURES if name != "pressurecpufull")

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


def node_rows(world: World, node: Node, timeframe: str, cf: str) -> list[dict[str, Any]]:
    """The statistics of a node. Memory, swap and root file system in bytes, traffic in bytes per second."""
    space, hardware = root_space(world, node), node.hardware
    swap_used = node_figures(world, node).swap_used
    fixed: dict[str, float] = {
        **dict.fromkeys(_NODE_PRESSURES, 0.0),
        "maxcpu": hardware.cpus,
        "memtotal": hardware.memory,
        "swaptotal": hardware.swap,
        "swapused": swap_used,
        "roottotal": space.total,
        "rootused": space.used,
        "arcsize": 0.0,
    }

    def figures_at(time: float) -> Figures | None:
        if time < node.statistics_since:
            return None
        use = node_figures(world, node, at=time)
        return {
            **fixed,
            "cpu": use.cpu,
            "iowait": use.iowait,
            "loadavg": use.loadavg[0],
            "memused": use.mem,
            "memavailable": hardware.memory - use.mem,
            "netin": use.netin,
            "netout": use.netout,
        }

    return rrd_rows(world, timeframe, cf, figures_at)


def guest_rows(world: World, guest: Guest, timeframe: str, cf: str) -> list[dict[str, Any]]:
    """The statistics of a guest. While it did not run, only its sizes are known; counters appear as rates per second.

    Raises `Failure` for a guest so new that no statistics of it exist.
    """
    created = _created(guest)
    if world.now - created < ROUND:
        path = f"/var/lib/rrdcached/db/pve-vm-9.0/{guest.vmid}"
        raise Failure(f"RRD error: opening '{path}': No such file or directory")
    node = world.get(Node, guest.node)
    since = max(created, node.statistics_since if node else 0.0)
    sizes: dict[str, float] = {
        "maxcpu": maxcpu(world, guest),
        "maxmem": maxmem(guest),
        "maxdisk": maxdisk(guest),
        "disk": 0.0,
    }

    def figures_at(time: float) -> Figures | None:
        if time < since:
            return None
        if not guest.running or time < guest.started:
            return sizes
        use, later = guest_figures(world, guest, at=time), guest_figures(world, guest, at=time + ROUND)
        return {
            **sizes,
            **dict.fromkeys(_GUEST_PRESSURES, 0.0),
            "cpu": use.cpu,
            "mem": use.mem,
            "memhost": use.mem,
            "disk": use.disk,
            **_rates(use, later),
        }

    return rrd_rows(world, timeframe, cf, figures_at)


def storage_rows(world: World, storage: Storage, node: str, timeframe: str, cf: str) -> list[dict[str, Any]]:
    """The statistics of a storage on a node: what fits on it and what is used now, in bytes."""
    space, record = space_of(world, storage, node), world.get(Node, node)
    since = record.statistics_since if record else 0.0
    figures = {"total": float(space.total), "used": float(space.used)}
    return rrd_rows(world, timeframe, cf, lambda time: figures if space.active and time >= since else None)


def _rates(use: GuestFigures, later: GuestFigures) -> dict[str, float]:
    return {name: (getattr(later, name) - getattr(use, name)) / ROUND for name in _RATES}


def _created(guest: Guest) -> float:
    """When the guest was made, as its configuration tells; long ago where it does not."""
    match = _CREATED.search(str(guest.config.get("meta", "")))
    return float(match[1]) if match else 0.0


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
