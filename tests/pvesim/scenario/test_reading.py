"""YAML with places: what is refused, and where it says the problem is."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.core.errors import ScenarioError
from pvesim.scenario.reading import Places, read_yaml


def value(text: str | bytes) -> object:
    return read_yaml(text, "x.yaml")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("2026-01-31", "2026-01-31"),
        ("true", True),
        ("0100", 100),
        ("0x1F", 31),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("~", None),
        ("'1'", "1"),
        ("vm:100", "vm:100"),
        ("BC:24:11:00:00:01", "BC:24:11:00:00:01"),
    ],
)
def test_plain_values_are_read_as_yaml_1_2_reads_them(text: str, expected: object) -> None:
    found = value(f"- {text}")
    assert found == [expected]
    assert type(found[0]) is type(expected)


def test_merge_keys_are_followed() -> None:
    assert value("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a:\n  b: 1\n  b: 2\n", "x.yaml:2:3: a.b: 'b' stands twice (line 3 too)"),
        (b"a: &n {b: *n}\n", "x.yaml:1:8: a.b: an alias stands inside what it stands for"),
        (b"a: [1\n", "x.yaml:2:1: this is not YAML: did not find expected ',' or ']'"),
        (b"a:\n\tb: 1\n", "x.yaml:2:1: this is not YAML: found character that cannot start any token"),
        (b"? [1]\n: 2\n", "x.yaml:1:1: a key is a text or a number"),
        (b"a: 1\n---\nb: 2\n", "x.yaml:2:1: this is not YAML: but found another document"),
        (b"a: *b\n", "x.yaml:1:4: this is not YAML: found undefined alias"),
    ],
)
def test_a_problem_says_where_it_is(text: bytes, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        value(text)
    assert caught.value.problems == [expected]


def test_no_object_but_plain_values_is_ever_built() -> None:
    with pytest.raises(ScenarioError, match="could not determine a constructor for the tag"):
        value("a: !!python/object/apply:os.getcwd []")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ScenarioError, match="this is not YAML"):
        value(b"a: \xff\xfe\xfa")


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "a: " + "{b: " * 100_000,
        "\n".join(" " * depth + "a:" for depth in range(2000)),
        "- " * 5000 + "x",
        "? " * 5000 + "x",
    ],
    ids=["brackets", "braces", "indentation", "lists in one line", "keys in one line"],
)
def test_a_tower_of_levels_is_refused_before_it_exhausts_the_stack(text: str) -> None:
    with pytest.raises(ScenarioError, match="more than 50 levels deep"):
        value(text)


def test_brackets_in_texts_are_no_levels() -> None:
    assert value(f"a: '{'[' * 1000}'") == {"a": "[" * 1000}


def test_a_document_that_grows_by_its_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    with pytest.raises(ScenarioError, match="with its aliases this is larger than"):
        value("\n".join(lines))


def test_problems_come_in_the_order_of_the_file_and_once() -> None:
    _, places = read_yaml("a: 1\nb:\n  - x\n  - y\n", "x.yaml")
    places.add(("b", 1), "second")
    places.add(("a",), "first")
    places.add(("a",), "first")
    places.add(("b", 1, "deeper"), "third")
    with pytest.raises(ScenarioError) as caught:
        places.check()
    assert caught.value.problems == [
        "x.yaml:1:1: a: first",
        "x.yaml:4:5: b.1: second",
        "x.yaml:4:5: b.1.deeper: third",
    ]


def test_without_a_document_a_problem_has_its_path_alone() -> None:
    places = Places()
    places.add(("vms", 100), "wrong")
    with pytest.raises(ScenarioError, match=r"^vms\.100: wrong$"):
        places.check()


# JSON's pairs of escapes for what lies beyond the first plane are no YAML.
texts = st.text(st.characters(max_codepoint=0xD7FF, exclude_categories=["Cc"]))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_json_is_read_as_what_it_says(data: object) -> None:
    assert value(json.dumps([data])) == [data]


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_scenario_error(text: str | bytes) -> None:
    with contextlib.suppress(ScenarioError):
        value(text)
