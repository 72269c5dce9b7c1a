"""Checks of formats that are addresses: IP, CIDR, DNS names, MAC, ports, mail.

Texts are those of recorded answers where there is a recording, else those that PVE is known to give.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from pvesim.contract.format_errors import Check, FormatError

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?"
_DNS_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}", re.ASCII)
_MAC_PREFIX = re.compile(r"[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){0,2}:?", re.ASCII)
_EMAIL = re.compile(r"[\w+\-~]+(?:\.[\w+\-~]+)*@[a-zA-Z0-9\-]+(?:\.[a-zA-Z0-9\-]+)*", re.ASCII)
_PREFIX = re.compile(r"[0-9]{1,3}", re.ASCII)
_SHORTEST_NETWORK_V4 = 8


def is_ip(text: str, version: int | None = None) -> bool:
    """Whether the text is one IP address, of that version if one is given."""
    try:
        # A zone such as fe80::1%eth0 is a place, not an address.
        return "%" not in text and version in (None, ipaddress.ip_address(text).version)
    except ValueError:
        return False


def is_cidr(text: str, version: int | None = None) -> bool:
    """Whether the text is an address with a prefix length; host bits may be set, as in 10.0.0.5/24."""
    address, slash, prefix = text.partition("/")
    if not slash or _PREFIX.fullmatch(prefix) is None:
        return False
    if is_ip(address, 4):
        return version in (None, 4) and _SHORTEST_NETWORK_V4 <= int(prefix) <= ipaddress.IPV4LENGTH
    return is_ip(address, 6) and version in (None, 6) and _SHORTEST_NETWORK_V4 <= int(prefix) <= ipaddress.IPV6LENGTH


def is_dns_name(text: str) -> bool:
    """Whether the text is a host or domain name: labels of letters, digits and hyphens."""
    return _DNS_NAME.fullmatch(text) is not None


def looks_like(what: str, test: Callable[[str], bool]) -> Check:
    """A check with the text that most of PVE's formats share."""

    def check(text: str) -> None:
        if not test(text):
            raise FormatError(f"value does not look like a valid {what}")

    return check


def _is_netmask(text: str) -> bool:
    if not is_ip(text, 4):
        return False
    inverted = int(ipaddress.IPv4Address(text)) ^ 0xFFFFFFFF
    return inverted & (inverted + 1) == 0 and inverted != 0xFFFFFFFF


def _is_ip_with_zone(text: str) -> bool:
    address, percent, zone = text.partition("%")
    if not percent:
        return is_ip(text)
    return is_ip(address, 6) and ipaddress.IPv6Address(address).is_link_local and bool(zone)


def _is_portal(text: str) -> bool:
    """A server with an optional port: 10.0.0.1:3260, [fd00::1]:3260, storage.example.test."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:]+))(?::(\d+))?", text, re.ASCII)
    if match is None:
        return is_ip(text, 6)
    return is_ip(match[1], 6) if match[1] is not None else is_ip(match[2]) or is_dns_name(match[2])


def _ip_config(version: int, words: tuple[str, ...]) -> Check:
    return looks_like(f"ipv{version} network configuration", lambda text: text in words or is_cidr(text, version))


def _quads(address: str) -> None:
    """Why an IPv4 address is none, as the library says it that PVE's firewall reads addresses with."""
    if re.fullmatch(r"[0-9.]+", address, re.ASCII) is None:
        raise FormatError(f"invalid IP address: Invalid chars in IP {address}")
    quads = address.split(".")
    if address.startswith("."):
        raise FormatError(f"invalid IP address: Invalid IP {address} - starts with a dot")
    if address.endswith("."):
        raise FormatError(f"invalid IP address: Invalid IP {address} - ends with a dot")
    if "" in quads:
        raise FormatError(f"invalid IP address: Empty quad in IP address {address}")
    for quad in quads:
        if int(quad[:4]) > 255:
            raise FormatError(f"invalid IP address: Invalid quad in IP address {address} - {quad}")
    raise FormatError(f"invalid IP address: Invalid number of quads in IP address {address}")


def _address_version(text: str) -> int:
    """The version of one item of a firewall address list: an address, a network, or a range of addresses."""
    first, dash, last = text.partition("-")
    for address in (first.strip(), last.strip()) if dash else (text.partition("/")[0],):
        if not is_ip(address):
            _quads(address)
    problem = _range_problem(first.strip(), last.strip()) if dash else _network_problem(text)
    if problem is not None:
        raise FormatError(f"invalid IP address: {problem}")
    return ipaddress.ip_address(first.strip() if dash else text.partition("/")[0]).version


def _range_problem(first: str, last: str) -> str | None:
    """What is wrong with a range of two addresses, in the same words."""
    begin, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
    if begin.version != end.version:
        return f"Begin and End addresses have different IP versions - {first} - {last}"
    return f"Begin address is greater than End address {first} - {last}" if int(begin) > int(end) else None


def _network_problem(text: str) -> str | None:
    """What is wrong with the prefix of a network, in the words of the library that PVE's firewall reads it with."""
    address, slash, prefix = text.partition("/")
    if not slash:
        return None
    if _PREFIX.fullmatch(prefix) is None:
        return f"Invalid prefix length /{prefix}"
    ip, length = ipaddress.ip_address(address), int(prefix)
    if length > ip.max_prefixlen:
        return f"Prefix length {length} is longer than IP address ({ip.max_prefixlen})"
    bits = format(int(ip), f"0{ip.max_prefixlen}b")
    return f"Invalid prefix {bits}/{length}" if "1" in bits[length:] else None


_FIREWALL_SET = re.compile(r"\+(?:(?:dc|guest|sdn)/)?[A-Za-z][A-Za-z0-9\-_]+", re.ASCII)
_FIREWALL_ALIAS = re.compile(r"(?:(?:dc|guest)/)?[A-Za-z][A-Za-z0-9\-_]+", re.ASCII)


def firewall_addresses(text: str) -> None:
    """A rule's source or destination: one set (`+name`), one alias, one range, or a list of addresses and networks."""
    if _FIREWALL_SET.fullmatch(text) or _FIREWALL_ALIAS.fullmatch(text):
        return
    items = text.split(",")
    if "" in items:
        raise FormatError("extraneous commas in list")
    if len(items) > 1 and any("-" in item for item in items):
        raise FormatError("you can't use a range in a list")
    if len({_address_version(item) for item in items}) > 1:
        raise FormatError(f"detected mixed IPv4/IPv6 address list '{text}'")


def _is_alias(text: str) -> bool:
    return _FIREWALL_ALIAS.fullmatch(text) is not None


def _mac_prefix(text: str) -> None:
    if _MAC_PREFIX.fullmatch(text) is None:
        raise FormatError("value is not a valid unicast MAC address prefix")


def _is_email(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None


def _network(text: str) -> None:
    """An address, or a network of any length without host bits."""
    address, slash, prefix = text.partition("/")
    if not is_ip(address) or (slash and _PREFIX.fullmatch(prefix) is None):
        raise FormatError("value does not look like a valid IP address or CIDR network")
    problem = _network_problem(text)
    if problem is not None:
        raise FormatError(problem)


def _network_or_alias(text: str) -> None:
    if not _is_alias(text):
        _network(text)


ADDRESS_FORMATS: dict[str, Check] = {
    "CIDR": looks_like("CIDR network", is_cidr),
    "CIDRv4": looks_like("IPv4 CIDR network", lambda text: is_cidr(text, 4)),
    "CIDRv6": looks_like("IPv6 CIDR network", lambda text: is_cidr(text, 6)),
    "IPorCIDR": _network,
    "IPorCIDRorAlias": _network_or_alias,
    "address": looks_like("address", lambda text: is_ip(text) or is_dns_name(text)),
    "dns-name": looks_like("DNS name", is_dns_name),
    "email": looks_like("email address", _is_email),
    "ip": looks_like("IP address", is_ip),
    "ipv4": looks_like("IPv4 address", lambda text: is_ip(text, 4)),
    "ipv4mask": looks_like("IP netmask", _is_netmask),
    "ipv6": looks_like("IPv6 address", lambda text: is_ip(text, 6)),
    "lxc-ip-with-ll-iface": looks_like("IP address", _is_ip_with_zone),
    "mac-addr": looks_like("unicast MAC address", lambda text: _MAC.fullmatch(text) is not None),
    "mac-prefix": _mac_prefix,
    "pve-fw-addr-spec": firewall_addresses,
    "pve-ipv4-config": _ip_config(4, ("dhcp", "manual")),
    "pve-ipv6-config": _ip_config(6, ("auto", "dhcp", "manual")),
    "pve-storage-portal-dns": looks_like("portal address", _is_portal),
    "pve-storage-server": looks_like("server name or IP address", lambda text: is_ip(text) or is_dns_name(text)),
}
