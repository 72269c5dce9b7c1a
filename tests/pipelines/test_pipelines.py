"""The pipelines: that they call what there is, check what they must before a release, and keep no secret."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from pvesim.cli import app
from tests.pipelines.reading import (
    DEPENDABOT,
    EXAMPLES,
    GITLAB,
    PIPELINES,
    ROOT,
    WORKFLOWS,
    github_jobs,
    gitlab_jobs,
    read,
    scripts,
)

GITHUB = {path.stem: read(path.read_text()) for path in WORKFLOWS}
JOBS = {name: job for workflow in GITHUB.values() for name, job in github_jobs(workflow).items()}
TWINS = gitlab_jobs(read(GITLAB.read_text()))
SERVE = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
CHECKS = {"lint", "tests", "real", "containers", "build"}


def supported_versions() -> set[str]:
    """What the distribution says that it runs on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {text.rpartition(" ")[2] for text in project["classifiers"] if "Python :: 3." in text}


def everything(value: Any) -> list[str]:
    """Every text in a document, names included."""
    if isinstance(value, dict):
        return [text for name, item in value.items() for text in (str(name), *everything(item))]
    if isinstance(value, list):
        return [text for item in value for text in everything(item)]
    return [str(value)]


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_a_pipeline_calls_what_there_is(path: Path) -> None:
    document = read(path.read_text())
    texts = "\n".join(scripts(document))
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    targets = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = set(re.findall(r"nox -s (\w+)", texts))
    made = {word for line in re.findall(r"^make ([\w ]+)$", texts, re.MULTILINE) for word in line.split()}
    assert called
    assert called <= sessions
    assert made
    assert made <= targets


def test_the_nightly_sessions_are_those_that_there_are() -> None:
    named = set(JOBS["sessions"]["strategy"]["matrix"]["session"])
    assert named == set(TWINS["sessions"]["parallel"]["matrix"][0]["SESSION"])
    assert named <= set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))


def test_both_hosts_run_the_same_jobs() -> None:
    assert set(JOBS) == set(TWINS)


def test_tests_run_on_every_supported_version() -> None:
    assert set(JOBS["tests"]["strategy"]["matrix"]["python"]) == supported_versions()
    assert set(TWINS["tests"]["parallel"]["matrix"][0]["PYTHON_VERSION"]) == supported_versions()


def test_nothing_is_published_that_a_check_has_refused() -> None:
    assert set(JOBS["publish"]["needs"]) == CHECKS
    assert JOBS["images"]["needs"] == "publish"
    assert all(JOBS[name]["if"] == "startsWith(github.ref, 'refs/tags/v')" for name in ("publish", "images"))
    stages = read(GITLAB.read_text())["stages"]
    assert all(stages.index(TWINS[name]["stage"]) < stages.index("publish") for name in CHECKS)
    assert all(TWINS[name]["rules"] == [{"if": "$CI_COMMIT_TAG =~ /^v/"}] for name in ("publish", "images"))


def test_publishing_is_trusted_by_who_asks_and_needs_no_secret() -> None:
    assert JOBS["publish"]["permissions"] == {"id-token": "write"}
    assert not any("password" in step.get("with", {}) for step in JOBS["publish"]["steps"])
    assert TWINS["publish"]["id_tokens"] == {"PYPI_ID_TOKEN": {"aud": "pypi"}}
    assert "--trusted-publishing always" in "\n".join(TWINS["publish"]["script"])
    for path in PIPELINES:
        assert not re.search(r"\bsecrets\.", path.read_text()), f"{path.name} uses a secret that is kept"


@pytest.mark.parametrize("name", JOBS)
def test_a_job_may_read_and_no_more_unless_it_publishes(name: str) -> None:
    assert all(workflow["permissions"] == {} for workflow in GITHUB.values())
    if name not in {"publish", "images"}:
        assert JOBS[name]["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_an_end(name: str) -> None:
    assert JOBS[name]["timeout-minutes"] <= 120


def test_actions_are_pinned_and_the_pins_are_kept_young() -> None:
    for path in WORKFLOWS:
        uses = re.findall(r"uses: (\S+)(.*)$", path.read_text(), re.MULTILINE)
        for action, comment in uses:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), f"{action} is not pinned by commit"
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"the pin of {action} does not say which version it is"
    kept = {entry["package-ecosystem"] for entry in read(DEPENDABOT.read_text())["updates"]}
    assert kept == {"github-actions", "uv"}


def test_a_pinned_action_is_the_same_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, pin in re.findall(r"uses: (\S+)@(.*)$", path.read_text(), re.MULTILINE):
            pins.setdefault(name, set()).add(pin)
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


def test_the_nested_node_comes_from_a_pinned_installer_by_night() -> None:
    assert "schedule" in GITHUB["nightly"]["on"]
    assert TWINS["nested"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
    pinned = JOBS["nested"]["env"]
    assert pinned == TWINS["nested"]["variables"]
    assert re.fullmatch(r"proxmox-ve_9\.\d+-\d+\.iso", pinned["ISO"])
    assert re.fullmatch(r"[0-9a-f]{64}", pinned["ISO_SHA256"])
    commands = [step["run"] for step in JOBS["nested"]["steps"] if "run" in step], TWINS["nested"]["script"]
    assert all('--sha256 "$ISO_SHA256"' in "\n".join(lines) for lines in commands)


def test_there_is_an_example_from_the_package_and_one_as_a_service_for_each_host() -> None:
    read_examples = [(name, read(text)) for name, text in EXAMPLES]
    jobs = [(name, document.get("jobs", document)["tests"]) for name, document in read_examples]
    services = {name for name, job in jobs if "services" in job}
    assert services == {".github/workflows/tests.yml", ".gitlab-ci.yml"}
    assert any("pvesim serve" in "\n".join(scripts(document)) for _, document in read_examples)
    assert all("pytest" in "\n".join(scripts(document)) for _, document in read_examples)


def serve_options() -> set[str]:
    """What `pvesim serve` takes from the environment."""
    return {parameter.envvar for parameter in SERVE.params if parameter.envvar}


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_an_example_tells_pvesim_what_it_understands(name: str, text: str) -> None:
    given = {word for word in everything(read(text)) if re.fullmatch(r"PVESIM_\w+", word)}
    assert given <= serve_options()
    for line in re.findall(r"pvesim serve (.*?) &$", "\n".join(scripts(read(text))), re.MULTILINE):
        assert SERVE.make_context("serve", shlex.split(line)).params["scenarios"]


def test_the_page_names_what_a_service_can_be_told() -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    assert set(re.findall(r"`(PVESIM_\w+)`", page)) == serve_options() - {"PVESIM_HOST"}
