"""Roles: named sets of privileges. Sources: recorded exchanges `access/030` to `access/038`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pvesim.access.records import Role
from pvesim.access.userfile import changing
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World

_RESERVED = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace"


def existing_role(world: World, roleid: str) -> Role:
    """The role. Raises `Failure` for one that is not there."""
    role = world.get(Role, roleid)
    if role is None:
        raise Failure(f"role '{roleid}' does not exist")
    return role


def list_roles(world: World) -> list[dict[str, Any]]:
    """All roles, by id, with their privileges as a comma list."""
    return [
        {"roleid": roleid, "privs": ",".join(sorted(role.privileges)), "special": int(role.special)}
        for roleid, role in sorted(world.rows(Role).items())
    ]


def read_role(world: World, roleid: str) -> dict[str, int]:
    """A role's privileges, each with 1."""
    return dict.fromkeys(sorted(existing_role(world, roleid).privileges), 1)


def create_role(world: World, roleid: str, privileges: Iterable[str]) -> None:
    """Add a role. Names that begin with PVE are PVE's own."""
    if roleid.lower().startswith("pve"):
        raise ParameterErrors({"roleid": _RESERVED})
    with changing(world, "create role failed"):
        if world.get(Role, roleid) is not None:
            raise Failure(f"role '{roleid}' already exists")
        world.put(Role(roleid, tuple(sorted(set(privileges)))))


def update_role(world: World, roleid: str, privileges: Iterable[str], append: bool) -> None:
    """Replace a role's privileges, or add to them. Without privileges the role becomes empty, as in PVE."""
    _refuse_special(world, roleid, "modified")
    with changing(world, "update role failed"):
        role = existing_role(world, roleid)
        kept = role.privileges if append else ()
        world.put(replace(role, privileges=tuple(sorted({*kept, *privileges}))))


def delete_role(world: World, roleid: str) -> None:
    """Remove a role. ACL entries that name it stay behind and give nothing."""
    _refuse_special(world, roleid, "deleted")
    with changing(world, "delete role failed"):
        existing_role(world, roleid)
        world.remove(Role, roleid)


def _refuse_special(world: World, roleid: str, what: str) -> None:
    role = world.get(Role, roleid)
    if role is not None and role.special:
        raise Failure(f"auto-generated role '{roleid}' cannot be {what}")
