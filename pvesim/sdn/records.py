"""Records of the software defined networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pvesim.core.sections import Section

_NOTHING: Mapping[str, Any] = MappingProxyType({})
Objects = Mapping[str, Mapping[str, Any]]


class Zone(Section):
    """A zone; its type tells how it carries traffic."""

    __slots__ = ()


class Vnet(Section):
    """A virtual network in a zone, which guests use as a bridge."""

    __slots__ = ()


class Subnet(Section):
    """An IP range of a virtual network. Its id is `ZONE-10.0.0.0-24`."""

    __slots__ = ()


class Controller(Section):
    """A routing daemon's configuration."""

    __slots__ = ()


class Ipam(Section):
    """Where addresses are kept: PVE itself, or another service."""

    __slots__ = ()


class DnsServer(Section):
    """A name server that hears of guests."""

    __slots__ = ()


class Fabric(Section):
    """An underlay network with a routing protocol, which is its type."""

    __slots__ = ()


class FabricNode(Section):
    """A node's part in a fabric. Its id is `FABRIC_NODE`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SdnState:
    """What holds since the last apply. There is one record.

    `running` maps a kind (`zones`, `vnets`, …) to its objects as they are read, `versions` a node to the version that
    it has applied. `lock` is the token of whoever has locked the configuration.
    """

    version: int = 0
    running: Mapping[str, Objects] = field(default_factory=lambda: _NOTHING)
    versions: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    lock: str = ""

    @property
    def key(self) -> str:
        return "sdn"


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a subnet that is in use, as PVE's own IPAM keeps it."""

    zone: str
    subnet: str
    ip: str
    vnet: str = ""
    mac: str = ""
    vmid: int | None = None
    hostname: str = ""
    gateway: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return (self.zone, self.ip)
