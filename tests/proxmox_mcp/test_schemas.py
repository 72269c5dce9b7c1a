import gc
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field

from proxmox_mcp.schemas import SlimSchema
from proxmox_mcp.tooling import Declaration, arguments_of
from proxmox_mcp.tools import TOOLSETS


class Inner(BaseModel):
    """Inside."""

    title: str


class Outer(BaseModel):
    title: Annotated[str | None, Field(description="Of the thing")] = None
    either: str | int | None = None
    mode: Literal["a", "b"] = "a"
    inner: Inner | None = None
    more: dict[str, Any] | None = None
    sizes: dict[str, int] = {}
    quick: bool = False
    slow: bool = True
    node: Annotated[str, Field(max_length=63, pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Annotated[str, Field(pattern=r"^[a-z]+$")]
    count: Annotated[int, Field(ge=0, le=9)] = 0


def test_schemas_say_only_what_a_model_needs() -> None:
    assert Outer.model_json_schema(schema_generator=SlimSchema) == {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "Of the thing"},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "inner": {
                "type": "object",
                "description": "Inside.",
                "properties": {"title": {"type": "string"}},
                "required": ["title"],
            },
            "more": {"type": "object"},
            "sizes": {"type": "object", "additionalProperties": {"type": "integer"}, "default": {}},
            "quick": {"type": "boolean"},
            "slow": {"type": "boolean", "default": True},
            "node": {"type": "string"},
            "name": {"type": "string", "pattern": "^[a-z]+$"},
            "count": {"type": "integer", "minimum": 0, "maximum": 9, "default": 0},
        },
        "required": ["node", "name"],
    }


class Twice(BaseModel):
    first: Inner
    second: list[Inner]
    once: Outer


def test_a_definition_stays_one_where_it_is_referred_to_more_than_once() -> None:
    schema = Twice.model_json_schema(schema_generator=SlimSchema)
    assert list(schema["$defs"]) == ["Inner"]
    assert schema["properties"]["second"] == {"type": "array", "items": {"$ref": "#/$defs/Inner"}}
    assert schema["properties"]["once"]["properties"]["inner"] == {"$ref": "#/$defs/Inner"}


class Tree(BaseModel):
    name: str
    inside: "list[Tree]" = []


class Forest(BaseModel):
    """A forest."""

    tree: Annotated[Tree, Field(description="The highest")]


def test_what_refers_to_itself_stays_a_definition() -> None:
    schema = Forest.model_json_schema(schema_generator=SlimSchema)
    assert list(schema["$defs"]) == ["Tree"]
    jsonschema.validate({"tree": {"name": "oak", "inside": [{"name": "branch"}]}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"tree": {"name": "oak", "inside": [{"name": 3}]}}, schema)


class Named(BaseModel):
    inner: Annotated[Inner, Field(description="What it is here")]


def test_what_stands_beside_a_reference_goes_before_the_definition() -> None:
    schema = Named.model_json_schema(schema_generator=SlimSchema)
    assert schema["properties"]["inner"]["description"] == "What it is here"
    assert schema["properties"]["inner"]["required"] == ["title"]


class Texts(BaseModel):
    number: Annotated[str, Field(pattern=r"^net[0-9]+$")]
    word: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


def test_patterns_are_shown_as_short_as_json_schema_writes_them() -> None:
    shown = Texts.model_json_schema(schema_generator=SlimSchema)["properties"]
    assert (shown["number"]["pattern"], shown["word"]["pattern"]) == (r"^net\d+$", r"^[\w.-]+$")


def test_making_a_schema_leaves_next_to_nothing_for_the_collector() -> None:
    # Collecting is off while the server starts: what is left then stays in memory for good.
    Outer.model_json_schema(schema_generator=SlimSchema)
    gc.collect()
    gc.disable()
    try:
        Outer.model_json_schema(schema_generator=SlimSchema)
        assert gc.collect() < 10
    finally:
        gc.enable()


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for inner in schema.values():
            yield from _patterns(inner)


@pytest.mark.parametrize(
    "declaration", [tool for toolset in TOOLSETS for tool in toolset.declarations], ids=lambda tool: tool.name
)
def test_patterns_of_arguments_mean_ascii(declaration: Declaration) -> None:
    # PVE's names are; and a class of all scripts' letters makes a validator of megabytes.
    found = list(_patterns(arguments_of(declaration.function).model_json_schema()))
    assert not [pattern for pattern in found if "\\w" in pattern or "\\d" in pattern]
