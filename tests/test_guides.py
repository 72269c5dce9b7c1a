"""The guides in docs/ tell the truth: what they show runs, and what they list is what there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pvesim.engine import Simulator
from pvesim.scenario import read
from pvesim.serve import SimServer
from pvesim.serve.control import build_control_app

pytest_plugins = ["pytester"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
GUIDES = ["getting-started.md", "how-it-works.md", "control-api.md"]
ADDRESS = "http://127.0.0.1:8006"


def blocks(language: str) -> list[tuple[str, str]]:
    found = [(name, re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)) for name in GUIDES]
    return [(name, block) for name, texts in found for block in texts]


@pytest.mark.parametrize(("name", "source"), [block for block in blocks("python") if "def test_" not in block[1]])
def test_python_runs_and_prints_what_it_says(name: str, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(source, name, "exec"), {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\)  # (.*)", source)


@pytest.mark.parametrize(("name", "source"), [block for block in blocks("python") if "def test_" in block[1]])
def test_tests_pass(name: str, source: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = -p pvesim.pytest_plugin -p no:cacheprovider\n")
    pytester.makepyfile(source)
    pytester.runpytest_inprocess().assert_outcomes(passed=source.count("def test_"))


@pytest.mark.parametrize(("name", "source"), blocks("yaml"))
def test_scenarios_load(name: str, source: str) -> None:
    Simulator(read(source, name))


@pytest.mark.parametrize("name", GUIDES)
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", (DOCS / name).read_text())
    assert [target for target in targets if not (DOCS / target).exists()] == []


def test_all_of_the_control_api_is_listed() -> None:
    listed = re.findall(r"^\| (GET|POST|PUT|DELETE) \| `(.+?)` \|", (DOCS / "control-api.md").read_text(), re.MULTILINE)
    paths = build_control_app(Simulator()).openapi()["paths"]
    assert sorted(listed) == sorted((verb.upper(), path) for path, verbs in paths.items() for verb in verbs)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with (
        SimServer(Simulator("homelab", clock="manual"), tls=False) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        yield client


def test_the_examples_of_the_control_api_work_one_after_the_other(client: httpx.Client) -> None:
    commands = re.findall(r"^    curl (.+)$", (DOCS / "control-api.md").read_text(), re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        words = shlex.split(command)
        options = {words[at]: words[at + 1] for at in range(len(words) - 1) if words[at] in ("-X", "--json")}
        url = next(word for word in words if word.startswith(ADDRESS)).removeprefix(ADDRESS)
        body = options.get("--json")
        answer = client.request(
            options.get("-X", "POST" if body else "GET"),
            url,
            content=body,
            headers={"Content-Type": "application/json"} if body else {},
        )
        assert answer.is_success, (command, answer.text)
