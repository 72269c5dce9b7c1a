"""That the contracts say something about every tool."""

from collections import Counter

import pytest

from proxmox_mcp.tools import TOOLSETS
from tests.contract.kinds import NOBODY, kind_of
from tests.contract.runner import contracts
from tests.proxmox_mcp.tools.matrix import Kind, left_out

STEPS = [step for scenario in contracts().values() for step in scenario.contract]
TOOLS = sorted(tool.name for toolset in TOOLSETS for tool in toolset.declarations)
SHOWN = Counter((step.call.tool, kind_of(step)) for step in STEPS)
KINDS = (Kind.SUCCESS, Kind.POLICY, Kind.PERMISSION, Kind.UNKNOWN_GUEST, Kind.WRONG_NODE)
"""Those that any cluster can show. The others take a node that is off, or bad luck: `test_matrix.py` makes it."""


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_a_step_of_every_kind(tool: str) -> None:
    missing = [kind for kind in KINDS if not SHOWN[tool, kind] and left_out(tool, kind) is None]
    assert not missing, "no step of that kind, and no reason why there is none"


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_an_edge(tool: str) -> None:
    steps = [step for step in STEPS if step.call.tool == tool]
    assert any(step.error is not None and kind_of(step) not in (Kind.POLICY, Kind.PERMISSION) for step in steps)


def test_nobody_has_no_rights() -> None:
    for name, scenario in contracts().items():
        entries = [entry for entry in scenario.acl if NOBODY in (entry.user, (entry.token or "").partition("!")[0])]
        user = scenario.users.get(NOBODY)
        assert not entries, name
        assert user is None or not user.groups, name


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
