"""What a cloud-init drive tells the system inside: user data, network and meta data, as PVE writes them.

Source: recorded exchange `qemu-config/049`; the options of `GET …/cloudinit/dump`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any
from urllib.parse import unquote

from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node

_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


def dump(world: World, guest: Guest, type: str) -> str:
    """The text of one part: `user`, `network` or `meta`, with pending changes in it."""
    merged = {**guest.config, **guest.pending}
    config = {key: value for key, value in merged.items() if value is not None}
    if type == "user":
        return _user(guest, config)
    network = _network(world, guest, config)
    if type == "network":
        return network
    identity = hashlib.sha1((_user(guest, config) + network).encode(), usedforsecurity=False).hexdigest()
    return f"instance-id: {identity}\n"


def _user(guest: Guest, config: Mapping[str, Any]) -> str:
    name, domain = str(config.get("name") or f"VM{guest.vmid}"), str(config.get("searchdomain") or "")
    qualified = name if "." in name or not domain else f"{name}.{domain.split()[0]}"
    lines = ["#cloud-config", f"hostname: {name.split('.')[0]}", "manage_etc_hosts: true", f"fqdn: {qualified}"]
    user = config.get("ciuser")
    if user:
        lines.append(f"user: {user}")
    if user == "root":
        lines.append("disable_root: False")
    if config.get("cipassword"):
        lines.append(f"password: {config['cipassword']}")
    if config.get("sshkeys"):
        keys = unquote(str(config["sshkeys"])).strip().split("\n")
        lines += ["ssh_authorized_keys:", *(f"  - {key.strip()}" for key in keys if key.strip())]
    lines += ["chpasswd:", "  expire: False"]
    if user != "root":
        lines += ["users:", "  - default"]
    lines.append(f"package_upgrade: {'true' if config.get('ciupgrade', 1) else 'false'}")
    return "\n".join(lines) + "\n"


def _network(world: World, guest: Guest, config: Mapping[str, Any]) -> str:
    lines = ["version: 1", "config:"]
    numbers = sorted(int(key[3:]) for key in config if re.fullmatch(r"net\d+", key))
    for number in numbers:
        mac = _MAC.search(str(config[f"net{number}"]))
        lines += [
            "    - type: physical",
            f"      name: eth{number}",
            f"      mac_address: '{mac[0].lower() if mac else ''}'",
        ]
        address = read_options(str(config.get(f"ipconfig{number}", "")), "ip")
        lines += ["      subnets:", *_subnet4(address), *_subnet6(address)] if address else []
    node = world.get(Node, guest.node)
    dns: Mapping[str, str] = node.dns if node else {}
    servers = str(config.get("nameserver") or " ".join(dns.get(f"dns{place}", "") for place in (1, 2, 3))).split()
    domains = str(config.get("searchdomain") or dns.get("search", "")).split()
    if servers or domains:
        lines.append("    - type: nameserver")
    if servers:
        lines += ["      address:", *(f"      - '{server}'" for server in servers)]
    if domains:
        lines += ["      search:", *(f"      - '{domain}'" for domain in domains)]
    return "\n".join(lines) + "\n"


def _subnet4(address: Mapping[str, str]) -> list[str]:
    text = address.get("ip")
    if not text:
        return []
    if text == "dhcp":
        return ["      - type: dhcp4"]
    interface = ip_interface(text)
    lines = ["      - type: static", f"        address: '{interface.ip}'", f"        netmask: '{interface.netmask}'"]
    return [*lines, f"        gateway: '{address['gw']}'"] if address.get("gw") else lines


def _subnet6(address: Mapping[str, str]) -> list[str]:
    text = address.get("ip6")
    if not text:
        return []
    if text in ("dhcp", "auto"):
        return ["      - type: dhcp6" if text == "dhcp" else "      - type: ipv6_slaac"]
    lines = ["      - type: static6", f"        address: '{text}'"]
    return [*lines, f"        gateway: '{address['gw6']}'"] if address.get("gw6") else lines
