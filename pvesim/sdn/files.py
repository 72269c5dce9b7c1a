"""The section files of the software defined networks, with the options that each type takes.

Texts are those of the recorded exchanges `cluster/030` to `cluster/039`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pvesim.core.errors import Failure
from pvesim.core.sections import Section, SectionFile, SectionType, plain_file
from pvesim.core.world import World
from pvesim.sdn.records import Controller, DnsServer, Fabric, FabricNode, Ipam, Subnet, Vnet, Zone

S = TypeVar("S", bound=Section)

_COMMON = "nodes mtu dns reversedns dnszone ipam dhcp"
ZONES = plain_file(
    Zone,
    {
        "simple": SectionType.of(optional=_COMMON),
        "vlan": SectionType.of(required="bridge", optional=f"{_COMMON} bridge-disable-mac-learning"),
        "qinq": SectionType.of(required="bridge tag", optional=f"{_COMMON} bridge-disable-mac-learning vlan-protocol"),
        "vxlan": SectionType.of(optional=f"{_COMMON} peers vxlan-port fabric"),
        "evpn": SectionType.of(
            required="vrf-vxlan controller",
            optional=f"{_COMMON} vxlan-port exitnodes exitnodes-local-routing exitnodes-primary advertise-subnets "
            "disable-arp-nd-suppression bridge-disable-mac-learning rt-import mac",
        ),
        "faucet": SectionType.of(required="controller", optional=f"{_COMMON} dp-id"),
    },
)
VNETS = plain_file(Vnet, {"vnet": SectionType.of(required="zone", optional="tag alias vlanaware isolate-ports")})
SUBNETS = plain_file(
    Subnet,
    {"subnet": SectionType.of(optional="vnet gateway snat dnszoneprefix dhcp-range dhcp-dns-server")},
)
CONTROLLERS = plain_file(
    Controller,
    {
        "evpn": SectionType.of(required="asn", optional="peers fabric"),
        "bgp": SectionType.of(
            required="node asn", optional="peers bgp-multipath-as-path-relax ebgp ebgp-multihop loopback"
        ),
        "isis": SectionType.of(required="isis-domain isis-ifaces isis-net node", optional="loopback"),
        "faucet": SectionType.of(),
    },
)
IPAMS = plain_file(
    Ipam,
    {
        "pve": SectionType.of(),
        "netbox": SectionType.of(required="url token", optional="fingerprint"),
        "phpipam": SectionType.of(required="url token section", optional="fingerprint"),
    },
)
DNS_SERVERS = plain_file(
    DnsServer,
    {"powerdns": SectionType.of(required="url key", optional="ttl reversemaskv6 reversev6mask fingerprint")},
)
FABRICS = plain_file(
    Fabric,
    {
        "openfabric": SectionType.of(optional="ip_prefix ip6_prefix hello_interval csnp_interval"),
        "ospf": SectionType.of(required="area", optional="ip_prefix"),
    },
)
FABRIC_NODES = plain_file(
    FabricNode,
    {
        "openfabric": SectionType.of(optional="ip ip6 interfaces"),
        "ospf": SectionType.of(optional="ip interfaces"),
    },
)

# The word of each kind in the texts of errors, where it has one of its own.
_NOUNS: dict[type[Section], str] = {Vnet: "vnet ", Subnet: "subnet "}
BUILT_IN_IPAM = Ipam("pve", "pve", {})


def unknown(kind: type[Section], id: str) -> Failure:
    """The error about an object that is not there."""
    return Failure(f"sdn {_NOUNS.get(kind, '')}'{id}' does not exist")


def find(world: World, kind: type[S], id: str) -> S:
    """The object of that kind. Raises `Failure` for an unknown one."""
    found = world.get(kind, id)
    if found is None:
        raise unknown(kind, id)
    return found


def check_free(world: World, kind: type[Section], noun: str, id: str) -> None:
    """Raise `Failure` if there is an object of that id."""
    if world.get(kind, id) is not None:
        raise Failure(f"sdn {noun} object ID '{id}' already defined")


def described(file: SectionFile[S], world: World, section: S, name: str) -> dict[str, Any]:
    """An object as its file has it, with its id under `name` and the file's digest."""
    return {**section.options, "digest": file.digest(world), "type": section.type, name: section.id}
