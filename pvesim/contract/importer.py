"""Make the contract's facts from the schema that a PVE node publishes.

    python -m pvesim.contract.importer SOURCE [-o FILE]

SOURCE is a node's `/pve-docs/api-viewer/apidoc.js`, or the bare tree as JSON. Only facts are written: paths, verbs,
names, types, bounds, enumerations, patterns, formats, defaults, permissions and shapes of answers. Prose stays behind.
The file has one line for each path, sorted, so that a refresh shows in a diff what changed in PVE.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What a schema may say, beside the parts that hold further schemas (those are in `_schema`).
_FACTS = frozenset(
    (
        *("type", "optional", "default", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "requires"),
        *("alias", "keyAlias", "default_key", "instance-types", "type-property", "links"),
    )
)
_METHOD_FACTS = ("allowtoken", "protected", "proxyto", "expose_credentials", "download_allowed")
_ASSIGNED_LIST = re.compile(r"=\s*(?=\[)")


class SourceError(ValueError):
    """The source holds no tree of API paths; the text says what was looked for."""


def read_tree(text: str) -> list[dict[str, Any]]:
    """The tree of path nodes in `text`, which is JSON or a script that assigns the tree to a variable.

    Raises SourceError when there is none.
    """
    decoder = json.JSONDecoder()
    starts = [len(text) - len(text.lstrip())] + [match.end() for match in _ASSIGNED_LIST.finditer(text)]
    for start in starts:
        try:
            tree, _ = decoder.raw_decode(text, start)
        except ValueError:
            continue
        if isinstance(tree, list) and tree and all(isinstance(node, dict) and "path" in node for node in tree):
            return tree
    raise SourceError("no list of API paths: give a node's /pve-docs/api-viewer/apidoc.js, or its tree as JSON")


def _walk(nodes: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for node in nodes:
        if node.get("info"):
            yield node["path"], node["info"]
        yield from _walk(node.get("children", []))


def _is_prose(default: object, schema_type: object) -> bool:
    """Some defaults describe a value ("same as user") where others give one."""
    if not isinstance(default, str):
        return False
    if schema_type in ("integer", "number", "boolean"):
        return re.fullmatch(r"-?\d+(\.\d+)?|yes|no|on|off|true|false", default) is None
    return "," not in default and len(default.split()) > 2


def _schemas(schemas: dict[str, Any]) -> dict[str, Any]:
    return {name: _schema(schema) for name, schema in schemas.items()}


def _schema(source: dict[str, Any]) -> dict[str, Any]:
    """One schema without its prose."""
    facts: dict[str, Any] = {}
    for key, value in source.items():
        if key == "properties":
            facts[key] = _schemas(value)
        elif key == "format":
            facts[key] = _schemas(value) if isinstance(value, dict) else value
        elif key in ("items", "additionalProperties"):
            facts[key] = _schema(value) if isinstance(value, dict) else value
        elif key == "oneOf":
            facts[key] = [_schema(choice) for choice in value]
        elif key in _FACTS and not (key == "default" and _is_prose(value, source.get("type"))):
            facts[key] = value
    return facts


def _permissions(source: dict[str, Any]) -> dict[str, Any]:
    return {key: source[key] for key in ("check", "user") if key in source}


def _method(source: dict[str, Any]) -> dict[str, Any]:
    parameters = source.get("parameters", {})
    facts: dict[str, Any] = {key: source[key] for key in _METHOD_FACTS if source.get(key)}
    facts["parameters"] = _schemas(parameters.get("properties", {}))
    # A list of parameters that does not say that it is complete lets any other through.
    if parameters.get("additionalProperties", 1):
        facts["additional"] = 1
    if "permissions" in source:
        facts["permissions"] = _permissions(source["permissions"])
    facts["returns"] = _schema(source.get("returns", {}))
    return facts


def facts_of(tree: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Path template → verb → facts of the method, from the tree that `read_tree` gives."""
    return {path: {verb: _method(method) for verb, method in info.items()} for path, info in _walk(tree)}


def render(facts: dict[str, dict[str, Any]]) -> str:
    """The text of a facts file: a JSON object with one line for each path, everything sorted."""
    lines = [
        f"{json.dumps(path)}:{json.dumps(facts[path], sort_keys=True, separators=(',', ':'))}" for path in sorted(facts)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pvesim.contract.importer", description="Refresh the API facts.")
    parser.add_argument("source", type=Path, help="a node's apidoc.js, or its tree as JSON")
    parser.add_argument("-o", "--output", type=Path, help="where to write (default: standard output)")
    options = parser.parse_args(arguments)
    try:
        text = render(facts_of(read_tree(options.source.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError, SourceError) as error:
        sys.stderr.write(f"{options.source}: {error}\n")
        return 1
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
