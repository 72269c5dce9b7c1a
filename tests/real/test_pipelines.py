"""The pipelines: that they can be read, and call what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = (ROOT / ".github" / "workflows" / "ci.yml", ROOT / ".gitlab-ci.yml")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)


def commands(value: Any) -> list[str]:
    """Every text in a pipeline."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in commands(item)]
    if isinstance(value, list):
        return [text for item in value for text in commands(item)]
    return [str(value)]


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_a_pipeline_calls_what_there_is(path: Path) -> None:
    texts = "\n".join(commands(yaml.safe_load(path.read_text())))
    sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    targets = re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called = set(re.findall(r"nox -s (\w+)", texts))
    made = {word for line in re.findall(r"^make ([\w ]+)$", texts, re.MULTILINE) for word in line.split()}
    assert called
    assert called <= set(sessions)
    assert made
    assert made <= set(targets)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_tests_run_on_every_supported_version(path: Path) -> None:
    text = path.read_text()
    assert all(f'"3.{minor}"' in text for minor in (11, 12, 13, 14))


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_has_a_job_that_runs_tests(example: str) -> None:
    read = yaml.safe_load(example)
    jobs = read.get("jobs", read)
    assert any("pytest" in text for text in commands(jobs["tests"]))
