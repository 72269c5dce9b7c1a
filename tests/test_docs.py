"""The documents tell the truth: generated parts are current, and what they show runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pvesim.contract import Contract
from pvesim.scenario import read

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_generated_parts_are_current() -> None:
    script = "import sys; sys.path.insert(0, 'docs'); import tables; print(*tables.drifted())"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "", "run `python docs/tables.py` and commit what it writes"


def test_the_tests_that_the_coverage_names_exist() -> None:
    asked = json.loads((ROOT / "docs" / "asked.json").read_text())
    assert all((ROOT / found["test"]).is_file() for found in asked.values())
    known = {f"{method.verb} {method.path}" for method in Contract.load().methods} | {"GET /"}
    assert set(asked) <= known


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("source", blocks("python"))
def test_python_in_the_readme_runs_and_prints_what_it_says(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(source, "README.md", "exec"), {})
    said = re.findall(r"print\(.*\)  # (.*)", source)
    assert capsys.readouterr().out.splitlines() == said


@pytest.mark.parametrize("source", blocks("yaml"))
def test_scenarios_in_the_readme_load(source: str) -> None:
    assert read(source, "README.md").vms


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_in_the_readme_lead_somewhere(target: str) -> None:
    assert target.startswith("https://") or (ROOT / target).exists()


def test_make_targets_in_the_readme_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b", README))
    makefile = (ROOT / "Makefile").read_text()
    assert {"demo", "test"} <= named
    assert all(f"\n{name}:" in makefile for name in named)
