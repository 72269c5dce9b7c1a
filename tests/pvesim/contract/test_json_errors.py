"""What PVE's reader of JSON says of texts that are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvesim.contract.json_errors import json_error

NEITHER = "malformed JSON string, neither tag, array, object, number, string or atom"


@pytest.mark.parametrize(
    ("text", "what", "at", "rest"),
    [
        ('{"username":', NEITHER, 12, "(end of string)"),
        ("nonsense", "'null' expected", 0, "nonsense"),
        ("{} x", "garbage after JSON object", 3, "x"),
        ("{a: 1}", "'\"' expected", 1, "a: 1}"),
        ('{"a" 1}', "':' expected", 5, "1}"),
        ('{"a": 1', ", or } expected while parsing object/hash", 7, "(end of string)"),
        ("[1 2]", ", or ] expected while parsing array", 3, "2]"),
        ('{"a": "b', "unexpected end of string while parsing JSON string", 8, "(end of string)"),
        ('["\\x"]', "illegal backslash escape sequence in string", 2, '\\\\x"]'),
        ('["\n"]', "invalid character encountered while parsing JSON string", 2, '\\n"]'),
        ("[-]", "malformed number (no digits after initial minus)", 1, "-]"),
        ("[1.]", "malformed number (no digits after decimal point)", 2, ".]"),
        ("'" + "u" * 30, NEITHER, 0, "'" + "u" * 19 + "..."),
    ],
)
def test_refused(text: str, what: str, at: int, rest: str) -> None:
    assert json_error(text) == f'{what}, at character offset {at} (before "{rest}")'


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_nothing_is_wrong_with_json(value: object) -> None:
    assert json_error(json.dumps({"a": value}, indent=1)) is None


@given(st.text())
def test_what_is_refused_is_no_json(text: str) -> None:
    def no_json(name: str) -> None:
        raise ValueError(name)  # NaN and the like, which Python takes

    try:
        json.loads(text, parse_constant=no_json)
    except ValueError:
        assert json_error(text) is not None


def test_a_deep_text_is_refused_in_words() -> None:
    assert "nesting level" in (json_error("[" * 100_000) or "")
