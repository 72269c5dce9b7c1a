"""Runs the contract of a scenario on a target, step by step, as an MCP client would."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import anyio
import anyio.to_thread
from mcp import Client
from mcp.types import CallToolResult, ElicitResult, TextContent
from proxmoxer import ResourceException

from proxmox_mcp.tools import TOOLSETS
from pvesim.scenario import Scenario, load
from pvesim.scenario.steps import AfterModel, ContractStepModel
from tests.contract.matching import filled_in, mismatches
from tests.contract.targets import ROOT, Api, Target

Era = Literal["auto", "legacy"]
"""Of the protocol: `auto` is the newest that both sides speak, `legacy` the one with a handshake."""
ERAS: tuple[Era, ...] = ("auto", "legacy")

FOLDER = Path(__file__).resolve().parents[2] / "scenarios"
_READS = frozenset(tool.name for toolset in TOOLSETS for tool in toolset.declarations if tool.risk == "read")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 4.0


class ContractBroken(AssertionError):
    """A step went otherwise than the contract says; the text names it."""


def contracts() -> dict[str, Scenario]:
    """The scenarios that have a contract, by the path of their file below `scenarios/`."""
    files = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("contract/*.yaml")])
    read = {path.relative_to(FOLDER).with_suffix("").as_posix(): load(path) for path in files}
    return {name: scenario for name, scenario in read.items() if scenario.contract}


class StepRun(NamedTuple):
    """How one step went: `why` it was left out, or what did not hold."""

    step: str
    state: Literal["passed", "left out", "broken"]
    seconds: float
    why: str = ""


Told = Callable[[StepRun], None]


async def run_contract(name: str, target: Target, era: Era, told: Told = lambda run: None) -> list[str]:
    """Run all steps, and tell of each when it is over.

    Returns:
        The names of the steps that this target cannot run, by the scenario's own word.

    Raises:
        ContractBroken: a step does not hold; the first one, unless the target goes on.
    """
    async with AsyncExitStack() as stack:
        session = _Session(target, era, stack)
        api = await anyio.to_thread.run_sync(target.api)
        left_out, broken = await _run_steps(target, session, api, told)
    # Raised out here, for the clients' task groups would wrap it.
    if broken:
        raise ContractBroken("\n  ".join([f"{name}, {broken[0]}", *broken[1:]]))
    return left_out


async def _run_steps(target: Target, session: "_Session", api: Api, told: Told) -> tuple[list[str], list[str]]:
    """The steps that were left out, and the steps that did not hold with what is wrong."""
    left_out: list[str] = []
    broken: list[str] = []
    answers: dict[str, Any] = {}
    for step in target.scenario.contract:
        if why := target.leaves_out(step):
            left_out.append(step.name)
            told(StepRun(step.name, "left out", 0.0, why))
            continue
        began = time.monotonic()
        try:
            problems = await _run_step(step, session, answers, target.patience)
            problems += await _after(step, api, answers, 0.0 if problems else target.patience)
        except (KeyError, ResourceException) as error:
            problems = [str(error)]
        told(StepRun(step.name, "broken" if problems else "passed", time.monotonic() - began, "; ".join(problems)))
        if problems:
            broken += [f"step {step.name!r}: {step.call.tool}", *problems]
        if broken and not target.goes_on:
            break
    return left_out, broken


async def _until(look: Callable[[], Awaitable[tuple[list[str], bool]]], patience: float) -> list[str]:
    """What is wrong at a look, and at more of them for so many seconds while another can do no harm."""
    end, pause = time.monotonic() + patience, _FIRST_PAUSE
    while True:
        problems, harmless = await look()
        if not problems or not harmless or time.monotonic() >= end:
            return problems
        await anyio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


class _Session:
    """A client for each way that the steps want a server set up, each with a server of its own."""

    def __init__(self, target: Target, era: Era, stack: AsyncExitStack) -> None:
        self._target = target
        self._era = era
        self._stack = stack
        self._clients: dict[tuple[Any, ...], Client] = {}

    async def call(self, step: ContractStepModel, arguments: dict[str, Any]) -> CallToolResult:
        user, access = step.user or ROOT, step.access or "operate"
        key = (user, access, step.approved, step.policy)
        if key not in self._clients:
            settings = self._target.settings(user, access)
            if step.policy is not None:
                settings = settings.model_copy(update={"policy": self._file(step.policy)})
            server = self._target.mcp_server(settings, user)
            answer = _approve if step.approved else _decline
            client = Client(server, mode=self._era, elicitation_callback=answer)
            self._clients[key] = await self._stack.enter_async_context(client)
        return await self._clients[key].call_tool(step.call.tool, arguments)

    def _file(self, policy: str) -> Path:
        folder = self._stack.enter_context(TemporaryDirectory())
        file = Path(folder) / "policy.toml"
        file.write_text(policy)
        return file


async def _approve(context: Any, params: Any) -> ElicitResult:
    """The person at the client, who approves of everything: what a contract shows is what happens then."""
    return ElicitResult(action="accept", content={"approve": True})


async def _decline(context: Any, params: Any) -> ElicitResult:
    """The person at the client, who approves of nothing."""
    return ElicitResult(action="decline")


async def _run_step(
    step: ContractStepModel, session: "_Session", answers: dict[str, Any], patience: float
) -> list[str]:
    """Call the tool; one that changes something is called again only if it was refused, as is expected of it."""

    async def look() -> tuple[list[str], bool]:
        result = await session.call(step, filled_in(step.call.arguments, answers))
        answers[step.name] = result.structured_content
        harmless = step.call.tool in _READS or (step.error is not None and bool(result.is_error))
        return _judged(step, result, answers), harmless

    return await _until(look, patience)


def _judged(step: ContractStepModel, result: CallToolResult, answers: dict[str, Any]) -> list[str]:
    text = "\n".join(content.text for content in result.content if isinstance(content, TextContent))
    if step.error is not None:
        if not result.is_error:
            return [f"expected an error with {step.error!r}, got {result.structured_content}"]
        part = filled_in(step.error, answers)
        return [] if part in text else [f"expected an error with {part!r}, got {text!r}"]
    if result.is_error:
        return [f"expected a result, got the error {text!r}"]
    return mismatches(filled_in(step.expect, answers), result.structured_content) if step.expect is not None else []


async def _after(step: ContractStepModel, api: Api, answers: dict[str, Any], patience: float) -> list[str]:
    """What the API does not show after the step."""
    problems: list[str] = []
    for after in step.after:

        async def look(after: AfterModel = after) -> tuple[list[str], bool]:
            return await anyio.to_thread.run_sync(_shown, after, api, answers), True

        problems += await _until(look, patience)
    return problems


def _shown(after: AfterModel, api: Api, answers: dict[str, Any]) -> list[str]:
    path = filled_in(after.get, answers)
    data = api(path.strip("/")).get(**after.params)
    return mismatches(filled_in(after.data, answers), data, f"GET {path}")
