"""docs/faults.md says what the simulator does."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pvesim.scenario import read
from pvesim.scenario.trouble import INCIDENTS

DOCS = Path(__file__).resolve().parents[3] / "docs"
TEXT = (DOCS / "faults.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cookbook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faults_cookbook", DOCS / "faults_cookbook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_recipes_give_what_they_say(cookbook: ModuleType) -> None:
    assert cookbook.written(TEXT) == TEXT, "run `python docs/faults_cookbook.py` and commit what it writes"


def test_the_scenario_in_it_loads() -> None:
    source = re.findall(r"```yaml\n(# in a scenario.*?)```", TEXT, re.DOTALL)[0]
    scenario = read(source, "faults.md")
    assert (len(scenario.faults), len(scenario.timeline)) == (2, 3)


def test_the_python_in_it_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    source = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    exec(compile(source, "faults.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\)  # (.*)", source)


@pytest.mark.parametrize("incident", INCIDENTS)
def test_every_incident_is_named(incident: str) -> None:
    assert f"`{incident}" in TEXT
