"""The rules of a world as sections of a scenario: who may do what, the firewall, high availability."""

from __future__ import annotations

from typing import Any

from pvesim.access.realms import BUILT_IN
from pvesim.access.records import AclEntry, Group, Realm, Role, Token, User
from pvesim.core.world import World
from pvesim.firewall.records import Firewall
from pvesim.ha.records import HaResource, HaRule
from pvesim.scenario.written import different, plain


def realms(world: World) -> dict[str, Any]:
    """The realms beside the two that are always there."""
    return {
        realm.realm: {
            "type": realm.type,
            "config": {**plain(realm.options), **({"comment": realm.comment} if realm.comment else {})},
        }
        for realm in world.rows(Realm).values()
        if realm.realm not in BUILT_IN
    }


def roles(world: World) -> dict[str, Any]:
    """The roles that are not built in."""
    return {role.roleid: list(role.privileges) for role in world.rows(Role).values() if not role.special}


def groups(world: World) -> dict[str, Any]:
    """All groups; users name theirs."""
    return {group.groupid: {"comment": group.comment} if group.comment else {} for group in world.rows(Group).values()}


def users(world: World) -> dict[str, Any]:
    """All users with their groups and tokens. Their passwords are hashes, which no section holds."""
    return {user.userid: _user(world, user) for user in world.rows(User).values()}


def _user(world: World, user: User) -> dict[str, Any]:
    written = different(user, User(user.userid))
    for name in ("password", "keys"):
        written.pop(name, None)
    member = [group.groupid for group in world.rows(Group).values() if user.userid in group.members]
    tokens = {
        token.tokenid: {"secret": token.secret, **_token(token)}
        for token in world.rows(Token).values()
        if token.userid == user.userid
    }
    return {**written, **({"groups": member} if member else {}), **({"tokens": tokens} if tokens else {})}


def _token(token: Token) -> dict[str, Any]:
    return different(token, Token(token.userid, token.tokenid, token.secret))


def acl(world: World) -> list[dict[str, Any]]:
    """The ACL."""
    return [
        {
            "path": entry.path,
            entry.type: entry.ugid,
            "role": entry.roleid,
            **({} if entry.propagate else {"propagate": False}),
        }
        for entry in world.rows(AclEntry).values()
    ]


def firewall(world: World) -> dict[str, Any]:
    """The firewall at all levels."""
    written: dict[str, Any] = {}
    for scope in world.rows(Firewall).values():
        level, _, name = scope.scope.partition("/")
        if level == "cluster":
            written["cluster"] = _scope(scope)
        elif level == "group":
            group = {"comment": scope.comment, "rules": [plain(rule) for rule in scope.rules]}
            written.setdefault("groups", {})[name] = {key: value for key, value in group.items() if value}
        elif level == "node":
            written.setdefault("nodes", {})[name] = _scope(scope)
        elif level == "guest":
            written.setdefault("guests", {})[int(name)] = _scope(scope)
    return written


def _scope(scope: Firewall) -> dict[str, Any]:
    aliases = {
        alias["name"]: {name: value for name, value in alias.items() if name != "name"}
        for alias in scope.aliases.values()
    }
    ipsets = {
        name: {
            **({"comment": ipset.comment} if ipset.comment else {}),
            "entries": [_entry(dict(entry)) for entry in ipset.entries],
        }
        for name, ipset in scope.ipsets.items()
    }
    parts = {
        "options": plain(scope.options),
        "rules": [plain(rule) for rule in scope.rules],
        "aliases": aliases,
        "ipsets": ipsets,
    }
    return {name: value for name, value in parts.items() if value}


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, **({"nomatch": bool(entry["nomatch"])} if "nomatch" in entry else {})}


def high_availability(world: World) -> dict[str, Any]:
    """What HA manages, and its rules."""
    resources = {
        resource.sid: {"state": resource.state, **plain(resource.options)}
        for resource in world.rows(HaResource).values()
    }
    rules = {rule.rule: {"type": rule.type, **plain(rule.options)} for rule in world.rows(HaRule).values()}
    return {name: value for name, value in (("resources", resources), ("rules", rules)) if value}
