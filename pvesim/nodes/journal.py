"""A node's system log: how it booted, and what its daemons wrote since, in the form of the journal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pvesim.cluster.rules import the_cluster
from pvesim.core.log import LogEntry
from pvesim.core.world import World
from pvesim.nodes.records import Node, Service
from pvesim.nodes.rules import find_node

DEFAULT_LIMIT = 50


class Line(NamedTuple):
    """A line of the journal with when it was written and by which unit."""

    time: float
    unit: str
    text: str


def lines_of(world: World, node: str) -> list[Line]:
    """All lines of a node, oldest first."""
    record = find_node(world, node)
    booted = _boot_lines(world, record)
    written = [
        _line(record, entry.time, entry.tag, entry.pid, f"<{entry.user}> {entry.msg}")
        for entry in world.rows(LogEntry).values()
        if entry.node == node and entry.time >= record.started
    ]
    return sorted([*booted, *written], key=lambda line: line.time)


def _boot_lines(world: World, node: Node) -> list[Line]:
    release = the_cluster(world).release
    kernel = _line(node, node.started, "kernel", None, f"Linux version {release.kernel} {release.kernel_version}")
    lines = [kernel, _line(node, node.started + 1, "systemd-journald", 312, "Journal started")]
    running = [row for row in world.rows(Service).values() if row.node == node.name and row.state == "running"]
    for position, service in enumerate(running):
        text = f"Started {service.name}.service - {service.description}."
        lines.append(_line(node, node.started + 2 + position * 0.2, "systemd", 1, text, service.name))
    return lines


def _line(node: Node, time: float, tag: str, pid: int | None, text: str, unit: str | None = None) -> Line:
    moment = datetime.fromtimestamp(time, UTC).strftime("%b %d %H:%M:%S")
    source = tag if pid is None else f"{tag}[{pid}]"
    return Line(time, unit or tag, f"{moment} {node.name} {source}: {text}")


def syslog(world: World, node: str, params: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """`GET /nodes/{node}/syslog`: a page of numbered lines, and how many there are."""
    since, until, service = params.get("since"), params.get("until"), params.get("service")
    lines = [
        line
        for line in lines_of(world, node)
        if (not since or line.time >= _moment(since))
        and (not until or line.time <= _moment(until))
        and (not service or line.unit in (service, service.removesuffix(".service")))
    ]
    start, limit = params.get("start", 0), params.get("limit", DEFAULT_LIMIT) or len(lines)
    numbered = [{"n": number, "t": line.text} for number, line in enumerate(lines, start=1)]
    return numbered[start : start + limit], len(lines)


def _moment(text: str) -> float:
    format = "%Y-%m-%d %H:%M:%S"
    for pattern in (format, format[:-3], format[:8]):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return 0.0  # of the right form, and no day of the calendar


def journal(world: World, node: str, params: Mapping[str, Any]) -> list[str]:
    """`GET /nodes/{node}/journal`: lines between two cursors, which name the place before and after them."""
    lines = lines_of(world, node)
    first, last = 0, len(lines)
    cursors = {_cursor(node, position): position for position in range(len(lines) + 1)}
    first = max(first, cursors.get(params.get("startcursor", ""), 0))
    last = min(last, cursors.get(params.get("endcursor", ""), last))
    while first < last and lines[first].time < params.get("since", 0):
        first += 1
    while first < last and "until" in params and lines[last - 1].time > params["until"]:
        last -= 1
    if "lastentries" in params:
        first = max(first, last - params["lastentries"])
    return [_cursor(node, first), *(line.text for line in lines[first:last]), _cursor(node, last)]


def _cursor(node: str, position: int) -> str:
    boot = hashlib.blake2b(node.encode(), digest_size=16).hexdigest()
    return f"s={boot};i={position:x}"
