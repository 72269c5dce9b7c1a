"""Which scenarios there are, and how one is read: by name, from a file, or from a mapping."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pvesim.core.errors import ScenarioError
from pvesim.scenario.layers import with_grounds, with_variables
from pvesim.scenario.model import Scenario
from pvesim.scenario.reading import Places, read_yaml

DEFAULT = "single-node"
_PACKAGE = Path(__file__).resolve().parent.parent
# In a checkout the shipped scenarios stand beside the package, in an installed one they lie inside it.
_FOLDERS = (_PACKAGE.parent / "scenarios", _PACKAGE / "_scenarios")
_SUFFIXES = (".yaml", ".yml", ".json")
_LARGEST_FILE = 64 << 20  # bytes


def available() -> list[str]:
    """The names of the shipped scenarios, sorted."""
    return sorted({path.stem for folder in _FOLDERS for path in folder.glob("*.yaml")})


def find(name: str) -> Path:
    """The file of a shipped scenario. Raises `ScenarioError` with the names that there are."""
    for folder in _FOLDERS:
        path = folder / f"{name}.yaml"
        if name in available() and path.is_file():
            return path
    close = difflib.get_close_matches(name, available(), 1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise ScenarioError(
        [f"no scenario '{name}': give the path of a YAML file, or one of {', '.join(available())}.{hint}"]
    )


def load(source: Any = None, *, variables: Mapping[str, Any] | None = None) -> Scenario:
    """The scenario behind a name (`"homelab"`), a path, a mapping, or None for a single fresh node.

    `variables` are other values for the scenario's own. Raises `ScenarioError` with every problem that the model finds,
    each with its place.
    """
    if isinstance(source, Scenario):
        return source
    if isinstance(source, Mapping):
        return _validate(dict(source), Places(), "", variables or {})
    if source is None:
        source = DEFAULT
    if not isinstance(source, str | Path):
        raise ScenarioError([f"a scenario is a name, a path or a mapping, not {type(source).__name__}"])
    path = _path_of(source)
    called = str(source) if isinstance(source, Path) or path == Path(source) else path.name
    return read(_text_of(path), called, path=path, variables=variables)


def read(
    text: str | bytes,
    name: str = "scenario",
    *,
    path: Path | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Scenario:
    """The scenario in a YAML text; `name` is what problems call it, `path` where it stands. Raises `ScenarioError`."""
    data, places = read_yaml(text, name)
    if data is None:
        raise ScenarioError([f"{name}: the file is empty"])
    return _validate(data, places, str(path or ""), variables or {})


def _open_beside(wanted: str, by: str) -> tuple[str, tuple[Any, Places]]:
    """The file of a scenario that another one (a path, or "" for none) extends, and what it holds."""
    path = _path_of(wanted)
    if path == Path(wanted) and not path.is_absolute() and by:
        path = Path(by).parent / path
    data, places = read_yaml(_text_of(path), str(path) if path == Path(wanted) else path.name)
    return str(path.resolve()), (data, places)


def schema_json() -> bytes:
    """The JSON Schema of a scenario file, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema()}
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def _path_of(source: str | Path) -> Path:
    if isinstance(source, Path):
        return source
    if "/" in source or "\\" in source or source.endswith(_SUFFIXES):
        return Path(source)
    return find(source)


def _text_of(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ScenarioError([f"{path}: {size} bytes are too many for a scenario (at most {_LARGEST_FILE})"])
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ScenarioError([f"{path}: cannot be read: {reason}"]) from None


def _validate(data: Any, places: Places, path: str, variables: Mapping[str, Any]) -> Scenario:
    name = str(Path(path).resolve()) if path else ""
    data, places = with_grounds(data, places, name, _open_beside)
    data = with_variables(data, places, variables)
    if not isinstance(data, dict):
        raise ScenarioError([f"{places.name}: a scenario is a mapping of fields such as 'nodes' and 'vms'"])
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            location = tuple(part for part in problem["loc"] if part != "[key]")
            places.add(location, _text(problem, location))
        places.check()
        raise  # never reached with a problem noted
    scenario._places = places
    return scenario


def words_of(error: ValidationError) -> list[str]:
    """What is wrong with a value that is no part of a file, one line for each field."""
    lines = []
    for problem in error.errors(include_url=False):
        place = ".".join(str(part) for part in problem["loc"])
        text = "there is no such field" if problem["type"] == "extra_forbidden" else _text(problem, problem["loc"])
        lines.append(f"{place}: {text}" if place else text)
    return lines


def _text(problem: ErrorDetails, location: tuple[int | str, ...]) -> str:
    """What is wrong with a field, in words for who writes scenario files."""
    if problem["type"] == "missing":
        return "this field is required"
    if problem["type"] == "extra_forbidden":
        return _unknown_field(location)
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    text = problem["msg"]
    return f"{text[0].lower()}{text[1:]}"


def _unknown_field(location: tuple[int | str, ...]) -> str:
    name, known = str(location[-1]), _fields_at(location[:-1])
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
    return f"there is no field '{name}': {hint}"


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """The names of the fields that the model has at a place, by its JSON Schema."""
    schema = Scenario.model_json_schema()
    here: dict[str, Any] = schema
    for part in location:
        here = _below(here, part)
        here = next((choice for choice in here.get("anyOf", ()) if choice.get("type") != "null"), here)
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rpartition("/")[2]]
    return sorted(here.get("properties", {}))


def _below(schema: dict[str, Any], part: int | str) -> dict[str, Any]:
    """The schema of a list's items, of a field, or of what stands under any key."""
    if isinstance(part, int) and "items" in schema:
        return dict(schema["items"])
    named = schema.get("properties", {}).get(str(part))
    if named is None:
        named = next(iter(schema.get("patternProperties", {}).values()), None) or schema.get("additionalProperties")
    return dict(named) if isinstance(named, dict) else {}
