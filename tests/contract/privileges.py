"""Which privileges each tool needs, found out by leaving them away: `python -m tests.contract.privileges`.

Every call of the contracts that root makes with success is made by a token, which has a role of its own on all there
is. What the simulator asks of the token on the way is what PVE asks: the permission checks of the published schema, and
those that PVE makes in its code. `proxmox_mcp/safety/privileges.json` is what comes of it, and a test holds it to that.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anyio
import pytest
from mcp import Client
from mcp.types import CallToolResult, ElicitResult, TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.privileges import FILE
from proxmox_mcp.server import build_server
from pvesim import Simulator
from pvesim.access import rules
from pvesim.scenario import Scenario
from pvesim.scenario.model import AclModel, TokenModel, UserModel
from pvesim.scenario.steps import ContractStepModel
from tests.contract.matching import filled_in, mismatches
from tests.contract.runner import contracts
from tests.contract.targets import ROOT, InProcess

TOKEN = "mcp-least@pve!assistant"
_USER = TOKEN.partition("!")[0]


class Check(NamedTuple):
    """What PVE asked of the token once: all of these privileges, or any."""

    privileges: tuple[str, ...]
    any_of: bool

    def passes(self, held: Collection[str]) -> bool:
        """Whether who holds these passes."""
        return any(name in held for name in self.privileges) if self.any_of else set(self.privileges) <= set(held)


@dataclass
class Observed:
    """What came of the calls, by contract and tool.

    Attributes:
        checks: what the token was asked for.
        failed: what was refused, or answered otherwise than the contract says, with why.
    """

    checks: dict[tuple[str, str], set[Check]] = field(default_factory=lambda: defaultdict(set))
    failed: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def of_tools(self) -> dict[str, set[Check]]:
        """The checks of each tool."""
        found: dict[str, set[Check]] = defaultdict(set)
        for (_, tool), checks in self.checks.items():
            found[tool] |= checks
        return found


async def observe(role: Collection[str], only: Collection[str] | None = None) -> Observed:
    """Make the calls as the token with this role; `only` those of some contracts."""
    observed = Observed()
    for name, scenario in contracts().items():
        if only is None or name in only:
            with InProcess(_with_token(scenario, role)) as target:
                await _calls(name, target, observed)
    return observed


def _with_token(scenario: Scenario, role: Collection[str]) -> Scenario:
    """The scenario with a token that holds the role everywhere."""
    user = UserModel(tokens={"assistant": TokenModel(privsep=False)})
    return scenario.model_copy(
        update={
            "users": {**scenario.users, _USER: user},
            "roles": {**scenario.roles, "Least": sorted(role)},
            "acl": [*scenario.acl, AclModel(path="/", role="Least", user=_USER)],
        }
    )


async def _calls(name: str, target: InProcess, observed: Observed) -> None:
    settings = target.settings(ROOT, "admin")
    pve = Pve(settings, connect=lambda: target.simulator.connect(TOKEN), user=TOKEN)
    answers: dict[str, Any] = {}
    with _watched(observed) as at_work:
        async with Client(build_server(settings, pve), elicitation_callback=_yes) as client:
            for step in filter(_is_success, target.scenario.contract):
                at_work[:] = [(name, step.call.tool)]
                try:
                    result = await client.call_tool(step.call.tool, filled_in(step.call.arguments, answers))
                    answers[step.name] = result.structured_content
                    why = _failure(step, result, answers)
                except KeyError as error:
                    why = f"it goes on from what failed before: {error}"
                if why:
                    observed.failed[name, step.name, step.call.tool] = why


def _failure(step: ContractStepModel, result: CallToolResult, answers: dict[str, Any]) -> str:
    if result.is_error:
        return " ".join(part.text for part in result.content if isinstance(part, TextContent))
    if step.expect is None:
        return ""
    expected = json.loads(json.dumps(step.expect).replace(ROOT, TOKEN))
    return "; ".join(mismatches(filled_in(expected, answers), result.structured_content))


def _is_success(step: ContractStepModel) -> bool:
    return step.error is None and step.user in (None, ROOT) and step.policy is None and step.approved


async def _yes(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"approve": True})


@contextmanager
def _watched(observed: Observed) -> Iterator[list[tuple[str, str]]]:
    """Note down each check of the token's privileges, under the contract and tool that the list yielded names."""
    at_work: list[tuple[str, str]] = []
    genuine = rules.has_privileges

    def noted(world: Any, identity: Any, path: str, privileges: Sequence[str], any_of: bool = False) -> bool:
        if identity.userid == _USER and at_work:
            observed.checks[at_work[0]].add(Check(tuple(privileges), any_of))
        return genuine(world, identity, path, privileges, any_of)

    with pytest.MonkeyPatch.context() as patch:
        for module in list(sys.modules.values()):
            if getattr(module, "has_privileges", None) is genuine:
                patch.setattr(module, "has_privileges", noted)
        # No tool lives on what another has read.
        patch.setattr("proxmox_mcp.locate._FRESH_SECONDS", -1.0)
        yield at_work


async def find_out() -> dict[str, dict[str, Any]]:
    """What each tool needs: the privileges without which one of its calls fails, and those of which any will do."""
    everything = administrator()
    whole = await observe(everything)
    needed: dict[str, set[str]] = defaultdict(set)
    for privilege in everything:
        asked = {
            name for (name, _), checks in whole.checks.items() if any(privilege in one.privileges for one in checks)
        }
        without = await observe([one for one in everything if one != privilege], asked)
        for contract, _, tool in without.failed.keys() - whole.failed.keys():
            # Others fail only because those before them did.
            checks = whole.checks.get((contract, tool), set())
            if any(privilege in one.privileges and not one.any_of for one in checks):
                needed[tool].add(privilege)
    return {
        tool: {
            "all": sorted(needed[tool]),
            "any": sorted(sorted(set(check.privileges)) for check in set(checks) if check.any_of),
        }
        for tool, checks in sorted(whole.of_tools().items())
    }


def administrator() -> list[str]:
    """All privileges that there are."""
    roles = Simulator("homelab").request("GET", "/access/roles")
    return sorted(next(role["privs"] for role in roles if role["roleid"] == "Administrator").split(","))


if __name__ == "__main__":
    lines = [f" {json.dumps(tool)}: {json.dumps(need)}" for tool, need in anyio.run(find_out).items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
