"""Records as JSON texts, whatever their class, and back again without loss.

| value | as JSON |
| --- | --- |
| None, truth values, texts, floats, whole numbers of up to 63 bits | themselves |
| a longer number | `{"n": "123…"}` |
| a tuple | a list |
| a list, a set | `{"l": […]}`, `{"s": […]}` |
| bytes | `{"b": "base64"}` |
| a mapping with texts as keys, with others | `{"m": {…}}`, `{"p": [[key, value], …]}` |
| a record inside another | `{"r": "module.Class", "v": […]}`, the values in the order of its fields |
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import orjson

_LONG = 1 << 63
_PACKAGE = "pvesim."
_CLASSES: dict[str, type[Any]] = {}
_FIELDS: dict[type[Any], tuple[str, ...]] = {}


class UnknownRecord(ValueError):
    """A text speaks of a record class, or of fields, that this version does not have."""


def name_of(kind: type[Any]) -> str:
    """What a record class is called in a file."""
    return f"{kind.__module__}.{kind.__qualname__}"


def class_of(name: str) -> type[Any]:
    """The record class of that name. Raises `UnknownRecord`."""
    kind = _CLASSES.get(name)
    if kind is None:
        kind = _CLASSES[name] = _class_of(name)
    return kind


def _class_of(name: str) -> type[Any]:
    module, _, class_name = name.rpartition(".")
    if module.startswith(_PACKAGE) and not module.endswith(".__main__"):  # that one would run the command
        try:
            kind = getattr(import_module(module), class_name)
        except (ImportError, AttributeError):
            kind = None
        if isinstance(kind, type) and is_dataclass(kind):
            return kind
    raise UnknownRecord(f"no record '{name}'")


def field_names(kind: type[Any]) -> tuple[str, ...]:
    """The names of a record's fields, in order."""
    names = _FIELDS.get(kind)
    if names is None:
        names = _FIELDS[kind] = tuple(field.name for field in fields(kind))
    return names


def _values_of(record: Any) -> list[Any]:
    return [_encode(getattr(record, name)) for name in field_names(type(record))]


def encode_record(record: Any) -> bytes:
    """The values of a record; its class is not told."""
    return _text(_values_of(record))


def encode_key(key: Any) -> bytes:
    """A record's key."""
    return _text(_encode(key))


def _text(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a text that is no proper Unicode; it comes back as it was
        return json.dumps(value, separators=(",", ":")).encode()


def _encode(value: Any) -> Any:
    if value is None or isinstance(value, str | float | bool):
        return value
    if isinstance(value, int):
        return value if -_LONG <= value < _LONG else {"n": str(value)}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {"m": {key: _encode(item) for key, item in value.items()}}
        return {"p": [[_encode(key), _encode(item)] for key, item in value.items()]}
    if isinstance(value, list):
        return {"l": [_encode(item) for item in value]}
    if isinstance(value, set | frozenset):
        return {"s": sorted((_encode(item) for item in value), key=_text)}
    if isinstance(value, bytes):
        return {"b": base64.b64encode(value).decode()}
    if is_dataclass(value):
        return {"r": name_of(type(value)), "v": _values_of(value)}
    raise TypeError(f"a record holds a {type(value).__name__}, which has no form in a file")


class Decoder:
    """Reads texts back. Equal records inside others become one object, as they mostly were."""

    def __init__(self) -> None:
        self._known: dict[bytes, Any] = {}

    def record(self, kind: type[Any], text: bytes) -> Any:
        """The record of a class. Raises `ValueError` for what is no such record."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = json.loads(text)
        return self._made(kind, value)

    def value(self, text: bytes) -> Any:
        """Any value, such as a key. Raises `ValueError` for what is none."""
        return self._decode(orjson.loads(text))

    def _made(self, kind: type[Any], values: list[Any]) -> Any:
        if len(values) != len(field_names(kind)):
            raise UnknownRecord(f"a record '{name_of(kind)}' has other fields here")
        return kind(*[self._decode(item) for item in values])

    def _decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return tuple([self._decode(item) for item in value])
        if not isinstance(value, dict):
            return value
        if "r" in value:
            return self._inner(value)
        ((tag, content),) = value.items()
        if tag == "m":
            return {key: self._decode(item) for key, item in content.items()}
        if tag == "p":
            return {self._decode(key): self._decode(item) for key, item in content}
        if tag == "l":
            return [self._decode(item) for item in content]
        if tag == "s":
            return frozenset(self._decode(item) for item in content)
        if tag == "n":
            return int(content)
        if tag == "b":
            return base64.b64decode(content)
        raise UnknownRecord(f"a value is marked '{tag}'")

    def _inner(self, value: dict[str, Any]) -> Any:
        text = _text(value)
        if text not in self._known:
            self._known[text] = self._made(class_of(value["r"]), value["v"])
        return self._known[text]
