"""YAML with places: every problem is told with file, line, column and path of the field.

YAML is read as its version 1.2 means it: `yes`, `off`, `12:30` and dates are texts, only `true` and `false` are
booleans. A key that stands twice is a problem, and so is a document that grows without bound by its own aliases.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import yaml

from pvesim.core.errors import ScenarioError

_LARGEST = 2_000_000  # nodes of a document, with every alias counted as what it stands for
_DEEPEST = 50
_INDENTATION = re.compile(r"^[ \-?:\t]+", re.MULTILINE)
_BRACKETS = re.compile(r"[\[\]{}]")
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Location = tuple[Hashable, ...]


class _Loader(_Base):  # type: ignore[misc]
    """Builds nothing but plain values, and reads them as YAML 1.2 does."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|false|True|False|TRUE|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    # A leading zero is no sign of an octal number in YAML 1.2.
    return int(text, 16) if text.startswith("0x") else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _int)


def yaml_1_2_resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """What plain texts are taken for, here and by readers of YAML 1.1: a writer quotes texts of either kind."""
    merged: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for resolvers in (yaml.SafeDumper.yaml_implicit_resolvers, _Loader.yaml_implicit_resolvers):
        for first, found in resolvers.items():
            merged.setdefault(first, []).extend(found)
    return merged


class Places:
    """Where the fields of a document stand, and the problems found in them."""

    def __init__(self, name: str = "", root: Any = None) -> None:
        self.name = name
        self._root = root
        self._grounds: list[Places] = []
        self._problems: list[tuple[int, int, str]] = []

    def stands_on(self, ground: Places) -> None:
        """Look for fields that this document does not hold in another one, which it extends."""
        self._grounds.append(ground)

    def add(self, location: Sequence[Hashable], text: str) -> None:
        """Note a problem with the field at `location`, such as `("vms", 100, "config", "scsi0")`."""
        # The document that holds most of the way to the field; of several the first, which covers the others.
        name, (_, mark) = max(
            ((document.name, document._mark(location)) for document in (self, *self._grounds)),
            key=lambda found: found[1][0],
        )
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        place = f"{name}:{line}:{column}" if mark else name
        path = ".".join(str(part) for part in location)
        self._problems.append((line, column, ": ".join(part for part in (place, path, text) if part)))

    def fresh(self) -> Places:
        """The same places with no problem noted."""
        other = Places(self.name, self._root)
        other._grounds = self._grounds
        return other

    def check(self) -> None:
        """Raise `ScenarioError` with all problems noted so far, in the order of the file, if there are any."""
        if self._problems:
            in_order = sorted(self._problems, key=lambda problem: problem[:2])
            raise ScenarioError(list(dict.fromkeys(text for _, _, text in in_order)))

    def _mark(self, location: Sequence[Hashable]) -> tuple[int, Any]:
        """How many levels of the way to the field are here, and the mark of the last; none where is no document."""
        if self._root is None:
            return 0, None
        mark, node = self._root.start_mark, self._root
        for depth, part in enumerate(location):
            found = _child(node, part)
            if found is None:
                return depth, mark
            mark, node = found
        return len(location), mark


def _child(node: Any, part: Hashable) -> tuple[Any, Any] | None:
    """The mark of a field's key (or of a list's item), and its value's node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return key.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark, node.value[part]
    return None


def read_yaml(text: str | bytes, name: str) -> tuple[Any, Places]:
    """The value of a document, and where its fields stand. `name` is what problems call the file.

    Raises `ScenarioError` for what is no YAML or no plain data.
    """
    try:
        _check_depth(text, name)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            places = Places(name, root)
            if root is None:
                return None, places
            _measure(root, (), places, {})
            places.check()
            return loader.construct_document(root), places
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ScenarioError([f"{place}: this is not YAML: {error.problem or error.context}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ScenarioError([f"{name}: this is not YAML: {str(error).splitlines()[0]}"]) from None
    except (ValueError, RecursionError) as error:
        raise ScenarioError([f"{name}: a value cannot be read: {error}"]) from None


def _check_depth(text: str | bytes, name: str) -> None:
    """Refuse what is nested so deeply that composing it, which recurses, would exhaust the stack."""
    if not _may_be_deep(text.decode("utf-8", "replace") if isinstance(text, bytes) else text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                mark: Any = event.start_mark
                raise ScenarioError([f"{name}:{mark.line + 1}:{mark.column + 1}: more than {_DEEPEST} levels deep"])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _may_be_deep(text: str) -> bool:
    """Whether brackets or indentation leave it open; quotes and comments are not looked at."""
    if any(len(indentation) > 2 * _DEEPEST for indentation in _INDENTATION.findall(text)):
        return True
    depth = 0
    for bracket in _BRACKETS.findall(text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        if depth > _DEEPEST:
            return True
    return False


def _measure(node: Any, location: Location, places: Places, known: dict[int, int]) -> int:
    """The size of a node with its aliases followed; notes duplicate keys, too much, and what contains itself."""
    size = known.get(id(node))
    if size is not None:
        if size == 0:
            places.add(location, "an alias stands inside what it stands for")
        return size
    known[id(node)] = 0
    if len(location) > _DEEPEST:
        places.add(location, f"more than {_DEEPEST} levels deep")
        return 1
    total = 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if not isinstance(key, yaml.ScalarNode):
                places.add(location, "a key is a text or a number")
            elif name in seen and name != "<<":
                places.add((*location, name), f"'{name}' stands twice (line {key.start_mark.line + 1} too)")
            seen.add(name)
            total += _measure(value, (*location, name), places, known)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            total += _measure(item, (*location, position), places, known)
    if total > _LARGEST:
        places.add(location, f"with its aliases this is larger than {_LARGEST} values")
        total = 1  # told once, not again for everything around it
    known[id(node)] = total
    return total
