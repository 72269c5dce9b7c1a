"""What is done to a scenario's text before its fields are looked at: what it extends, and its variables.

`extends: NAME or FILE` takes that scenario as the ground: mappings are laid over each other key by key, anything else
replaces what it covers, and null takes a key away. A file is looked for beside the one that names it.

`variables:` are values by name; `${name}` in any text stands for one, with its own type where it is the whole text, and
`$${` for a `${` that is none. A scenario that extends another may give the other's variables new values, and so may who
loads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pvesim.core.errors import ScenarioError
from pvesim.scenario.reading import Location, Places

_DEEPEST = 20  # scenarios that extend one another
_REFERENCE = re.compile(r"\$?\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)

Source = tuple[Any, Places]
Opener = Callable[[str, str], tuple[str, Source]]  # what is named, and by which file; the file's own name and contents


def with_grounds(data: Any, places: Places, name: str, open_source: Opener) -> Source:
    """The document with all that it extends below it. `name` is its file, for those beside it.

    Raises `ScenarioError` for a circle, or for what cannot be opened.
    """
    seen = [name]
    layers = [(data, places)]
    while isinstance(data, dict) and data.get("extends") is not None:
        wanted = data["extends"]
        if not isinstance(wanted, str):
            places.add(("extends",), "the name of a scenario, or a file")
            places.check()
        try:
            name, (data, ground) = open_source(wanted, name)
        except ScenarioError as error:
            for problem in error.problems:
                places.add(("extends",), problem)
            places.check()
            raise
        if name in seen or len(seen) > _DEEPEST:
            places.add(("extends",), f"a circle: {' -> '.join([*seen, name])}")
            places.check()
        seen.append(name)
        places = ground
        layers.append((data, ground))
    whole: Any = layers[-1][0]
    for layer, _ in reversed(layers[:-1]):
        whole = _laid_over(whole, layer)
    if isinstance(whole, dict) and len(layers) > 1:
        whole = {key: value for key, value in whole.items() if key != "extends"}
    first = layers[0][1]
    for _, ground in layers[1:]:
        first.stands_on(ground)
    return whole, first


def _laid_over(ground: Any, layer: Any) -> Any:
    if not (isinstance(ground, dict) and isinstance(layer, dict)):
        return layer
    whole = dict(ground)
    for key, value in layer.items():
        if value is None and key in whole:
            del whole[key]
        else:
            whole[key] = _laid_over(whole[key], value) if key in whole else value
    return whole


def with_variables(data: Any, places: Places, given: Mapping[str, Any]) -> Any:
    """The document with its variables' values in their places; `given` are other values for some of them.

    Raises `ScenarioError` for a variable that there is not.
    """
    if not isinstance(data, dict):
        return data
    own = data.get("variables")
    if own is None:
        own = {}
    if not isinstance(own, dict):
        places.add(("variables",), "variables are a mapping of names to values")
        places.check()
    for name in own:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            places.add(("variables", name), "a variable's name is of letters, digits, _ and -")
    for name in given:
        if name not in own:
            known = ", ".join(map(str, own)) or "none"
            places.add(("variables",) if own else (), f"there is no variable '{name}' to set (there are: {known})")
    values = {**own, **{name: value for name, value in given.items() if name in own}}
    filled = _filled(data, (), values, places)
    places.check()
    return filled


def _filled(value: Any, location: Location, values: Mapping[Any, Any], places: Places) -> Any:
    if isinstance(value, str):
        return _filled_text(value, location, values, places) if "${" in value else value
    if isinstance(value, dict):
        return {
            key: inner if not location and key == "variables" else _filled(inner, (*location, key), values, places)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_filled(inner, (*location, position), values, places) for position, inner in enumerate(value)]
    return value


def _filled_text(text: str, location: Location, values: Mapping[Any, Any], places: Places) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole is not None and not text.startswith("$$") and whole[1] in values:
        return values[whole[1]]

    def fill(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        if match[1] not in values and location[:1] == ("contract",):
            # There it stands for what an earlier step answered, which is known only when the contract runs.
            return match[0]
        if match[1] not in values:
            known = ", ".join(map(str, values)) or "none"
            places.add(location, f"no variable '{match[1]}' (there are: {known})")
            return ""
        return str(values[match[1]])

    return _REFERENCE.sub(fill, text)


def escaped(value: Any) -> Any:
    """The document whose texts stand for themselves when its variables are filled in."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: "$" + match[0], value) if "${" in value else value
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    return [escaped(inner) for inner in value] if isinstance(value, list) else value
