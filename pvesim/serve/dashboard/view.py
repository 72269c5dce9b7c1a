"""What one viewer of the live page has been told, and what has changed since.

The page is told everything once and then only what differs, so that a cluster of 1,500 guests at rest costs a few
comparisons of revisions. Looking moves no clock: a world in mode `auto` or `manual` stays where it is.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Any

from pvesim.cluster.records import Cluster, QuorumLoss
from pvesim.cluster.rules import is_quorate
from pvesim.core.tasks import Task
from pvesim.core.world import World
from pvesim.faults.records import Fault, Happened, Planned, Trigger
from pvesim.guests.records import Guest
from pvesim.guests.sizes import maxmem
from pvesim.ha.records import HaResource
from pvesim.metrics import node_figures, round_of, sampled_figures
from pvesim.nodes.records import Node
from pvesim.pools.records import Pool
from pvesim.storage.records import Space, Storage, Volume
from pvesim.storage.rules import space_of

Row = dict[str, Any]
Rows = dict[str, Row]

LAST_TASKS = 12  # finished tasks that are shown beside the running ones
LAST_REQUESTS = 100  # more than these in one look are counted, not shown
_FIGURES_EVERY = 2.0  # real seconds: a clock that runs fast would bring new figures at every look


class View:
    """One viewer's knowledge of a `Simulator`; `real` gives real seconds."""

    def __init__(self, simulator: Any, real: Callable[[], float] = time.monotonic) -> None:
        self._simulator = simulator
        self._real = real
        self._sent: dict[str, Any] = {}
        self._stamps: dict[str, tuple[Any, ...]] = {}
        self._round = 0.0
        self._round_since = float("-inf")
        self._guests: dict[int, tuple[Guest, tuple[Any, ...], Row]] = {}
        self._last_request: Any = None
        self._troubles = 0

    def changes(self) -> dict[str, Any]:
        """The parts that differ from what this viewer knows; the first time all of them.

        `clock` and `cluster` are whole; `nodes`, `guests`, `storages` and `tasks` map an id to its row, or to None
        where it is gone; `checkpoints` is a list; `trouble` is a number that grows when faults or the timeline are not
        as they were (the control API tells them); `requests` are the new ones, oldest first, and `unshown` how many
        more there were.
        """
        simulator = self._simulator
        with simulator.lock:
            simulator.clock.tick()
            world: World = simulator.world
            self._look_at_figures(world)
            found: dict[str, Any] = {}
            self._whole(found, "clock", _clock(simulator))
            self._whole(found, "cluster", _cluster(world))
            self._whole(found, "checkpoints", list(simulator.checkpoints))
            self._trouble(found, world)
            self._table(found, "nodes", world, (Node, Guest), _nodes)
            self._table(found, "guests", world, (Guest, Node, Pool, HaResource), self._guest_rows)
            self._table(found, "storages", world, (Storage, Space, Volume, Node), _storages)
            self._table(found, "tasks", world, (Task,), _tasks)
            requests, unshown = self._new_requests()
        if requests:
            found |= {"requests": requests, "unshown": unshown}
        return found

    def _look_at_figures(self, world: World) -> None:
        now = self._real()
        if round_of(world.now) != self._round and now - self._round_since >= _FIGURES_EVERY:
            self._round, self._round_since = round_of(world.now), now

    def _trouble(self, found: dict[str, Any], world: World) -> None:
        live = sum(fault.live(world.now) for fault in world.rows(Fault).values())
        stamp = (world, live, *(world.revision(kind) for kind in (Fault, Planned, Trigger, Happened)))
        if self._stamps.get("trouble") != stamp:
            self._stamps["trouble"] = stamp
            self._troubles += 1
            found["trouble"] = self._troubles

    def _whole(self, found: dict[str, Any], part: str, value: Any) -> None:
        if self._sent.get(part) != value:
            self._sent[part] = found[part] = value

    def _table(
        self,
        found: dict[str, Any],
        part: str,
        world: World,
        kinds: tuple[type[Any], ...],
        rows_of: Callable[[World], Rows],
    ) -> None:
        # The world itself is in the stamp: another one, after a restore, counts its revisions differently.
        stamp = (world, self._round, *(world.revision(kind) for kind in kinds))
        if self._stamps.get(part) == stamp:
            return
        self._stamps[part] = stamp
        known: Rows = self._sent.get(part, {})
        rows = rows_of(world)
        changed: dict[str, Row | None] = {key: row for key, row in rows.items() if known.get(key) != row}
        changed.update(dict.fromkeys(key for key in known if key not in rows))
        if changed or part not in self._sent:
            found[part] = changed
        self._sent[part] = rows

    def _guest_rows(self, world: World) -> Rows:
        pools = {vmid: pool.poolid for pool in world.rows(Pool).values() for vmid in pool.vmids}
        managed = {found.vmid: found.crm_state for found in world.rows(HaResource).values()}
        nodes = world.rows(Node)
        rows: Rows = {}
        kept: dict[int, tuple[Guest, tuple[Any, ...], Row]] = {}
        for vmid, guest in world.rows(Guest).items():
            node = nodes.get(guest.node)
            reached = node is not None and node.online
            pool, state = pools.get(vmid), managed.get(vmid)
            stamp = (self._round if guest.running else 0.0, reached, pool, state)
            entry = self._guests.get(vmid)
            if entry is None or entry[0] is not guest or entry[1] != stamp:
                entry = (guest, stamp, _guest(world, guest, reached, pool, state))
            kept[vmid] = entry
            rows[str(vmid)] = entry[2]
        self._guests = kept
        return rows

    def _new_requests(self) -> tuple[list[Row], int]:
        fresh: list[Any] = []
        for record in reversed(list(self._simulator.requests)):
            if record is self._last_request:
                break
            fresh.append(record)
        if fresh:
            self._last_request = fresh[0]
        shown = [_request(record) for record in reversed(fresh[:LAST_REQUESTS])]
        return shown, max(0, len(fresh) - LAST_REQUESTS)


def _clock(simulator: Any) -> Row:
    clock = simulator.clock
    return {"mode": clock.mode, "scale": clock.scale, "now": int(clock.now)}


def _cluster(world: World) -> Row:
    cluster = world.get(Cluster, "cluster")
    return {
        "name": cluster.name if cluster else "",
        "quorate": is_quorate(world),
        "split": world.get(QuorumLoss, "quorum") is not None,
    }


def _nodes(world: World) -> Rows:
    rows: Rows = {}
    for name, node in world.rows(Node).items():
        row: Row = {"online": node.online, "cpus": node.hardware.cpus, "maxmem": node.hardware.memory}
        if node.online:
            use = node_figures(world, node)
            row |= {"cpu": _percent(use.cpu), "mem": _percent(use.mem / (node.hardware.memory or 1))}
        rows[name] = row
    return rows


def _guest(world: World, guest: Guest, reached: bool, pool: str | None, managed: str | None) -> Row:
    state = guest.qmpstatus if guest.kind == "qemu" and guest.running else guest.status
    row: Row = {"kind": guest.kind, "name": guest.name, "node": guest.node, "state": state if reached else "unknown"}
    if guest.running and reached:
        figures = sampled_figures(world, guest)
        row |= {"cpu": _percent(figures.cpu), "mem": figures.mem, "maxmem": maxmem(guest)}
    labels = {"lock": guest.lock, "tags": guest.config.get("tags"), "pool": pool, "ha": managed}
    row |= {name: value for name, value in labels.items() if value}
    if guest.template:
        row["template"] = True
    if guest.snapshots:
        row["snapshots"] = len(guest.snapshots)
    return row


def _storages(world: World) -> Rows:
    rows: Rows = {}
    for storage in world.rows(Storage).values():
        if storage.disable:
            continue
        for node in world.rows(Node):
            place = storage.place(node)
            name = f"{place}/{storage.storage}" if place else storage.storage
            if not storage.on(node) or rows.get(name, {}).get("active"):
                continue
            space = space_of(world, storage, node)
            rows[name] = {
                "storage": storage.storage,
                "place": place,
                "type": storage.type,
                "active": bool(space.active),
                "used": space.used,
                "total": space.total,
            }
    return rows


def _tasks(world: World) -> Rows:
    """The running tasks and those begun last, newest first."""
    tasks = world.rows(Task).values()
    last = heapq.nlargest(LAST_TASKS, (task for task in tasks if not task.running), key=lambda task: task.order)
    shown = sorted([*last, *(task for task in tasks if task.running)], key=lambda task: -task.order)
    return {task.upid: _task(task) for task in shown}


def _task(task: Task) -> Row:
    row: Row = {
        "order": task.order,
        "type": task.type,
        "id": task.id,
        "node": task.node,
        "user": task.owner,
        "start": int(task.starttime),
        "status": task.exitstatus or "running",
        "line": task.log[-1] if task.log else "",
    }
    if task.running:
        return row | {"done": task.done, "left": len(task.steps)}
    return row | {"seconds": round((task.endtime or task.starttime) - task.starttime, 1)}


def _request(record: Any) -> Row:
    return {
        "time": record.time,
        "method": record.verb,
        "path": record.path,
        "user": record.user,
        "status": record.status,
        "reason": record.reason,
    }


def _percent(share: float) -> int:
    return round(100 * share)
