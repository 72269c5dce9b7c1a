"""From a scenario to the records of the access area: realms, roles, groups, users, tokens and the ACL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pvesim.access.login import hash_password
from pvesim.access.records import AclEntry, Group, Realm, Role, Token, User
from pvesim.contract import verify
from pvesim.contract.privilege_names import PRIVILEGES
from pvesim.core.errors import ParameterErrors
from pvesim.scenario.context import Context, known_names, stable_uuid
from pvesim.scenario.model import UserModel
from pvesim.scenario.reading import Location


def build_access(context: Context) -> None:
    """Everything but the ACL, which speaks of what comes later as well."""
    _build_realms(context)
    _build_roles(context)
    for groupid, group in context.scenario.groups.items():
        _accepted(context, "POST", "/access/groups", ("groups", groupid), groupid=groupid)
        context.world.put(Group(groupid, group.comment, _members(context, groupid)))
    for userid, user in context.scenario.users.items():
        _build_user(context, userid, user)


def _accepted(context: Context, verb: str, path: str, location: Location, **given: object) -> None:
    """Note what PVE would say of an id that stands as a key in the scenario."""
    try:
        verify(context.contract.method(verb, path), given)
    except ParameterErrors as error:
        for text in (error.errors or {}).values():
            context.problem(location, f"PVE refuses it: {' '.join(text.split())}")


def _build_realms(context: Context) -> None:
    for realm, model in context.scenario.realms.items():
        location: Location = ("realms", realm, "config")
        options = context.verified("POST", "/access/domains", location, model.config, realm=realm, type=model.type)
        comment = str(options.pop("comment", ""))
        context.world.put(Realm(realm, model.type, comment, options))


def _build_roles(context: Context) -> None:
    for roleid, privileges in context.scenario.roles.items():
        location: Location = ("roles", roleid)
        known = context.world.get(Role, roleid)
        if known is not None and known.special:
            context.problem(location, f"'{roleid}' is a built-in role")
            continue
        _accepted(context, "POST", "/access/roles", location, roleid=roleid)
        for position, privilege in enumerate(privileges):
            if privilege not in PRIVILEGES:
                context.problem((*location, position), f"no privilege '{privilege}'")
        context.world.put(Role(roleid, tuple(sorted(privileges))))


def _members(context: Context, groupid: str) -> tuple[str, ...]:
    return tuple(userid for userid, user in context.scenario.users.items() if groupid in user.groups)


def _build_user(context: Context, userid: str, model: UserModel) -> None:
    world = context.world
    location: Location = ("users", userid)
    email = {"email": model.email} if model.email else {}
    _accepted(context, "POST", "/access/users", location, userid=userid, **email)
    realm = userid.rpartition("@")[2]
    if world.get(Realm, realm) is None:
        context.problem(location, f"no realm '{realm}': {known_names(world.rows(Realm))}")
    for position, groupid in enumerate(model.groups):
        if world.get(Group, groupid) is None:
            context.problem((*location, "groups", position), f"no group '{groupid}': {known_names(world.rows(Group))}")
    user = replace(
        world.get(User, userid) or User(userid),
        enable=model.enable,
        expire=int(model.expire),
        firstname=model.firstname,
        lastname=model.lastname,
        email=model.email,
        comment=model.comment,
    )
    world.put(user if model.password is None else replace(user, password=hash_password(world, model.password)))
    for tokenid, token in model.tokens.items():
        _accepted(
            context,
            "POST",
            "/access/users/{userid}/token/{tokenid}",
            (*location, "tokens", tokenid),
            userid=userid,
            tokenid=tokenid,
        )
        secret = token.secret or stable_uuid(world.seed, "token", userid, tokenid)
        world.put(Token(userid, tokenid, secret, token.privsep, int(token.expire), token.comment))


def build_acl(context: Context) -> None:
    """The ACL, after everything that it may speak of."""
    world = context.world
    known: dict[str, Mapping[str, object]] = {
        "user": world.rows(User),
        "group": world.rows(Group),
        "token": world.rows(Token),
    }
    for position, entry in enumerate(context.scenario.acl):
        location: Location = ("acl", position)
        type, ugid = entry.subject
        if ugid not in known[type]:
            context.problem((*location, type), f"no {type} '{ugid}': {known_names(known[type])}")
        if world.get(Role, entry.role) is None:
            context.problem((*location, "role"), f"no role '{entry.role}': {known_names(world.rows(Role))}")
        path = "/" + "/".join(part for part in entry.path.split("/") if part)
        world.put(AclEntry(path, type, ugid, entry.role, entry.propagate))
