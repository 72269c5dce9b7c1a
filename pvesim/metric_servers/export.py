"""All current figures in one list: `GET /cluster/metrics/export`, which collectors read in place of a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.guests.sizes import maxmem
from pvesim.metrics import ROUND, guest_figures, node_figures, round_of
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage
from pvesim.storage.rules import root_space, space_of

Point = dict[str, Any]
_HISTORY = 180  # rounds that a node keeps: half an hour
_COUNTERS = frozenset(("net_in", "net_out", "disk_read", "disk_write"))


def export(world: World, nodes: list[str], start: int, history: bool) -> list[Point]:
    """The figures of these nodes with their guests and storages, oldest first.

    Without `history` only the latest round counts, and only if it is not before `start`.
    """
    last = round_of(world.now)
    first = max(round_of(start), last - ROUND * (_HISTORY - 1)) if history else last
    points: list[Point] = []
    for moment in range(int(first), int(last) + 1, ROUND):
        if moment >= start:
            points += _round(world, nodes, moment)
    return points


def _round(world: World, nodes: list[str], moment: float) -> Iterator[Point]:
    for name in nodes:
        node = world.get(Node, name)
        if node is None or not node.online or moment < node.started:
            continue
        yield from _points(f"node/{name}", moment, _node_values(world, node, moment))
        for guest in world.rows(Guest).values():
            if guest.node == name:
                yield from _points(f"{guest.kind}/{guest.vmid}", moment, _guest_values(world, guest, moment))
        for storage in world.rows(Storage).values():
            total, used, _, active = space_of(world, storage, name) if storage.on(name) else (0, 0, 0, False)
            if active:
                yield from _points(
                    f"storage/{name}/{storage.storage}", moment, {"disk_total": total, "disk_used": used}
                )


def _points(id: str, moment: float, values: Mapping[str, float]) -> Iterator[Point]:
    for metric, value in values.items():
        type = "derive" if metric in _COUNTERS else "gauge"
        yield {"id": id, "metric": metric, "timestamp": int(moment), "type": type, "value": value}


def _node_values(world: World, node: Node, moment: float) -> dict[str, float]:
    figures, root, hardware = node_figures(world, node, moment), root_space(world, node), node.hardware
    averages = zip(("cpu_avg1", "cpu_avg5", "cpu_avg15"), figures.loadavg, strict=True)
    return {
        **dict(averages),
        "cpu_current": figures.cpu,
        "cpu_iowait": figures.iowait,
        "cpu_max": hardware.cpus,
        "disk_total": root.total,
        "disk_used": root.used,
        "mem_total": hardware.memory,
        "mem_used": figures.mem,
        "swap_total": hardware.swap,
        "swap_used": figures.swap_used,
        "uptime": figures.uptime,
    }


def _guest_values(world: World, guest: Guest, moment: float) -> dict[str, float]:
    figures = guest_figures(world, guest, moment)
    return {
        "cpu_current": figures.cpu,
        "disk_read": figures.diskread,
        "disk_write": figures.diskwrite,
        "mem_total": maxmem(guest),
        "mem_used": figures.mem,
        "net_in": figures.netin,
        "net_out": figures.netout,
        "uptime": figures.uptime,
    }
