"""Parameters of a raw request as a form sends them: what is judged is what goes out."""

import json
from collections.abc import Mapping
from typing import Any

from proxmox_mcp.api.describing import find_method
from proxmox_mcp.errors import InvalidArgument

_MOST_PARAMETERS = 200
_MOST_ITEMS = 500
_MOST_CHARACTERS = 300_000

Plain = str | int | float
Form = dict[str, Plain | list[Plain]]


def as_form(method: str, path: str, params: Mapping[str, Any] | None) -> Form:
    """The parameters of a request, each a text or a number, or a list where PVE takes one.

    A form repeats the name for every item of a list, and PVE reads a list of one as its item: so `["stop"]` is `stop`
    before anyone looks at it. What is null is left out; true and false are 1 and 0.

    Raises:
        InvalidArgument: a value is of a kind that no form sends, or there is too much of it.
    """
    given = {str(name): value for name, value in (params or {}).items() if value is not None}
    if len(given) > _MOST_PARAMETERS or len(json.dumps(given, default=str)) > _MOST_CHARACTERS:
        raise InvalidArgument(
            f"params holds more than {_MOST_PARAMETERS} parameters, or {_MOST_CHARACTERS} characters.",
            "Make several requests of it.",
        )
    return {name: _value(method, path, name, value) for name, value in given.items()}


def _value(method: str, path: str, name: str, value: Any) -> Plain | list[Plain]:
    if not isinstance(value, list):
        return _plain(name, value)
    items = [_plain(name, item) for item in value]
    if _takes_a_list(method, path, name):
        if len(items) > _MOST_ITEMS:
            raise InvalidArgument(f"{name} has {len(items)} items; {_MOST_ITEMS} are taken.", "Make several requests.")
        return items
    if len(items) != 1:
        raise InvalidArgument(
            f"{name}: {method} {path} takes one value, and not {len(items)}.",
            "Where PVE wants several in one text, write them with commas between.",
        )
    return items[0]


def _plain(name: str, value: Any) -> Plain:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str | int | float):
        return value
    raise InvalidArgument(
        f"{name}: PVE takes texts, numbers, true and false, and lists of these.",
        "Write options inside one text, as name=value,name=value.",
    )


def _takes_a_list(method: str, path: str, name: str) -> bool:
    """Whether a parameter is a list, by the published schema; one that is not known there is none."""
    try:
        schema = find_method(method, path).parameters.get(name)
    except InvalidArgument:
        return False
    return schema is not None and schema.type == "array"
