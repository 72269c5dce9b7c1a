"""Verification of what a request gives, with PVE's texts for all that is wrong.

PVE looks at one value in a fixed order and reports the first thing that is wrong with it: type, format, pattern,
longest, shortest, highest, lowest, enumeration. It looks at all values, and reports all that are bad at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from pvesim.contract.formats import FormatError
from pvesim.contract.methods import Method
from pvesim.contract.patterns import matches
from pvesim.contract.schema import Fields, Schema
from pvesim.contract.typed_rules import TYPED_PARAMETERS
from pvesim.core.errors import ParameterErrors

MISSING = "property is missing and it is not optional"
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"

_INTEGER = re.compile(r"[+-]?[0-9]+\n?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\n?", re.ASCII)
# Python refuses to read longer ones, and no bound of PVE's comes near.
_MOST_DIGITS = 4000
_WORDS = dict.fromkeys(("1", "on", "yes", "true"), "1") | dict.fromkeys(("0", "off", "no", "false"), "0")


class _Refusal(Exception):
    """One value is refused; the text is PVE's."""


_Errors = dict[str, str]


def verify(method: Method, given: Mapping[str, object]) -> dict[str, Any]:
    """The parameters of a request, typed, or all that is wrong with them.

    `given` maps names to text (a form, the query, the path), lists of text (a key given more than once) or what JSON
    holds. The result has `int`, `float`, `bool` and `str` by the schema's type, lists for arrays, and property
    strings as the text that they are; defaults are not filled in. What JSON gives as null counts as not given.
    What is verified once verifies again to the same.

    Raises ParameterErrors with the text for every bad field. Source: recorded exchanges of a genuine node.
    """
    errors: _Errors = {}
    values = _check_fields(method.parameters, _as_sent(method.parameters, given), "", errors)
    typed = TYPED_PARAMETERS.get((method.verb, method.path))
    if typed is not None:
        errors = typed.refine(values, errors, MISSING)
    if errors:
        raise ParameterErrors(dict(sorted(errors.items())))
    return values


def _as_sent(fields: Fields, given: Mapping[str, object]) -> Mapping[str, object]:
    """Bridges two habits of clients: lists given to list strings, and single values given to arrays."""
    changed: dict[str, object] = {}
    for name, value in given.items():
        schema = fields.schemas.get(name)
        if schema is None:
            continue
        if schema.joins:
            if isinstance(value, list):
                changed[name] = ",".join(_text(item) for item in value)
        elif schema.type == "array" and isinstance(value, str | int | float) and value not in ("", "0", 0):
            changed[name] = [value]
    return {**given, **changed} if changed else given


def _check_fields(fields: Fields, given: Mapping[str, object], place: str, errors: _Errors) -> dict[str, Any]:
    """Types all values of a set of fields; what is wrong goes into `errors` by its place."""
    values: dict[str, Any] = {}
    schemas = fields.schemas
    for name, value in given.items():
        schema = schemas.get(name) or fields.get(name)
        if schema is None:
            if fields.additional:
                values[name] = value
            else:
                errors[place + name] = UNKNOWN
        elif value is not None:
            try:
                values[name] = _check(schema, value, place + name, given, errors)
            except _Refusal as refusal:
                errors[place + name] = str(refusal)
    for name in fields.required:
        if given.get(name) is None:
            errors[place + name] = MISSING
    for name, needed in fields.requires:
        if name in given and given.get(needed) is None:
            errors[place + needed] = f"missing property required by '{place}{name}'"
    return values


def _text(value: object) -> str:
    """A scalar as PVE's language writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


_REFERENCES = {bool: "JSON::PP::Boolean", list: "ARRAY", dict: "HASH"}


def _check(schema: Schema, value: object, place: str, siblings: Mapping[str, object], errors: _Errors) -> Any:
    """One value, typed. Raises _Refusal; errors inside an array or an object go into `errors`."""
    kind = schema.type
    if kind == "string" and isinstance(value, str):
        if not schema.plain:
            _check_text(schema, value, place)
        return value
    if schema.one_of:
        schema = _choose(schema, siblings)
    if kind == "any":
        return value
    if kind == "array":
        return _check_array(schema, value, place, siblings, errors)
    if kind == "object":
        return _check_object(schema, value, place, errors)
    if kind == "boolean" and isinstance(value, bool):
        return value
    reference = _REFERENCES.get(type(value))
    if reference is not None:
        raise _Refusal(f"type check ('{kind}') failed - got {reference}")
    return _check_scalar(schema, _text(value), place)


def _check_scalar(schema: Schema, text: str, place: str) -> Any:
    kind = schema.type
    if kind == "boolean":
        if text not in ("0", "1"):
            raise _Refusal(f"type check ('boolean') failed - got '{text}'")
        return text == "1"
    if kind == "integer":
        if _INTEGER.fullmatch(text) is None or len(text) > _MOST_DIGITS:
            raise _Refusal(f"type check ('integer') failed - got '{text}'")
    elif kind == "number":
        if _NUMBER.fullmatch(text) is None or math.isinf(float(text)):
            raise _Refusal(f"type check ('number') failed - got '{text}'")
    elif kind != "string":
        raise _Refusal(f"type check ('{kind}') failed - got '{text}'")
    if not schema.plain:
        _check_text(schema, text, place)
    return int(text) if kind == "integer" else float(text) if kind == "number" else text


def _check_text(schema: Schema, text: str, place: str) -> None:
    """Everything that is asked of a scalar beyond its type."""
    try:
        if schema.check is not None:
            schema.check(text)
        elif schema.fields is not None:
            _parse(schema.fields, text, place)
    except FormatError as error:
        raise _Refusal(f"invalid format - {error}\n") from None
    if schema.pattern is not None and not matches(schema.pattern, text):
        raise _Refusal("value does not match the regex pattern")
    if schema.max_length is not None and len(text) > schema.max_length:
        raise _Refusal(f"value may only be {schema.max_length} characters long")
    if schema.min_length is not None and len(text) < schema.min_length:
        raise _Refusal(f"value must be at least {schema.min_length} characters long")
    if (schema.maximum is not None or schema.minimum is not None) and _NUMBER.fullmatch(text):
        number = int(text) if _INTEGER.fullmatch(text) and len(text) <= _MOST_DIGITS else float(text)
        if schema.maximum is not None and number > schema.maximum:
            raise _Refusal(f"value must have a maximum value of {schema.maximum}")
        if schema.minimum is not None and number < schema.minimum:
            raise _Refusal(f"value must have a minimum value of {schema.minimum}")
    if schema.enum is not None and text not in schema.enum:
        raise _Refusal(f"value '{text}' does not have a value in the enumeration '{', '.join(schema.enum)}'")


def _check_array(
    schema: Schema, value: object, place: str, siblings: Mapping[str, object], errors: _Errors
) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _Refusal("type check ('array') failed")
    if schema.items is None:
        return list(value)
    items: list[Any] = []
    for position, item in enumerate(value):
        try:
            if item is None:
                raise _Refusal(MISSING)
            items.append(_check(schema.items, item, f"{place}[{position}]", siblings, errors))
        except _Refusal as refusal:
            errors[f"{place}[{position}]"] = str(refusal)
    return items


def _check_object(schema: Schema, value: object, place: str, errors: _Errors) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Refusal("type check ('object') failed")
    if schema.properties is None:
        return dict(value)
    return _check_fields(schema.properties, value, f"{place}.", errors)


def _choose(schema: Schema, siblings: Mapping[str, object]) -> Schema:
    """Of several schemas, the one for the kind of thing that another field names."""
    kind = siblings.get(schema.type_property or "")
    for choice in schema.one_of:
        if choice.instance_types is None or kind in choice.instance_types:
            return choice
    return schema.one_of[0]


def _parse(fields: Fields, text: str, place: str = "") -> dict[str, Any]:
    """The typed fields of a property string. Raises FormatError with everything that is wrong, by `place`."""
    given: dict[str, object] = {}
    for part in text.split(","):
        if not part or part.isspace():
            continue
        key, equals, value = part.partition("=")
        if not equals:
            if fields.default_key is None:
                raise FormatError("value without key, but schema does not define a default key")
            key, value = fields.default_key, part
        elif not key or not value:
            raise FormatError("missing key in comma-separated list property")
        _take(fields, given, key, value)
    errors: _Errors = {}
    values = _check_fields(fields, given, f"{place}." if place else "", errors)
    if errors:
        raise FormatError("\n".join(["format error", *(f"{name}: {errors[name]}" for name in sorted(errors))]))
    if fields.validate is not None:
        fields.validate(values)
    return values


def _take(fields: Fields, given: dict[str, object], key: str, value: str) -> None:
    """Puts one `key=value` into `given`, under the name that an alias stands for."""
    if key in given:
        raise FormatError(f"duplicate key in comma-separated list property: {key}")
    schema = fields.schemas.get(key)
    if schema is not None and schema.alias is not None:
        if schema.key_alias is not None:
            if schema.key_alias in given:
                raise FormatError(f"key alias '{schema.key_alias}' is already defined")
            given[schema.key_alias] = key
        key = schema.alias
        schema = fields.schemas.get(key)
    # Inside a property string, a boolean may be a word.
    given[key] = _WORDS.get(value.lower(), value) if schema is not None and schema.type == "boolean" else value


def parse_property_string(schema: Schema, text: str) -> dict[str, Any]:
    """The typed fields of a property string such as `virtio=BC:24:11:00:00:01,bridge=vmbr0`.

    Aliases are resolved (`model` and `macaddr` above); what is not given is left out. Raises FormatError with PVE's
    text, and TypeError if the schema is not one of a property string.
    """
    return _parse(_fields_of(schema), text)


def format_property_string(schema: Schema, values: Mapping[str, object]) -> str:
    """The text of a property string, as PVE writes it into a config: the default key first, the rest by name.

    `parse_property_string` gives the same values back. None is left out. Raises FormatError if the values break
    the schema, or hold a comma, which no property string can carry.
    """
    fields = _fields_of(schema)
    texts = {name: _text(value) for name, value in values.items() if value is not None}
    spoilt = next((name for name, text in texts.items() if "," in text or not text or text.isspace()), None)
    if spoilt is not None:
        raise FormatError(f"{spoilt}: value is empty or has a comma, and cannot stand in a property string")
    written: list[str] = []
    leader = fields.default_key
    if leader in texts:
        value = texts.pop(leader)
        paired = fields.schemas.get(value)
        if paired is not None and paired.key_alias == leader and paired.alias in texts:
            written.append(f"{value}={texts.pop(paired.alias)}")
        else:
            written.append(f"{leader}={value}" if "=" in value else value)
    # PVE writes what is required before what may be left out: `name=eth0,bridge=vmbr0`.
    written += [f"{name}={texts[name]}" for name in sorted(texts, key=lambda name: (name not in fields.required, name))]
    text = ",".join(written)
    _parse(fields, text)
    return text


def _fields_of(schema: Schema) -> Fields:
    if schema.fields is None:
        raise TypeError("the schema does not describe a property string")
    return schema.fields
