"""Finding and loading scenarios, and what the model says of wrong fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pvesim.core.errors import ScenarioError
from pvesim.nodes.records import Node
from pvesim.scenario import Scenario, available, build_world, find, load
from tests.pvesim.scenario.places import problem, problems


def refusal(source: Any) -> str:
    with pytest.raises(ScenarioError) as caught:
        build_world(source)
    return str(caught.value)


def test_the_shipped_scenarios_are_known_by_name() -> None:
    assert {"homelab", "single-node"} <= set(available())
    assert find("homelab").name == "homelab.yaml"


def test_an_unknown_name_lists_those_that_there_are() -> None:
    text = refusal("homlab")
    assert "no scenario 'homlab'" in text
    assert "homelab, least-privilege" in text
    assert "Did you mean 'homelab'?" in text


def test_a_name_that_walks_out_of_the_folder_is_a_path() -> None:
    assert "cannot be read" in refusal("../scenarios/nothing")


def test_a_path_is_read_and_problems_name_it_as_given(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("nodes: {alpha: {}}\n")
    assert list(build_world(path).rows(Node)) == ["alpha"]
    assert list(build_world(str(path)).rows(Node)) == ["alpha"]
    path.write_text("nodes: {alpha: {}}\nnods: {}\n")
    assert refusal(str(path)) == f"{path}:2:1: nods: there is no field 'nods': did you mean 'nodes'?"


def test_a_file_of_json_is_a_scenario_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"vms": {"100": {"config": {"name": "web"}}}}')
    assert load(path).vms[100].config == {"name": "web"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/nowhere/x.yaml", "/nowhere/x.yaml: cannot be read: No such file or directory"),
        (Path("/"), "/: cannot be read: Is a directory"),
        (3, "a scenario is a name, a path or a mapping, not int"),
        ({"vms": {"abc": {}}}, "vms.abc: input should be a valid integer"),
        (
            {"nodes": {"bad_name": {}}},
            "nodes.bad_name: string should match pattern '^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$'",
        ),
    ],
)
def test_what_cannot_be_loaded(source: Any, expected: str) -> None:
    assert refusal(source) == expected


def test_a_mapping_and_a_loaded_scenario_are_taken() -> None:
    scenario = load({"cluster": {"name": "lab"}, "nodes": {"a": {}, "b": {}}})
    assert isinstance(scenario, Scenario)
    assert load(scenario) is scenario
    assert list(build_world(scenario).rows(Node)) == ["a", "b"]


def test_a_scenario_that_was_refused_is_refused_again_with_the_same_words() -> None:
    scenario = load({"pools": {"a": {"guests": [100]}}})
    assert refusal(scenario) == refusal(scenario) == "pools.a.guests.0: no guest 100"


@pytest.mark.parametrize(
    ("text", "words"), [("", "the file is empty"), ("- 1", "a scenario is a mapping"), ("x", "a scenario is")]
)
def test_what_is_no_mapping(text: str, words: str) -> None:
    assert words in problem(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nods: {}", "x.yaml:1:1: nods: there is no field 'nods': did you mean 'nodes'?"),
        (
            "nodes:\n  a:\n    hardware: {memori: 1}",
            "x.yaml:3:16: nodes.a.hardware.memori: there is no field 'memori': did you mean 'memory'?",
        ),
        ("vms: {100: {cofnig: {}}}", "x.yaml:1:13: vms.100.cofnig: there is no field 'cofnig': did you mean 'config'?"),
        (
            "pools: {a: {zzz: 1}}",
            "x.yaml:1:13: pools.a.zzz: there is no field 'zzz': there are comment, guests, storages",
        ),
        ("tasks: [{ago: 3}]", "x.yaml:1:9: tasks.0.type: this field is required"),
        ("vms: {100: {state: asleep}}", "x.yaml:1:13: vms.100.state: input should be 'running', 'paused' or 'stopped'"),
        (
            "containers: {200: {state: paused}}",
            "x.yaml:1:20: containers.200.state: input should be 'running' or 'stopped'",
        ),
        ("vms: {99: {}}", "x.yaml:1:7: vms.99: input should be greater than or equal to 100"),
        ("seed: '1'", "x.yaml:1:1: seed: input should be a valid integer"),
        ("start: soon", None),
        ("vms: {100: {config: {name: }}}", None),
        ("acl: [{path: /, role: PVEAuditor}]", "x.yaml:1:7: acl.0: give exactly one of user, group and token"),
        (
            "acl: [{path: /, role: PVEAuditor, user: a@pve, group: b}]",
            "x.yaml:1:7: acl.0: give exactly one of user, group and token",
        ),
    ],
)
def test_a_wrong_field_is_told_with_its_place(text: str, expected: str | None) -> None:
    found = problem(text)
    assert expected is None or found == expected
    assert found.startswith("x.yaml:1:") or expected is not None


def test_all_wrong_fields_are_told_at_once() -> None:
    assert len(problems("nods: 1\nvms: {100: {state: x, uptime: y}}\nseed: -1")) == 4


class TestContractPart:
    text = """
contract:
  - name: stop
    call: {tool: manage_vm, arguments: {vmid: 100, action: stop}}
    expect: {state: stopped}
    access: operate
    after:
      - {get: /nodes/pve1/qemu/100/status/current, data: {status: stopped}}
"""

    def test_it_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "c.yaml"
        path.write_text(self.text)
        step = load(path).contract[0]
        assert step.call.tool == "manage_vm"
        assert step.call.arguments == {"vmid": 100, "action": "stop"}
        assert step.access == "operate"
        assert step.after[0].data == {"status": "stopped"}

    def test_a_call_has_one_outcome(self) -> None:
        assert "not both" in problem(self.text.replace("access: operate", "error: nope"))

    def test_an_unknown_access_level_is_refused(self) -> None:
        assert "'read', 'operate' or 'admin'" in problem(self.text.replace("access: operate", "access: god"))

    def test_a_reason_is_given_for_what_only_a_simulator_can_do(self) -> None:
        assert "at least 1 character" in problem(self.text.replace("access: operate", "simulated_only: ''"))
