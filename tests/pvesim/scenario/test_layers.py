"""Scenarios that extend others, and variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pvesim.cli import app
from pvesim.core.errors import ScenarioError
from pvesim.scenario import build_world, load
from pvesim.scenario.layers import escaped, with_variables
from pvesim.scenario.reading import Places

GROUND = """
description: ground
variables: {memory: 512, name: web}
nodes: {pve1: {}, pve2: {}}
vms:
  100: {node: pve1, config: {name: "${name}-1", memory: "${memory}", tags: [a, b]}}
  101: {node: pve2, config: {name: db}}
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "top.yaml"


def problems(path: Path, **how: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        build_world(path, **how)
    return [problem.replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_mappings_are_merged_lists_replaced_and_null_takes_away(tmp_path: Path) -> None:
    top = """
extends: ground.yaml
variables: {memory: 1024}
vms:
  100: {config: {tags: [c]}}
  101: null
  102: {node: pve1}
"""
    scenario = load(write(tmp_path, ground=GROUND, top=top))
    assert scenario.description == "ground"
    assert list(scenario.vms) == [100, 102]
    assert scenario.vms[100].config == {"name": "web-1", "memory": 1024, "tags": ["c"]}
    assert scenario.vms[100].node == "pve1"


def test_a_shipped_scenario_can_be_extended(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("extends: homelab\nseed: 99\n")
    scenario = load(tmp_path / "x.yaml")
    assert (scenario.seed, 100 in scenario.vms) == (99, True)
    assert load({"extends": "homelab", "seed": 99}).vms == scenario.vms


def test_several_levels(tmp_path: Path) -> None:
    middle = "extends: ground.yaml\nvms: {101: {config: {cores: 2}}}\n"
    scenario = load(write(tmp_path, ground=GROUND, middle=middle, top="extends: middle.yaml\nseed: 3\n"))
    assert scenario.vms[101].config == {"name": "db", "cores": 2}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"top": "extends: top.yaml\n"}, "top.yaml:1:1: extends: a circle: top.yaml -> top.yaml"),
        (
            {"top": "seed: 1\nextends: a.yaml\n", "a": "extends: top.yaml\n"},
            "top.yaml -> a.yaml -> top.yaml",
        ),
        ({"top": "extends: gone.yaml\n"}, "extends: gone.yaml: cannot be read: No such file or directory"),
        ({"top": "extends: nothere\n"}, "top.yaml:1:1: extends: no scenario 'nothere'"),
        ({"top": "extends: [1]\n"}, "top.yaml:1:1: extends: the name of a scenario, or a file"),
        ({"top": "extends: a.yaml\n", "a": "vms: [\n"}, "this is not YAML"),
        ({"top": "extends: a.yaml\n", "a": "vms: {x: {}}\n"}, "a.yaml:1:7: vms.x"),
    ],
)
def test_what_cannot_be_extended_is_told_with_its_place(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert expected in problems(write(tmp_path, **files))[0]


def test_a_problem_is_in_the_file_that_holds_the_field(tmp_path: Path) -> None:
    top = "extends: ground.yaml\nvms:\n  100: {config: {cores: 0}}\n  103: {node: nope}\n"
    ground = GROUND.replace("101: {node: pve2", "101: {node: pve7")
    assert problems(write(tmp_path, ground=ground, top=top)) == [
        "top.yaml:3:18: vms.100.config.cores: PVE refuses it: value must have a minimum value of 1",
        "top.yaml:4:9: vms.103.node: no node 'nope': there are pve1, pve2",
        "ground.yaml:7:9: vms.101.node: no node 'pve7': there are pve1, pve2",
    ]


# -- variables -------------------------------------------------------------------------------------------------------


def test_variables_keep_their_types_and_may_be_set(tmp_path: Path) -> None:
    path = write(tmp_path, top=GROUND)
    assert load(path).vms[100].config["memory"] == 512
    given = load(path, variables={"memory": 2048, "name": "shop"})
    assert (given.vms[100].config["memory"], given.vms[100].config["name"]) == (2048, "shop-1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nodes: {pve1: {ip: '${nope}'}}\n", "top.yaml:1:16: nodes.pve1.ip: no variable 'nope' (there are: none)"),
        ("variables: [a]\n", "top.yaml:1:1: variables: variables are a mapping of names to values"),
        ("variables: {'a b': 1}\n", "top.yaml:1:13: variables.a b: a variable's name is of letters, digits, _ and -"),
    ],
)
def test_a_wrong_variable_is_told_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(write(tmp_path, top=text)) == [expected]


def test_a_variable_that_is_not_there_cannot_be_set(tmp_path: Path) -> None:
    path = write(tmp_path, top=GROUND)
    assert problems(path, variables={"size": 1}) == [
        "top.yaml:3:1: variables: there is no variable 'size' to set (there are: memory, name)"
    ]


def filled(data: Any, **values: Any) -> Any:
    return with_variables({"variables": values, "x": data}, Places(), {})["x"]


def test_how_variables_are_written() -> None:
    assert filled(["a${v}b${v}", "${v}", "$${v}", "$v"], v=7) == ["a7b7", 7, "${v}", "$v"]


@given(
    st.recursive(st.text("$a{}b") | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_an_escaped_text_stands_for_itself(data: Any) -> None:
    assert filled(escaped(data)) == data


def test_the_commands_set_variables(tmp_path: Path) -> None:
    path = str(write(tmp_path, top=GROUND))
    assert CliRunner().invoke(app, ["check", path, "--set", "memory=256", "--set", "name=x"]).exit_code == 0
    refused = CliRunner().invoke(app, ["check", path, "--set", "memory=1"])
    assert refused.exit_code == 1
    assert "vms.100.config.memory" in refused.stderr
    unknown = CliRunner().invoke(app, ["serve", path, "--set", "size=1", "--port", "0"])
    assert "there is no variable 'size' to set (there are: memory, name)" in str(unknown.exception)
