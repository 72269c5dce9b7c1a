"""What a node has of the networks that run: `/nodes/{node}/sdn`, its bridges, its addresses.

A node shows what it has applied last; until it has applied what runs now, its zones are `pending`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pvesim.contract import split_list
from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.guests.records import Guest
from pvesim.nodes.network import active_interfaces
from pvesim.nodes.records import Node
from pvesim.sdn.records import Address, SdnState
from pvesim.sdn.running import Row, state_of

LOCAL_ZONE = "localnetwork"


def _runs(world: World, kind: str) -> Mapping[str, Mapping[str, Any]]:
    return state_of(world).running.get(kind, {})


def zones_on(world: World, node: str) -> list[str]:
    """The zones that run on a node, by name."""
    zones = _runs(world, "zones")
    return [id for id, zone in zones.items() if not zone.get("nodes") or node in split_list(zone["nodes"])]


def zone_status(world: World, node: str) -> str:
    """Whether the node has built what runs now."""
    state = state_of(world)
    return "available" if state.versions.get(node) == state.version else "pending"


def zone_rows(world: World, node: str) -> list[Row]:
    """`GET /nodes/{node}/sdn/zones`."""
    status = zone_status(world, node)
    return [{"status": status, "zone": zone} for zone in zones_on(world, node)]


def vnets_on(world: World, node: str, zone: str | None = None) -> dict[str, Mapping[str, Any]]:
    """The virtual networks that run on a node, of one zone if named."""
    zones = frozenset(zones_on(world, node))
    vnets = _runs(world, "vnets").items()
    return {id: vnet for id, vnet in vnets if vnet["zone"] in zones and zone in (None, vnet["zone"])}


def bridges_of(world: World, node: str) -> frozenset[str]:
    """The names of virtual networks that guests of a node may use as bridges."""
    return world.cached(("vnets", node), (SdnState,), lambda: frozenset(vnets_on(world, node)))


def check_zone(world: World, node: str, zone: str) -> None:
    """Raise `Failure` if the zone does not run on the node."""
    if zone not in zones_on(world, node):
        raise Failure(f"sdn '{zone}' does not exist")


def zone_content(world: World, node: str, zone: str) -> list[Row]:
    """`GET /nodes/{node}/sdn/zones/{zone}/content`."""
    status = zone_status(world, node)
    return [{"status": status, "vnet": id} for id in vnets_on(world, node, zone)]


def zone_of(world: World, bridge: str) -> str:
    """The zone whose rights hold for a bridge: that of the virtual network of this name, else the local one."""
    vnet = _runs(world, "vnets").get(bridge)
    return str(vnet["zone"]) if vnet else LOCAL_ZONE


def interfaces(world: World, node: str) -> Iterator[Row]:
    """The virtual networks as lists of a node's interfaces show them."""
    for id, vnet in vnets_on(world, node).items():
        row = {"active": 1, "iface": id, "type": "vnet"}
        if vnet.get("alias"):
            row["alias"] = vnet["alias"]
        yield row


def zone_bridges(world: World, node: str, zone: str) -> list[Row]:
    """`GET /nodes/{node}/sdn/zones/{zone}/bridges`: the bridges with the interfaces of guests that run."""
    if zone == LOCAL_ZONE:
        names = {
            row.iface: bool(row.options.get("bridge_vlan_aware"))
            for row in active_interfaces(world, node)
            if row.type == "bridge"
        }
    else:
        check_zone(world, node, zone)
        names = {id: bool(vnet.get("vlanaware")) for id, vnet in vnets_on(world, node, zone).items()}
    return [
        {"name": name, "ports": list(_ports(world, node, name)), "vlan_filtering": str(int(aware))}
        for name, aware in names.items()
    ]


def _ports(world: World, node: str, bridge: str) -> Iterator[Row]:
    for guest in world.rows(Guest).values():
        if guest.node != node or not guest.running:
            continue
        for key, value in guest.config.items():
            options = read_options(str(value), "model") if key.startswith("net") and key[3:].isdigit() else {}
            if options.get("bridge") == bridge:
                kind = "tap" if guest.kind == "qemu" else "veth"
                port: Row = {"index": key, "name": f"{kind}{guest.vmid}i{key[3:]}", "vmid": guest.vmid}
                if options.get("tag"):
                    port["primary_vlan"] = int(options["tag"])
                if options.get("trunks"):
                    port["vlans"] = options["trunks"].split(";")
                yield port


# -- routes ------------------------------------------------------------------------------------------------------------


def ip_routes(world: World, node: str, zone: str) -> list[Row]:
    """`GET /nodes/{node}/sdn/zones/{zone}/ip-vrf`: the ranges of the zone's networks, all of them at hand."""
    check_zone(world, node, zone)
    return [
        {"ip": subnet["cidr"], "metric": 0, "nexthops": [str(subnet["vnet"])], "protocol": "kernel"}
        for subnet in _runs(world, "subnets").values()
        if subnet["zone"] == zone and subnet.get("gateway")
    ]


def mac_routes(world: World, node: str, vnet: str) -> list[Row]:
    """`GET /nodes/{node}/sdn/vnets/{vnet}/mac-vrf`: guests with a known address that run on other nodes."""
    if vnet not in vnets_on(world, node):
        raise Failure(f"sdn vnet '{vnet}' does not exist")
    rows = []
    for address in world.rows(Address).values():
        guest = world.get(Guest, address.vmid) if address.vmid else None
        if address.vnet == vnet and guest and guest.running and guest.node != node:
            host = world.get(Node, guest.node)
            if host is not None:
                rows.append({"ip": address.ip, "mac": address.mac, "nexthop": host.ip})
    return rows


# -- fabrics -----------------------------------------------------------------------------------------------------------


def _members(world: World, fabric: str) -> dict[str, Mapping[str, Any]]:
    if fabric not in _runs(world, "fabrics"):
        raise Failure(f"fabric '{fabric}' does not exist in configuration")
    return {row["node_id"]: row for row in _runs(world, "fabric_nodes").values() if row["fabric_id"] == fabric}


def _reachable(world: World, node: str, fabric: str) -> Iterator[tuple[Node, Mapping[str, Any]]]:
    members = _members(world, fabric)
    for name, row in members.items():
        host = world.get(Node, name)
        if node in members and name != node and host is not None and host.online:
            yield host, row


def fabric_interfaces(world: World, node: str, fabric: str) -> list[Row]:
    """`GET /nodes/{node}/sdn/fabrics/{fabric}/interfaces`."""
    member = _members(world, fabric).get(node, {})
    names = [read_options(text, "name")["name"] for text in member.get("interfaces", ())]
    return [{"name": name, "state": "up", "type": "Point-To-Point"} for name in names]


def fabric_neighbors(world: World, node: str, fabric: str) -> list[Row]:
    """`GET /nodes/{node}/sdn/fabrics/{fabric}/neighbors`: the members that answer, up since both are."""
    here = world.get(Node, node)
    return [
        {
            "neighbor": host.name,
            "status": "Up",
            "uptime": _duration(world.now - max(host.started, here.started if here else 0)),
        }
        for host, _ in _reachable(world, node, fabric)
    ]


def fabric_routes(world: World, node: str, fabric: str) -> list[Row]:
    """`GET /nodes/{node}/sdn/fabrics/{fabric}/routes`: the way to each member that answers."""
    rows = []
    for host, row in _reachable(world, node, fabric):
        for name, length in (("ip", 32), ("ip6", 128)):
            if row.get(name):
                rows.append({"route": f"{row[name]}/{length}", "via": [host.ip]})
    return rows


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest:02}"
