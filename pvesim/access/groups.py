"""Groups of users. Sources: recorded exchanges `access/025` to `access/029`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pvesim.access.acl import forget_subject
from pvesim.access.records import Group
from pvesim.access.rules import Identity, has_privileges
from pvesim.access.userfile import changing
from pvesim.core.errors import Failure
from pvesim.core.world import World

_SEEING = ("User.Modify", "Sys.Audit", "Group.Allocate")


def existing_group(world: World, groupid: str) -> Group:
    """The group. Raises `Failure` for one that is not there."""
    group = world.get(Group, groupid)
    if group is None:
        raise Failure(f"group '{groupid}' does not exist")
    return group


def list_groups(world: World, identity: Identity) -> list[dict[str, Any]]:
    """The groups that who asks may see, by id, with their members as a comma list."""
    return [
        {"groupid": groupid, "users": ",".join(sorted(group.members)), **_comment(group)}
        for groupid, group in sorted(world.rows(Group).items())
        if has_privileges(world, identity, f"/access/groups/{groupid}", _SEEING, any_of=True)
    ]


def _comment(group: Group) -> dict[str, str]:
    return {"comment": group.comment} if group.comment else {}


def read_group(world: World, groupid: str) -> dict[str, Any]:
    """A group's comment and members."""
    group = existing_group(world, groupid)
    return {"members": sorted(group.members), **_comment(group)}


def create_group(world: World, groupid: str, comment: str | None) -> None:
    """Add an empty group."""
    with changing(world, "create group failed"):
        if world.get(Group, groupid) is not None:
            raise Failure(f"group '{groupid}' already exists")
        world.put(Group(groupid, comment or ""))


def update_group(world: World, groupid: str, comment: str | None) -> None:
    """Change a group's comment."""
    with changing(world, "update group failed"):
        group = existing_group(world, groupid)
        if comment is not None:
            world.put(replace(group, comment=comment))


def delete_group(world: World, groupid: str) -> None:
    """Remove a group and its ACL entries; its members stay."""
    with changing(world, "delete group failed"):
        existing_group(world, groupid)
        forget_subject(world, "group", groupid)
        world.remove(Group, groupid)


def join_groups(world: World, userid: str, groups: Iterable[str]) -> None:
    """Make a user a member of groups. Raises `Failure` for a group that is not there."""
    for groupid in groups:
        group = world.get(Group, groupid)
        if group is None:
            raise Failure(f"no such group '{groupid}'")
        if userid not in group.members:
            world.put(replace(group, members=(*group.members, userid)))


def leave_groups(world: World, userid: str) -> None:
    """Take a user out of all groups."""
    for group in list(world.rows(Group).values()):
        if userid in group.members:
            world.put(replace(group, members=tuple(member for member in group.members if member != userid)))
