"""What a cloud-init drive tells the system inside: user data, network and meta data, as PVE writes them.

Source: recorded exchange `qemu-config/049`; the options of `GET …/cloudinit/dump`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any
from urllib.parse import unquote

from pvesim.core.world import World
from pvesim.guests.configs import MASK
from pvesim.guests.disks import parse_disks, read_options
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node

_OPTIONS = ("cicustom", "cipassword", "citype", "ciupgrade", "ciuser", "nameserver", "searchdomain", "sshkeys")
_TOLD = re.compile(rf"{'|'.join(_OPTIONS)}|ipconfig\d+")
_ALSO_TOLD = re.compile(r"name|net\d+")
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


def with_change(guest: Guest, key: str, value: Any) -> Mapping[str, Any]:
    """What a running machine's cloud-init drive does not tell yet, after an option has got a value (None: is gone)."""
    if not guest.running or not (_TOLD.fullmatch(key) or _ALSO_TOLD.fullmatch(key)):
        return guest.cloudinit
    changed = {key: guest.config.get(key), **guest.cloudinit}
    return {name: then for name, then in changed.items() if name != key or then != value}


def pending_changes(guest: Guest) -> list[dict[str, Any]]:
    """`GET …/cloudinit`: what the drive tells (`value`), and what it will (`pending`, `delete`)."""
    entries: list[dict[str, Any]] = []
    for key in sorted({*guest.config, *guest.cloudinit}):
        now, waits = guest.config.get(key), key in guest.cloudinit
        then = guest.cloudinit[key] if waits else now
        if now is None and then is not None:
            entries.append({"key": key, "delete": 1})
        elif waits and then is None and now is not None:
            entries.append({"key": key, "pending": _shown(key, now)})
        elif now is not None and _TOLD.fullmatch(key):
            entry = {"key": key, "value": _shown(key, then)}
            entries.append({**entry, "pending": _shown(key, now)} if waits else entry)
    return entries


def _shown(key: str, value: Any) -> str:
    return MASK if key == "cipassword" else str(value)


def write_drive(world: World, guest: Guest) -> None:
    """`PUT …/cloudinit`: the drive tells what is configured now; nothing happens to a machine without one."""
    if guest.cloudinit and any(disk.cloudinit for disk in parse_disks(guest)):
        world.put(replace(guest, cloudinit={}))


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
