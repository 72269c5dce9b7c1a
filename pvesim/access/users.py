"""Users: who is shown to whom, and what creating, changing and deleting one does.

Sources: recorded exchanges `access/001` to `access/024`, `access/094` to `access/097`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pvesim.access.acl import forget_subject
from pvesim.access.groups import join_groups, leave_groups
from pvesim.access.login import password_matches, set_password
from pvesim.access.records import Group, Realm, Token, User
from pvesim.access.rules import ROOT, Identity, groups_of, has_privileges
from pvesim.access.second_factors import forget
from pvesim.access.tokens import shown_token, tokens_of
from pvesim.access.userfile import changing, is_written
from pvesim.contract import split_list
from pvesim.core.errors import Failure, Forbidden, ParameterErrors
from pvesim.core.world import World

_TEXTS = ("firstname", "lastname", "email", "comment", "keys")
_SEEING = ("User.Modify", "Sys.Audit")


def existing_user(world: World, userid: str) -> User:
    """The user. Raises `Failure` for one that is not there."""
    user = world.get(User, userid)
    if user is None:
        raise Failure(f"no such user ('{userid}')")
    return user


def list_users(world: World, identity: Identity, enabled: bool | None, full: bool) -> list[dict[str, Any]]:
    """The users that who asks may see, by id: all, oneself, and the members of groups that one may see."""
    sees_all = has_privileges(world, identity, "/access/groups", _SEEING, any_of=True)
    members = set() if sees_all else _visible_members(world, identity)
    return [
        _listed(world, user, full)
        for userid, user in sorted(world.rows(User).items())
        if (sees_all or userid == identity.name or userid in members) and enabled in (None, user.enable)
    ]


def _visible_members(world: World, identity: Identity) -> set[str]:
    return {
        userid
        for group in world.rows(Group).values()
        if has_privileges(world, identity, f"/access/groups/{group.groupid}", _SEEING, any_of=True)
        for userid in group.members
    }


def _listed(world: World, user: User, full: bool) -> dict[str, Any]:
    entry = {"userid": user.userid, **_shown(world, user)}
    realm = world.get(Realm, user.realm)
    if realm is not None:
        entry["realm-type"] = realm.type
    if full:
        tokens = [{"tokenid": token.tokenid, **shown_token(token)} for token in tokens_of(world, user.userid)]
        entry["groups"] = ",".join(groups_of(world, user.userid))
        entry["tokens"] = tokens or None
    return entry


def _shown(world: World, user: User) -> dict[str, Any]:
    shown: dict[str, Any] = {"enable": int(user.enable)}
    if user.userid != ROOT or is_written(world):
        shown["expire"] = user.expire
    texts = {name: getattr(user, name) for name in _TEXTS}
    return {**shown, **{name: text for name, text in texts.items() if text}}


def read_user(world: World, userid: str) -> dict[str, Any]:
    """One user with its groups (a list) and tokens (by name; null without any)."""
    user = existing_user(world, userid)
    tokens = {token.tokenid: shown_token(token) for token in tokens_of(world, userid)}
    return {**_shown(world, user), "groups": groups_of(world, userid), "tokens": tokens or None}


def create_user(world: World, params: Mapping[str, Any]) -> None:
    """Add a user. The realm need not exist unless a password is given."""
    userid = params["userid"]
    with changing(world, "create user failed"):
        if world.get(User, userid) is not None:
            raise Failure(f"user '{userid}' already exists")
        world.put(_with_settings(User(userid), params))
        if params.get("password") is not None:
            store_password(world, userid, params["password"])
        join_groups(world, userid, split_list(params.get("groups") or ""))


def update_user(world: World, userid: str, params: Mapping[str, Any]) -> None:
    """Change what is given; `groups` replaces the memberships unless `append` is set."""
    with changing(world, "update user failed"):
        world.put(_with_settings(existing_user(world, userid), params))
        if params.get("groups") is not None:
            if not params.get("append"):
                leave_groups(world, userid)
            join_groups(world, userid, split_list(params["groups"]))


def _with_settings(user: User, params: Mapping[str, Any]) -> User:
    given = {name: params[name] for name in ("enable", "expire", *_TEXTS) if params.get(name) is not None}
    return replace(user, **given)


def delete_user(world: World, userid: str) -> None:
    """Remove a user with tokens, memberships and ACL entries. An unknown one is no error; root is born again."""
    with changing(world, "delete user failed"):
        user = world.get(User, userid)
        for token in tokens_of(world, userid):
            world.remove(Token, token.key)
            forget_subject(world, "token", token.key)
        leave_groups(world, userid)
        forget_subject(world, "user", userid)
        forget(world, userid)
        world.remove(User, userid)
        if user is not None and userid == ROOT:
            world.put(User(ROOT, password=user.password))


# -- passwords -----------------------------------------------------------------------------------------------------


def store_password(world: World, userid: str, password: str) -> None:
    """Set a password where the user's realm keeps it. Raises `Failure` where it keeps none."""
    user = existing_user(world, userid)
    realm = world.get(Realm, user.realm)
    if realm is None:
        raise Failure(f"auth domain '{user.realm}' does not exist")
    if realm.type == "pam" and user.password is None:
        # Its users are those of the node's operating system, which knows only the ones that came with a password.
        name = userid.rpartition("@")[0]
        raise Failure(f"change password failed: usermod: user '{name}' does not exist")
    if realm.type not in ("pam", "pve"):
        raise Failure(f"can't set password on auth type '{realm.type}'")
    set_password(world, userid, password)


def change_password(world: World, identity: Identity, userid: str, password: str, confirmation: str | None) -> None:
    """Change a password. All but root confirm with their own, and change none of root and of others in `pam`."""
    existing_user(world, userid)
    if not identity.is_root:
        if userid == ROOT:
            raise Forbidden("Permission check failed")
        if confirmation is None:
            raise ParameterErrors({"confirmation-password": "password is required to modify user"})
        if not password_matches(world, identity.userid, confirmation):
            raise Failure("invalid credentials")
        if userid != identity.userid and userid.endswith("@pam"):
            raise Forbidden("Permission check failed")
    store_password(world, userid, password)
