"""The text of `/etc/network/interfaces`, and how it differs from what will be applied."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pvesim.nodes.records import Interface

_PATH = "/etc/network/interfaces"
_HEADER = "# Written by PVE. Changes by hand outside of 'source' lines may be lost.\n"
_SOURCES = "source /etc/network/interfaces.d/*\n"

# The lines of each type: the API's option, the file's word for it, and what stands there if it is not given.
_LINES: Mapping[str, tuple[tuple[str, str, str | None], ...]] = {
    "bridge": (
        ("bridge_ports", "bridge-ports", "none"),
        ("bridge_stp", "bridge-stp", "off"),
        ("bridge_fd", "bridge-fd", "0"),
    ),
    "bond": (
        ("slaves", "bond-slaves", "none"),
        ("bond_miimon", "bond-miimon", "100"),
        ("bond_mode", "bond-mode", None),
        ("bond_xmit_hash_policy", "bond-xmit-hash-policy", None),
        ("bond-primary", "bond-primary", None),
    ),
    "vlan": (("vlan-id", "vlan-id", None), ("vlan-raw-device", "vlan-raw-device", None)),
    "OVSBridge": (("ovs_ports", "ovs_ports", None), ("ovs_options", "ovs_options", None)),
    "OVSBond": (
        ("ovs_bonds", "ovs_bonds", None),
        ("ovs_bridge", "ovs_bridge", None),
        ("bond_mode", "bond_mode", None),
        ("ovs_options", "ovs_options", None),
    ),
    "OVSPort": (("ovs_bridge", "ovs_bridge", None), ("ovs_options", "ovs_options", None), ("ovs_tag", "tag", None)),
    "OVSIntPort": (("ovs_bridge", "ovs_bridge", None), ("ovs_options", "ovs_options", None), ("ovs_tag", "tag", None)),
}


def render(interfaces: Iterable[Interface]) -> str:
    """The whole file."""
    ordered = sorted(interfaces, key=lambda interface: int(interface.options.get("priority", 0)))
    blocks = ["auto lo\niface lo inet loopback\n", *(_block(interface) for interface in ordered), _SOURCES]
    return f"{_HEADER}\n" + "\n".join(blocks)


def _block(interface: Interface) -> str:
    options, name = interface.options, interface.iface
    text = f"auto {name}\n" if options.get("autostart") else ""
    text += f"iface {name} inet {options.get('method', 'manual')}\n"
    text += "".join(f"\t{line}\n" for line in _first_lines(interface))
    text += "".join(f"#{line}\n" for line in str(options.get("comments", "")).splitlines())
    if options.get("method6", "manual") != "manual":
        text += f"\niface {name} inet6 {options['method6']}\n"
        text += "".join(f"\t{line}\n" for line in _addresses(options, "cidr6", "gateway6"))
        text += "".join(f"#{line}\n" for line in str(options.get("comments6", "")).splitlines())
    return text


def _first_lines(interface: Interface) -> Iterator[str]:
    options = interface.options
    yield from _addresses(options, "cidr", "gateway")
    for option, word, fallback in _LINES.get(interface.type, ()):
        value = options.get(option) or fallback
        if value not in (None, ""):
            yield f"{word} {value}"
    if options.get("bridge_vlan_aware"):
        yield "bridge-vlan-aware yes"
        yield f"bridge-vids {options.get('bridge_vids', '2-4094')}"
    if options.get("mtu"):
        yield f"mtu {options['mtu']}"
    if interface.type.startswith("OVS"):
        yield f"ovs_type {interface.type}"


def _addresses(options: Mapping[str, Any], cidr: str, gateway: str) -> Iterator[str]:
    if options.get(cidr):
        yield f"address {options[cidr]}"
    if options.get(gateway):
        yield f"gateway {options[gateway]}"


def difference(before: str, after: str, written: float, changed: float) -> str:
    """What an apply would change, as a unified diff; empty when nothing would."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        _PATH,
        f"{_PATH}.new",
        _moment(written),
        _moment(changed),
    )
    return "".join(lines)


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S.%f000 +0000")
