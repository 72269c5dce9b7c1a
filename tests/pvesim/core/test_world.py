"""The world's tables: transactions undo, forks are independent, diffs are exact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.core.world import Change, World


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    size: int = 0

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Other:
    number: int

    @property
    def key(self) -> int:
        return self.number


def content(world: World) -> dict[str, Any]:
    return {kind.__name__: dict(world.rows(kind)) for kind in (Thing, Other)}


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc"), st.integers(0, 3)),
        st.tuples(st.just("remove"), st.sampled_from("abc"), st.just(0)),
    ),
    max_size=12,
)


def apply(world: World, steps: list[tuple[str, str, int]]) -> None:
    for verb, name, size in steps:
        if verb == "put":
            world.put(Thing(name, size))
        else:
            world.remove(Thing, name)


@given(operations, operations)
def test_a_failed_transaction_changes_nothing(before: list[Any], inside: list[Any]) -> None:
    world = World()
    apply(world, before)
    expected = content(world)
    with pytest.raises(KeyError), world.transaction():
        apply(world, inside)
        raise KeyError
    assert content(world) == expected


@given(operations, operations, operations)
def test_a_failed_inner_transaction_leaves_the_outer_one(before: list[Any], outer: list[Any], inner: list[Any]) -> None:
    world, expected = World(), World()
    apply(world, before)
    with world.transaction():
        apply(world, outer)
        with pytest.raises(KeyError), world.transaction():
            apply(world, inner)
            raise KeyError
    apply(expected, before + outer)
    assert content(world) == content(expected)


@given(operations, operations, operations)
def test_a_failed_outer_transaction_undoes_the_inner_one(before: list[Any], outer: list[Any], inner: list[Any]) -> None:
    world = World()
    apply(world, before)
    expected = content(world)
    with pytest.raises(KeyError), world.transaction():
        apply(world, outer)
        with world.transaction():
            apply(world, inner)
        raise KeyError
    assert content(world) == expected


@given(operations, operations, operations)
def test_a_fork_and_its_origin_do_not_see_each_other(before: list[Any], here: list[Any], there: list[Any]) -> None:
    world = World()
    apply(world, before)
    fork = world.fork()
    apply(world, here)
    apply(fork, there)
    alone = World()
    apply(alone, before + here)
    assert content(world) == content(alone)
    alone = World()
    apply(alone, before + there)
    assert content(fork) == content(alone)


@given(operations, operations)
def test_a_diff_turns_one_world_into_the_other(before: list[Any], after: list[Any]) -> None:
    world = World()
    apply(world, before)
    later = world.fork()
    apply(later, after)
    patched = content(world)["Thing"]
    for change in world.diff(later):
        assert change.before == patched.get(change.key)
        if change.after is None:
            del patched[change.key]
        else:
            patched[change.key] = change.after
    assert patched == content(later)["Thing"]


def test_a_diff_names_only_what_differs() -> None:
    world = World()
    world.put(Thing("same", 1))
    world.put(Thing("changed", 1))
    later = world.fork()
    later.put(replace(later.rows(Thing)["changed"], size=2))
    later.put(Thing("same", 1))  # an equal record is no change
    assert world.diff(later) == [Change("Thing", "changed", Thing("changed", 1), Thing("changed", 2))]


def test_a_cached_value_is_kept_until_its_tables_change() -> None:
    world = World()
    world.put(Thing("a"))
    computed: list[int] = []

    def compute() -> int:
        computed.append(len(world.rows(Thing)))
        return computed[-1]

    assert [world.cached("n", (Thing,), compute) for _ in range(3)] == [1, 1, 1]
    world.put(Other(1))
    assert world.cached("n", (Thing,), compute) == 1
    world.put(Thing("b"))
    assert world.cached("n", (Thing,), compute) == 2
    assert computed == [1, 2]


def test_a_cached_value_does_not_outlive_an_undone_change() -> None:
    world = World()
    count = lambda: len(world.rows(Thing))  # noqa: E731
    with pytest.raises(KeyError), world.transaction():
        world.put(Thing("a"))
        assert world.cached("n", (Thing,), count) == 1
        raise KeyError
    assert world.cached("n", (Thing,), count) == 0


def test_random_values_follow_the_seed() -> None:
    def drawn(seed: int) -> list[Any]:
        world = World(seed=seed)
        return [world.uuid(), world.random_int(1, 6), world.random_bytes(4, "salt"), world.uuid()]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len(set(map(str, drawn(1)))) == 4


@given(st.integers(-50, 50), st.integers(0, 100), st.integers(0, 1000))
def test_a_random_int_lies_between_its_bounds(low: int, width: int, seed: int) -> None:
    assert low <= World(seed=seed).random_int(low, low + width) <= low + width
