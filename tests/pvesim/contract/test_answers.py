"""Whether an answer has the shape that its method promises."""

from typing import Any

import pytest

from pvesim.contract import Contract, fits
from pvesim.contract.schema import schema_of

CONTRACT = Contract.load()


@pytest.mark.parametrize(
    ("facts", "value", "problems"),
    [
        ({"type": "null"}, None, []),
        ({"type": "null"}, 1, ["data: has a value where nothing is promised"]),
        ({"type": "string"}, "a", []),
        ({"type": "string"}, 5, []),
        ({"type": "string"}, None, ["data: None is no string"]),
        ({"type": "string", "optional": 1}, None, []),
        ({"type": "string", "enum": ["a", "b"]}, "c", ["data: 'c' is none of a, b"]),
        ({"type": "string", "format": {"a": {"type": "integer"}}}, {"a": 1}, []),
        (
            {"type": "string", "format": {"a": {"type": "integer"}}},
            {"b": 1},
            ["data.b: is not promised", "data.a: is missing"],
        ),
        ({"type": "string"}, {"a": 1}, ["data: {'a': 1} is no string"]),
        ({"type": "integer"}, "12", []),
        ({"type": "integer"}, 1.5, ["data: 1.5 is no integer"]),
        ({"type": "number"}, 0.25, []),
        ({"type": "number"}, 1e-07, []),
        ({"type": "number"}, "x", ["data: 'x' is no number"]),
        ({"type": "boolean"}, 1, []),
        ({"type": "boolean"}, "0", []),
        ({"type": "boolean"}, True, ["data: True is no boolean"]),
        ({"type": "boolean"}, 2, ["data: 2 is no boolean"]),
        ({"type": "any"}, object(), []),
        ({"type": "array"}, {}, ["data: dict instead of an array"]),
        ({"type": "array", "items": {"type": "integer"}}, [1, "x"], ["data[1]: 'x' is no integer"]),
        ({"type": "object"}, [], ["data: list instead of an object"]),
        ({"type": "object"}, {"more": 1}, []),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"b": 1}, ["data.a: is missing"]),
        ({"type": "object", "properties": {}, "additionalProperties": 0}, {"b": 1}, ["data.b: is not promised"]),
        (
            {"type": "object", "properties": {"net[n]": {"type": "integer"}}},
            {"net3": "x"},
            ["data.net3: 'x' is no integer"],
        ),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"b": "x"}, ["data.b: 'x' is no integer"]),
        (
            {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}},
            {"b": "x"},
            ["data.b: 'x' is no integer"],
        ),
        ({"type": "array", "oneOf": [{"type": "array"}]}, [1], []),
    ],
)
def test_shapes(facts: dict[str, Any], value: object, problems: list[str]) -> None:
    assert fits(schema_of(facts), value) == problems


def test_problems_carry_their_place() -> None:
    returns = CONTRACT.method("GET", "/nodes/{node}/qemu").returns
    assert fits(returns, [{"vmid": 100, "status": "running"}]) == []
    assert fits(returns, [{"vmid": 100, "status": "asleep"}, {"status": "running"}]) == [
        "data[0].status: 'asleep' is none of stopped, running",
        "data[1].vmid: is missing",
    ]
