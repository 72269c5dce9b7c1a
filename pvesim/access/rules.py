"""Who may do what: identities, effective privileges.

Rules as PVE documents and shows them: an entry for a user on a path outweighs those of groups and what is inherited
from above; `NoAccess` takes everything; members of a pool inherit from `/pool/ID`, for themselves only; a token with
privilege separation has what both it and its user have; `root@pam` has everything, its tokens without separation too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pvesim.access.records import AclEntry, Group, Role, Token, User
from pvesim.contract.privilege_names import PRIVILEGES
from pvesim.core.world import World
from pvesim.pools.records import Pool

ROOT = "root@pam"
_ALL: Mapping[str, bool] = dict.fromkeys(sorted(PRIVILEGES), True)
_NONE: Mapping[str, bool] = {}
_TABLES = (AclEntry, Group, Role, Token, User, Pool)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a user, or one of its tokens."""

    userid: str
    tokenid: str | None = None

    @property
    def name(self) -> str:
        """As UPIDs and logs show it: `root@pam`, or `root@pam!name`."""
        return f"{self.userid}!{self.tokenid}" if self.tokenid else self.userid

    @property
    def is_root(self) -> bool:
        """Whether this is `root@pam` itself. Its tokens are not, even with all its privileges."""
        return self.userid == ROOT and self.tokenid is None


def has_privileges(
    world: World, identity: Identity, path: str, privileges: Sequence[str], any_of: bool = False
) -> bool:
    """Whether an identity has all (or any) of the privileges on a path."""
    if identity.userid == ROOT and identity.tokenid is None:
        return True
    held = effective(world, identity, path)
    return any(name in held for name in privileges) if any_of else all(name in held for name in privileges)


def effective(world: World, identity: Identity, path: str) -> Mapping[str, bool]:
    """The privileges on a path, each with whether it was given to what lies below as well."""
    return world.cached(("privileges", identity, path), _TABLES, lambda: _effective(world, identity, path))


def _effective(world: World, identity: Identity, path: str) -> Mapping[str, bool]:
    own = _ALL if identity.userid == ROOT else _from_acl(world, identity.userid, "user", path)
    if identity.tokenid is None:
        return own
    token = world.get(Token, identity.name)
    if token is None:
        return _NONE
    if not token.privsep:
        return own
    separate = _from_acl(world, identity.name, "token", path)
    return {name: flag and own[name] for name, flag in separate.items() if name in own}


def _from_acl(world: World, ugid: str, type: str, path: str) -> Mapping[str, bool]:
    roles = _roles(world, ugid, type, path)
    if "NoAccess" in roles:
        return _NONE
    # What a pool gives is for its members alone, and not for what lies below them.
    pooled = {role: False for pool in _pools_of(world, path) for role in _roles(world, ugid, type, f"/pool/{pool}")}
    return _NONE if "NoAccess" in pooled else _privileges_of(world, {**pooled, **roles})


def _privileges_of(world: World, roles: Mapping[str, bool]) -> dict[str, bool]:
    privileges: dict[str, bool] = {}
    for roleid, propagate in roles.items():
        role = world.get(Role, roleid)
        for name in role.privileges if role else ():
            privileges[name] = privileges.get(name, False) or propagate
    return privileges


def _roles(world: World, ugid: str, type: str, path: str) -> dict[str, bool]:
    """The roles on a path, each with its propagate flag; what is given further down replaces what is inherited."""
    groups = {group.groupid for group in world.rows(Group).values() if ugid in group.members} if type == "user" else ()
    roles: dict[str, bool] = {}
    for level in levels(path):
        own: dict[str, bool] = {}
        grouped: dict[str, bool] = {}
        for entry in _entries_at(world, level):
            if not entry.propagate and level != path:
                continue
            if entry.type == type and entry.ugid == ugid:
                own[entry.roleid] = entry.propagate
            elif entry.type == "group" and entry.ugid in groups:
                grouped[entry.roleid] = grouped.get(entry.roleid, False) or entry.propagate
        roles = own or grouped or roles
    return roles


def _entries_at(world: World, path: str) -> Sequence[AclEntry]:
    def by_path() -> dict[str, list[AclEntry]]:
        table: dict[str, list[AclEntry]] = {}
        for entry in world.rows(AclEntry).values():
            table.setdefault(entry.path, []).append(entry)
        return table

    return world.cached("acl by path", (AclEntry,), by_path).get(path, ())


def levels(path: str) -> Iterator[str]:
    """The path and all above it, from `/` down."""
    yield "/"
    place = ""
    for part in path.strip("/").split("/"):
        if part:
            place += "/" + part
            yield place


def _pools_of(world: World, path: str) -> Sequence[str]:
    def by_member() -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for pool in world.rows(Pool).values():
            for member in (*(f"/vms/{vmid}" for vmid in pool.vmids), *(f"/storage/{name}" for name in pool.storages)):
                table.setdefault(member, []).append(pool.poolid)
        return table

    return world.cached("pools by member", (Pool,), by_member).get(path, ())


def groups_of(world: World, userid: str) -> list[str]:
    """The ids of the groups a user is in, sorted."""
    return sorted(group.groupid for group in world.rows(Group).values() if userid in group.members)
