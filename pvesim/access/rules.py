"""Who may do what: identities, effective privileges.

Rules as PVE documents and shows them: an entry for a user on a path outweighs those of groups and what is inherited
from above; `NoAccess` takes everything; members of a pool inherit from `/pool/ID`, for themselves only; a token with
privilege separation has what both it and its user have; `root@pam` has everything, its tokens without separation too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pvesim.access.records import AclEntry, Group, Role, Token
from pvesim.contract.privilege_names import PRIVILEGES
from pvesim.core.world import World
from pvesim.pools.records import Pool

ROOT = "root@pam"
_ALL: Mapping[str, bool] = dict.fromkeys(sorted(PRIVILEGES), True)
_REMEMBERED = 20_000  # paths whose privileges are kept for one user: clients may ask for any
_NONE: Mapping[str, bool] = {}
_TABLES = (AclEntry, Group, Role, Pool)


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
    if identity.tokenid is None:
        return _of_user(world, identity.userid, path)
    token = world.get(Token, identity.name)
    if token is None:
        return _NONE
    own = _of_user(world, identity.userid, path)
    if not token.privsep:
        return own
    separate = _rights(world, "token", identity.name).privileges(path)
    return {name: flag and own[name] for name, flag in separate.items() if name in own}


def _of_user(world: World, userid: str, path: str) -> Mapping[str, bool]:
    return _ALL if userid == ROOT else _rights(world, "user", userid).privileges(path)


def _rights(world: World, type: str, ugid: str) -> _Rights:
    return world.cached(("rights", type, ugid), _TABLES, lambda: _Rights(world, type, ugid))


class _Rights:
    """What a user or token is given, path by path. Found out once and kept until one of `_TABLES` changes.

    It keeps no world: forks share it, and none of them may change what the others see.
    """

    __slots__ = ("_by_path", "_entries", "_pools", "_roles")

    def __init__(self, world: World, type: str, ugid: str) -> None:
        groups = frozenset(groups_of(world, ugid)) if type == "user" else frozenset()
        self._entries: dict[str, list[AclEntry]] = {}
        for entry in world.rows(AclEntry).values():
            if (entry.type == type and entry.ugid == ugid) or (entry.type == "group" and entry.ugid in groups):
                self._entries.setdefault(entry.path, []).append(entry)
        self._roles = {roleid: role.privileges for roleid, role in world.rows(Role).items()}
        self._pools = _pools_by_member(world)
        self._by_path: dict[str, Mapping[str, bool]] = {}

    def privileges(self, path: str) -> Mapping[str, bool]:
        """The privileges on a path with their propagate flags."""
        held = self._by_path.get(path)
        if held is None:
            if len(self._by_path) >= _REMEMBERED:
                self._by_path.clear()
            held = self._by_path[path] = self._find(path)
        return held

    def _find(self, path: str) -> Mapping[str, bool]:
        roles = self._roles_on(path)
        # What a pool gives is for its members alone, and not for what lies below them.
        pooled = {role: False for pool in self._pools.get(path, ()) for role in self._roles_on(f"/pool/{pool}")}
        if "NoAccess" in roles or "NoAccess" in pooled:
            return _NONE
        privileges: dict[str, bool] = {}
        for roleid, propagate in {**pooled, **roles}.items():
            for name in self._roles.get(roleid, ()):
                privileges[name] = privileges.get(name, False) or propagate
        return privileges

    def _roles_on(self, path: str) -> Mapping[str, bool]:
        """The roles on a path; what is given there replaces what is inherited."""
        return self._given(path, reaching_down=False) or self._inherited_from(_above(path))

    def _inherited_from(self, path: str) -> Mapping[str, bool]:
        """The roles that a path, or the nearest above it that has any, hands down."""
        while path:
            if roles := self._given(path, reaching_down=True):
                return roles
            path = _above(path)
        return _NONE

    def _given(self, path: str, *, reaching_down: bool) -> Mapping[str, bool]:
        """The roles given on a path itself: one's own outweigh those of one's groups."""
        own: dict[str, bool] = {}
        shared: dict[str, bool] = {}
        for entry in self._entries.get(path, ()):
            if entry.propagate or not reaching_down:
                roles = shared if entry.type == "group" else own
                roles[entry.roleid] = roles.get(entry.roleid, False) or entry.propagate
        return own or shared


def _above(path: str) -> str:
    """The path above: `/` for one at the top, and nothing above `/`."""
    return "" if path == "/" else path.rpartition("/")[0] or "/"


def _pools_by_member(world: World) -> Mapping[str, Sequence[str]]:
    def by_member() -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for pool in world.rows(Pool).values():
            for member in (*(f"/vms/{vmid}" for vmid in pool.vmids), *(f"/storage/{name}" for name in pool.storages)):
                table.setdefault(member, []).append(pool.poolid)
        return table

    return world.cached("pools by member", (Pool,), by_member)


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
