"""Nodes: one node, looked at closely."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from proxmox_mcp.results import Bytes, Detail, Moment, Page, Result, Seconds, Share, paginate
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, Toolset

nodes = Toolset("nodes", "One node, looked at closely")


class NodeStatus(Result):
    """What a node is doing. Sizes in bytes, `cpu` and `wait` as shares of all its CPUs."""

    node: str
    uptime: Seconds | None = None
    cpu: Share | None = None
    maxcpu: int | None = None
    loadavg: list[float] | None = None
    mem: Bytes | None = None
    maxmem: Bytes | None = None
    swap: Bytes | None = None
    maxswap: Bytes | None = None
    disk: Bytes | None = None
    maxdisk: Bytes | None = None
    pveversion: str | None = None
    kversion: str | None = None
    wait: Share | None = None
    ksm_shared: Bytes | None = None
    cpuinfo: dict[str, Any] | None = None
    boot_mode: str | None = None


class Service(Result):
    """A system service of a node; `state` is what it does, `unit_state` whether it starts with the node."""

    service: str
    state: str
    unit_state: str | None = None
    active_state: str | None = None
    desc: str | None = None


class Services(Page):
    """System services of a node."""

    services: list[Service]


class NodeTime(Result):
    """A node's clock: `time` in seconds since 1970 UTC, `localtime` as its own users read it."""

    node: str
    time: Moment
    localtime: str
    timezone: str


class Interface(Result):
    """A network interface as it is configured; `active` is whether it is up."""

    iface: str
    type: str
    active: bool
    autostart: bool | None = None
    cidr: str | None = None
    gateway: str | None = None
    cidr6: str | None = None
    gateway6: str | None = None
    bridge_ports: str | None = None
    bridge_vlan_aware: bool | None = None
    slaves: str | None = None
    vlan: str | None = None
    mtu: str | None = None
    comments: str | None = None
    options: dict[str, Any] | None = None


class Interfaces(Page):
    """Network interfaces of a node."""

    interfaces: list[Interface]


# Full detail shows them beside the fields that have a place of their own.
_NOT_OPTIONS = frozenset(
    {"iface", "type", "active", "autostart", "cidr", "gateway", "cidr6", "gateway6", "bridge_ports", "slaves", "mtu"}
    | {"bridge_vlan_aware", "comments", "vlan-id", "vlan-raw-device", "address", "netmask", "address6", "netmask6"}
)

StateFilter = Annotated[str, Field(max_length=32, description="running, dead, exited, …")]
TypeFilter = Annotated[str, Field(max_length=32, description="bridge, bond, eth, vlan, …")]


@nodes.tool(risk=Risk.READ, title="Read a node's state")
async def get_node_status(call: Call, node: NodeName, detail: Detail = "concise") -> NodeStatus:
    """Read a node's load, memory, root disk and versions. `full` adds the CPU model, I/O wait and KSM."""
    record = await call.pve.get(f"/nodes/{node}/status")
    return node_status(record, node, detail)


def node_status(record: dict[str, Any], node: str, detail: Detail) -> NodeStatus:
    """The answer of `GET /nodes/{node}/status` as a result."""
    cpuinfo, memory, swap, root = (record.get(part) or {} for part in ("cpuinfo", "memory", "swap", "rootfs"))
    more: dict[str, Any] = {}
    if detail == "full":
        more = {
            "wait": record.get("wait"),
            "ksm_shared": (record.get("ksm") or {}).get("shared"),
            "cpuinfo": {key: cpuinfo[key] for key in ("model", "sockets", "cores", "mhz") if key in cpuinfo} or None,
            "boot_mode": (record.get("boot-info") or {}).get("mode"),
        }
    return NodeStatus(
        node=node,
        uptime=record.get("uptime"),
        cpu=record.get("cpu"),
        maxcpu=cpuinfo.get("cpus"),
        loadavg=[float(load) for load in record.get("loadavg") or ()] or None,
        mem=memory.get("used"),
        maxmem=memory.get("total"),
        swap=swap.get("used"),
        maxswap=swap.get("total"),
        disk=root.get("used"),
        maxdisk=root.get("total"),
        pveversion=record.get("pveversion"),
        kversion=record.get("kversion"),
        **more,
    )


@nodes.tool(risk=Risk.READ, title="List a node's services")
async def get_node_services(
    call: Call,
    node: NodeName,
    state: StateFilter | None = None,
    detail: Detail = "concise",
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> Services:
    """List the system services of a node with their states. `full` adds descriptions."""
    records = [
        record for record in await call.pve.get(f"/nodes/{node}/services") if state in (None, record.get("state"))
    ]
    page, total, following = paginate(records, lambda record: str(record["service"]), limit, cursor)
    services = [
        Service(
            service=record["service"],
            state=record.get("state", "unknown"),
            unit_state=record.get("unit-state"),
            active_state=record.get("active-state") if detail == "full" else None,
            desc=record.get("desc") if detail == "full" else None,
        )
        for record in page
    ]
    return Services(total=total, next_cursor=following, services=services)


@nodes.tool(risk=Risk.READ, title="Read a node's clock")
async def get_node_time(call: Call, node: NodeName) -> NodeTime:
    """Read a node's clock and time zone."""
    record = await call.pve.get(f"/nodes/{node}/time")
    # PVE gives local time as seconds, too: those at which UTC would read the same.
    local = datetime.fromtimestamp(record["localtime"], UTC)
    return NodeTime(node=node, time=record["time"], localtime=f"{local:%Y-%m-%d %H:%M:%S}", timezone=record["timezone"])


@nodes.tool(risk=Risk.READ, title="List a node's network interfaces")
async def get_node_network(
    call: Call,
    node: NodeName,
    type: TypeFilter | None = None,
    detail: Detail = "concise",
    limit: Limit = 100,
    cursor: Cursor | None = None,
) -> Interfaces:
    """List the network interfaces of a node with addresses and bridge ports. `full` adds all other options."""
    records = [record for record in await call.pve.get(f"/nodes/{node}/network") if type in (None, record.get("type"))]
    page, total, following = paginate(records, lambda record: str(record["iface"]), limit, cursor)
    return Interfaces(total=total, next_cursor=following, interfaces=[_interface(record, detail) for record in page])


def _interface(record: dict[str, Any], detail: Detail) -> Interface:
    options = {key: value for key, value in record.items() if key not in _NOT_OPTIONS}
    vlan = f"{record['vlan-id']} on {record['vlan-raw-device']}" if record.get("vlan-raw-device") else None
    return Interface(
        iface=record["iface"],
        type=record.get("type", "unknown"),
        active=bool(record.get("active")),
        autostart=True if record.get("autostart") else None,
        cidr=record.get("cidr"),
        gateway=record.get("gateway"),
        cidr6=record.get("cidr6"),
        gateway6=record.get("gateway6"),
        bridge_ports=record.get("bridge_ports") or None,
        bridge_vlan_aware=True if record.get("bridge_vlan_aware") else None,
        slaves=record.get("slaves") or None,
        vlan=vlan,
        mtu=str(record["mtu"]) if record.get("mtu") else None,
        comments=str(record["comments"]).strip() if record.get("comments") else None,
        options=options if detail == "full" else None,
    )
