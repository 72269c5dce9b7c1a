"""That the contracts say something about every tool."""

import pytest

from proxmox_mcp.tools import TOOLSETS
from tests.contract.runner import contracts

STEPS = [step for scenario in contracts().values() for step in scenario.contract]
TOOLS = sorted(tool.name for toolset in TOOLSETS for tool in toolset.declarations)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_a_success_a_refusal_and_an_edge(tool: str) -> None:
    steps = [step for step in STEPS if step.call.tool == tool]
    assert any(step.expect is not None for step in steps), "no success with an expected result"
    assert any(step.error is not None for step in steps), "no refusal"
    assert len(steps) >= 3, "nothing beside one success and one refusal"


def test_steps_name_tools_that_there_are() -> None:
    assert {step.call.tool for step in STEPS} == set(TOOLS)


def test_steps_of_a_contract_have_names_of_their_own() -> None:
    for name, scenario in contracts().items():
        names = [step.name for step in scenario.contract]
        assert len(names) == len(set(names)), name
        assert not any("." in step for step in names), f"{name}: a dot in a name would end it in a reference"


def test_a_change_is_looked_at_past_the_server() -> None:
    """Each tool that changes something has a step whose effect is read through the API itself."""
    changing = [tool.name for toolset in TOOLSETS for tool in toolset.declarations if tool.risk != "read"]
    for tool in changing:
        assert any(step.call.tool == tool and step.after and step.expect for step in STEPS), tool
