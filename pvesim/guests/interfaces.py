"""The network interfaces that the system inside a guest has, with the addresses that it is known to have.

A static address in the configuration (`ip=` of a container, `ipconfig0` of cloud-init) counts, then those that the
guest's behaviour names, for its first interface; every interface has the link-local address of its MAC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_interface
from typing import Any

from pvesim.guests.disks import read_options
from pvesim.guests.records import Guest

_NET = re.compile(r"net(\d+)")
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
_LINK_LOCAL = bytes.fromhex("fe80000000000000")
LOOPBACK = ("127.0.0.1/8", "::1/128")


@dataclass(frozen=True, slots=True)
class GuestInterface:
    """One interface: its name inside the guest, its MAC in lower case, its addresses as `10.0.0.5/24`."""

    name: str
    mac: str
    addresses: tuple[str, ...]


def interfaces_of(guest: Guest) -> Iterator[GuestInterface]:
    """The loopback interface and one for each `net0`, `net1`, … of the configuration."""
    yield GuestInterface("lo", "00:00:00:00:00:00", LOOPBACK)
    for place, (number, text) in enumerate(_nets(guest)):
        options = read_options(text, "model")
        mac = _MAC.search(text)
        if mac is None:
            continue
        address_options = options if guest.kind == "lxc" else _cloudinit_options(guest, number)
        addresses = [value for key in ("ip", "ip6") if "/" in (value := address_options.get(key, ""))]
        if place == 0:
            addresses += [_with_prefix(address) for address in guest.behaviour.addresses]
        hardware = mac[0].lower()
        addresses.append(_link_local(hardware))
        yield GuestInterface(options.get("name", f"eth{number}"), hardware, tuple(dict.fromkeys(addresses)))


def _nets(guest: Guest) -> list[tuple[int, str]]:
    found = ((_NET.fullmatch(key), value) for key, value in guest.config.items())
    return sorted((int(match[1]), str(value)) for match, value in found if match)


def _cloudinit_options(guest: Guest, number: int) -> dict[str, str]:
    return read_options(str(guest.config.get(f"ipconfig{number}", "")), "ip")


def _with_prefix(address: str) -> str:
    if "/" in address:
        return address
    return f"{address}/{64 if ':' in address else 24}"


def _link_local(mac: str) -> str:
    """The address that a system gives itself from its MAC (modified EUI-64)."""
    first, *rest = (int(part, 16) for part in mac.split(":"))
    identifier = bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
    return f"{IPv6Address(_LINK_LOCAL + identifier)}/64"


def address_entry(address: str, types: tuple[str, str] = ("ipv4", "ipv6")) -> dict[str, Any]:
    """An address such as `10.0.0.5/24` in the parts that agents tell; `types` names the versions 4 and 6."""
    interface = ip_interface(address)
    return {
        "ip-address-type": types[interface.version == 6],
        "ip-address": str(interface.ip),
        "prefix": interface.network.prefixlen,
    }


def container_entry(interface: GuestInterface) -> dict[str, Any]:
    """An element of `GET /nodes/{node}/lxc/{vmid}/interfaces`: the first address of each version stands apart."""
    entry: dict[str, Any] = {
        "name": interface.name,
        "hwaddr": interface.mac,
        "hardware-address": interface.mac,
        "ip-addresses": [address_entry(address, ("inet", "inet6")) for address in interface.addresses],
    }
    for address in reversed(interface.addresses):
        entry["inet" if ip_interface(address).version == 4 else "inet6"] = address
    return entry
