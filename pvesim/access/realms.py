"""Authentication realms, the sections of `domains.cfg`. Sources: recorded exchanges `auth/013`, `access/005`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.access.records import Realm
from pvesim.core.errors import Failure
from pvesim.core.sections import SectionFile, SectionType, split_changes, under
from pvesim.core.world import World

# The two that every cluster has, with their comments: removing one brings it back as it was born.
BUILT_IN: Mapping[str, str] = {
    "pam": "Linux PAM standard authentication",
    "pve": "Proxmox VE authentication server",
}

_DIRECTORY = (
    "server2 port secure sslversion default comment tfa verify capath cert certkey bind_dn filter sync_attributes "
    "user_classes group_dn group_name_attr group_filter group_classes sync-defaults-options mode"
)
_TYPES: Mapping[str, SectionType] = {
    "ad": SectionType.of(required="server1 domain", optional=f"{_DIRECTORY} base_dn user_attr case-sensitive"),
    "ldap": SectionType.of(required="server1 base_dn user_attr", optional=_DIRECTORY),
    "openid": SectionType.of(
        required="issuer-url client-id",
        optional="client-key autocreate prompt scopes acr-values default comment query-userinfo groups-claim "
        "groups-autocreate groups-overwrite",
        fixed="username-claim",
    ),
    "pam": SectionType.of(optional="default comment tfa"),
    "pve": SectionType.of(optional="default comment tfa"),
}
# What a request brings beside the section's options: the bind password goes to a file of its own and is never shown.
_NO_OPTION = ("realm", "type", "password", "check-connection")


def _write(realm: Realm) -> tuple[str, str, Mapping[str, Any]]:
    comment = {"comment": realm.comment} if realm.comment else {}
    return realm.type, realm.realm, {**comment, **realm.options}


def _read(type: str, id: str, options: Mapping[str, Any], before: Realm | None) -> Realm:
    plain: dict[str, Any] = {name: int(value) if isinstance(value, bool) else value for name, value in options.items()}
    return Realm(id, type, plain.pop("comment", ""), plain)


REALMS = SectionFile(Realm, _TYPES, write=_write, read=_read)


def list_realms(world: World) -> list[dict[str, Any]]:
    """All realms with type and comment, which anybody may see: a login form needs them."""
    return [_listed(realm) for realm in world.rows(Realm).values()]


def _listed(realm: Realm) -> dict[str, Any]:
    entry: dict[str, Any] = {"realm": realm.realm, "type": realm.type}
    if realm.comment:
        entry["comment"] = realm.comment
    if realm.options.get("default"):
        entry["default"] = 1
    factor = str(realm.options.get("tfa", ""))
    if factor:
        fields = dict(pair.partition("=")[::2] for pair in factor.split(","))
        entry["tfa"] = fields.get("type", factor)
    return entry


def read_realm(world: World, name: str) -> dict[str, Any]:
    """A realm's options with the digest of the file."""
    realm = _existing(world, name)
    return {"type": realm.type, **REALMS.options(realm), "digest": REALMS.digest(world)}


def _existing(world: World, name: str) -> Realm:
    realm = world.get(Realm, name)
    if realm is None:
        raise Failure(f"domain '{name}' does not exist")
    return realm


def create_realm(world: World, params: Mapping[str, Any]) -> None:
    """Add a realm of a directory or an OpenID provider."""
    name, type = params["realm"], params["type"]
    with under("add auth server failed"):
        if world.get(Realm, name) is not None:
            raise Failure(f"domain '{name}' already exists")
        if type in BUILT_IN:
            raise Failure(f"unable to create builtin type '{type}'")
        given, _, _ = split_changes(params, *_NO_OPTION)
        _keep_one_default(world, REALMS.create(world, type, name, given))


def update_realm(world: World, params: Mapping[str, Any]) -> None:
    """Change a realm's options."""
    given, delete, digest = split_changes(params, *_NO_OPTION)
    with under("update auth server failed"):
        REALMS.check_digest(world, digest)
        realm = _existing(world, params["realm"])
        _keep_one_default(world, REALMS.update(world, realm, given, [name for name in delete if name != "password"]))


def delete_realm(world: World, name: str) -> None:
    """Remove a realm; its users stay. One of the two built-in ones comes back at once."""
    with under("delete auth server failed"):
        REALMS.delete(world, _existing(world, name))
    if name in BUILT_IN:
        world.put(Realm(name, name, BUILT_IN[name]))


def _keep_one_default(world: World, chosen: Realm) -> None:
    """A realm that is made the default takes that from the others."""
    others: Iterable[Realm] = list(world.rows(Realm).values()) if chosen.options.get("default") else ()
    for realm in others:
        if realm.realm != chosen.realm and realm.options.get("default"):
            options = {name: value for name, value in realm.options.items() if name != "default"}
            world.put(replace(realm, options=options))
