"""The runner itself: that it finds what does not hold, and says where."""

from typing import Any

import pytest

from pvesim.scenario import Scenario, load
from tests.contract.matching import filled_in, mismatches
from tests.contract.runner import ContractBroken, StepRun, run_contract
from tests.contract.targets import InProcess

FITS: list[tuple[Any, Any]] = [
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": None}, {"b": 2}),
    ({"a": {"b": [1]}}, {"a": {"b": [0, 1, 2]}}),
    ([{"a": 1}, {"a": 3}], [{"a": 1}, {"a": 2}, {"a": 3}]),
    ([], []),
    ("~a.c", "abc"),
    ("~[0-9]+", 12),
    (2, 2.0),
]
FITS_NOT: list[tuple[Any, Any, str]] = [
    ({"a": 1}, {"a": 2}, "answer.a: expected 1, got 2"),
    ({"a": 1}, {}, "answer.a: expected 1, got None"),
    ({"a": None}, {"a": 2}, "answer.a: expected None, got 2"),
    ({"a": {"b": 1}}, {"a": 1}, "answer.a: expected a mapping, got 1"),
    ([1], {"a": 1}, "answer: expected a list, got {'a': 1}"),
    ([], [1], "answer: expected an empty list, got [1]"),
    ([{"a": 3}, {"a": 1}], [{"a": 1}, {"a": 3}], "answer[1]: nothing fits {'a': 1} behind what fits"),
    ([{"a": 3}], [], "nearest: the list is empty"),
    ("~a.c", "abcd", "answer: expected what matches 'a.c', got 'abcd'"),
    ("~.*", None, "answer: expected what matches '.*', got None"),
    (True, 1, "answer: expected True, got 1"),
    ("1", 1, "answer: expected '1', got 1"),
]


@pytest.mark.parametrize(("expected", "actual"), FITS)
def test_what_fits(expected: Any, actual: Any) -> None:
    assert mismatches(expected, actual) == []


@pytest.mark.parametrize(("expected", "actual", "says"), FITS_NOT)
def test_what_does_not_fit(expected: Any, actual: Any, says: str) -> None:
    [problem] = mismatches(expected, actual)
    assert says in problem


def test_answers_are_filled_in_with_their_type() -> None:
    answers = {"a step": {"n": 3, "rows": [{"id": "x"}]}}
    value = {"n": "${a step.n}", "texts": ["at ${a step.rows.0.id}, ${a step.n}", 1]}
    assert filled_in(value, answers) == {"n": 3, "texts": ["at x, 3", 1]}


@pytest.mark.parametrize("reference", ["${later.n}", "${a step.m}", "${a step.rows.5}", "${a step.rows.x}"])
def test_an_answer_that_is_not_there_is_named(reference: str) -> None:
    with pytest.raises(KeyError, match=r"no step|there is no"):
        filled_in(reference, {"a step": {"n": 3, "rows": []}})


def scenario(**step: Any) -> Scenario:
    return load({"nodes": {"pve1": {}}, "contract": [{"name": "the step", "call": {"tool": "get_nodes"}, **step}]})


class Elsewhere(InProcess):
    """A target that claims to be no simulator."""

    simulated = False


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"expect": {"total": 7}}, "answer.total: expected 7, got 1"),
        ({"error": "no such thing"}, "expected an error with 'no such thing', got {'total': 1"),
        ({"call": {"tool": "get_moon"}}, "expected a result, got the error 'There is no tool get_moon."),
        ({"call": {"tool": "get_moon"}, "error": "sun"}, "expected an error with 'sun', got 'There is no tool"),
        ({"after": [{"get": "/nodes", "data": [{"node": "pve2"}]}]}, "GET /nodes[0]: nothing fits {'node': 'pve2'}"),
        ({"after": [{"get": "/nodes/pve9/status", "data": {}}]}, "hostname lookup 'pve9' failed"),
        ({"expect": {"total": "${another.total}"}}, "no step 'another' before this one"),
    ],
)
async def test_what_does_not_hold_is_named_with_its_step(step: dict[str, Any], says: str) -> None:
    with InProcess(scenario(**step)) as target, pytest.raises(ContractBroken) as broken:
        await run_contract("a file", target, "auto")
    assert "a file, step 'the step': " in str(broken.value)
    assert says in str(broken.value)


@pytest.mark.anyio
async def test_what_only_a_simulator_can_do_is_left_out_elsewhere_and_told() -> None:
    only = scenario(simulated_only="a reason", expect={"total": 7})
    with Elsewhere(only) as target:
        assert await run_contract("a file", target, "auto") == ["the step"]


@pytest.mark.anyio
@pytest.mark.parametrize(("access", "exists"), [(None, True), ("read", False)])
async def test_a_step_s_access_level_is_the_server_s(access: str | None, exists: bool) -> None:
    call = {"tool": "manage_vm", "arguments": {"vmid": 999, "action": "start"}}
    error = "There is no guest 999" if exists else "manage_vm is not available at access level read"
    with InProcess(scenario(call=call, error=error, access=access)) as target:
        assert await run_contract("a file", target, "legacy") == []


class GoesOn(InProcess):
    """A target on which one difference is no reason not to look for others."""

    goes_on = True


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "runs"), [(InProcess, ["broken"]), (GoesOn, ["broken", "passed"])])
async def test_steps_behind_one_that_does_not_hold(kind: type[InProcess], runs: list[str]) -> None:
    both = scenario(expect={"total": 7})
    second = both.contract[0].model_copy(update={"name": "the second", "expect": {"total": 1}})
    both.contract.append(second)
    told: list[StepRun] = []
    with kind(both) as target, pytest.raises(ContractBroken, match="step 'the step'"):
        await run_contract("a file", target, "auto", told.append)
    assert [run.state for run in told] == runs


class Behind(InProcess):
    """A target whose lists show a change of a guest ten seconds late."""

    patience = 5.0


@pytest.mark.anyio
async def test_what_lags_behind_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.contract.runner._FIRST_PAUSE", 0.0)
    make = {"name": "fresh", "node": "pve1", "storage": "local-lvm", "wait_seconds": 60}
    listed = {"get": "/cluster/resources", "params": {"type": "vm"}, "data": [{"name": "fresh", "status": "stopped"}]}
    late = load(
        {
            "cluster": {"status_rounds": True},
            "nodes": {"pve1": {}},
            "contract": [
                {
                    "name": "make",
                    "access": "admin",
                    "call": {"tool": "create_vm", "arguments": make},
                    "expect": {"state": "ok"},
                    "after": [listed],
                },
                {"name": "list", "call": {"tool": "get_vms", "arguments": {"name": "fresh"}}, "expect": {"total": 1}},
            ],
        }
    )
    with Behind(late) as target:
        assert await run_contract("a file", target, "auto") == []
    with InProcess(late) as target, pytest.raises(ContractBroken, match="fresh"):
        await run_contract("a file", target, "auto")
