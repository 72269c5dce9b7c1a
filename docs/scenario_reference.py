"""The reference of scenario files, written from the same model that reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pvesim.scenario import schema_json

Schema = Mapping[str, Any]


def reference() -> str:
    """A section for each part of a scenario file, in the order in which they are met."""
    schema = json.loads(schema_json())
    parts = schema["$defs"]
    lines = ["### The file", "", *_table(schema, parts)]
    for name in _met(schema, parts):
        lines += ["", f"### {_title(name)}", "", *_told(parts[name]), "", *_table(parts[name], parts)]
    return "\n".join(lines)


def _met(schema: Schema, parts: Schema) -> list[str]:
    """The parts that a schema refers to, and those that they refer to, each once."""
    met: list[str] = []
    waiting = [schema]
    while waiting:
        here = waiting.pop(0)
        for name in _references(here.get("properties", {})):
            if name not in met:
                met.append(name)
                waiting.append(parts[name])
    return met


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _title(name: str) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name.removesuffix("Model"))
    return words.strip().capitalize()


def _told(part: Schema) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in part.get("description", "").split("\n\n") if paragraph]


def _table(part: Schema, parts: Schema) -> list[str]:
    required = part.get("required", ())
    rows = ["| field | what may stand there | if it is left out |", "| --- | --- | --- |"]
    for name, field in part.get("properties", {}).items():
        default = "required" if name in required else _default(field)
        rows.append(f"| `{name}` | {_kind(field)} | {default} |".replace("  |", " |"))
    return rows


def _default(field: Schema) -> str:
    value = field.get("default")
    if value is None or value in ({}, [], "") or isinstance(value, dict | list):
        return ""
    return f"`{json.dumps(value)}`"


def _kind(field: Schema) -> str:
    """What a field's schema means, in words."""
    if "$ref" in field:
        title = _title(field["$ref"].rpartition("/")[2])
        return f"[{title}](#{title.lower().replace(' ', '-')})"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        return _choice([choice for choice in field["anyOf"] if choice.get("type") != "null"])
    kind = field.get("type")
    if isinstance(kind, list):
        return "a value as PVE's API takes it"
    if kind == "array":
        return f"a list: {_kind(field.get('items', {}))}"
    if kind == "object":
        inner = next(iter(field.get("patternProperties", {}).values()), field.get("additionalProperties", {}))
        return f"by name: {_kind(inner)}" if isinstance(inner, Mapping) and inner else "a mapping"
    return _plain(kind, field)


def _choice(choices: list[Schema]) -> str:
    patterns = " ".join(str(choice.get("pattern", "")) for choice in choices)
    if "KMGTP" in patterns:
        return "a size: `512M`, `32G`, or bytes"
    if "smhdwy" in patterns:
        return "a duration: `90s`, `2h30m`, `3d`, or seconds"
    if {choice.get("type") for choice in choices} == {"number", "string"}:
        return "a moment: `2026-01-31T08:00:00Z`, or seconds since 1970"
    return " or ".join(dict.fromkeys(_kind(choice) for choice in choices))


def _plain(kind: Any, field: Schema) -> str:
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    text = words.get(kind, "anything")
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f"{text} from {low} to {high}"
    return f"{text} from {low}" if low is not None else text
