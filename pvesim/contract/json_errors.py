"""What PVE's reader of JSON says of a text that is none, and where.

Source: recorded exchanges `protocol/036`, `nodes/066`.
"""

from __future__ import annotations

import re

_SHOWN = 20  # characters of the rest that an error quotes
_DEEPEST = 512
_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_NUMBER_PARTS = (
    (re.compile(r"-?(?=\d)"), "malformed number (no digits after initial minus)"),
    (re.compile(r"0(?!\d)|[1-9]\d*"), "malformed number (leading zero must not be followed by another digit)"),
    (re.compile(r"(?:\.\d+)?(?!\.)"), "malformed number (no digits after decimal point)"),
    (re.compile(r"(?:[eE][+-]?\d+)?(?![eE])"), "malformed number (no digits after exp sign)"),
)
_TOO_DEEP = "json text or perl structure exceeds maximum nesting level (max_depth set too low?)"
_VISIBLE = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\a": "\\a", "\\": "\\\\"}
_ATOMS = {"t": "true", "f": "false", "n": "null"}


class _NotJson(Exception):
    pass


def json_error(text: str) -> str | None:
    """The first thing that is wrong with a JSON text, as PVE says it; None where nothing is."""
    try:
        end = _space(text, _value(text, _space(text, 0), 0))
        if end < len(text):
            raise _NotJson("garbage after JSON object", end)
    except _NotJson as error:
        what, at = error.args
        return f'{what}, at character offset {at} (before "{_rest(text, at)}")'
    except RecursionError:
        return f'{_TOO_DEEP}, at character offset {_DEEPEST} (before "{_rest(text, _DEEPEST)}")'
    return None


def _rest(text: str, at: int) -> str:
    """The beginning of what is left, in visible characters."""
    shown = ""
    for character in text[at : at + _SHOWN + 1]:
        if len(shown) >= _SHOWN:
            return f"{shown}..."
        visible = " " <= character <= "~" and character != "\\"
        shown += character if visible else _VISIBLE.get(character, f"\\x{{{ord(character):x}}}")
    return shown or "(end of string)"


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int, depth: int) -> int:
    """Where the value that begins here ends."""
    first = text[at : at + 1]
    if first in ("[", "{") and first:
        if depth >= _DEEPEST:
            raise _NotJson(_TOO_DEEP, at)
        return _many(text, at + 1, depth + 1, "]" if first == "[" else "}")
    if first == '"':
        return _string(text, at + 1)
    if first and first in "-0123456789":
        return _number(text, at)
    if first in _ATOMS:
        atom = _ATOMS[first]
        if not text.startswith(atom, at):
            raise _NotJson(f"'{atom}' expected", at)
        return at + len(atom)
    raise _NotJson("malformed JSON string, neither tag, array, object, number, string or atom", at)


def _many(text: str, at: int, depth: int, close: str) -> int:
    at = _space(text, at)
    if text.startswith(close, at):
        return at + 1
    while True:
        if close == "}":
            at = _space(text, _string(text, _expect(text, at, '"')))
            at = _space(text, _expect(text, at, ":"))
        at = _space(text, _value(text, at, depth))
        if text.startswith(close, at):
            return at + 1
        if not text.startswith(",", at):
            raise _NotJson(f", or {close} expected while parsing {'array' if close == ']' else 'object/hash'}", at)
        at = _space(text, at + 1)


def _expect(text: str, at: int, character: str) -> int:
    if not text.startswith(character, at):
        raise _NotJson(f"'{character}' expected", at)
    return at + 1


def _string(text: str, at: int) -> int:
    while True:
        match = _PLAIN.match(text, at)
        at = match.end() if match else at
        if at >= len(text):
            raise _NotJson("unexpected end of string while parsing JSON string", at)
        if text[at] == '"':
            return at + 1
        escape = _ESCAPE.match(text, at)
        if escape is None:
            escaped = text[at] == "\\"
            what = "illegal backslash escape sequence in string" if escaped else "invalid character encountered while"
            raise _NotJson(what if escaped else f"{what} parsing JSON string", at)
        at = escape.end()


def _number(text: str, at: int) -> int:
    for part, refusal in _NUMBER_PARTS:
        match = part.match(text, at)
        if match is None:
            raise _NotJson(refusal, at)
        at = match.end()
    return at
