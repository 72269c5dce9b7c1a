"""Whether an answer has the shape that its method promises.

PVE does not check its own answers, so this is as strict as genuine answers allow and no stricter.
"""

from __future__ import annotations

import re

from pvesim.contract.schema import Fields, Schema

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)


# Methods whose genuine answers were seen to break their own schema: a null instead of a list or an object, a field
# that is promised and not there, or one that is there and not promised. Mappings list a description only if it is set,
# and a monitor's host is a name, which clients show, and no boolean.
GENUINE_MISFITS: frozenset[tuple[str, str]] = frozenset(
    (
        ("GET", "/cluster/config/totem"),
        ("GET", "/nodes/{node}/lxc/{vmid}/interfaces"),
        ("GET", "/nodes/{node}/qemu/{vmid}/migrate"),
        ("GET", "/pools/{poolid}"),
    )
)

# No recording shows these with content: what they answer is from what is known of PVE, and does not fit the schema.
PRESUMED_MISFITS: frozenset[tuple[str, str]] = frozenset(
    (
        ("GET", "/cluster/mapping/dir"),
        ("GET", "/cluster/mapping/pci"),
        ("GET", "/cluster/mapping/usb"),
        ("GET", "/nodes/{node}/ceph/mon"),
    )
)


def fits(schema: Schema, value: object, place: str = "data") -> list[str]:
    """The problems of an answer's `data`, each with its place; none if it fits."""
    problems: list[str] = []
    _look(schema, value, place, problems)
    return problems


def _look(schema: Schema, value: object, place: str, problems: list[str]) -> None:
    kind = schema.type
    if kind == "any" or schema.one_of or (value is None and schema.optional):
        return
    if schema.fields is not None and isinstance(value, dict):
        # Some methods answer with the fields of a property string instead of its text.
        _look_at_fields(schema.fields, value, place, problems)
        return
    if kind == "null":
        if value is not None:
            problems.append(f"{place}: has a value where nothing is promised")
    elif kind == "array":
        _look_at_array(schema, value, place, problems)
    elif kind == "object":
        _look_at_object(schema, value, place, problems)
    elif not _is_scalar(kind, value):
        problems.append(f"{place}: {value!r} is no {kind}")
    elif schema.enum is not None and str(value) not in schema.enum:
        problems.append(f"{place}: {value!r} is none of {', '.join(schema.enum)}")


def _is_scalar(kind: str, value: object) -> bool:
    """PVE writes a number as text or a text as number as its code happens to hold it, but never JSON's booleans."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    if kind == "integer":
        return _INTEGER.fullmatch(str(value)) is not None
    if kind == "number":
        return _NUMBER.fullmatch(str(value)) is not None
    return kind != "boolean" or str(value) in ("0", "1")


def _look_at_array(schema: Schema, value: object, place: str, problems: list[str]) -> None:
    if not isinstance(value, list):
        problems.append(f"{place}: {type(value).__name__} instead of an array")
    elif schema.items is not None:
        for position, item in enumerate(value):
            _look(schema.items, item, f"{place}[{position}]", problems)


def _look_at_object(schema: Schema, value: object, place: str, problems: list[str]) -> None:
    if not isinstance(value, dict):
        problems.append(f"{place}: {type(value).__name__} instead of an object")
        return
    if schema.properties is not None:
        _look_at_fields(schema.properties, value, place, problems, schema.additional)
    elif isinstance(schema.additional, Schema):
        for name, item in value.items():
            _look(schema.additional, item, f"{place}.{name}", problems)


def _look_at_fields(
    fields: Fields,
    value: dict[str, object],
    place: str,
    problems: list[str],
    additional: bool | Schema = False,
) -> None:
    for name, item in value.items():
        inner = fields.get(name)
        if inner is not None:
            _look(inner, item, f"{place}.{name}", problems)
        elif isinstance(additional, Schema):
            _look(additional, item, f"{place}.{name}", problems)
        elif not additional:
            problems.append(f"{place}.{name}: is not promised")
    # A name in braces, such as `{id}`, stands for the names that there happen to be.
    missing = (name for name in fields.required if name not in value and not name.startswith("{"))
    problems += [f"{place}.{name}: is missing" for name in missing]
