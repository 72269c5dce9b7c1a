"""What rules refer to by name: aliases, IP sets and security groups.

Sources: recorded exchanges `firewall-cluster/024` to `firewall-cluster/046`, `firewall-vm/024` to `firewall-vm/040`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.firewall.checks import ALIAS, version_of
from pvesim.firewall.files import (
    Scope,
    check_entries,
    clean_comment,
    cluster_firewall,
    firewall_of,
    group_scope,
    security_groups,
    with_digest,
)
from pvesim.firewall.records import Firewall, IpSet

_WHOLE = {4: "/32", 6: "/128"}


def _commented(entry: dict[str, Any], comment: str | None) -> dict[str, Any]:
    text = clean_comment(comment)
    return {**entry, "comment": text} if text else entry


def _stored_address(cidr: str) -> str:
    """An address as its file keeps it: a network of one address loses its length."""
    return cidr.removesuffix(_WHOLE[version_of(cidr)])


# -- aliases -------------------------------------------------------------------------------------------------------


def stored_alias(name: str, cidr: str, comment: str | None) -> dict[str, Any]:
    """An alias as its file keeps it."""
    return _commented({"name": name, "cidr": _stored_address(cidr)}, comment)


def _shown_alias(alias: Mapping[str, Any]) -> dict[str, Any]:
    return {**alias, "ipversion": version_of(alias["cidr"])}


def _shown_aliases(firewall: Firewall) -> list[dict[str, Any]]:
    return [_shown_alias(alias) for _, alias in sorted(firewall.aliases.items())]


def list_aliases(world: World, scope: Scope) -> list[dict[str, Any]]:
    """All aliases by name, each with the digest of the list."""
    return with_digest(_shown_aliases(firewall_of(world, scope)))


def read_alias(world: World, scope: Scope, name: str) -> dict[str, Any]:
    """One alias. Names ignore case."""
    return _shown_alias(_existing_alias(firewall_of(world, scope), name))


def _existing_alias(firewall: Firewall, name: str) -> Mapping[str, Any]:
    alias = firewall.aliases.get(name.lower())
    if alias is None:
        raise ParameterErrors({"name": "no such alias"})
    return alias


def _refuse_taken(firewall: Firewall, name: str) -> None:
    if name.lower() in firewall.aliases:
        raise ParameterErrors({"name": f"alias '{name}' already exists"})


def create_alias(world: World, scope: Scope, params: Mapping[str, Any]) -> None:
    """Add an alias."""
    firewall = firewall_of(world, scope)
    name = params["name"]
    _refuse_taken(firewall, name)
    alias = stored_alias(name, params["cidr"], params.get("comment"))
    world.put(replace(firewall, aliases={**firewall.aliases, name.lower(): alias}))


def update_alias(world: World, scope: Scope, params: Mapping[str, Any]) -> None:
    """Replace an alias's address and comment (none given: none left), and maybe its name."""
    firewall = firewall_of(world, scope)
    check_entries(_shown_aliases(firewall), params.get("digest"))
    _existing_alias(firewall, params["name"])
    name = params.get("rename") or params["name"]
    others = {key: alias for key, alias in firewall.aliases.items() if key != params["name"].lower()}
    _refuse_taken(replace(firewall, aliases=others), name)
    alias = stored_alias(name, params["cidr"], params.get("comment"))
    world.put(replace(firewall, aliases={**others, name.lower(): alias}))


def delete_alias(world: World, scope: Scope, name: str, digest: str | None) -> None:
    """Remove an alias, used or not; one that is not there is no error."""
    firewall = firewall_of(world, scope)
    check_entries(_shown_aliases(firewall), digest)
    aliases = {key: alias for key, alias in firewall.aliases.items() if key != name.lower()}
    world.put(replace(firewall, aliases=aliases))


# -- IP sets -------------------------------------------------------------------------------------------------------


def _shown_sets(firewall: Firewall) -> list[dict[str, Any]]:
    return [_commented({"name": name}, ipset.comment) for name, ipset in sorted(firewall.ipsets.items())]


def list_sets(world: World, scope: Scope) -> list[dict[str, Any]]:
    """The names of all IP sets, with the digest of the list."""
    return with_digest(_shown_sets(firewall_of(world, scope)))


def create_set(world: World, scope: Scope, params: Mapping[str, Any]) -> None:
    """Add an empty set; with `rename`, give the set of that name the new name and comment."""
    firewall = firewall_of(world, scope)
    name, old = params["name"], params.get("rename")
    sets = dict(firewall.ipsets)
    ipset = IpSet()
    if old:
        check_entries(_shown_sets(firewall), params.get("digest"))
        if old not in sets:
            raise ParameterErrors({"name": f"IPSet '{old}' does not exist"})
        if name in sets and name != old:
            raise ParameterErrors({"name": f"IPSet '{name}' does already exist"})
        ipset = sets.pop(old)
    elif name in sets:
        raise ParameterErrors({"name": f"IPSet '{name}' already exists"})
    if params.get("comment") is not None:
        ipset = replace(ipset, comment=clean_comment(params["comment"]))
    # Section names are read back in lower case.
    world.put(replace(firewall, ipsets={**sets, name.lower(): ipset}))


def _existing_set(firewall: Firewall, name: str) -> IpSet:
    ipset = firewall.ipsets.get(name)
    if ipset is None:
        raise Failure(f"no such IPSet '{name}'")
    return ipset


def delete_set(world: World, scope: Scope, name: str, force: bool) -> None:
    """Remove a set; one with entries only by `force`."""
    firewall = firewall_of(world, scope)
    if _existing_set(firewall, name).entries and not force:
        raise Failure(f"IPSet '{name}' is not empty")
    world.put(replace(firewall, ipsets={key: ipset for key, ipset in firewall.ipsets.items() if key != name}))


def list_entries(world: World, scope: Scope, name: str) -> list[dict[str, Any]]:
    """The entries of a set, with the digest of the list."""
    return with_digest(_existing_set(firewall_of(world, scope), name).entries)


def read_entry(world: World, scope: Scope, name: str, cidr: str) -> dict[str, Any]:
    """One entry of a set."""
    for entry in list_entries(world, scope, name):
        if entry["cidr"] == cidr:
            return entry
    raise ParameterErrors({"cidr": "no such address"})


def stored_entry(cidr: str, nomatch: bool, comment: str | None) -> dict[str, Any]:
    """An entry as its file keeps it."""
    address = cidr if ALIAS.fullmatch(cidr) else _stored_address(cidr)
    return _commented({"cidr": address, **({"nomatch": 1} if nomatch else {})}, comment)


def create_entry(world: World, scope: Scope, params: Mapping[str, Any]) -> None:
    """Add an address, a network or an alias to a set."""
    firewall = firewall_of(world, scope)
    ipset, cidr = _existing_set(firewall, params["name"]), params["cidr"]
    if any(entry["cidr"] == cidr for entry in ipset.entries):
        raise ParameterErrors({"cidr": f"address '{cidr}' already exists"})
    if re.search(r"/0+$", cidr):
        raise ParameterErrors({"cidr": "a zero prefix is not allowed in ipset entries"})
    if match := ALIAS.fullmatch(cidr):
        _check_alias(world, firewall, cidr, match[2])
    entry = stored_entry(cidr, bool(params.get("nomatch")), params.get("comment"))
    _put_entries(world, firewall, params["name"], [*ipset.entries, entry])


def _check_alias(world: World, firewall: Firewall, given: str, name: str) -> None:
    if all(name.lower() not in place.aliases for place in (firewall, cluster_firewall(world))):
        raise Failure(f"no such alias '{given}'")


def update_entry(world: World, scope: Scope, params: Mapping[str, Any]) -> None:
    """Replace an entry's comment and `nomatch`: what is not given is gone."""
    firewall = firewall_of(world, scope)
    name, cidr = params["name"], params["cidr"]
    entries = _existing_set(firewall, name).entries
    check_entries(entries, params.get("digest"))
    if all(entry["cidr"] != cidr for entry in entries):
        raise ParameterErrors({"cidr": "no such address"})
    changed = stored_entry(cidr, bool(params.get("nomatch")), params.get("comment"))
    _put_entries(world, firewall, name, [changed if entry["cidr"] == cidr else entry for entry in entries])


def delete_entry(world: World, scope: Scope, name: str, cidr: str, digest: str | None) -> None:
    """Remove an entry of a set; one that is not there is no error."""
    firewall = firewall_of(world, scope)
    entries = _existing_set(firewall, name).entries
    check_entries(entries, digest)
    _put_entries(world, firewall, name, [entry for entry in entries if entry["cidr"] != cidr])


def _put_entries(world: World, firewall: Firewall, name: str, entries: list[Mapping[str, Any]]) -> None:
    ordered = tuple(sorted(entries, key=lambda entry: str(entry["cidr"])))
    world.put(replace(firewall, ipsets={**firewall.ipsets, name: replace(firewall.ipsets[name], entries=ordered)}))


# -- security groups -----------------------------------------------------------------------------------------------


def _shown_groups(world: World) -> list[dict[str, Any]]:
    return [_commented({"group": name}, group.comment) for name, group in security_groups(world).items()]


def list_groups(world: World) -> list[dict[str, Any]]:
    """The names of all security groups, with the digest of the list."""
    return with_digest(_shown_groups(world))


def create_group(world: World, params: Mapping[str, Any]) -> None:
    """Add an empty security group; with `rename`, give the group of that name the new name and comment."""
    groups = security_groups(world)
    name, old = params["group"], params.get("rename")
    comment = params.get("comment")
    if not old:
        if name in groups:
            raise ParameterErrors({"group": f"Security group '{name}' already exists"})
        world.put(Firewall(group_scope(name.lower()).key, comment=clean_comment(comment)))
        return
    check_entries(_shown_groups(world), params.get("digest"))
    if old not in groups:
        raise ParameterErrors({"group": f"Security group '{old}' does not exist"})
    if name in groups and name != old:
        raise ParameterErrors({"group": f"Security group '{name}' does already exist"})
    kept = groups[old].comment if comment is None else clean_comment(comment)
    world.remove(Firewall, group_scope(old).key)
    world.put(replace(groups[old], scope=group_scope(name.lower()).key, comment=kept))


def delete_group(world: World, name: str) -> None:
    """Remove a security group without rules. Rules that name it stay."""
    group = firewall_of(world, group_scope(name))
    if group.rules:
        raise Failure(f"Security group '{name}' is not empty")
    world.remove(Firewall, group.key)


# -- references ----------------------------------------------------------------------------------------------------


def list_references(world: World, scope: Scope, type: str | None) -> list[dict[str, Any]]:
    """What a rule of the scope may name as source or destination: the cluster's sets and aliases, and a guest's own."""
    found = [*_references(cluster_firewall(world), "dc")]
    if scope.kind in ("vm", "ct"):
        found += _references(firewall_of(world, scope), "guest")
    return [entry for entry in found if type in (None, entry["type"])]


def _references(firewall: Firewall, place: str) -> Iterator[dict[str, Any]]:
    for name, ipset in sorted(firewall.ipsets.items()):
        entry = {"type": "ipset", "name": name, "ref": f"+{place}/{name}", "scope": place}
        yield _commented(entry, ipset.comment)
    for _, alias in sorted(firewall.aliases.items()):
        entry = {"type": "alias", "name": alias["name"], "ref": f"{place}/{alias['name']}", "scope": place}
        yield _commented(entry, alias.get("comment"))
