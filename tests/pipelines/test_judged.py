"""The pipelines as others judge them: the schemas that GitHub and GitLab publish, shellcheck, and zizmor."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.pipelines.reading import DEPENDABOT, EXAMPLES, GITLAB, PIPELINES, ROOT, WORKFLOWS, read, scripts

TOOLS = Path(os.environ["PVE_PIPELINE_TOOLS"])
SCHEMAS = {".github/dependabot.yml": "vendor.dependabot", ".gitlab-ci.yml": "vendor.gitlab-ci"}


def judge(tool: str, *arguments: str | Path, given: str | None = None) -> None:
    """Let a tool speak. Its complaint is the test's."""
    command = [str(TOOLS / tool), *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def fits_its_schema(name: str, path: Path) -> None:
    schema = SCHEMAS.get(name, "vendor.github-workflows")
    # GitLab's tags, such as !reference, are no plain YAML.
    transform = ["--data-transform", "gitlab-ci"] if schema == "vendor.gitlab-ci" else []
    judge("check-jsonschema", "--builtin-schema", schema, *transform, path)


@pytest.mark.parametrize("path", [*WORKFLOWS, DEPENDABOT, GITLAB], ids=lambda path: path.name)
def test_a_pipeline_fits_its_schema(path: Path) -> None:
    fits_its_schema(str(path.relative_to(ROOT)), path)


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_an_example_fits_its_schema(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yml"
    path.write_text(text)
    fits_its_schema(name, path)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_the_shell_of_a_pipeline_is_sound(path: Path) -> None:
    for script in scripts(read(path.read_text())):
        judge("shellcheck", "--shell=bash", "-", given=script)


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_the_shell_of_an_example_is_sound(name: str, text: str) -> None:
    for script in scripts(read(text)):
        judge("shellcheck", "--shell=bash", "-", given=script)


def test_a_workflow_may_do_no_more_than_it_needs() -> None:
    judge("zizmor", "--offline", "--no-progress", "--persona=pedantic", "--config=.github/zizmor.yml", ".github")
