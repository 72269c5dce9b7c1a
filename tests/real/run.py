"""Runs the contracts on a node: looks first, sets up and clears away each scenario, and ends the journal."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import anyio
from proxmoxer import ResourceException

from pvesim.scenario import Scenario
from tests.contract.runner import ContractBroken, StepRun, contracts, run_contract
from tests.real import ground, journal
from tests.real.found import Found, look
from tests.real.names import RangeTooSmall, ids_of, mapped_ids
from tests.real.node import NodeUnfit, RealNode, SetupFailed
from tests.real.plan import Plan
from tests.real.record import Record
from tests.real.sweep import clear, end
from tests.real.target import Real

POOL = "pvemcp-test"
FIRST, LAST = 9000, 9099
Say = Callable[[str], None]


def check_free(found: Found, *, told: bool) -> None:
    """Refuse a node with guests of someone's own, unless range and pool were given.

    Raises:
        NodeUnfit: it has some.
    """
    if found.guests and not told:
        raise NodeUnfit(
            f"The node holds {len(found.guests)} guests that no run made. Say which ids and which pool are the run's "
            f"own: --range {FIRST}-{LAST} --pool {POOL}."
        )


def check_room(scenarios: Mapping[str, Scenario], first: int, last: int) -> None:
    """The ids of every scenario fit into the range.

    Raises:
        NodeUnfit: those of one do not.
    """
    for name, scenario in scenarios.items():
        try:
            mapped_ids(ids_of(scenario), first, last)
        except RangeTooSmall as error:
            raise NodeUnfit(f"{error} That is for {name}. Give a larger one: --range {FIRST}-{LAST}.") from None


def run_all(
    node: RealNode,
    say: Say,
    *,
    pool: str = POOL,
    first: int = FIRST,
    last: int = LAST,
    told: bool = False,
    throwaway: bool = False,
    only: Mapping[str, Scenario] | None = None,
) -> Record:
    """Run contracts on the node, which is afterwards as it was.

    Args:
        say: is told a line for each scenario.
        told: the range and the pool were given by who owns the node.
        throwaway: nobody uses the node afterwards, so that what concerns it as a whole is run, too, and stays.
        only: the scenarios by name; all of them by default.

    Raises:
        NodeUnfit: the node cannot be used; nothing was changed.
        SetupFailed: the node could not be cleared; `sweep` may.
    """
    whole = time.monotonic()
    found = replace(look(node), throwaway=throwaway)
    for line in found.lines():
        say(line)
    if left := ", ".join(journal.begun(node)):
        raise NodeUnfit(f"The pool {left} says that a run was broken off: sweep the node first (--sweep).")
    check_free(found, told=told)
    chosen = only or contracts()
    check_room(chosen, first, last)
    record = Record("real", found.version)
    journal.begin(node, found, pool, first, last)
    try:
        found = _prepared(node, found, chosen, say, (pool, first, last))
        if found.vm_backups_fail is not None:
            say(
                f"virtual machines cannot be backed up here, so what is about that is left out: {found.vm_backups_fail}"
            )
        for number, (name, scenario) in enumerate(chosen.items(), 1):
            began = time.monotonic()
            _run_one(node, found, name, scenario, record, (pool, first, last))
            say(f"[{number}/{len(chosen)}] {_line(name, record.scenarios[name], time.monotonic() - began)}")
    finally:
        _clear_away(node, pool, first, last)
    record.seconds = time.monotonic() - whole
    return record


def _prepared(
    node: RealNode, found: Found, chosen: Mapping[str, Scenario], say: Say, own: tuple[str, int, int]
) -> Found:
    """What is found once there is a container template; one that was brought along is tried first."""
    pool, first, last = own
    prepared = ground.prepare(node, found, chosen.values(), pool, first)
    if prepared.template == found.template:
        return prepared
    try:
        ground.try_template(node, prepared, first)
    except (SetupFailed, ResourceException) as error:
        say(f"containers are left out, for the node makes none of the template: {error}")
        return replace(prepared, template=found.template, no_containers=str(error))
    finally:
        clear(node, first, last)
    return prepared


def _clear_away(node: RealNode, pool: str, first: int, last: int) -> None:
    try:
        clear(node, first, last)
        end(node, pool)
    except (NodeUnfit, SetupFailed, ResourceException, KeyboardInterrupt) as error:
        raise SetupFailed(
            f"{str(error) or 'Stopped while clearing away.'} What the run made is still there: sweep the node when it "
            "answers again (--sweep)."
        ) from error


def _run_one(
    node: RealNode, found: Found, name: str, scenario: Scenario, record: Record, own: tuple[str, int, int]
) -> None:
    """One scenario; what does not hold is noted, and the next one has its turn."""
    plan = Plan(scenario, found)
    reasons = [(step.name, plan.left_out(step)) for step in scenario.contract]
    if all(why for _, why in reasons):
        for step, why in reasons:
            record.add(name, StepRun(step, "left out", 0.0, why or ""))
        return
    try:
        with Real(scenario, node, found, *own) as target:
            anyio.run(run_contract, name, target, "auto", partial(record.add, name))
    except ContractBroken:
        pass  # the record has it
    except (SetupFailed, ResourceException) as error:
        _note_failure(name, reasons, record, str(error))


def _note_failure(name: str, reasons: list[tuple[str, str | None]], record: Record, error: str) -> None:
    """Every step counts, those that were not come to as well; the first of them says why."""
    told = {run.step for run in record.scenarios.get(name, ())}
    rest = [(step, why) for step, why in reasons if step not in told]
    if not rest:
        record.add(name, StepRun("(clearing away)", "broken", 0.0, error))
    text = f"the node could not be brought to the scenario's state: {error}"
    for step, why in rest:
        record.add(name, StepRun(step, "left out", 0.0, why) if why else StepRun(step, "broken", 0.0, text))
        text = text if why else "the scenario's state was not there"


def _line(name: str, runs: list[StepRun], seconds: float) -> str:
    passed, left = (sum(run.state == state for run in runs) for state in ("passed", "left out"))
    broken = "".join(f"\n    {run.step}: {run.why}" for run in runs if run.state == "broken")
    return f"{name}: {passed} passed, {left} left out, {seconds:.1f} s{broken}"
