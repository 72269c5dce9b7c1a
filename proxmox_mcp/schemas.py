"""JSON Schemas as models and clients get them: what they need to know, and nothing else.

Those of all tools are kept in a file, `tools/schemas.jsonl`, for to make them takes a third of a start. It is made from
the declarations by `tests/snapshots/schemas.py`, and a test compares the two; what is not in it is made when asked for.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

_LONGEST_PATTERN = 24
_UNREACHED = 100_000
# Classes of characters that are ASCII in a JSON Schema, where Python's and pydantic's take in every script.
_SHORT_CLASSES = (("[0-9]", r"\d"), ("A-Za-z0-9_", r"\w"))
_DEFINITIONS = "#/$defs/"

FILE = Path(__file__).with_name("tools") / "schemas.jsonl"
"""The schemas that are kept: a line for each, `["inventory.get_vms", {…}]`."""


def made_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model of arguments, or of a result."""
    return model.model_json_schema(schema_generator=SlimSchema)


def kept_schema(declared: Callable[..., Any]) -> dict[str, Any] | None:
    """The schema that is kept for a tool's arguments (of its function) or for a class of results, if one is."""
    line = _lines().get(name_of(declared))
    return None if line is None else json.loads(line)[1]


def name_of(declared: Callable[..., Any]) -> str:
    """What a tool's function, or a class of results, is called in the file."""
    return f"{declared.__module__}.{declared.__qualname__}".removeprefix("proxmox_mcp.tools.")


def write_schemas(schemas: Mapping[str, dict[str, Any]]) -> None:
    """Keep these schemas, by `name_of`, in place of those that were kept."""
    lines = (json.dumps([name, schemas[name]], separators=(",", ":"), ensure_ascii=False) for name in sorted(schemas))
    FILE.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@cache
def _lines() -> dict[str, str]:
    """The lines of the file by name. Each is read when it is asked for: a server needs those of its own tools."""
    if not FILE.exists():
        return {}
    return {line[2 : line.index('"', 2)]: line for line in FILE.read_text(encoding="utf-8").splitlines()}


class SlimSchema(GenerateJsonSchema):
    """Makes JSON Schemas without what says nothing to a model: generated titles, and that a field may be null.

    A field that may be left out is not in `required`; results leave empty fields out, and no argument has to be null.
    Left out where they are made, these cost a start-up nothing: taken out afterwards, they would take half of its time.
    """

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        """The schema of a model; a definition that is referred to once stands where it is meant."""
        try:
            return _with_definitions_in_place(super().generate(schema, mode))
        finally:
            # Made for one schema, and held in a circle by its own methods: only the collector would free what it holds.
            vars(self).clear()

    def sort(self, value: dict[str, Any], parent_key: str | None = None) -> dict[str, Any]:
        """Keys as they come."""
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:
        """No field has a title."""
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        """A model, without the name of its class."""
        made = super().model_schema(schema)
        made.pop("title", None)
        return made

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        """A map; that its values are anything goes without saying."""
        made = super().dict_schema(schema)
        if made.get("additionalProperties") is True:
            del made["additionalProperties"]
        return made

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        """What it is when it is not null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        """A default, unless it is null or false: what is left out is not so."""
        default = schema.get("default", ...)
        if default is None or default is False:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def str_schema(self, schema: core_schema.StringSchema) -> dict[str, Any]:
        """A text, without the bounds that only a mistake would overstep; they are checked, and told, all the same."""
        made = super().str_schema(schema)
        made.pop("maxLength", None)
        if pattern := made.pop("pattern", None):
            for long, short in _SHORT_CLASSES:
                pattern = pattern.replace(long, short)
            if len(pattern) <= _LONGEST_PATTERN:
                made["pattern"] = pattern
        return made

    def int_schema(self, schema: core_schema.IntSchema) -> dict[str, Any]:
        """A number, without a highest that nobody reaches."""
        made = super().int_schema(schema)
        if made.get("maximum", 0) >= _UNREACHED:
            del made["maximum"]
        return made


def _with_definitions_in_place(made: dict[str, Any]) -> dict[str, Any]:
    """The schema, with every definition that is referred to once in the place of the reference.

    So it is shorter; and a client that checks what it gets need not look the definition up for every row of a list.
    """
    definitions: dict[str, dict[str, Any]] = made.get("$defs", {})
    if not definitions:
        return made
    times = Counter(_references(made))
    once = {_DEFINITIONS + name: inner for name, inner in definitions.items() if times[_DEFINITIONS + name] == 1}
    kept = {name: inner for name, inner in definitions.items() if _DEFINITIONS + name not in once}
    rest = {key: inner for key, inner in made.items() if key != "$defs"}
    whole: dict[str, Any] = _in_place({"$defs": kept, **rest} if kept else rest, once)
    return whole


def _references(schema: Any) -> Iterator[str]:
    """The definitions that a schema refers to, as often as it does."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _in_place(schema: Any, definitions: dict[str, dict[str, Any]]) -> Any:
    """The schema with these definitions in place of what refers to them; what stands beside a reference goes before."""
    if isinstance(schema, list):
        return [_in_place(inner, definitions) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if (definition := definitions.get(schema.get("$ref", ""))) is not None:
        schema = {**definition, **{key: inner for key, inner in schema.items() if key != "$ref"}}
    return {key: _in_place(inner, definitions) for key, inner in schema.items()}
