"""A cluster read into a scenario: what it is made of, from GET requests that an auditor may make.

What an auditor cannot see (passwords, secrets of tokens, what is inside guests) begins as a scenario's defaults do.
What the scenario's model cannot hold is left out, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pvesim.live.read_access import read_access
from pvesim.live.read_firewall import read_firewall
from pvesim.live.read_guests import read_guests
from pvesim.live.read_nodes import read_nodes
from pvesim.live.read_storages import read_storages
from pvesim.live.reader import Reader, without
from pvesim.live.settle import settled
from pvesim.live.source import Source

_TASKS = 50  # of each node


@dataclass(frozen=True, slots=True)
class Reading:
    """A scenario as plain data, and what was left out or could not be read, one line each."""

    scenario: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def read_cluster(source: Source, *, tasks: bool = True) -> Reading:
    """Read a cluster. Raises `LiveError` where nothing can be asked, `ScenarioError` where no scenario can say it."""
    reader = Reader(source)
    version = reader.must("/version")
    scenario: dict[str, Any] = {
        "description": "Read from a live cluster.",
        "release": {name: version[name] for name in ("release", "version", "repoid") if name in version},
    }
    nodes = read_nodes(reader, scenario)
    read_storages(reader, scenario, nodes)
    read_guests(reader, scenario)
    _read_pools(reader, scenario)
    read_access(reader, scenario)
    read_firewall(reader, scenario)
    _read_ha(reader, scenario)
    if tasks:
        scenario["tasks"] = list(_tasks(reader, nodes))
    settled(scenario, reader.notes, reader.spaces)
    return Reading({name: value for name, value in scenario.items() if value not in ({}, [], None)}, reader.notes)


def _read_pools(reader: Reader, scenario: dict[str, Any]) -> None:
    pools: dict[str, Any] = {}
    for row in reader.list("/pools"):
        name = row["poolid"]
        members = next(iter(reader.list("/pools", poolid=name)), {}).get("members", [])
        pools[name] = {
            "comment": row.get("comment", ""),
            "guests": sorted({member["vmid"] for member in members if "vmid" in member}),
            "storages": sorted({member["storage"] for member in members if member.get("type") == "storage"}),
        }
    scenario["pools"] = dict(sorted(pools.items()))  # a parent stands before what is in it


def _read_ha(reader: Reader, scenario: dict[str, Any]) -> None:
    resources = {
        row["sid"]: without(row, ("sid", "type", "digest", "group")) for row in reader.list("/cluster/ha/resources")
    }
    rules = {row["rule"]: without(row, ("rule", "digest", "order")) for row in reader.list("/cluster/ha/rules")}
    if resources or rules:
        scenario["ha"] = {"resources": resources, "rules": rules}


def _tasks(reader: Reader, nodes: Iterable[str]) -> Iterable[Mapping[str, Any]]:
    """What has ended, oldest first; the lines of a log are read of what failed, because they say why."""
    rows = [row for node in nodes for row in reader.list(f"/nodes/{node}/tasks", limit=_TASKS)]
    for row in sorted(rows, key=lambda row: row["starttime"]):
        if "endtime" not in row or not row.get("status"):
            continue
        task = {
            "type": row["type"],
            "id": row.get("id") or "",
            "node": row["node"],
            "user": f"{row['user']}!{row['tokenid']}" if row.get("tokenid") else row["user"],
            "ago": max(0, int(reader.now - row["starttime"])),
            "duration": row["endtime"] - row["starttime"],
            "status": row["status"],
        }
        if row["status"] != "OK":
            lines = reader.list(f"/nodes/{row['node']}/tasks/{row['upid']}/log", limit=200)
            texts = [str(line.get("t", "")) for line in lines]
            if texts and texts[-1].startswith("TASK "):
                texts.pop()
            task["log"] = texts
        yield task
