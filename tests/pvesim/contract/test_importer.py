"""The script that makes the facts file from what a node publishes."""

import json
from pathlib import Path
from typing import Any

import pytest

from pvesim.contract import importer
from pvesim.contract.methods import DATA

TREE = [
    {
        "path": "/pools",
        "text": "pools",
        "leaf": 0,
        "info": {
            "GET": {
                "description": "Pool index, in a sentence.",
                "method": "GET",
                "name": "index",
                "allowtoken": 1,
                "proxyto": None,
                "permissions": {"description": "Who may.", "user": "all"},
                "parameters": {
                    "additionalProperties": 0,
                    "properties": {
                        "mode": {
                            "type": "string",
                            "description": "A sentence.",
                            "verbose_description": "More sentences.",
                            "typetext": "<one|two>",
                            "enum": ["one", "two"],
                            "optional": 1,
                            "default": "whatever the node thinks best",
                        },
                        "net[n]": {
                            "type": "string",
                            "format": {
                                "description": {"type": "string", "description": "Named like prose.", "optional": 1},
                                "rate": {"type": "number", "format_description": "MB/s", "default": "no limit"},
                            },
                        },
                        "kind": {
                            "type-property": "mode",
                            "type": "array",
                            "oneOf": [{"instance-types": ["one"], "items": {"type": "string", "title": "T"}}],
                        },
                    },
                },
                "returns": {"type": "array", "items": {"type": "object", "additionalProperties": {"description": "x"}}},
            }
        },
        "children": [{"path": "/pools/{poolid}", "text": "{poolid}", "leaf": 1, "info": {}}],
    }
]

FACTS = {
    "/pools": {
        "GET": {
            "allowtoken": 1,
            "parameters": {
                "kind": {
                    "oneOf": [{"instance-types": ["one"], "items": {"type": "string"}}],
                    "type": "array",
                    "type-property": "mode",
                },
                "mode": {"enum": ["one", "two"], "optional": 1, "type": "string"},
                "net[n]": {
                    "format": {"description": {"optional": 1, "type": "string"}, "rate": {"type": "number"}},
                    "type": "string",
                },
            },
            "permissions": {"user": "all"},
            "returns": {"items": {"additionalProperties": {}, "type": "object"}, "type": "array"},
        }
    }
}


@pytest.mark.parametrize(
    "source",
    [
        json.dumps(TREE),
        f"const apiSchema = {json.dumps(TREE, indent=3)}\n;\nlet viewer = [1, 2];\n",
        f"var verbs = ['GET'];\nvar other = [];\nvar pveapi = {json.dumps(TREE)};\nExt.onReady(function() {{}});",
    ],
)
def test_facts_are_kept_and_prose_is_not(source: str) -> None:
    assert importer.facts_of(importer.read_tree(source)) == FACTS


@pytest.mark.parametrize("source", ["", "nothing here", "var a = [1, 2];", "[]", '{"path": "/x"}', "x = [{"])
def test_source_without_a_tree_is_refused(source: str) -> None:
    with pytest.raises(importer.SourceError, match="no list of API paths"):
        importer.read_tree(source)


@pytest.mark.parametrize(
    ("kind", "default", "kept"),
    [
        ("integer", "100", True),
        ("integer", "same as user", False),
        ("boolean", "yes", True),
        ("boolean", 1, True),
        ("string", "network,disk,usb", True),
        ("string", "groupOfNames, group, ipausergroup", True),
        ("string", "current connected node", False),
        ("string", "", True),
    ],
)
def test_defaults_that_describe_a_value_are_prose(kind: str, default: object, kept: bool) -> None:
    tree = [{"path": "/x", "info": {"GET": {"parameters": {"properties": {"a": {"type": kind, "default": default}}}}}}]
    facts = importer.facts_of(tree)["/x"]["GET"]["parameters"]["a"]
    assert ("default" in facts) is kept


def test_parameters_are_open_unless_said_otherwise() -> None:
    tree = [{"path": "/x", "info": {"GET": {}, "PUT": {"parameters": {"additionalProperties": 0}}}}]
    facts = importer.facts_of(tree)["/x"]
    assert facts["GET"].get("additional") == 1
    assert "additional" not in facts["PUT"]


def test_one_sorted_line_for_each_path() -> None:
    facts: dict[str, dict[str, Any]] = {"/b": {"PUT": {"returns": {}, "allowtoken": 1}}, "/a": {"GET": {}}}
    assert importer.render(facts) == '{\n"/a":{"GET":{}},\n"/b":{"PUT":{"allowtoken":1,"returns":{}}}\n}\n'


def test_rendering_is_stable_on_the_shipped_facts() -> None:
    text = DATA.read_text(encoding="utf-8")
    assert importer.render(json.loads(text)) == text


def test_command_writes_the_file(tmp_path: Path) -> None:
    source, output = tmp_path / "apidoc.js", tmp_path / "facts.json"
    source.write_text(f"const apiSchema = {json.dumps(TREE)};", encoding="utf-8")
    assert importer.main([str(source), "-o", str(output)]) == 0
    assert json.loads(output.read_text(encoding="utf-8")) == FACTS


def test_command_prints_without_an_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "tree.json"
    source.write_text(json.dumps(TREE), encoding="utf-8")
    assert importer.main([str(source)]) == 0
    assert json.loads(capsys.readouterr().out) == FACTS


@pytest.mark.parametrize("content", [b"nothing", b"\xff\xfe\x00", None])
def test_command_names_a_source_it_cannot_use(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "apidoc.js"
    if content is not None:
        source.write_bytes(content)
    assert importer.main([str(source)]) == 1
    assert str(source) in capsys.readouterr().err


def test_shipped_facts_hold_no_prose() -> None:
    text = DATA.read_text(encoding="utf-8")
    for key in ("verbose_description", "typetext", "format_description", "title"):
        assert f'"{key}":"' not in text
    # A field may be called "description"; a description of a field would be text.
    assert '"description":"' not in text
