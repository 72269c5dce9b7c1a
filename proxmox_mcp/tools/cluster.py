"""The cluster as a whole: its log, and high availability."""

from typing import Any

from proxmox_mcp.moments import Since, moment_of
from proxmox_mcp.results import Moment, Result
from proxmox_mcp.tooling import Call, Limit, Risk, Toolset

cluster = Toolset("cluster", "The cluster as a whole: log, high availability")

# PVE keeps a log of a fixed size, some thousands of entries; with `since` all of it is read, and cut here.
_WHOLE_LOG = 50_000
_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


class LogEntry(Result):
    """A line of the cluster's log. `level` is syslog's: err, warning, info, …."""

    time: Moment
    node: str
    user: str | None = None
    tag: str | None = None
    level: str
    msg: str


class ClusterLog(Result):
    """Entries of the cluster's log, the newest first."""

    more: bool | None = None
    """There are older ones that match; a higher `limit` shows them."""
    entries: list[LogEntry]


@cluster.tool(risk=Risk.READ, title="Read the cluster's log")
async def get_cluster_log(call: Call, limit: Limit = 50, since: Since | None = None) -> ClusterLog:
    """Read the cluster's log, newest first: logins, tasks started and ended, errors."""
    if since is None:
        records = await call.pve.get("/cluster/log", max=limit + 1)
    else:
        begin = await moment_of(since, call.pve)
        records = [record for record in await call.pve.get("/cluster/log", max=_WHOLE_LOG) if record["time"] >= begin]
    records.sort(key=lambda record: record["time"], reverse=True)
    entries = [_entry(record) for record in records[:limit]]
    return ClusterLog(more=len(records) > limit or None, entries=entries)


def _entry(record: dict[str, Any]) -> LogEntry:
    priority = int(record.get("pri", 6))
    level = _LEVELS[priority] if 0 <= priority < len(_LEVELS) else str(priority)
    return LogEntry(**{**record, "level": level})


class HaEntry(Result):
    """A node's local resource manager (`lrm`), or a guest under high availability (`sid` is `vm:100` or `ct:200`)."""

    sid: str | None = None
    node: str | None = None
    state: str | None = None
    request_state: str | None = None
    status: str | None = None
    timestamp: Moment | None = None


class HaStatus(Result):
    """High availability: whether there is quorum, who manages, which guests it keeps running."""

    quorate: bool
    master: str | None = None
    """The node whose manager decides; there is none while no guest is managed."""
    fencing: str | None = None
    nodes: list[HaEntry]
    guests: list[HaEntry]


@cluster.tool(risk=Risk.READ, title="Read the state of high availability")
async def get_cluster_ha_status(call: Call) -> HaStatus:
    """Read high availability: quorum, manager, its state on each node, and the guests that it keeps running."""
    records = await call.pve.get("/cluster/ha/status/current")
    of_type: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        of_type.setdefault(str(record["type"]), []).append(record)
    quorum = of_type.get("quorum", [{}])[0]
    master = of_type.get("master", [{}])[0]
    fencing = of_type.get("fencing", [{}])[0]
    return HaStatus(
        quorate=bool(int(quorum.get("quorate", 0))),
        master=master.get("node"),
        fencing=fencing.get("armed-state") or fencing.get("status"),
        nodes=[
            HaEntry(node=record.get("node"), status=record.get("status"), timestamp=record.get("timestamp"))
            for record in sorted(of_type.get("lrm", []), key=lambda record: str(record.get("node")))
        ],
        guests=[
            HaEntry(
                sid=record.get("sid"),
                node=record.get("node"),
                state=record.get("crm_state") or record.get("state"),
                request_state=record.get("request_state"),
            )
            for record in sorted(of_type.get("service", []), key=lambda record: str(record.get("sid")))
        ],
    )
