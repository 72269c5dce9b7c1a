"""What all parts of a scenario file are made of: sizes, durations, moments, PVE's own configuration values."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,6})?)([KMGTP]?)", re.ASCII)
LARGEST_SIZE = 1 << 60
_LONGEST = 30 * 365 * 86400
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_DURATION = re.compile(r"(?:\d{1,12}(?:\.\d{1,6})?[smhdwy]){1,6}", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdwy])", re.ASCII)


def read_size(value: Any) -> int:
    """Bytes, of a number or a text such as `32G`. Raises ValueError."""
    size = value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        size = int(float(match[1]) * _UNITS[match[2]])
    if type(size) is not int or not 0 <= size <= LARGEST_SIZE:
        raise ValueError("a size is a number of bytes, or a text such as 512M, 32G or 1.5T, and at most 1024P")
    return size


def read_duration(value: Any) -> float:
    """Seconds, of a number or a text such as `2h30m`. Raises ValueError."""
    seconds = value
    if isinstance(value, str) and _DURATION.fullmatch(value):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    if type(seconds) not in (int, float) or not 0 <= seconds <= _LONGEST:
        raise ValueError("a duration is a number of seconds, or a text such as 45s, 2h30m, 3d or 1w, up to 30y")
    return float(seconds)


def read_moment(value: Any) -> float:
    """Seconds since the epoch, of a number or a text such as `2026-01-31T08:00:00Z`. Raises ValueError."""
    if type(value) in (int, float) and 0 <= value < 2**33:
        return float(value)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("a moment is a number of seconds since 1970, or a text such as 2026-01-31T08:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _option(value: Any) -> Any:
    if isinstance(value, list):
        return [_option(item) for item in value]
    if value is None or not isinstance(value, str | int | float):
        raise ValueError("a value of a PVE configuration is a text, a number, or a list of them")
    return value


def _option_or_none(value: Any) -> Any:
    return None if value is None else _option(value)


_OPTION_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean", "array"]}
_OPTION_OR_NONE_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean", "array", "null"]}

Size = Annotated[
    int,
    BeforeValidator(read_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{_SIZE.pattern}$"}]}),
]
Duration = Annotated[
    float,
    BeforeValidator(read_duration),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_DURATION.pattern}$"}]}
    ),
]
Moment = Annotated[
    float,
    BeforeValidator(read_moment),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
]
Vmid = Annotated[int, Field(ge=100, le=999_999_999)]
VmidKey = Annotated[
    int,
    # JSON and mappings made by programs have texts as keys.
    BeforeValidator(lambda key: int(key) if isinstance(key, str) and key.isascii() and key.isdigit() else key),
    Field(ge=100, le=999_999_999),
]
NodeName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$", max_length=63)]
DiskName = Annotated[str, Field(pattern=r"^(sd[a-z]{1,2}|nvme\d{1,2}n\d{1,2})$")]
Url = Annotated[str, Field(pattern=r"^https?://.+")]
StorageName = Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_.-]*[a-zA-Z0-9]$", max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0)]
Option = Annotated[Any, AfterValidator(_option), WithJsonSchema(_OPTION_SCHEMA)]
OptionOrNone = Annotated[Any, AfterValidator(_option_or_none), WithJsonSchema(_OPTION_OR_NONE_SCHEMA)]
Options = dict[str, Option]


class Model(BaseModel):
    """What all parts share: nothing is converted silently, and a field that does not exist is an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)
