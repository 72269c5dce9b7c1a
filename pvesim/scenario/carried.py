"""The part of a dumped world that no section of a scenario says: its records, as data."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Protocol, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from pvesim import areas
from pvesim.core.world import World
from pvesim.keeping.plain import Decoder, UnknownRecord, encode_key
from pvesim.scenario.context import Context
from pvesim.scenario.files import words_of
from pvesim.scenario.state_model import StateModel, TableModel

_PACKAGE = "pvesim."


class _Keyed(Protocol):
    @property
    def key(self) -> Hashable: ...


def apply_state(context: Context) -> None:
    """Put what the scenario carries into the world; problems are noted with their places."""
    state: StateModel | None = context.scenario.state
    if state is None:
        return
    areas.load()
    for name, table in state.tables.items():
        try:
            kind = _class_of(name)
        except UnknownRecord as error:
            context.problem(("state", "tables", name), str(error))
            continue
        _apply_table(context, name, kind, table)
    if state.started is not None:
        context.world.started = state.started


def _apply_table(context: Context, name: str, kind: type[Any], table: TableModel) -> None:
    world, decoder = context.world, Decoder()
    for position, given in enumerate(table.records):
        try:
            world.put(_read(decoder, kind, given))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            context.problem(("state", "tables", name, "records", position), f"no record of that class: {error}")
    for field, keys in (("removed", table.removed), ("order", table.order)):
        try:
            read = [_key(decoder, key) for key in keys]
        except (ValueError, TypeError, KeyError) as error:
            context.problem(("state", "tables", name, field), f"no keys: {error}")
            continue
        if field == "removed":
            for key in read:
                world.remove(kind, key)
        elif read:
            _reorder(context, name, kind, read)


def _reorder(context: Context, name: str, kind: type[Any], order: list[Any]) -> None:
    rows = dict(context.world.rows(kind))
    if set(rows) != set(order) or len(rows) != len(order):
        context.problem(("state", "tables", name, "order"), "these are not the keys of all records of the class")
        return
    for key in rows:
        context.world.remove(kind, key)
    for key in order:
        context.world.put(rows[key])


# -- taking a world apart --------------------------------------------------------------------------------------------


def carried(built: World, world: World) -> dict[str, Any]:
    """What has to be done to the world `built` to make it `world`: the data of a `StateModel`."""
    tables: dict[str, Any] = {}
    kinds = dict.fromkeys((*built._tables, *world._tables))
    for kind in kinds:
        table = _difference(built.rows(kind), world.rows(kind))
        if table:
            tables[name_of(kind)] = table
    state: dict[str, Any] = {"tables": tables} if tables else {}
    if built.started != world.started:
        state["started"] = world.started
    return state


def _difference(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    changed = [record for key, record in after.items() if key not in before or not is_same(before[key], record)]
    removed = [key for key in before if key not in after]
    if changed:
        table["records"] = [_written(record) for record in changed]
    if removed:
        table["removed"] = [_plain(key) for key in removed]
    order = [key for key in before if key in after] + [key for key in after if key not in before]
    if order != list(after):
        table["order"] = [_plain(key) for key in after]
    return table


def is_same(one: Any, other: Any) -> bool:
    """Whether two records hold the same values of the same types; the order of a mapping's keys is no value."""
    return one == other and _canonical(one) == _canonical(other)


def _canonical(record: Any) -> bytes:
    return orjson.dumps(orjson.loads(encode_key(record)), option=orjson.OPT_SORT_KEYS)


def _written(record: _Keyed) -> dict[str, Any]:
    """The fields of a record that have not their defaults."""
    written = {}
    for field in fields(record):  # type: ignore[arg-type]
        value = encode_key(getattr(record, field.name))
        if _is_required(field) or value != encode_key(_default(field)):
            written[field.name] = orjson.loads(value)
    return written


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    return orjson.loads(encode_key(value))


# -- putting it together ---------------------------------------------------------------------------------------------


def _read(decoder: Decoder, kind: type[Any], given: Mapping[str, Any]) -> Any:
    known = {field.name: field for field in fields(kind)}
    for name in given:
        if name not in known:
            raise ValueError(f"it has no field '{name}'")
    values = []
    for name, field in known.items():
        if name in given:
            values.append(given[name])
        elif _is_required(field):
            raise ValueError(f"the field '{name}' is missing")
        else:
            values.append(_plain(_default(field)))
    record = decoder.record(kind, orjson.dumps(values))
    try:
        _model(kind).model_validate({name: getattr(record, name) for name in known})
    except ValidationError as error:
        raise ValueError("; ".join(words_of(error)[:3])) from None
    return record


_MODELS: dict[type[Any], type[BaseModel]] = {}


def _model(kind: type[Any]) -> type[BaseModel]:
    """The types of a record's fields, to be checked without conversion."""
    if kind in _MODELS:
        return _MODELS[kind]
    types: dict[str, Any] = {name: (hint, ...) for name, hint in get_type_hints(kind).items()}
    fields_only = {field.name: types[field.name] for field in fields(kind)}
    strict = ConfigDict(strict=True, protected_namespaces=())
    model: type[BaseModel] = create_model(kind.__name__, __config__=strict, **fields_only)
    _MODELS[kind] = model
    return model


def _key(decoder: Decoder, value: Any) -> Hashable:
    key: Hashable = decoder.value(orjson.dumps(value))
    hash(key)
    return key


def name_of(kind: type[Any]) -> str:
    """What a record class is called in a scenario, such as `core.tasks.Task`."""
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix(_PACKAGE)


def _class_of(name: str) -> type[Any]:
    """The record class of that name, of those that are loaded: no scenario makes a module run."""
    module, _, class_name = f"{_PACKAGE}{name}".rpartition(".")
    kind = getattr(sys.modules.get(module), class_name, None)
    if isinstance(kind, type) and is_dataclass(kind) and hasattr(kind, "key") and kind.__module__ == module:
        return kind
    raise UnknownRecord(f"there are no records '{name}'")
