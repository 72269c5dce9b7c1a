"""The table of contracts by target in docs/fidelity.md, made from the records of runs in docs/records/.

    python docs/contracts.py           write the table
    python docs/contracts.py record    run the contracts in-process and over HTTPS, keep the records, write the table

`nox -s real -- … --record docs/records/real.json` keeps that of a real node, and
`PVE_IMAGE_RECORD=docs/records/container.json nox -s containers` that of the images.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import anyio

from proxmox_mcp import __version__
from tests.contract.runner import ContractBroken, contracts, run_contract
from tests.contract.targets import TARGETS
from tests.real.record import Record

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "docs" / "records"
DOCUMENT = ROOT / "docs" / "fidelity.md"
COLUMNS = ("in-process", "https", "container", "real", "real-fresh")
_PLACE = re.compile(r"(<!-- contracts: generated -->\n).*?(<!-- /contracts -->)", re.DOTALL)


def records() -> dict[str, Record]:
    """The records that there are, by target."""
    return {name: Record.read(RECORDS / f"{name}.json") for name in COLUMNS if (RECORDS / f"{name}.json").is_file()}


def table(known: dict[str, Record]) -> str:
    """How many steps of each scenario passed on each target, then what was left out, by the reason."""
    lines = [f"- {name}: {record.called}, {record.version}, {record.date}" for name, record in known.items()]
    lines += ["", f"| scenario | {' | '.join(known)} |", f"| --- |{' --- |' * len(known)}"]
    for scenario in sorted({scenario for record in known.values() for scenario in record.scenarios}):
        lines.append(f"| {scenario} | {' | '.join(_cell(record, scenario) for record in known.values())} |")
    totals = [record.counts() for record in known.values()]
    sums = [
        f"**{count['passed']} of {sum(count.values())}, {count['passed'] / sum(count.values()):.0%}**"
        for count in totals
    ]
    lines += [f"| **steps passed** | {' | '.join(sums)} |", ""]
    for name, record in known.items():
        lines += _different(name, record)
        lines += _left_out(name, record)
    return "\n".join(lines)


def _cell(record: Record, scenario: str) -> str:
    runs = record.scenarios.get(scenario, [])
    if not runs:
        return "not run"
    count = {state: sum(run.state == state for run in runs) for state in ("passed", "left out", "broken")}
    return ", ".join(f"{number} {state}" for state, number in count.items() if number)


def _different(name: str, record: Record) -> list[str]:
    """The steps that did not hold, and what the target showed instead."""
    broken = record.differences()
    if not broken:
        return []
    lines = [f"Different on {name}:", "", "| step | what |", "| --- | --- |"]
    return [*lines, *(f"| {step} | {_in_a_cell(why)} |" for step, why in broken.items()), ""]


def _in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _left_out(name: str, record: Record) -> list[str]:
    reasons = record.reasons()
    if not reasons:
        return []
    lines = [f"Left out on {name}:", "", "| why | steps |", "| --- | --- |"]
    rows = sorted(reasons.items(), key=lambda row: -len(row[1]))
    return [*lines, *(f"| {why} | {'; '.join(steps)} |" for why, steps in rows), ""]


def render(text: str) -> str:
    """The document with its table as the records have it."""
    if not _PLACE.search(text):
        raise ValueError(f"{DOCUMENT} has no place for the table")
    return _PLACE.sub(lambda found: f"{found[1]}\n{table(records())}\n{found[2]}", text)


def record_simulated() -> None:
    """Run every contract on the targets that are at hand, and keep what passed."""
    for name, target in TARGETS.items():
        record = Record(name, f"proxmoxapi-mcp {__version__}", called="pvesim")
        for contract, scenario in contracts().items():
            with target(scenario) as there:
                try:
                    anyio.run(run_contract, contract, there, "auto", partial(record.add, contract))
                except ContractBroken as error:
                    sys.exit(str(error))
        record.write(RECORDS / f"{name}.json")


if __name__ == "__main__":
    if sys.argv[1:] == ["record"]:
        record_simulated()
    DOCUMENT.write_text(render(DOCUMENT.read_text()))
