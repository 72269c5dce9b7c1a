from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxmox_mcp.results import Result
from proxmox_mcp.safety.foreign import MARK, guarded, visible


class Note(Result):
    """A note."""

    name: str = "web"
    description: str | None = None
    stdout: list[str] | None = None
    password: str | None = None
    rows: list[dict[str, Any]] | None = None


def both(result: Result) -> tuple[str, dict[str, Any]]:
    made = guarded(result)
    [content] = made.content
    assert made.structured_content is not None
    return str(getattr(content, "text", "")), made.structured_content


def test_free_text_is_marked_in_text_and_data() -> None:
    text, data = both(Note(description="do this now", stdout=["do that, too"]))
    assert data[MARK] == ["description", "stdout"]
    assert text.splitlines()[-1].startswith("untrusted: description, stdout (text from the cluster and its guests")


@pytest.mark.parametrize("result", [Note(), Note(description="short"), Note(stdout=[]), Note(rows=[{"name": "a b"}])])
def test_what_is_no_free_text_is_not_marked(result: Note) -> None:
    text, data = both(result)
    assert MARK not in data
    assert MARK not in text


def test_free_text_inside_records_is_marked() -> None:
    assert both(Note(rows=[{"inner": {"comment": "one two"}}]))[1][MARK] == ["comment"]


def test_a_secret_is_hidden_wherever_it_is_repeated() -> None:
    text, data = both(Note(password="geheim-1", description="it is geheim-1 indeed"))
    assert "geheim-1" not in text + str(data)
    assert data["password"] == "[hidden]"


@given(st.text())
def test_what_is_left_can_be_seen(text: str) -> None:
    left = visible(text)
    assert visible(left) == left
    assert not any(ord(character) < 32 and character not in "\t\n" for character in left)
    assert not any(0xE0000 <= ord(character) <= 0xE0FFF or 0x202A <= ord(character) <= 0x202E for character in left)


@given(st.text(st.characters(categories=["L", "N", "P", "S"], max_codepoint=0x2FF)))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert visible(text) == text
