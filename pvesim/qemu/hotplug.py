"""Which changes a running virtual machine takes at once, and which wait for its next start.

Source: recorded exchanges `qemu-power/025-030`; the features that PVE's documentation of the `hotplug` option names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pvesim.contract import split_list
from pvesim.guests.disks import read_options
from pvesim.qemu.drives import is_drive, read_drive

_AT_ONCE = {"cpulimit", "cpuunits", "description", "hookscript", "hotplug", "lock", "name", "onboot", "protection"}
_AT_ONCE |= {"shares", "startup", "tags", "vmstatestorage"}
_AT_ONCE |= {"cicustom", "cipassword", "citype", "ciupgrade", "ciuser", "nameserver", "searchdomain", "sshkeys"}
_DEFAULT_FEATURES = frozenset(("network", "disk", "usb"))
_ALL_FEATURES = _DEFAULT_FEATURES | {"cpu", "memory", "cloudinit"}
_NOT_HOT = re.compile(r"(?:ide|sata|efidisk|tpmstate)\d+")
_NET_LIVE = frozenset(("bridge", "firewall", "link_down", "rate", "tag", "trunks"))


def features(config: Mapping[str, Any]) -> frozenset[str]:
    """What a machine lets be plugged while it runs."""
    text = str(config.get("hotplug", "1"))
    if text in ("0", ""):
        return frozenset()
    return _DEFAULT_FEATURES if text == "1" else frozenset(split_list(text)) & _ALL_FEATURES


def takes_at_once(config: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether a running machine takes an option's new value (None: its removal) at once."""
    hot = features(config)
    if key in _AT_ONCE or key.startswith("ipconfig"):
        return True
    if is_drive(key):
        return _drive_at_once(config, key, value, hot)
    if re.fullmatch(r"net\d+", key):
        return "network" in hot or (value is not None and key in config and _same_card(str(config[key]), str(value)))
    if re.fullmatch(r"usb\d+", key) or key == "tablet":
        return "usb" in hot
    if key == "balloon":
        return _balloon_at_once(config, value)
    if key == "vcpus":
        return "cpu" in hot
    return key == "memory" and "memory" in hot and bool(config.get("numa"))


def _drive_at_once(config: Mapping[str, Any], key: str, value: Any, hot: frozenset[str]) -> bool:
    if value is not None and key in config:
        before, after = read_drive(key, str(config[key])), read_drive(key, str(value))
        if (before.cdrom and after.cdrom) or before.file == after.file:  # another medium, other limits
            return True
    return "disk" in hot and _NOT_HOT.fullmatch(key) is None


def _same_card(before: str, after: str) -> bool:
    """Whether two values of a network interface differ only in what the host's side of it does."""
    old, new = read_options(before, "model"), read_options(after, "model")
    return all(old.get(name) == new.get(name) for name in {*old, *new} - _NET_LIVE)


def _balloon_at_once(config: Mapping[str, Any], value: Any) -> bool:
    """The device itself cannot be plugged, only its target be moved."""
    return config.get("balloon") != 0 and value != 0
