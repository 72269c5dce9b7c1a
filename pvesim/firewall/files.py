"""Firewall files: which one a path of the API is about, and what all answers about them share.

Digests are those of a genuine node (recorded exchanges `firewall-*/013`, `027`, `033`, `044`): the SHA-1 of `key:value`
lines, keys sorted, of what is listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pvesim.core.errors import Failure
from pvesim.core.sections import check_digest, digest_of
from pvesim.core.world import World
from pvesim.firewall.records import Firewall

CLUSTER = "cluster"
_GROUP = "group/"


@dataclass(frozen=True, slots=True)
class Scope:
    """A place that has firewall rules: its record's key, and what kind of place it is."""

    key: str
    kind: Literal["cluster", "node", "vm", "ct", "group", "vnet"]


def group_scope(name: str) -> Scope:
    """The scope of a security group."""
    return Scope(_GROUP + name, "group")


def firewall_of(world: World, scope: Scope) -> Firewall:
    """The file of a scope, empty where none was written. Raises `Failure` for a security group that is not there."""
    firewall = world.get(Firewall, scope.key)
    if firewall is None and scope.kind == "group":
        raise Failure(f"no such security group '{scope.key.removeprefix(_GROUP)}'")
    return firewall or Firewall(scope.key)


def cluster_firewall(world: World) -> Firewall:
    """The cluster's file, whose aliases and IP sets serve everywhere."""
    return world.get(Firewall, CLUSTER) or Firewall(CLUSTER)


def security_groups(world: World) -> dict[str, Firewall]:
    """The security groups, sorted by name."""
    found = {key: firewall for key, firewall in world.rows(Firewall).items() if key.startswith(_GROUP)}
    return {key.removeprefix(_GROUP): found[key] for key in sorted(found)}


# -- digests -------------------------------------------------------------------------------------------------------


def _lines(entry: Mapping[str, Any]) -> str:
    return "".join(f"{key}:{entry[key]}\n" for key in sorted(entry) if not isinstance(entry[key], dict))


def digest_of_entries(entries: Iterable[Mapping[str, Any]]) -> str:
    """The digest of a list of rules, aliases, sets or groups, or of options as a list of one."""
    return digest_of("".join(_lines(entry) for entry in entries))


def with_digest(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries, each with the digest of all."""
    listed = list(entries)
    digest = digest_of_entries(listed)
    return [{**entry, "digest": digest} for entry in listed]


def check_entries(entries: Iterable[Mapping[str, Any]], digest: str | None) -> None:
    """Raise `Failure` if a client's digest shows that it has read an older state."""
    if digest:
        check_digest(digest_of_entries(entries), digest)


def clean_comment(comment: str | None) -> str:
    """A comment as its line in the file keeps it: the first line, without blanks around."""
    return (comment or "").strip().partition("\n")[0].strip()
