"""Section files: PVE's checks on creation and update, once for all areas that have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.sections import (
    Section,
    SectionFile,
    SectionType,
    as_stored,
    check_digest,
    digest_of,
    nested,
    plain_file,
    split_changes,
    under,
)
from pvesim.core.world import World


@dataclass(frozen=True, slots=True)
class Shelf:
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.name


SHELVES = SectionFile(
    Shelf,
    {"wood": SectionType.of(required="width", optional="colour bolted", fixed="width depth")},
    write=lambda shelf: ("wood", shelf.name, shelf.options),
    read=lambda _type, name, options, _before: Shelf(name, dict(options)),
)


def world_with(**options: Any) -> tuple[World, Shelf]:
    world = World()
    return world, SHELVES.create(world, "wood", "s1", {"width": 80, **options})


def test_a_section_is_stored_and_rendered_as_pve_writes_it() -> None:
    world, _ = world_with(bolted=True)
    assert SHELVES.text(world) == "wood: s1\n\twidth 80\n\tbolted 1\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"width": 1, "legs": 4}, "unexpected property 'legs'"),
        ({"colour": "red"}, "missing value for required option 'width'"),
    ],
)
def test_a_new_section_is_checked(options: dict[str, Any], text: str) -> None:
    world = World()
    with pytest.raises(Failure) as caught:
        SHELVES.create(world, "wood", "s1", options)
    assert caught.value.message == text
    assert not world.rows(Shelf)


def test_an_update_sets_and_deletes() -> None:
    world, shelf = world_with(colour="red")
    changed = SHELVES.update(world, shelf, {"bolted": 1}, ["colour"])
    assert changed.options == {"width": 80, "bolted": 1}
    assert world.get(Shelf, "s1") is changed


def test_a_fixed_option_may_be_given_again_unchanged() -> None:
    world, shelf = world_with()
    assert SHELVES.update(world, shelf, {"width": 80}).options == {"width": 80}


@pytest.mark.parametrize(
    ("given", "delete", "text"),
    [
        ({"legs": 4}, [], "unexpected property 'legs'"),
        ({"width": 90}, [], "can't change value of fixed parameter 'width'"),
        ({}, ["legs"], "no such option 'legs'"),
        ({}, ["width"], "unable to delete required option 'width'"),
        ({}, ["depth"], "unable to delete fixed option 'depth'"),
        ({"colour": "red"}, ["colour"], "cannot set and delete property 'colour' at the same time!"),
    ],
)
def test_an_update_is_checked(given: dict[str, Any], delete: list[str], text: str) -> None:
    world, shelf = world_with()
    with pytest.raises(Failure) as caught:
        SHELVES.update(world, shelf, given, delete)
    assert caught.value.message == text
    assert world.get(Shelf, "s1") is shelf


def test_the_digest_follows_the_content() -> None:
    world, shelf = world_with()
    before = SHELVES.digest(world)
    SHELVES.check_digest(world, before)
    SHELVES.check_digest(world, None)
    SHELVES.update(world, shelf, {"colour": "red"})
    assert SHELVES.digest(world) != before
    with pytest.raises(Failure, match=r"^detected modified configuration - file changed by other user\? Try again\.$"):
        SHELVES.check_digest(world, before)


def test_an_empty_file_has_the_digest_of_nothing() -> None:
    assert SHELVES.digest(World()) == digest_of("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    check_digest(digest_of(""), "")


def test_delete_removes_the_section() -> None:
    world, shelf = world_with()
    SHELVES.delete(world, shelf)
    assert SHELVES.text(world) == ""


def test_a_prefix_is_put_before_what_fails_inside() -> None:
    with pytest.raises(Failure) as caught, under("create shelf failed"):
        raise Failure("no wall")
    assert caught.value.message == "create shelf failed: no wall"


def test_errors_with_fields_become_text_where_pve_rewrites_them() -> None:
    with pytest.raises(Failure) as caught, nested("create shelf failed"):
        raise ParameterErrors({"wall": "no such wall"})
    assert caught.value.message == "create shelf failed: 400 Parameter verification failed.\nwall: no such wall"
    with pytest.raises(Failure) as caught, nested():
        raise Failure("no wall")
    assert caught.value.message == "no wall"


class Box(Section):
    """Something in a file of its own."""

    __slots__ = ()


def test_sections_without_state_need_no_class_of_their_own_making() -> None:
    world, boxes = World(), plain_file(Box, {"tin": SectionType.of(optional="lid")})
    box = boxes.create(world, "tin", "b1", {"lid": True})
    assert (box, world.get(Box, "b1")) == (Box("b1", "tin", {"lid": 1}), box)
    assert boxes.text(world) == "tin: b1\n\tlid 1\n"


def test_the_parts_of_an_update() -> None:
    params = {"storage": "s", "content": "iso", "delete": "nodes,disable", "digest": "abc"}
    assert split_changes(params, "storage") == ({"content": "iso"}, ["nodes", "disable"], "abc")
    assert split_changes({}) == ({}, [], None)


def test_true_and_false_are_stored_as_numbers() -> None:
    stored = as_stored({"bolted": True, "colour": "red", "legs": 4, "painted": False})
    assert [type(value) for value in stored.values()] == [int, str, int, int]
    assert stored == {"bolted": 1, "colour": "red", "legs": 4, "painted": 0}
