"""Subnets of virtual networks, and the addresses in use that PVE's own IPAM keeps.

Sources: `/cluster/sdn/vnets/{vnet}/{subnets,ips}`, `/cluster/sdn/ipams/{ipam}/status`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.sdn.files import BUILT_IN_IPAM, SUBNETS, check_free, find
from pvesim.sdn.records import Address, Subnet, Vnet, Zone
from pvesim.sdn.running import editing, subnet_parts

Options = Mapping[str, Any]
Network = IPv4Network | IPv6Network


def create_subnet(world: World, vnet: str, cidr: str, options: Options, token: str | None) -> None:
    """`POST /cluster/sdn/vnets/{vnet}/subnets`; the id is made of the zone and the range. Raises `Failure`."""
    network = _network(cidr)
    with editing(world, token, "create sdn subnet object failed"):
        zone = find(world, Vnet, vnet).options["zone"]
        id = f"{zone}-{network.network_address}-{network.prefixlen}"
        check_free(world, Subnet, "subnet", id)
        subnet = SUBNETS.create(world, "subnet", id, {**options, "vnet": vnet})
        _check_subnet(world, subnet, network)
        _keep_gateway(world, subnet, None)


def update_subnet(
    world: World, vnet: str, id: str, options: Options, delete: Sequence[str], digest: str | None, token: str | None
) -> None:
    """`PUT /cluster/sdn/vnets/{vnet}/subnets/{subnet}`. Raises `Failure`."""
    with editing(world, token, "update sdn subnet object failed"):
        SUBNETS.check_digest(world, digest)
        before = find_subnet(world, vnet, id)
        changed = SUBNETS.update(world, before, options, delete)
        _check_subnet(world, changed, network_of(changed))
        _keep_gateway(world, changed, before.options.get("gateway"))


def delete_subnet(world: World, vnet: str, id: str, token: str | None) -> None:
    """`DELETE /cluster/sdn/vnets/{vnet}/subnets/{subnet}`. Raises `Failure` while addresses are in use."""
    with editing(world, token, "delete sdn subnet object failed"):
        subnet = find_subnet(world, vnet, id)
        used = [address for address in world.rows(Address).values() if address.subnet == id]
        if any(not address.gateway for address in used):
            raise Failure(f"cannot delete subnet '{id}', not empty")
        for address in used:
            world.remove(Address, address.key)
        SUBNETS.delete(world, subnet)


def find_subnet(world: World, vnet: str, id: str) -> Subnet:
    """The subnet of a virtual network. Raises `Failure`."""
    find(world, Vnet, vnet)
    subnet = find(world, Subnet, id)
    if subnet.options.get("vnet") != vnet:
        raise Failure(f"sdn subnet '{id}' does not exist")
    return subnet


def network_of(subnet: Subnet) -> Network:
    """The range of a subnet."""
    return ip_network(subnet_parts(subnet.id)["cidr"])


def _network(cidr: str) -> Network:
    try:
        if "/" in cidr:
            return ip_network(cidr)
    except ValueError:
        pass
    raise ParameterErrors({"subnet": f"invalid format - '{cidr}' is not a valid network\n"})


def _check_subnet(world: World, subnet: Subnet, network: Network) -> None:
    if find(world, Vnet, subnet.options["vnet"]).options.get("vlanaware"):
        raise ParameterErrors({"vnet": "you can't add a subnet on a vlanaware vnet"})
    gateway = subnet.options.get("gateway")
    alone = network.version == 4 and network.prefixlen == 32  # a point-to-point link has its gateway outside
    if gateway and not alone and ip_address(gateway) not in network:
        raise ParameterErrors({"gateway": f"{gateway} is not in subnet {network}"})
    for text in subnet.options.get("dhcp-range", ()):
        for part in text.split(","):
            name, _, address = part.partition("=")
            if ip_address(address) not in network:
                raise ParameterErrors({"dhcp-range": f"{name} {address} is not in subnet {network}"})


# -- addresses ---------------------------------------------------------------------------------------------------------


def _keeps_addresses(world: World, zone: str) -> bool:
    found = world.get(Zone, zone)
    return found is not None and found.options.get("ipam") == BUILT_IN_IPAM.id


def _keep_gateway(world: World, subnet: Subnet, before: str | None) -> None:
    zone, gateway = subnet_parts(subnet.id)["zone"], subnet.options.get("gateway")
    if gateway == before or not _keeps_addresses(world, zone):
        return
    if before:
        world.remove(Address, (zone, before))
    if gateway:
        vnet = subnet.options["vnet"]
        _add(world, Address(zone, subnet.id, gateway, vnet, hostname=f"{vnet}-gw", gateway=True))


def _add(world: World, address: Address) -> None:
    if world.get(Address, address.key) is not None:
        raise Failure(f"IP '{address.ip}' already exist")
    world.put(address)


def _subnet_for(world: World, vnet: str, ip: str) -> Subnet:
    for subnet in world.rows(Subnet).values():
        if subnet.options.get("vnet") == vnet and ip_address(ip) in network_of(subnet):
            return subnet
    raise Failure(f"can't find any subnet for ip {ip}")


def add_address(world: World, zone: str, vnet: str, ip: str, mac: str | None) -> None:
    """`POST /cluster/sdn/vnets/{vnet}/ips`. Raises `Failure`."""
    subnet = _subnet_for(world, find(world, Vnet, vnet).id, ip)
    if _keeps_addresses(world, zone):
        _add(world, Address(zone, subnet.id, ip, vnet, (mac or "").upper()))


def change_address(world: World, zone: str, vnet: str, ip: str, mac: str | None, vmid: int | None) -> None:
    """`PUT /cluster/sdn/vnets/{vnet}/ips`: give an address to another interface. Raises `Failure`."""
    subnet = _subnet_for(world, find(world, Vnet, vnet).id, ip)
    if not _keeps_addresses(world, zone):
        return
    for address in list(world.rows(Address).values()):
        if mac and address.subnet == subnet.id and address.mac == mac.upper() and address.ip != ip:
            world.remove(Address, address.key)  # an interface has one address of a subnet
    before = world.get(Address, (zone, ip)) or Address(zone, subnet.id, ip, vnet)
    world.put(replace(before, mac=(mac or before.mac).upper(), vmid=vmid or before.vmid))


def remove_address(world: World, zone: str, vnet: str, ip: str) -> None:
    """`DELETE /cluster/sdn/vnets/{vnet}/ips`. Raises `Failure`."""
    _subnet_for(world, find(world, Vnet, vnet).id, ip)
    if not _keeps_addresses(world, zone):
        return
    if world.get(Address, (zone, ip)) is None:
        raise Failure(f"IP '{ip}' does not exist in IPAM DB")
    world.remove(Address, (zone, ip))


def show_address(address: Address) -> dict[str, Any]:
    """One element of `GET /cluster/sdn/ipams/pve/status`."""
    row: dict[str, Any] = {"ip": address.ip, "subnet": address.subnet, "vnet": address.vnet, "zone": address.zone}
    for name in ("mac", "vmid", "hostname"):
        if value := getattr(address, name):
            row[name] = value
    return {**row, "gateway": 1} if address.gateway else row
