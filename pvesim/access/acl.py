"""The access control list, and what it gives: `/access/acl`, `/access/permissions`.

Sources: recorded exchanges `access/039` to `access/046`, `access/068`, `access/073` to `access/075`, `access/093`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pvesim.access.records import AclEntry, Group, Role, Token, User
from pvesim.access.rules import Identity, effective, has_privileges, levels
from pvesim.access.userfile import changing
from pvesim.contract import split_list
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.pools.records import Pool

# Who may allocate an object may also hand out rights on it.
_OWNERS = {"/storage/": "Datastore.Allocate", "/vms/": "VM.Allocate", "/pool/": "Pool.Allocate"}
# The paths that `GET /access/permissions` looks at even where no entry stands.
_TOP = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")

_NAME = r"[A-Za-z0-9.\-_]+"
_KNOWN = re.compile(
    rf"/|/access(?:/(?:groups|realm)(?:/{_NAME})?)?"
    rf"|/mapping(?:/(?:dir|notifications|pci|usb)(?:/{_NAME})?)?"
    rf"|/(?:nodes|storage)(?:/{_NAME})?"
    rf"|/pool(?:/{_NAME}){{0,3}}"
    rf"|/sdn(?:/(?:controllers|dns|fabrics|ipams)(?:/{_NAME})?|/zones(?:/{_NAME}(?:/{_NAME}(?:/[1-9][0-9]{{0,3}})?)?)?)?"
    r"|/vms(?:/[1-9][0-9]{2,})?",
    re.ASCII,
)
_CHARACTERS = re.compile(r"[A-Za-z0-9.\-_/]+", re.ASCII)


def normal_path(path: str) -> str | None:
    """A path with one slash in front, none behind and none doubled; None if it is empty or has forbidden characters."""
    if not path:
        return None
    path = "/" + re.sub("/+", "/", path).strip("/")
    return path if _CHARACTERS.fullmatch(path) else None


def list_acl(world: World, identity: Identity) -> list[dict[str, Any]]:
    """The entries that who asks may see: all with `Sys.Audit` on `/access`, else those one could change."""
    sees_all = has_privileges(world, identity, "/access", ("Sys.Audit", "Permissions.Modify"), any_of=True)
    return [
        {
            "path": entry.path,
            "type": entry.type,
            "ugid": entry.ugid,
            "roleid": entry.roleid,
            "propagate": int(entry.propagate),
        }
        for _, entry in sorted(world.rows(AclEntry).items())
        if sees_all or may_modify(world, identity, entry.path)
    ]


def may_modify(world: World, identity: Identity, path: str) -> bool:
    """Whether an identity may change the entries of a path."""
    owners = (privilege for prefix, privilege in _OWNERS.items() if path.startswith(prefix))
    return has_privileges(world, identity, path, ("Permissions.Modify", *owners), any_of=True)


def update_acl(world: World, identity: Identity, params: Mapping[str, Any]) -> None:
    """Give roles on a path to users, groups and tokens, or take them away with `delete`."""
    kinds = ("users", "groups", "tokens")
    if not any(params.get(kind) for kind in kinds):
        raise ParameterErrors(dict.fromkeys(kinds, "either 'users', 'groups' or 'tokens' is required."))
    delete, propagate = bool(params.get("delete")), params.get("propagate") is not False
    path = normal_path(params["path"])
    if path is None or (not delete and not _KNOWN.fullmatch(path)):
        raise ParameterErrors({"path": f"invalid ACL path '{params['path']}'"})
    with changing(world, "ACL update failed"):
        for roleid in split_list(params["roles"]):
            _check_role(world, identity, path, roleid, delete=delete, propagate=propagate)
            for type, ugid in _subjects(world, params):
                entry = AclEntry(path, type, ugid, roleid, propagate)
                if delete:
                    world.remove(AclEntry, entry.key)
                else:
                    world.put(entry)


def _check_role(world: World, identity: Identity, path: str, roleid: str, *, delete: bool, propagate: bool) -> None:
    """Raise unless who asks may give (or take) the role: whoever may not modify permissions only what one has."""
    role = world.get(Role, roleid)
    if role is None:
        raise Failure(f"role '{roleid}' does not exist")
    if identity.is_root:
        return
    held = effective(world, identity, path)
    if "Permissions.Modify" in held:
        return
    what = f"Cannot {'remove' if delete else 'add'} role '{roleid}'"
    if roleid == "NoAccess":
        raise ParameterErrors({"role": f"{what} - requires 'Permissions.Modify'"})
    if any(name not in held for name in role.privileges):
        raise ParameterErrors({"role": f"{what} - requires 'Permissions.Modify' or superset of privileges."})
    if propagate and not delete and not all(held[name] for name in role.privileges):
        needed = "'Permissions.Modify' or propagated superset of privileges."
        raise ParameterErrors({"role": f"{what} with propagation - requires {needed}"})


def _subjects(world: World, params: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for groupid in split_list(params.get("groups") or ""):
        if world.get(Group, groupid) is None:
            raise Failure(f"group '{groupid}' does not exist")
        yield "group", groupid
    for userid in split_list(params.get("users") or ""):
        if world.get(User, userid) is None:
            raise Failure(f"user '{userid}' does not exist")
        yield "user", userid
    for full in split_list(params.get("tokens") or ""):
        userid, _, tokenid = full.partition("!")
        if world.get(User, userid) is None:
            raise Failure(f"no such user ('{userid}')")
        if world.get(Token, full) is None:
            raise Failure(f"no such token '{tokenid}' for user '{userid}'")
        yield "token", full


def forget_subject(world: World, type: str, ugid: str) -> None:
    """Remove the entries of a user, a group or a token."""
    _remove(world, lambda entry: entry.type == type and entry.ugid == ugid)


def forget_path(world: World, path: str) -> None:
    """Remove the entries of a path such as `/vms/100`, as PVE does when the object is destroyed."""
    _remove(world, lambda entry: entry.path == path)


def _remove(world: World, unwanted: Callable[[AclEntry], bool]) -> None:
    for entry in list(world.rows(AclEntry).values()):
        if unwanted(entry):
            world.remove(AclEntry, entry.key)


# -- what it gives -------------------------------------------------------------------------------------------------


def is_own(identity: Identity, userid: str) -> bool:
    """Whether a user or token id names who asks, or a token of who asks."""
    return userid == identity.name or (identity.tokenid is None and userid.startswith(f"{identity.userid}!"))


def permissions(world: World, userid: str, path: str | None) -> dict[str, dict[str, int]]:
    """The privileges of a user or token by path, each with whether it reaches further down.

    Without a path: for every path that matters, save those with no privilege.
    """
    name, _, tokenid = userid.partition("!")
    identity = Identity(name, tokenid or None)
    if path:
        return {path: _privileges(world, identity, normal_path(path) or path)}
    shown = {place: _privileges(world, identity, place) for place in sorted(_places(world))}
    return {place: privileges for place, privileges in shown.items() if privileges}


def _privileges(world: World, identity: Identity, path: str) -> dict[str, int]:
    return {name: int(propagate) for name, propagate in sorted(effective(world, identity, path).items())}


def _places(world: World) -> set[str]:
    places = set(_TOP)
    for entry in world.rows(AclEntry).values():
        places.update(levels(entry.path))
    for pool in world.rows(Pool).values():
        places.update(f"/vms/{vmid}" for vmid in pool.vmids)
        places.update(f"/storage/{storage}" for storage in pool.storages)
    return places
