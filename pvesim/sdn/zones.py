"""Zones and virtual networks: what PVE looks at before it takes a change.

Sources: recorded exchanges `cluster/030` to `cluster/039`, `/cluster/sdn/{zones,vnets}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.sdn.files import VNETS, ZONES, check_free, find
from pvesim.sdn.objects import ipam_exists
from pvesim.sdn.records import Controller, DnsServer, Subnet, Vnet, Zone
from pvesim.sdn.running import editing

Options = Mapping[str, Any]
_LONGEST_VLAN, _LONGEST_VXLAN = 4096, 16_777_216
_VXLAN = ("vxlan", "evpn")


# -- zones -------------------------------------------------------------------------------------------------------------


def create_zone(world: World, type: str, zone: str, options: Options, token: str | None) -> None:
    """`POST /cluster/sdn/zones`. Raises `Failure`."""
    ZONES.types[type].check_new(options)
    with editing(world, token, "create sdn zone object failed"):
        check_free(world, Zone, "zone", zone)
        _check_zone(world, _complete(world, ZONES.create(world, type, zone, options)))


def update_zone(
    world: World, zone: str, options: Options, delete: Sequence[str], digest: str | None, token: str | None
) -> None:
    """`PUT /cluster/sdn/zones/{zone}`. Raises `Failure`."""
    with editing(world, token, "update sdn zone object failed"):
        ZONES.check_digest(world, digest)
        before = find(world, Zone, zone)
        changed = ZONES.update(world, before, options, delete)
        if changed.options.get("ipam") != before.options.get("ipam") and _subnets_of_zone(world, zone):
            raise ParameterErrors({"ipam": "ipam can't be changed if subnet is already defined in this zone"})
        _check_zone(world, _complete(world, changed))


def delete_zone(world: World, zone: str, token: str | None) -> None:
    """`DELETE /cluster/sdn/zones/{zone}`. Raises `Failure`."""
    with editing(world, token, "delete sdn zone object failed"):
        found = find(world, Zone, zone)
        user = min((vnet.id for vnet in world.rows(Vnet).values() if vnet.options["zone"] == zone), default=None)
        if user is not None:
            raise Failure(f"zone {zone} is used by vnet {user}")
        ZONES.delete(world, found)


def _complete(world: World, zone: Zone) -> Zone:
    """An EVPN zone has one MAC address on all its nodes."""
    if zone.type != "evpn" or "mac" in zone.options:
        return zone
    mac = "BC:24:11:" + world.random_bytes(3, "zone").hex(":").upper()
    return ZONES.update(world, zone, {"mac": mac})


def _check_zone(world: World, zone: Zone) -> None:
    options = zone.options
    for name in ("dns", "reversedns"):
        if options.get(name) and world.get(DnsServer, options[name]) is None:
            raise ParameterErrors({name: f"{options[name]} don't exist"})
    if options.get("dnszone") and not options.get("dns"):
        raise ParameterErrors({"dnszone": "missing dns server"})
    if options.get("ipam") and not ipam_exists(world, options["ipam"]):
        raise ParameterErrors({"ipam": f"{options['ipam']} not existing"})
    controller = options.get("controller")
    if controller and world.get(Controller, controller) is None:
        raise ParameterErrors({"controller": f"{controller} don't exist"})


def _subnets_of_zone(world: World, zone: str) -> bool:
    return any(id.partition("-")[0] == zone for id in world.rows(Subnet))


# -- virtual networks --------------------------------------------------------------------------------------------------


def create_vnet(world: World, vnet: str, options: Options, token: str | None) -> None:
    """`POST /cluster/sdn/vnets`. Raises `Failure`."""
    with editing(world, token, "create sdn vnet object failed"):
        VNETS.types["vnet"].check_new(options)
        check_free(world, Vnet, "vnet", vnet)
        _check_vnet(world, VNETS.create(world, "vnet", vnet, options))


def update_vnet(
    world: World, vnet: str, options: Options, delete: Sequence[str], digest: str | None, token: str | None
) -> None:
    """`PUT /cluster/sdn/vnets/{vnet}`. Raises `Failure`."""
    with editing(world, token, "update sdn vnet object failed"):
        VNETS.check_digest(world, digest)
        before = find(world, Vnet, vnet)
        changed = VNETS.update(world, before, options, delete)
        if subnets_of(world, vnet):
            if changed.options["zone"] != before.options["zone"]:
                raise ParameterErrors({"zone": "can't change zone if subnets exists"})
            if changed.options.get("vlanaware"):
                raise ParameterErrors({"vlanaware": "vlanaware vnet is not compatible with subnets"})
        _check_vnet(world, changed)


def delete_vnet(world: World, vnet: str, token: str | None) -> None:
    """`DELETE /cluster/sdn/vnets/{vnet}`. Raises `Failure` while it has subnets."""
    with editing(world, token, "delete sdn vnet object failed"):
        found = find(world, Vnet, vnet)
        if subnets_of(world, vnet):
            raise ParameterErrors({"vnet": "Can't delete vnet if subnets exists"})
        VNETS.delete(world, found)


def subnets_of(world: World, vnet: str) -> list[Subnet]:
    """The subnets of a virtual network, by id."""
    found = [subnet for subnet in world.rows(Subnet).values() if subnet.options.get("vnet") == vnet]
    return sorted(found, key=lambda subnet: subnet.id)


def _check_vnet(world: World, vnet: Vnet) -> None:
    """The tag must suit the zone and be free there. Raises `Failure`, `ParameterErrors`."""
    zone, tag = world.get(Zone, vnet.options["zone"]), vnet.options.get("tag")
    if zone is None:
        raise Failure("cannot lookup undefined type!")
    if zone.type == "simple" and tag is not None:
        raise ParameterErrors({"tag": "vlan tag is not allowed on simple zone"})
    if zone.type in ("vlan", "qinq"):
        if zone.type == "vlan" and tag is None:
            raise ParameterErrors({"tag": "missing vlan tag"})
        if tag is not None and tag > _LONGEST_VLAN:
            raise ParameterErrors({"tag": "vlan tag max value is 4096"})
    if zone.type in _VXLAN:
        if tag is None:
            raise ParameterErrors({"tag": "missing vxlan tag"})
        if tag > _LONGEST_VXLAN:
            raise ParameterErrors({"tag": "vxlan tag max value is 16777216"})
    if tag is not None:
        _check_tag(world, vnet, zone, tag)


def _check_tag(world: World, vnet: Vnet, zone: Zone, tag: int) -> None:
    for id in sorted(world.rows(Vnet)):
        other = world.rows(Vnet)[id]
        other_zone = world.get(Zone, other.options["zone"])
        if id != vnet.id and other.options.get("tag") == tag and other_zone and _share_tags(zone, other_zone):
            raise ParameterErrors({"tag": f"tag {tag} already exist in zone {other_zone.id} vnet {id}"})


def _share_tags(one: Zone, other: Zone) -> bool:
    """Whether the same tag in both zones means the same network."""
    if one.type in _VXLAN:
        return other.type in _VXLAN
    if one.type == "vlan" and other.type == "vlan":
        return bool(one.options["bridge"] == other.options["bridge"])
    return one.id == other.id
