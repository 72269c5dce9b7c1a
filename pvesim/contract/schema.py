"""Schemas of values, compiled from the facts that PVE publishes. Equal schemas are compiled once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from pvesim.contract.formats import Check, format_check
from pvesim.contract.named_schemas import NAMED_SCHEMAS, PATTERN_FORMATS, VALIDATORS
from pvesim.contract.patterns import compile_pattern

# How many of each numbered parameter there may be: `net[n]` stands for net0 to net31.
NUMBERED: Mapping[str, int] = {
    "acmedomain": 6,
    "dev": 256,
    "hostpci": 16,
    "ide": 4,
    "ipconfig": 32,
    "link": 8,
    "mp": 256,
    "net": 32,
    "numa": 8,
    "parallel": 3,
    "sata": 6,
    "scsi": 31,
    "serial": 4,
    "unused": 256,
    "usb": 14,
    "virtio": 16,
    "virtiofs": 10,
}
_NUMBERED_NAME = re.compile(r"([a-z]+)(0|[1-9][0-9]{0,2})", re.ASCII)


def _bound(value: object) -> float | None:
    """PVE publishes some bounds as text."""
    if value is None:
        return None
    return value if isinstance(value, int | float) else float(str(value)) if "." in str(value) else int(str(value))


class Schema:
    """What one value must be. Numbers are as published: lengths in characters, bounds inclusive."""

    __slots__ = (
        "additional",
        "alias",
        "check",
        "default",
        "default_key",
        "enum",
        "fields",
        "format",
        "instance_types",
        "items",
        "joins",
        "key_alias",
        "max_length",
        "maximum",
        "min_length",
        "minimum",
        "one_of",
        "optional",
        "pattern",
        "plain",
        "properties",
        "requires",
        "type",
        "type_property",
    )

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.type: str = facts.get("type", "any")
        choices = facts.get("oneOf", ())
        # Where several schemas are to choose from, each says for itself whether it may be left out.
        self.optional = bool(facts.get("optional", 0)) or any(choice.get("optional", 0) for choice in choices)
        self.default: object = facts.get("default")
        enum = facts.get("enum")
        self.enum: tuple[str, ...] | None = None if enum is None else tuple(str(choice) for choice in enum)
        self.pattern = compile_pattern(facts["pattern"]) if "pattern" in facts else None
        self.minimum = _bound(facts.get("minimum"))
        self.maximum = _bound(facts.get("maximum"))
        self.min_length: int | None = facts.get("minLength")
        self.max_length: int | None = facts.get("maxLength")
        self.requires: str | None = facts.get("requires")
        self.alias: str | None = facts.get("alias")
        self.key_alias: str | None = facts.get("keyAlias")
        self.default_key = bool(facts.get("default_key", 0))
        self.type_property: str | None = facts.get("type-property")
        self.instance_types: tuple[str, ...] | None = (
            tuple(facts["instance-types"]) if "instance-types" in facts else None
        )
        self.one_of = tuple(schema_of(choice) for choice in choices)
        self.items = schema_of(facts["items"]) if "items" in facts else None
        self._compile_format(facts.get("format"))
        self._compile_object(facts)
        # Nothing but its type to look at: most values, so verification looks here first.
        self.plain = not (self.check or self.fields or self.pattern or self.enum or self._bounded(facts))

    @staticmethod
    def _bounded(facts: Mapping[str, Any]) -> bool:
        return not facts.keys().isdisjoint(("minimum", "maximum", "minLength", "maxLength"))

    def _compile_format(self, facts: str | Mapping[str, Any] | None) -> None:
        self.format: str | None = facts if isinstance(facts, str) else None
        # Repeated values of a list parameter are joined as if they had come in one.
        self.joins = self.type == "string" and self.format is not None and self.format.endswith("-list")
        self.check: Check | None = None
        self.fields: Fields | None = None
        if isinstance(facts, str) and facts in NAMED_SCHEMAS:
            self.fields = Fields(NAMED_SCHEMAS[facts], additional=False, validate=VALIDATORS.get(facts))
        elif isinstance(facts, str) and facts in PATTERN_FORMATS:
            self.pattern = compile_pattern(PATTERN_FORMATS[facts])
        elif isinstance(facts, str):
            self.check = format_check(facts)
        elif facts is not None:
            self.fields = Fields(facts, additional=False)

    def _compile_object(self, facts: Mapping[str, Any]) -> None:
        additional = facts.get("additionalProperties", 1)
        self.additional: bool | Schema = schema_of(additional) if isinstance(additional, dict) else bool(additional)
        self.properties: Fields | None = None
        if "properties" in facts:
            self.properties = Fields(facts["properties"], additional=self.additional is not False)


class Fields:
    """The named schemas of one set of parameters, of one property string, or of one object."""

    __slots__ = ("additional", "default_key", "numbered", "required", "requires", "schemas", "validate")

    def __init__(
        self,
        facts: Mapping[str, Mapping[str, Any]],
        *,
        additional: bool,
        validate: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.additional = additional
        self.validate = validate
        self.schemas: dict[str, Schema] = {}
        self.numbered: dict[str, Schema] = {}
        for name, fact in facts.items():
            if name.endswith("[n]"):
                self.numbered[name.removesuffix("[n]")] = schema_of(fact)
            else:
                self.schemas[name] = schema_of(fact)
        self.required = tuple(
            name for name, schema in self.schemas.items() if not schema.optional and schema.alias is None
        )
        self.requires = tuple((name, schema.requires) for name, schema in self.entries() if schema.requires is not None)
        self.default_key = next((name for name, schema in self.schemas.items() if schema.default_key), None)

    def entries(self) -> Iterator[tuple[str, Schema]]:
        """Every name with its schema; a numbered name stands once, with `[n]`."""
        yield from self.schemas.items()
        for base, schema in self.numbered.items():
            yield f"{base}[n]", schema

    def get(self, name: str) -> Schema | None:
        """The schema of `name`; `net31` finds that of `net[n]`, `net32` and `net01` find none."""
        schema = self.schemas.get(name)
        if schema is None and self.numbered:
            match = _NUMBERED_NAME.fullmatch(name)
            if match is not None and int(match[2]) < NUMBERED.get(match[1], 0):
                return self.numbered.get(match[1])
        return schema


_compiled: dict[bytes, Schema] = {}


def schema_of(facts: Mapping[str, Any]) -> Schema:
    """The compiled form of `facts`; equal facts give the same object."""
    key = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    schema = _compiled.get(key)
    if schema is None:
        schema = _compiled[key] = Schema(facts)
    return schema
