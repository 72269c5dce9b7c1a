"""Runs the tests and writes down which of them ask which method of the API: `python docs/asked.py` makes asked.json.

Further arguments are pytest's. For each method: the test file with most tests that ask it with success, and what the
method did (`starts a task`, `writes`, `answers`; `refuses` where it never did anything else). docs/tables.py reads it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASKED = Path(__file__).with_name("asked.json")
_EFFECTS = ("starts a task", "writes", "answers", "refuses")  # the strongest of what was seen counts


def merged(folder: Path) -> dict[str, dict[str, str]]:
    """What all processes of a run have recorded."""
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in folder.glob("*.json"):
        for method, by_effect in json.loads(file.read_text()).items():
            for effect, tests in by_effect.items():
                seen[method][effect].update(tests)
    return {method: _summary(by_effect) for method, by_effect in sorted(seen.items())}


def _summary(by_effect: dict[str, set[str]]) -> dict[str, str]:
    """A refusal counts only for a method that never does anything else."""
    answered = [tests for effect, tests in by_effect.items() if effect != "refuses"]
    tests = set[str]().union(*(answered or by_effect.values()))
    return {"test": _main_file(tests), "effect": next(effect for effect in _EFFECTS if effect in by_effect)}


def _main_file(tests: set[str]) -> str:
    files = Counter(test.partition("::")[0] for test in tests)
    return min(files, key=lambda file: (-files[file], file))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--ignore=tests/pvesim/properties",
            "tests/pvesim",
            *sys.argv[1:],
        ]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "PVESIM_ASKED": folder}, check=False)  # noqa: S603
        lines = (f"{json.dumps(method)}: {json.dumps(found)}" for method, found in merged(Path(folder)).items())
        ASKED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
