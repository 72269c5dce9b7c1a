"""The cluster's log: what happened, on which node, by whom. `GET /cluster/log` shows it, tasks write it."""

from __future__ import annotations

from dataclasses import dataclass

from pvesim.core.world import World

KEPT = 1000  # a real cluster's log is a ring buffer too
PRIORITY_INFO, PRIORITY_ERROR = 6, 3


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the cluster log; `pid` is the daemon's that wrote it."""

    uid: int
    time: float
    node: str
    user: str
    tag: str
    pid: int
    pri: int
    msg: str

    @property
    def key(self) -> int:
        return self.uid


def log_event(world: World, node: str, user: str, tag: str, msg: str, *, error: bool = False) -> None:
    """Write a line to the cluster log, dropping the oldest when it is full."""
    uid = world.count("cluster log")
    priority = PRIORITY_ERROR if error else PRIORITY_INFO
    world.put(LogEntry(uid, world.now, node, user, tag, 900 + uid % 3, priority, msg))
    world.remove(LogEntry, uid - KEPT)
