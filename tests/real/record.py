"""The record of a run: which steps passed, which were left out and why, as JSON that documents are made from."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.contract.runner import StepRun

SLOWEST = 10


@dataclass
class Record:
    """One run of the contracts on one target; `seconds` is what all of it took, which is not written."""

    target: str
    version: str = ""
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())
    called: str = "a PVE node"
    scenarios: dict[str, list[StepRun]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, scenario: str, run: StepRun) -> None:
        self.scenarios.setdefault(scenario, []).append(run)

    def counts(self) -> dict[str, int]:
        """How many steps passed, were left out, and did not hold."""
        runs = list(self._runs())
        return {state: sum(run.state == state for _, run in runs) for state in ("passed", "left out", "broken")}

    def slowest(self) -> list[tuple[str, StepRun]]:
        """The steps that took longest, with their scenarios."""
        return sorted(self._runs(), key=lambda pair: -pair[1].seconds)[:SLOWEST]

    def reasons(self) -> dict[str, list[str]]:
        """The steps that were left out, by the reason."""
        found: dict[str, list[str]] = {}
        for scenario, run in self._runs():
            if run.state == "left out":
                found.setdefault(run.why, []).append(f"{scenario}: {run.step}")
        return found

    def differences(self) -> dict[str, str]:
        """What is different from the contract, by the step."""
        return {f"{scenario}: {run.step}": run.why for scenario, run in self._runs() if run.state == "broken"}

    def write(self, path: Path) -> None:
        data: dict[str, Any] = {"target": self.target, "called": self.called}
        data |= {"version": self.version, "date": self.date}
        data["scenarios"] = {
            # No times: a record in a repository changes when what it says changes.
            name: {run.step: {"state": run.state, **({"why": run.why} if run.why else {})} for run in runs}
            for name, runs in self.scenarios.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Record":
        data = json.loads(path.read_text())
        scenarios = {
            name: [StepRun(step, run["state"], 0.0, run.get("why", "")) for step, run in steps.items()]
            for name, steps in data["scenarios"].items()
        }
        return cls(data["target"], data["version"], data["date"], data["called"], scenarios)

    def _runs(self) -> Iterable[tuple[str, StepRun]]:
        return ((scenario, run) for scenario, runs in self.scenarios.items() for run in runs)
