"""The named formats of parameters: each a check that raises FormatError with PVE's text.

`format_check(name)` knows a name, a list of it (`pve-vmid-list`) and the form that may be empty (`email-opt`).
Formats that are property strings stand in `named_schemas.py`, addresses in `addresses.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from zoneinfo import ZoneInfo

from pvesim.contract.addresses import ADDRESS_FORMATS, is_dns_name, looks_like
from pvesim.contract.calendar_events import calendar_event
from pvesim.contract.firewall_formats import FIREWALL_FORMATS
from pvesim.contract.format_errors import Check, FormatError
from pvesim.contract.json_errors import json_error
from pvesim.contract.privilege_names import PRIVILEGES

__all__ = ["Check", "FormatError", "format_check", "parse_size", "split_list"]

REALM = r"[A-Za-z][A-Za-z0-9.\-_]+"
_USER_ID = re.compile(rf"[^\s:/]+@{REALM}", re.ASCII)
_TOKEN_ID = re.compile(rf"[^\s:/]+@{REALM}!{REALM}", re.ASCII)
_VOLUME_ID = re.compile(r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]:[^\n]+", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT])?", re.ASCII)
_UNITS = {None: 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def split_list(text: str) -> list[str]:
    """The items of a list as PVE writes them: between commas, semicolons, blanks or NULs; empty ones are dropped."""
    if "\0" in text:
        return [item for item in text.split("\0") if item]
    return text.replace(",", " ").replace(";", " ").split()


def parse_size(text: str) -> int:
    """Bytes of a disk size such as `32G` or `0.5T`. Raises FormatError."""
    match = _SIZE.fullmatch(text)
    number = float(match[1]) if match else float("inf")
    if match is None or number == float("inf"):
        raise FormatError(f"value does not look like a valid disk size: {text}")
    return int(number * _UNITS[match[2]])


def _disk_size(text: str) -> None:
    parse_size(text)


def _matches(pattern: str, refusal: str, flags: re.RegexFlag = re.ASCII) -> Check:
    """A check by pattern; `{}` in the refusal is the value. A line feed at the end is forgiven, as in PVE."""
    compiled = re.compile(f"^(?:{pattern})$", flags)

    def check(text: str) -> None:
        if compiled.search(text) is None:
            raise FormatError(refusal.replace("{}", text))

    return check


def _one_of(choices: Iterable[str], refusal: str) -> Check:
    known = frozenset(choices)

    def check(text: str) -> None:
        if text not in known:
            raise FormatError(refusal.replace("{}", text))

    return check


def _anything(text: str) -> None:
    """A format that PVE registers without a rule of its own."""


def _user_id(text: str) -> None:
    length = len(text)
    if length < 3:
        raise FormatError(f"user name '{text}' is too short")
    if length > 64:
        raise FormatError(f"user name '{text}' is too long ({length} > 64)")
    if _USER_ID.fullmatch(text) is None:
        raise FormatError(f"value '{text}' does not look like a valid user name")


def _pool_id(text: str) -> None:
    parts = text.split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9.\-_]+", part, re.ASCII) for part in parts):
        raise FormatError(f"pool name '{text}' contains invalid characters")
    if len(parts) > 3:
        raise FormatError(f"pool name '{text}' is nested too deeply (max levels = 3)")


def _volume_id(text: str) -> None:
    if _VOLUME_ID.fullmatch(text) is None:
        raise FormatError(f"unable to parse volume ID '{text}'")


def _volume_or(accepted: Callable[[str], bool]) -> Check:
    def check(text: str) -> None:
        if not accepted(text):
            _volume_id(text)

    return check


def _mount_point(text: str) -> None:
    if any(part in (".", "..") for part in text.split("/")):
        raise FormatError(f"{text} contains illegal character sequences")


def _urlencoded(text: str) -> None:
    if re.search(r"[^-%a-zA-Z0-9_.!~*'()]", text) or re.search(r"%(?![0-9a-fA-F]{2})", text):
        raise FormatError(f"invalid urlencoded string: {text}")


def _startup_order(text: str) -> None:
    for part in text.split(","):
        if re.fullmatch(r"\s*|(?:order=)?\d+|up=\d+|down=\d+", part, re.ASCII) is None:
            raise FormatError("unable to parse startup options")


_HOTPLUG = frozenset(("network", "disk", "cpu", "memory", "usb", "cloudinit"))


def _hotplug(text: str) -> None:
    if text in ("0", "1"):
        return
    if any(feature not in _HOTPLUG for feature in split_list(text)):
        raise FormatError("unable to parse hotplug option")


def _cpu_set(text: str) -> None:
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part, re.ASCII)
        if match is None:
            raise FormatError(f"could not parse cpuset definition: {text}")
        if match[2] is not None and int(match[1]) > int(match[2]):
            raise FormatError(f"invalid cpuset range: {part.strip()}")


def _command_batch(text: str) -> None:
    """The text of a value that is no JSON names the place in PVE's own code where it was read."""
    try:
        commands = json.loads(text)
    except (RecursionError, ValueError):
        what = json_error(text) or "text that is not understood"
        place = "at /usr/share/perl5/PVE/API2/Nodes.pm line 99."
        raise FormatError(f"commands param did not contain valid JSON: {what} {place}") from None
    if not isinstance(commands, list):
        raise FormatError("commands is not an array")
    for number, command in enumerate(commands):
        if not isinstance(command, dict):
            raise FormatError(f"element {number} in commands is not a hash")
        for key in ("method", "path"):
            if key not in command:
                raise FormatError(f"element {number} in commands is missing key '{key}'")


def _pair(identifier: Check) -> Check:
    """A `source:target` entry of a map, a target alone, or `1` for the same name on both sides."""

    def check(text: str) -> None:
        if text == "1":
            return
        source, colon, target = text.partition(":")
        try:
            for name in (source, target) if colon else (source,):
                identifier(name)
        except FormatError as error:
            raise FormatError(f"entry '{text}' contains invalid ID - {error}\n\n") from None

    return check


def _email_or_username(text: str) -> None:
    """An address, or the bare name of a user of the node."""
    if _MAIL_USER.fullmatch(text):
        return
    try:
        ADDRESS_FORMATS["email"](text)
    except FormatError:
        raise FormatError("value does not look like a valid email address or user name") from None


def _vlan_or_range(text: str) -> None:
    first, dash, last = text.partition("-")
    for number in (first, last) if dash else (first,):
        if re.fullmatch(r"[1-9][0-9]{0,3}", number, re.ASCII) is None or int(number) > 4094:
            raise FormatError(f"invalid VLAN tag '{number}'")
    if dash and int(first) >= int(last):
        raise FormatError(f"VLAN range '{text}' must go from lower to higher tag")


def _pem(kind: str, multiple: bool) -> Check:
    block = rf"-----BEGIN {kind}-----\s[A-Za-z0-9+/=\s]+-----END {kind}-----\s*"
    return _matches(
        rf"\s*(?:{block}){'+' if multiple else ''}",
        "value does not look like a valid certificate in PEM format"
        if multiple
        else "value does not look like a valid PEM string",
        re.ASCII | re.DOTALL,
    )


def _is_ha_node(text: str) -> bool:
    return re.fullmatch(rf"{_NODE}(?::\d+)?", text, re.ASCII) is not None


def _is_ha_resource(text: str) -> bool:
    return re.fullmatch(r"[a-z]+:\S+", text, re.ASCII) is not None


def _sdn_id(what: str, longest: int | None = None) -> Check:
    shape = _matches(r"[a-zA-Z][a-zA-Z0-9]*[a-zA-Z0-9]", f"{what} ID '{{}}' contains illegal characters")

    def check(text: str) -> None:
        if longest is not None and len(text) > longest:
            raise FormatError(f"{what} ID '{text}' can't be more length than {longest} characters")
        shape(text)

    return check


def _time_zone(text: str) -> None:
    if text in ("host", "UTC"):
        return
    try:
        ZoneInfo(text if "/" in text else "")
    except (KeyError, ValueError, OSError):  # unknown, no key at all, a folder of the database
        raise FormatError(f"invalid time zone '{text}'") from None


def _phys_bits(text: str) -> None:
    if text != "host" and not (re.fullmatch(r"\d{1,2}", text, re.ASCII) and 8 <= int(text) <= 64):
        raise FormatError("value must be 'host' or a number of bits between 8 and 64")


_MAIL_USER = re.compile(r"[\w+\-~]+(?:\.[\w+\-~]+)*", re.ASCII)
_NODE = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?"
_STORAGE = r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]"
_BRIDGE = r"[-_.\w]+"
_CONTENT = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none")
_storage_id = _matches(_STORAGE, "storage ID '{}' contains illegal characters")
_bridge_id = _matches(_BRIDGE, "invalid bridge ID '{}'")
_absolute_path = looks_like(
    "absolute path", lambda text: re.fullmatch(r"/[-/a-zA-Z0-9_.@]*", text, re.ASCII) is not None
)

FORMATS: dict[str, Check] = {
    **ADDRESS_FORMATS,
    **FIREWALL_FORMATS,
    "bridge-pair": _pair(_bridge_id),
    "disk-size": _disk_size,
    "email-or-username": _email_or_username,
    "graphite-path": _matches(r"[a-zA-Z0-9_.\-]+", "value does not look like a valid graphite path"),
    "ldap-simple-attr": _matches(r"[a-zA-Z0-9]+", "value '{}' does not look like a simple ldap attribute name"),
    "pem-certificate": _pem("CERTIFICATE", multiple=False),
    "pem-certificate-chain": _pem("CERTIFICATE", multiple=True),
    "pem-string": _pem("[A-Z ]+", multiple=False),
    "pve-acme-alias": looks_like("alias", is_dns_name),
    "pve-acme-domain": looks_like("domain", lambda text: is_dns_name(text.removeprefix("*."))),
    "pve-bridge-id": _bridge_id,
    "pve-calendar-event": calendar_event,
    "pve-command-batch": _command_batch,
    "pve-configid": _matches(r"[a-zA-Z][a-zA-Z0-9_\-]+", "invalid configuration ID '{}'"),
    "pve-cpuset": _cpu_set,
    "pve-ct-timezone": _time_zone,
    "pve-day-of-week": _one_of(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "invalid day '{}'"),
    "pve-dir-override": _matches(rf"(?:{'|'.join(_CONTENT)})=/?[^.\s=][^\s=]*", "invalid override '{}'"),
    "pve-groupid": _matches(r"[A-Za-z0-9.\-_]+", "group name '{}' contains invalid characters"),
    "pve-ha-node": looks_like("ha group node", _is_ha_node),
    "pve-ha-resource-id": looks_like("ha resource id", _is_ha_resource),
    "pve-ha-resource-or-vm-id": looks_like(
        "ha resource id", lambda text: _is_ha_resource(text) or re.fullmatch(r"\d+", text, re.ASCII) is not None
    ),
    "pve-hotplug-features": _hotplug,
    "pve-iface": _matches(r"[a-zA-Z][a-zA-Z0-9_]{1,20}(?:[:.]\d+)?", "invalid network interface name '{}'"),
    "pve-lxc-dev-string": _matches(r"(?!.*/\.\.?(?:/|$))/dev/.*", "{} is not a valid device path"),
    "pve-lxc-mp-string": _mount_point,
    "pve-node": looks_like("node name", lambda text: re.fullmatch(_NODE, text, re.ASCII) is not None),
    "pve-phys-bits": _phys_bits,
    "pve-poolid": _pool_id,
    "pve-priv": _one_of(PRIVILEGES, "invalid privilege '{}'"),
    "pve-qm-bootdev": _matches(r"(?:ide|sata|scsi|virtio|net|usb|hostpci)\d+", "invalid boot device '{}'"),
    "pve-qm-bootdisk": _matches(r"(?:ide|sata|scsi|virtio)\d+", "invalid boot disk '{}'"),
    "pve-realm": looks_like("realm", lambda text: re.fullmatch(REALM, text, re.ASCII) is not None),
    "pve-replication-job-id": _matches(r"[1-9][0-9]{2,8}-\d{1,9}", "invalid replication job id '{}'"),
    "pve-roleid": _matches(r"[A-Za-z0-9.\-_]+", "role name '{}' contains invalid characters"),
    "pve-sdn-bgp-rt": looks_like("route target", lambda text: re.fullmatch(r"\d+:\d+", text, re.ASCII) is not None),
    "pve-sdn-controller-id": _matches(
        r"[a-zA-Z][a-zA-Z0-9_\-]*[a-zA-Z0-9]", "controller ID '{}' contains illegal characters"
    ),
    "pve-sdn-dns-id": _sdn_id("dns"),
    "pve-sdn-fabric-id": _matches(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-]{0,6}[a-zA-Z0-9])?", "invalid fabric ID '{}'"),
    "pve-sdn-ipam-id": _sdn_id("ipam"),
    "pve-sdn-isis-net": _matches(
        r"[a-fA-F0-9]{2}(?:\.[a-fA-F0-9]{4}){3,9}\.[a-fA-F0-9]{2}", "value does not look like a valid isis net"
    ),
    "pve-sdn-subnet-id": _matches(r"[^\s]+", "unable to parse subnet ID '{}'"),
    "pve-sdn-vnet-id": _sdn_id("vnet", 8),
    "pve-startup-order": _startup_order,
    "pve-storage-content": _one_of(_CONTENT, "invalid content type '{}'"),
    "pve-storage-id": _storage_id,
    "pve-storage-options": _matches(r"\S+", "value does not look like a valid options"),
    "pve-storage-path": _absolute_path,
    "pve-storage-path-in-property-string": looks_like(
        "absolute path", lambda text: re.fullmatch(r"/[^\0,;=]*", text) is not None
    ),
    "pve-storage-vgname": _matches(r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]", "lvm name '{}' contains illegal characters"),
    "pve-tag": _matches(r"[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*", "invalid characters in tag"),
    "pve-task-status-type": _one_of(("ok", "error", "warning", "unknown"), "invalid status '{}'"),
    "pve-tokenid": _matches(_TOKEN_ID.pattern, "value '{}' does not look like a valid token ID"),
    "pve-userid": _user_id,
    "pve-vlan-id-or-range": _vlan_or_range,
    "pve-vmid": looks_like("VM ID", lambda text: re.fullmatch(r"[1-9][0-9]{2,8}", text, re.ASCII) is not None),
    "pve-volume-id": _volume_id,
    "pve-volume-id-or-absolute-path": _volume_or(lambda text: text.startswith("/")),
    "pve-volume-id-or-qm-path": _volume_or(lambda text: text in ("none", "cdrom") or text.startswith("/")),
    "storage-pair": _pair(_storage_id),
    "string": _anything,
    "urlencoded": _urlencoded,
}


def _list_of(check: Check) -> Check:
    def check_list(text: str) -> None:
        for item in split_list(text):
            check(item)

    return check_list


def _optional(check: Check) -> Check:
    def check_unless_empty(text: str) -> None:
        if text:
            check(text)

    return check_unless_empty


@lru_cache(maxsize=512)
def format_check(name: str) -> Check | None:
    """The check for a named format, or None for a name that no PVE release known here has."""
    check = FORMATS.get(name)
    if check is not None:
        return check
    base, _, suffix = name.rpartition("-")
    inner = FORMATS.get(base)
    if inner is None:
        return None
    return {"list": _list_of(inner), "alist": _list_of(inner), "opt": _optional(inner)}.get(suffix)
