"""Whatever is wrong in a scenario, it is built or refused in words: never another exception, never a broken world."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.core.errors import ScenarioError
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.scenario import build_world, find
from pvesim.scenario.reading import read_yaml
from tests.pvesim.invariants import check_invariants

HOMELAB: Any = read_yaml(find("homelab").read_bytes(), "homelab")[0]
JUNK = st.sampled_from(
    [
        *[None, 0, -1, 100, 101, 200, 10**30, 1.5, float("inf"), True, "", " ", "x", "0", "pve1", "nas", "local-lvm:1"],
        *["local-lvm:vm-100-disk-0,size=1G", "nas:iso/../x.iso", "../..", "a,b=c", "\0", "\n", "é" * 300, "1G"],
        *["9" * 5000, [], {}, [[]], [None], {"": ""}, {"100": {}}, {1: 2}, ["pve1", "pve1"], {"a": {"b": {"c": []}}}],
    ]
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, child in inner for place in places(child, (*here, key)))]


PLACES = places(HOMELAB)[1:]


def change(data: Any, place: tuple[Any, ...], junk: Any, how: str) -> None:
    """Put junk in a place, take it away, or give it another name; nothing where earlier damage has removed it."""
    try:
        for part in place[:-1]:
            data = data[part]
        value = data[place[-1]]
    except (KeyError, IndexError, TypeError):
        return
    if isinstance(data, str):
        return
    if isinstance(data, list) or how == "replace":
        data[place[-1]] = junk
        return
    del data[place[-1]]
    if how == "rename" and isinstance(junk, str | int | None):
        data[junk] = value


def locked(world: World) -> list[int]:
    """The guests that the scenario says are locked."""
    return [guest.vmid for guest in world.rows(Guest).values() if guest.lock]


damages = st.lists(
    st.tuples(st.sampled_from(PLACES), JUNK, st.sampled_from(["replace", "remove", "rename"])), min_size=1, max_size=3
)


@settings(max_examples=80, deadline=None)
@given(damages)
def test_a_damaged_homelab_is_refused_in_words_or_is_whole(made: list[tuple[tuple[Any, ...], Any, str]]) -> None:
    data = copy.deepcopy(HOMELAB)
    for place, junk, how in made:
        change(data, place, junk, how)
    try:
        world = build_world(data)
    except ScenarioError as refusal:
        told = refusal.problems
    else:
        told = []
        assert check_invariants(world, left_locked=locked(world)) == []
    assert all(told)
