"""Read a policy file; what is wrong in it is told with its line."""

import difflib
import re
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxmox_mcp.errors import SettingsError
from proxmox_mcp.safety.files import Unsafe, require_trusted
from proxmox_mcp.safety.policy import ExecLists, Limits, Policy, Rule

_HEADER = re.compile(r"\s*(?P<open>\[{1,2})\s*(?P<name>[\w.\s\"'-]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"\s*[\"']?(?P<key>[\w-]+)[\"']?\s*=")
# In a list: a comment, a text, a comma, its end, a line's end, anything else.
_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'[^']*'|,|\]|\n|[^\s,\]#"']+""")
_MODELS: dict[str, Any] = {"": Policy, "rules": Rule, "exec": ExecLists, "limits": Limits}

Location = tuple[str | int, ...]


def load_policy(path: Path, tools: Iterable[str]) -> Policy:
    """Read and check a policy.

    Args:
        path: the file.
        tools: the names of all tools there are; a rule on another one is a mistake.

    Raises:
        SettingsError: it cannot be read, or something in it is wrong; the text names the file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        require_trusted(path)
    except Unsafe as unsafe:
        raise SettingsError(f"The policy is not trusted: {unsafe}.") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise SettingsError(f"The policy {path} cannot be read: {why}.") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = f"line {found[1]}, column {found[2]}" if found else f"line {len(text.splitlines()) or 1} (the end)"
        what = str(error).partition(" (at ")[0]
        raise SettingsError(f"The policy {path}, {where}: this is not TOML: {what}.") from None
    lines = _lines(text)
    try:
        policy = Policy.model_validate(table)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        told = [_told(path, text, lines, tuple(problem["loc"]), problem) for problem in problems]
        raise SettingsError("\n".join(dict.fromkeys(told))) from None
    _check_tools(path, text, lines, policy, list(tools))
    return policy.located(path, {number: lines.get(("rules", number), 0) for number in range(len(policy.rules))})


def _lines(text: str) -> dict[Location, int]:
    """Where each table and key stands: `("rules", 1, "tags")` → line, counted from 1."""
    found: dict[Location, int] = {}
    counts: dict[str, int] = {}
    inside: Location = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = header["name"].strip("\"'")
            inside = (name,)
            if header["open"] == "[[":
                inside = (name, counts.get(name, 0))
                counts[name] = counts.get(name, 0) + 1
            found.setdefault(inside, number)
        elif key := _KEY.match(line):
            found.setdefault((*inside, key["key"]), number)
    return found


def _line_of(text: str, lines: dict[Location, int], place: Location) -> int:
    """The line of a place in the file: of its key, or of the item of a list that spans several lines."""
    for length in range(len(place), 0, -1):
        line = lines.get(place[:length])
        if line is not None:
            item = place[length] if length < len(place) else 0
            return line + _lines_before(text, line, item) if isinstance(item, int) else line
    return 1


def _lines_before(text: str, line: int, item: int) -> int:
    """How many lines below its key an item of a list begins."""
    rest = "\n".join(text.splitlines()[line - 1 :])
    begin = rest.find("[", rest.find("="))
    if item == 0 or begin < 0:
        return 0
    seen = 0
    for found in _TOKEN.finditer(rest, begin + 1):
        token = found[0]
        if token == "]":
            break
        if token == ",":
            seen += 1
        elif seen == item and token[0] not in "#\n":
            return rest.count("\n", 0, found.start())
    return 0


def _told(path: Path, text: str, lines: dict[Location, int], place: Location, problem: Any) -> str:
    # What pydantic adds of its own to the place, as the branch of a union, is no part of the file.
    place = tuple(
        part for part in place if not (isinstance(part, str) and ("-" in part or "[" in part or part in _TYPES))
    )
    line = _line_of(text, lines, place)
    name = _name(place)
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such key" + _did_you_mean(str(place[-1]), _fields(place))
    elif problem["type"] == "missing":
        message = "is required"
    return f"The policy {path}, line {line}: {name}: {message}."


_TYPES = frozenset({"int", "str"})


def _fields(place: Location) -> list[str]:
    model = _MODELS.get(str(place[0]) if len(place) > 1 else "", Policy)
    return list(model.model_fields)


def _name(place: Location) -> str:
    text = ""
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the file"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}" if len(names) < 20 else ""


def _check_tools(path: Path, text: str, lines: dict[Location, int], policy: Policy, known: list[str]) -> None:
    for number, rule in enumerate(policy.rules):
        for tool in rule.tools or ():
            if not any(fnmatchcase(name, tool) for name in known):
                line = _line_of(text, lines, ("rules", number, "tools"))
                hint = _did_you_mean(tool.replace("*", ""), known)
                raise SettingsError(
                    f"The policy {path}, line {line}: rules[{number + 1}].tools: there is no tool {tool}{hint}."
                )
