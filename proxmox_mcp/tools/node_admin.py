"""Node administration: services, power, updates, logs, and how loads went."""

import statistics
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.moments import Since, cluster_now, moment_of
from proxmox_mcp.results import Page, Preview, Result, paginate
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.tasks import TaskResult
from proxmox_mcp.tooling import Arguments, Call, Cursor, Limit, NodeName, Risk, StorageName, Toolset, Vmid, WaitSeconds
from proxmox_mcp.tools.placing import require_node

node_admin = Toolset("node_admin", "Nodes: services, power, updates, logs, load over time", default=False)

ServiceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9@_.-]+$", max_length=64, description="As pveproxy, chrony")]
_MOST_LINES = 20_000
_LONGEST_LINE = 500


class PowerOrder(Result):
    """What a node was told; the guests that ran on it are shut down with it, where it goes down."""

    node: str
    action: str
    guests_running: int
    note: str


class PackageUpdate(Result):
    """A package with a newer version."""

    package: str
    old: str | None = None
    new: str | None = None
    origin: str | None = None


class Updates(Page):
    """Packages with newer versions."""

    node: str
    updates: list[PackageUpdate]


class LogLines(Result):
    """Lines of a node's journal that fit, the newest last. `searched` is how many were looked at."""

    node: str
    searched: int
    total: int
    log: list[str]


class Series(Result):
    """How one figure went. `trend` is the change over the time per its mean, as the straight line has it."""

    figure: str
    unit: str
    min: float
    median: float
    max: float
    last: float
    trend: str


class Metrics(Result):
    """Figures over a time, summarised."""

    subject: str
    timeframe: str
    samples: int
    figures: list[Series]


# Others can be stopped for a while, and nobody notices; without some, a node is fenced, or nobody reaches it.
_QUIET_SERVICES = frozenset({"chrony", "cron", "ksmtuned", "postfix", "rsyslog", "spiceproxy", "systemd-timesyncd"})


def _is_missed(arguments: Arguments) -> bool:
    return arguments["action"] in {"stop", "restart"} and arguments["service"] not in _QUIET_SERVICES


@node_admin.tool(risk=Risk.CHANGE, title="Manage a service of a node", destructive=True, interrupts=_is_missed)
async def manage_node_service(
    call: Call,
    node: NodeName,
    service: ServiceName,
    action: Literal["start", "stop", "restart", "reload"],
    wait_seconds: WaitSeconds = 30,
) -> TaskResult:
    """Start, stop, restart or reload a system service of a node. get_node_services lists them."""
    upid = await call.pve.post(f"/nodes/{node}/services/{service}/{action}")
    return await call.tasks.follow(upid, wait_seconds, call.report)


def _risk_of_power(arguments: Arguments) -> Risk:
    """A node that is off has nothing to lose."""
    return Risk.OPERATE if arguments["action"] == "wake" else Risk.DESTROY


async def _preview_power(call: Call, node: str, action: str) -> Preview:
    if action == "wake":
        return Preview(summary=f"Wake node {node}.", target=f"node {node}", fingerprint=digest_of(node, action))
    running = await _running(call, node)
    facts = [f"Guests that run on it: {', '.join(running) or 'none'}"]
    facts += [
        f"Cluster: {record.get('nodes')} nodes, quorate: {'yes' if record.get('quorate') else 'no'}"
        for record in await call.pve.get("/cluster/status")
        if record.get("type") == "cluster"
    ]
    verb = "Restart" if action == "reboot" else "Shut down"
    summary = f"{verb} node {node}: its guests are shut down, or moved where high availability says so."
    return Preview(summary=summary, target=f"node {node}", facts=facts, fingerprint=digest_of(node, running))


@node_admin.tool(
    risk=Risk.DESTROY,
    least=Risk.OPERATE,
    risk_of=_risk_of_power,
    title="Restart, shut down or wake a node",
    preview=_preview_power,
)
async def manage_node_power(call: Call, node: NodeName, action: Literal["reboot", "shutdown", "wake"]) -> PowerOrder:
    """Restart a node or shut it down, with all guests on it: for planned work, move them away first. Or wake one that
    is off, by a packet from another node.
    """
    if action == "wake":
        return await _wake(call, node)
    running = await _running(call, node)
    await call.pve.post(f"/nodes/{node}/status", command=action)
    note = "The node was told; get_nodes shows when it is away, and back."
    return PowerOrder(node=node, action=action, guests_running=len(running), note=note)


async def _wake(call: Call, node: str) -> PowerOrder:
    if await require_node(call, node) == "online":
        raise InvalidArgument(f"Node {node} is online, so there is nothing to wake.", "Restart it with action reboot.")
    address = await call.pve.post(f"/nodes/{node}/wakeonlan")
    note = f"A packet was sent to {address}. Nothing answers it: get_nodes shows whether the node comes."
    return PowerOrder(node=node, action="wake", guests_running=0, note=note)


@node_admin.tool(risk=Risk.READ, title="List updates of a node")
async def list_node_updates(call: Call, node: NodeName, limit: Limit = 100, cursor: Cursor | None = None) -> Updates:
    """List the packages of a node with newer versions, as its package index knows them."""
    records = await call.pve.get(f"/nodes/{node}/apt/update")
    page, total, following = paginate(records, lambda record: str(record["Package"]), limit, cursor)
    rows = [
        PackageUpdate(
            package=record["Package"],
            old=record.get("OldVersion"),
            new=record.get("Version"),
            origin=record.get("Origin"),
        )
        for record in page
    ]
    return Updates(total=total, next_cursor=following, node=node, updates=rows)


@node_admin.tool(risk=Risk.OPERATE, title="Refresh the package index", destructive=False, idempotent=True)
async def refresh_node_updates(call: Call, node: NodeName, wait_seconds: WaitSeconds = 60) -> TaskResult:
    """Let a node read anew which packages have newer versions. Nothing is installed: PVE's API cannot do that."""
    upid = await call.pve.post(f"/nodes/{node}/apt/update")
    return await call.tasks.follow(upid, wait_seconds, call.report)


@node_admin.tool(risk=Risk.READ, title="Search a node's log")
async def search_node_log(
    call: Call,
    node: NodeName,
    text: Annotated[str, Field(max_length=128, description="Part of a line, in any case")] | None = None,
    service: ServiceName | None = None,
    since: Since = "1d",
    limit: Annotated[int, Field(ge=1, le=500)] = 50,
) -> LogLines:
    """Search the system log of a node: the last lines that fit, of one service or of all."""
    begin = await moment_of(since, call.pve)
    records = await call.pve.get(f"/nodes/{node}/journal", since=begin, until=await cluster_now(call.pve) + 1)
    # The journal's own cursors stand before and behind the lines.
    lines = [str(line) for line in records if not str(line).startswith("s=")][-_MOST_LINES:]
    fitting = [
        line[:_LONGEST_LINE]
        for line in lines
        if (text is None or text.lower() in line.lower()) and (service is None or f" {service}[" in line)
    ]
    return LogLines(node=node, searched=len(lines), total=len(fitting), log=fitting[-limit:])


@node_admin.tool(risk=Risk.READ, title="See how a load went")
async def get_metrics(
    call: Call,
    vmid: Vmid | None = None,
    node: NodeName | None = None,
    storage: Annotated[StorageName, Field(description="With node: of that storage there")] | None = None,
    timeframe: Literal["hour", "day", "week", "month", "year"] = "day",
) -> Metrics:
    """Summarise how the load of a guest, a node or a storage went: lowest, median, highest, last, trend."""
    path, subject = await _measured(call, vmid, node, storage)
    records = await call.pve.get(f"{path}/rrddata", timeframe=timeframe, cf="AVERAGE")
    names = sorted({name for record in records for name in record} - {"time"})
    figures = [series for name in names if (series := _series(name, records)) is not None]
    return Metrics(subject=subject, timeframe=timeframe, samples=len(records), figures=figures)


async def _measured(call: Call, vmid: int | None, node: str | None, storage: str | None) -> tuple[str, str]:
    if vmid is not None:
        guest = await call.guests.find(vmid, node)
        return guest.path, f"guest {vmid}"
    if node is None:
        raise InvalidArgument("It is not said whose load.", "Give vmid, node, or node and storage.")
    if storage is not None:
        return f"/nodes/{node}/storage/{storage}", f"storage {storage} on {node}"
    return f"/nodes/{node}", f"node {node}"


def _series(name: str, records: Sequence[dict[str, Any]]) -> Series | None:
    """One figure; none where it never was anything but zero, or always the same capacity."""
    points = [(float(record["time"]), float(record[name])) for record in records if record.get(name) is not None]
    values = [value for _, value in points]
    if not values or not any(values) or (name.startswith("max") and len(set(values)) == 1):
        return None
    return Series(
        figure=name,
        unit=_unit_of(name),
        min=_rounded(min(values)),
        median=_rounded(statistics.median(values)),
        max=_rounded(max(values)),
        last=_rounded(values[-1]),
        trend=_trend(points),
    )


_RATES = frozenset({"netin", "netout", "diskread", "diskwrite"})
_UNITS = {"cpu": "share of one", "iowait": "share of one", "loadavg": "processes", "maxcpu": "cores"}


def _unit_of(figure: str) -> str:
    """The unit of a figure of PVE's statistics; most are sizes."""
    if figure.startswith("pressure"):
        return "percent of time"
    return "bytes/s" if figure in _RATES else _UNITS.get(figure, "bytes")


def _trend(points: Sequence[tuple[float, float]]) -> str:
    """How far the straight line through the points rises or falls, per their mean."""
    mean = statistics.fmean(value for _, value in points)
    if len(points) < 3 or mean == 0:
        return "steady"
    slope = statistics.linear_regression([time for time, _ in points], [value for _, value in points]).slope
    change = slope * (points[-1][0] - points[0][0]) / abs(mean)
    return "steady" if abs(change) < 0.1 else f"{change * 100:+.0f}%"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


async def _running(call: Call, node: str) -> list[str]:
    await require_node(call, node)
    return [
        f"{record['vmid']} ({record.get('name', '')})"
        for record in await call.guests.records()
        if record["node"] == node and record.get("status") == "running"
    ]
