"""Effective privileges against a slow and independent reading of PVE's documented rules."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.access.records import AclEntry, Group, Role, Token, User
from pvesim.access.rules import Identity, effective
from pvesim.core.world import World
from pvesim.pools.records import Pool

PATHS = ("/", "/vms", "/vms/100", "/storage", "/storage/local", "/pool", "/pool/a", "/pool/a/b", "/nodes/pve1")
USERS = ("u1@pve", "u2@pve")
TOKEN = "u1@pve!t"
ROLES = {
    "NoAccess": (),
    "Look": ("VM.Audit", "Datastore.Audit"),
    "Run": ("VM.Audit", "VM.PowerMgmt"),
    "Own": ("VM.Allocate",),
}
SUBJECTS = (*(("user", user) for user in USERS), ("group", "g1"), ("group", "g2"), ("token", TOKEN))

entries = st.lists(
    st.builds(
        lambda path, subject, role, propagate: AclEntry(path, subject[0], subject[1], role, propagate),
        st.sampled_from(PATHS),
        st.sampled_from(SUBJECTS),
        st.sampled_from([*ROLES, "Gone"]),
        st.booleans(),
    ),
    max_size=9,
    unique_by=lambda entry: entry.key,
)
members = st.lists(st.sampled_from(USERS), unique=True, max_size=2).map(tuple)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    for user in USERS:
        world.put(User(user))
    world.put(Token("u1@pve", "t", "secret", privsep=draw(st.booleans())))
    for role, privileges in ROLES.items():
        world.put(Role(role, privileges))
    for group in ("g1", "g2"):
        world.put(Group(group, members=draw(members)))
    for pool in ("a", "a/b"):
        vmids = (100,) if draw(st.booleans()) else ()
        world.put(Pool(pool, vmids=vmids, storages=("local",) if draw(st.booleans()) else ()))
    for entry in draw(entries):
        world.put(entry)
    return world


# -- the oracle: every question is asked anew, with no table, no cache and no tree -----------------------------------


def _ancestors(path: str) -> list[str]:
    """The path and all above it, nearest first."""
    parts = [part for part in path.split("/") if part]
    return [*reversed(list(accumulate(f"/{part}" for part in parts))), "/"]


def _roles(world: World, subject: str, path: str) -> dict[str, bool]:
    for place in _ancestors(path):
        reaching = [
            entry
            for entry in world.rows(AclEntry).values()
            if entry.path == place and (entry.propagate or place == path)
        ]
        own = [entry for entry in reaching if entry.ugid == subject and entry.type in ("user", "token")]
        shared = [
            entry
            for entry in reaching
            if entry.type == "group" and "!" not in subject and subject in world.rows(Group)[entry.ugid].members
        ]
        for found in (own, shared):
            if found:
                names = {entry.roleid for entry in found}
                return {name: any(entry.propagate for entry in found if entry.roleid == name) for name in names}
    return {}


def _of_subject(world: World, subject: str, path: str) -> dict[str, bool]:
    roles = _roles(world, subject, path)
    pooled: set[str] = set()
    for pool in world.rows(Pool).values():
        if path in [*(f"/vms/{vmid}" for vmid in pool.vmids), *(f"/storage/{name}" for name in pool.storages)]:
            pooled |= set(_roles(world, subject, f"/pool/{pool.poolid}"))
    if "NoAccess" in roles or "NoAccess" in pooled:
        return {}
    everything = {**dict.fromkeys(pooled, False), **roles}
    return {
        name: any(reach for role, reach in everything.items() if name in ROLES.get(role, ()))
        for role in everything
        for name in ROLES.get(role, ())
    }


def _expected(world: World, identity: Identity, path: str) -> dict[str, bool]:
    of_user = _of_subject(world, identity.userid, path)
    if identity.tokenid is None or not world.rows(Token)[identity.name].privsep:
        return of_user
    of_token = _of_subject(world, identity.name, path)
    return {name: of_token[name] and of_user[name] for name in of_token if name in of_user}


@settings(max_examples=250, deadline=None)
@given(worlds())
def test_everybody_holds_what_the_rules_say_everywhere(world: World) -> None:
    for identity in (*(Identity(user) for user in USERS), Identity("u1@pve", "t")):
        for path in (*PATHS, "/vms/100/deeper", "/vms/101"):
            assert dict(effective(world, identity, path)) == _expected(world, identity, path), (identity.name, path)


@settings(max_examples=60, deadline=None)
@given(worlds(), st.sampled_from(PATHS))
def test_what_is_kept_is_forgotten_when_the_list_changes(world: World, path: str) -> None:
    identity = Identity("u1@pve")
    effective(world, identity, path)
    world.put(AclEntry(path, "user", "u1@pve", "Own"))
    assert dict(effective(world, identity, path)) == _expected(world, identity, path)
