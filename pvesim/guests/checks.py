"""Checks of what options refer to: networks that one may use, keys that are keys, scripts that are there.

Source: the privileges that PVE's documentation names (`SDN.Use` on `/sdn/zones/{zone}/{bridge}`); the texts of a node.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.routing import Call
from pvesim.sdn.records import Vnet
from pvesim.storage.names import parse_name, parse_volid
from pvesim.storage.rules import find_storage
from pvesim.storage.volumes import volume_of

_LOCAL_ZONE = "localnetwork"
_NET = re.compile(r"net\d+")
_LENGTH = 4  # bytes that say how long a part of a key is


def check_networks(call: Call, options: Mapping[str, Any]) -> None:
    """Raise `Forbidden` unless who asks may use the bridges of a request, on their VLANs."""
    for key, value in options.items():
        if _NET.fullmatch(key):
            fields = read_options(str(value), "model")
            if fields.get("bridge"):
                _check_bridge(call, fields["bridge"], fields.get("tag"), fields.get("trunks"))


def _check_bridge(call: Call, bridge: str, tag: str | None, trunks: str | None) -> None:
    vnet = call.world.get(Vnet, bridge)
    path = f"/sdn/zones/{vnet.options['zone'] if vnet else _LOCAL_ZONE}/{bridge}"
    vlans = [tag] if tag else [vlan for vlan in (trunks or "").split(";") if vlan]
    for place in [f"{path}/{vlan}" for vlan in vlans] or [path]:
        call.check(place, "SDN.Use")


def check_ssh_keys(text: str) -> None:
    """Raise `Failure` for a line that is no public key of SSH; blank lines are none."""
    for line in text.split("\n"):
        if line.strip() and not _is_key(line.split()):
            raise Failure("SSH public key validation error")


def check_encoded_ssh_keys(text: str) -> None:
    """The same for keys with percent escapes, as the `sshkeys` option has them."""
    check_ssh_keys(unquote(text))


def _is_key(words: list[str]) -> bool:
    """Whether one of the words names a type of key and the next is such a key: parts with lengths, the type first."""
    for name, blob in pairwise(words):
        try:
            parts = _parts(base64.b64decode(blob, validate=True))
        except (binascii.Error, ValueError):
            continue
        if len(parts) > 1 and parts[0] == name.encode():
            return True
    return False


def _parts(blob: bytes) -> list[bytes]:
    parts: list[bytes] = []
    while blob:
        size = int.from_bytes(blob[:_LENGTH], "big")
        if len(blob) < _LENGTH + size:
            raise ValueError("the blob ends early")
        parts.append(blob[_LENGTH : _LENGTH + size])
        blob = blob[_LENGTH + size :]
    return parts


def check_hookscript(world: World, node: str, volid: str) -> None:
    """Raise `Failure` unless a volume is a script that is there."""
    storage, name = parse_volid(volid)
    if parse_name(find_storage(world, storage), name).content != "snippets":
        raise Failure(f"'{volid}' is not in the snippets directory")
    if volume_of(world, node, volid) is None:
        raise Failure(f"script '{volid}' does not exist")
