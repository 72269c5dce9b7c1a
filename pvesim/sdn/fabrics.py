"""Fabrics and the nodes in them: `/cluster/sdn/fabrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.sdn.files import FABRIC_NODES, FABRICS
from pvesim.sdn.records import Controller, Fabric, FabricNode, Zone
from pvesim.sdn.running import editing

Options = Mapping[str, Any]
_FAMILIES = (("ip", "ip_prefix"), ("ip6", "ip6_prefix"))


def find_fabric(world: World, id: str) -> Fabric:
    """The fabric. Raises `Failure` for an unknown one."""
    fabric = world.get(Fabric, id)
    if fabric is None:
        raise Failure(f"fabric '{id}' does not exist in configuration")
    return fabric


def find_node(world: World, fabric: str, node: str) -> FabricNode:
    """A node's part in a fabric. Raises `Failure` if it has none."""
    found = world.get(FabricNode, f"{fabric}_{node}")
    if found is None:
        find_fabric(world, fabric)
        raise Failure(f"node '{node}' does not exist in fabric '{fabric}'")
    return found


def create_fabric(world: World, id: str, protocol: str, options: Options, token: str | None) -> None:
    """`POST /cluster/sdn/fabrics/fabric`. Raises `Failure`."""
    with editing(world, token, "adding fabric failed"):
        if world.get(Fabric, id) is not None:
            raise Failure(f"fabric '{id}' already exists in config")
        _check_fabric(world, FABRICS.create(world, protocol, id, options))


def update_fabric(
    world: World, id: str, protocol: str, options: Options, delete: Sequence[str], digest: str | None, token: str | None
) -> None:
    """`PUT /cluster/sdn/fabrics/fabric/{id}`. Raises `Failure`."""
    with editing(world, token, "updating fabric failed"):
        FABRICS.check_digest(world, digest)
        fabric = find_fabric(world, id)
        _check_protocol(fabric, protocol)
        _check_fabric(world, FABRICS.update(world, fabric, options, delete))


def delete_fabric(world: World, id: str) -> None:
    """`DELETE /cluster/sdn/fabrics/fabric/{id}` with its nodes. Raises `Failure` while something stands on it."""
    with editing(world, None, "deleting fabric failed"):
        fabric = find_fabric(world, id)
        for kind, noun in ((Zone, "zone"), (Controller, "controller")):
            users = [row.id for row in world.rows(kind).values() if row.options.get("fabric") == id]
            if users:
                raise Failure(f"fabric {id} is used by {noun} {min(users)}")
        for node in nodes_of(world, id):
            FABRIC_NODES.delete(world, node)
        FABRICS.delete(world, fabric)


def nodes_of(world: World, fabric: str) -> list[FabricNode]:
    """The nodes in a fabric."""
    return [node for node in world.rows(FabricNode).values() if node.id.partition("_")[0] == fabric]


def create_node(world: World, fabric: str, node: str, protocol: str, options: Options, token: str | None) -> None:
    """`POST /cluster/sdn/fabrics/node/{fabric_id}`. Raises `Failure`."""
    with editing(world, token, "adding node failed"):
        _check_protocol(find_fabric(world, fabric), protocol)
        id = f"{fabric}_{node}"
        if world.get(FabricNode, id) is not None:
            raise Failure(f"node '{node}' already exists in fabric '{fabric}'")
        _check_node(world, FABRIC_NODES.create(world, protocol, id, options))


def update_node(
    world: World,
    fabric: str,
    node: str,
    protocol: str,
    options: Options,
    delete: Sequence[str],
    digest: str | None,
    token: str | None,
) -> None:
    """`PUT /cluster/sdn/fabrics/node/{fabric_id}/{node_id}`. Raises `Failure`."""
    with editing(world, token, "updating node failed"):
        FABRIC_NODES.check_digest(world, digest)
        found = find_node(world, fabric, node)
        _check_protocol(found, protocol)
        _check_node(world, FABRIC_NODES.update(world, found, options, delete))


def delete_node(world: World, fabric: str, node: str) -> None:
    """`DELETE /cluster/sdn/fabrics/node/{fabric_id}/{node_id}`. Raises `Failure`."""
    with editing(world, None, "deleting node failed"):
        FABRIC_NODES.delete(world, find_node(world, fabric, node))


# -- checks ------------------------------------------------------------------------------------------------------------


def _check_protocol(section: Fabric | FabricNode, protocol: str) -> None:
    if section.type != protocol:
        raise Failure(f"protocol is '{section.type}' and cannot be changed to '{protocol}'")


def _check_fabric(world: World, fabric: Fabric) -> None:
    if not any(fabric.options.get(prefix) for _, prefix in _FAMILIES):
        raise Failure(f"fabric '{fabric.id}' has neither an IPv4 nor an IPv6 prefix")
    for node in nodes_of(world, fabric.id):
        _check_node(world, node)


def _check_node(world: World, node: FabricNode) -> None:
    """A node has an address in the fabric's range that no other has."""
    fabric = find_fabric(world, node.id.partition("_")[0])
    if not any(node.options.get(name) for name, _ in _FAMILIES):
        raise Failure(f"node '{node.id.partition('_')[2]}' has neither an IPv4 nor an IPv6 address")
    for name, prefix in _FAMILIES:
        address, network = node.options.get(name), fabric.options.get(prefix)
        if not address:
            continue
        if network is None or ip_address(address) not in ip_network(network, strict=False):
            raise Failure(f"node IP {address} is outside the IP prefix {network or 'none'} of the fabric")
        if any(other.id != node.id and other.options.get(name) == address for other in nodes_of(world, fabric.id)):
            raise Failure(f"IP {address} is already used by another node of the fabric")
