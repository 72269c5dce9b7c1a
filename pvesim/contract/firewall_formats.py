"""Checks of the firewall's own formats: ports, protocols, ICMP types, connection helpers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pvesim.contract.format_errors import Check, FormatError
from pvesim.contract.network_names import PROTOCOL_NUMBERS, PROTOCOLS, SERVICES

_PORT = re.compile(r"\d+", re.ASCII)
_HIGHEST_PORT = 65535
_MOST_PORTS = 15

_ICMP_V4 = (
    "any echo-reply destination-unreachable network-unreachable host-unreachable protocol-unreachable "
    "port-unreachable fragmentation-needed source-route-failed network-unknown host-unknown network-prohibited "
    "host-prohibited TOS-network-unreachable TOS-host-unreachable communication-prohibited host-precedence-violation "
    "precedence-cutoff source-quench redirect network-redirect host-redirect TOS-network-redirect TOS-host-redirect "
    "echo-request router-advertisement router-solicitation time-exceeded ttl-zero-during-transit "
    "ttl-zero-during-reassembly parameter-problem ip-header-bad required-option-missing timestamp-request "
    "timestamp-reply address-mask-request address-mask-reply"
)
_ICMP_V6 = (
    "destination-unreachable no-route communication-prohibited beyond-scope address-unreachable port-unreachable "
    "failed-policy reject-route packet-too-big time-exceeded ttl-zero-during-transit ttl-zero-during-reassembly "
    "parameter-problem bad-header unknown-header-type unknown-option echo-request echo-reply router-solicitation "
    "router-advertisement neighbor-solicitation neighbour-solicitation neighbor-advertisement "
    "neighbour-advertisement redirect"
)
# The names of ICMP types, by IP version.
ICMP_TYPES: Mapping[int, frozenset[str]] = {4: frozenset(_ICMP_V4.split()), 6: frozenset(_ICMP_V6.split())}
_HELPERS = frozenset(("amanda", "ftp", "irc", "netbios-ns", "pptp", "sane", "sip", "snmp", "tftp"))


def _port_number(text: str) -> int:
    number = int(text[:6])
    if number > _HIGHEST_PORT:
        raise FormatError(f"invalid port '{text}'")
    return number


def _ports(text: str, *, icmp: bool = False) -> None:
    """A port, a range `80:85`, a service's name, or a list of them; `icmp`: types of ICMP may stand for ports."""
    items = text.split(",")
    if "" in items:
        raise FormatError("extraneous commas in list")
    count, types = 0, False
    for item in items:
        first, colon, last = item.partition(":")
        if not colon and _PORT.fullmatch(first):
            _port_number(first)
            count += 1
        elif colon and _PORT.fullmatch(first) and _PORT.fullmatch(last):
            if _port_number(first) > _port_number(last):
                raise FormatError(f"backwards range '{first}:{last}' not allowed, did you mean '{last}:{first}'?")
            count += 2
        elif icmp and any(item in names for names in ICMP_TYPES.values()):
            types = True
        elif item not in SERVICES:
            raise FormatError(f"invalid port '{item}'")
    if types and count:
        raise FormatError("ICPM ports not allowed in port range")  # PVE's own spelling
    if count > _MOST_PORTS:
        raise FormatError(f"too many entries in port list (> {_MOST_PORTS} numbers)")


def _destination_ports(text: str) -> None:
    _ports(text, icmp=True)


def _protocol(text: str) -> None:
    if text in PROTOCOLS or text in ("", "0"):
        return
    if _PORT.fullmatch(text) is None or str(int(text[:4])) != text or int(text) not in PROTOCOL_NUMBERS:
        raise FormatError(f"unknown protocol '{text}'")


def _icmp_type(text: str) -> None:
    if any(text in names for names in ICMP_TYPES.values()):
        return
    if _PORT.fullmatch(text) is None or int(text[:4]) > 255:
        raise FormatError(f"unknown icmp-type '{text}'")


def _helpers(text: str) -> None:
    for name in text.replace(",", " ").replace(";", " ").split():
        if name not in _HELPERS:
            raise FormatError(f"unknown helper '{name}'")


FIREWALL_FORMATS: dict[str, Check] = {
    "pve-fw-conntrack-helper": _helpers,
    "pve-fw-dport-spec": _destination_ports,
    "pve-fw-icmp-type-spec": _icmp_type,
    "pve-fw-protocol-spec": _protocol,
    "pve-fw-sport-spec": _ports,
}
