"""What every cluster has before a scenario adds anything: the built-in roles, the two realms, and root."""

from __future__ import annotations

from pvesim.access.login import hash_password
from pvesim.access.privileges import BUILTIN_ROLES
from pvesim.access.realms import BUILT_IN
from pvesim.access.records import Realm, Role, User
from pvesim.access.rules import ROOT
from pvesim.core.world import World

DEFAULT_PASSWORD = "pvesim-root"


def empty_world(seed: int, now: float, root_password: str = DEFAULT_PASSWORD) -> World:
    """A world with roles, realms and `root@pam`, and no node yet."""
    world = World(seed=seed, now=now)
    for roleid, privileges in BUILTIN_ROLES.items():
        world.put(Role(roleid, tuple(sorted(privileges)), special=True))
    for realm, comment in BUILT_IN.items():
        world.put(Realm(realm, realm, comment))
    world.put(User(ROOT, password=hash_password(world, root_password)))
    return world
