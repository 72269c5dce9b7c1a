"""The cluster-wide options (`datacenter.cfg`): as they are stored, and as `GET /cluster/options` shows them.

Source: recorded exchanges `cluster/010-015`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pvesim.access.rules import Identity, has_privileges
from pvesim.cluster.rules import the_cluster
from pvesim.contract import parse_property_string
from pvesim.contract.methods import Contract
from pvesim.contract.schema import Schema
from pvesim.core.sections import split_changes
from pvesim.core.world import World
from pvesim.guests.records import Guest

DEFAULT_MAC_PREFIX = "BC:24:11"
_OPEN_TO_ALL = ("console", "tag-style")
_KEPT_AS_TEXT = frozenset(("bwlimit",))


def show_options(world: World, identity: Identity) -> dict[str, Any]:
    """The options; those who may not audit the cluster see only what their web interface needs."""
    stored = the_cluster(world).options
    shown: dict[str, Any] = {"allowed-tags": allowed_tags(world, identity)}
    if not has_privileges(world, identity, "/", ("Sys.Audit",)):
        return shown | {name: _apart(name, stored[name]) for name in _OPEN_TO_ALL if name in stored}
    shown |= {"description": "", "mac_prefix": DEFAULT_MAC_PREFIX}
    return shown | {name: _apart(name, value) for name, value in stored.items()}


def change_options(world: World, params: Mapping[str, Any]) -> None:
    """Delete what `delete` names, then set the rest."""
    cluster = the_cluster(world)
    given, deleted, _ = split_changes(params)
    if "description" in given:
        # It is written as comment lines, so it comes back with a line feed at its end.
        given["description"] = given["description"].rstrip("\n") + "\n" if given["description"] else ""
    kept = {name: value for name, value in cluster.options.items() if name not in deleted}
    world.put(replace(cluster, options={**kept, **given}))


def allowed_tags(world: World, identity: Identity) -> list[str]:
    """The tags that who asks may give to guests without further rights, sorted."""
    stored = the_cluster(world).options
    access = _read_pairs(str(stored.get("user-tag-access", "")))
    allow = access.get("user-allow", "free")
    privileged = has_privileges(world, identity, "/", ("Sys.Modify",))
    tags: set[str] = set()
    if privileged:
        tags.update(_split_tags(stored.get("registered-tags", "")))
    if privileged or allow != "none":
        tags.update(_split_tags(access.get("user-allow-list", "")))
    if privileged or allow in ("free", "existing"):
        for guest in world.rows(Guest).values():
            if "tags" in guest.config and has_privileges(world, identity, f"/vms/{guest.vmid}", ("VM.Audit",)):
                tags.update(_split_tags(guest.config["tags"]))
    return sorted(tags)


def _apart(name: str, value: Any) -> Any:
    """A value as it is read from the file: an option with parts as an object, a number as text."""
    if name == "registered-tags":
        return _split_tags(value)
    schema = _schema_of(name)
    if name in _KEPT_AS_TEXT or schema is None or schema.fields is None:
        return str(value)
    parts = parse_property_string(schema, value)
    fields: dict[str, Any] = {key: int(part) if isinstance(part, bool) else str(part) for key, part in parts.items()}
    if "user-allow-list" in fields:
        fields["user-allow-list"] = _split_tags(fields["user-allow-list"])
    return fields


def _schema_of(name: str) -> Schema | None:
    """How an option is written, which the method that sets it tells."""
    found = Contract.load().find("PUT", ["cluster", "options"])
    return found[0].parameters.get(name) if found else None


def _split_tags(text: str) -> list[str]:
    return [tag for tag in re.split(r"[;,\s]+", text) if tag]


def _read_pairs(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in text.split(",")) if value}
