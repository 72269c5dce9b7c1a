"""`pvesim fault` against a server that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pvesim.cli import app
from pvesim.core.errors import SimError
from pvesim.engine import Simulator
from pvesim.faults.cli import read_fields
from pvesim.serve import SimServer
from tests.pvesim.small_world import small_simulator


@pytest.fixture
def served() -> Iterator[tuple[Simulator, SimServer]]:
    sim = small_simulator()
    with SimServer(sim) as server:
        yield sim, server


def run(server: SimServer, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["fault", *arguments], env={"PVESIM_URL": server.url})


def test_a_fault_is_added_shown_and_taken_away(served: tuple[Simulator, SimServer]) -> None:
    sim, server = served
    added = run(server, "add", "flaky", "path=/**/start", "probability=0.5", "error.status=596")
    assert added.exit_code == 0, added.exception
    assert (sim.faults["flaky"].path, sim.faults["flaky"].probability, sim.faults["flaky"].status) == (
        "/**/start",
        0.5,
        596,
    )
    assert "flaky: path=/**/start -> error=" in run(server, "list").stdout
    assert json.loads(run(server, "list", "--json").stdout)["faults"][0]["name"] == "flaky"
    assert run(server, "remove", "flaky").exit_code == 0
    assert run(server, "add", "a", "delay=2s").exit_code == 0
    assert run(server, "clear").exit_code == 0
    assert list(sim.faults) == []


def test_incidents_and_the_timeline(served: tuple[Simulator, SimServer]) -> None:
    sim, server = served
    assert run(server, "cause", "node_offline=pve2").stdout == "node_offline=pve2\n"
    planned = run(server, "plan", "when.task=qmstart", "after=5s", "quorum_lost=true")
    assert planned.stdout == "entry-1: when task=qmstart, after=5.0: quorum_lost=true\n"
    assert run(server, "plan", "at=90s", "guest_locked.guest=100").exit_code == 0
    assert len(run(server, "timeline").stdout.splitlines()) == 2
    assert run(server, "cancel", "entry-1").exit_code == 0
    assert len(json.loads(run(server, "timeline", "--json").stdout)["timeline"]) == 1
    assert len(sim.faults.timeline) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["add", "x", "delay"], "'delay' is no NAME=VALUE"),
        (["add", "x"], "say what goes wrong"),
        (["remove", "x"], "no fault 'x' (there are: none)"),
        (["cause", "node_offline=nope"], "no node 'nope': there are pve1, pve2"),
        (["list", "--url", "ftp://x"], "'ftp://x' is no URL of a server"),
        (["list", "--url", "http://127.0.0.1:1"], "no pvesim answers at http://127.0.0.1:1"),
    ],
)
def test_errors_are_one_text(served: tuple[Simulator, SimServer], arguments: list[str], text: str) -> None:
    result = run(served[1], *arguments)
    assert isinstance(result.exception, SimError)
    assert text in str(result.exception)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (["a=1", "b=x", "c=true"], {"a": 1, "b": "x", "c": True}),
        (
            ["error.status=500", "error.message=no: such: thing"],
            {"error": {"status": 500, "message": "no: such: thing"}},
        ),
        (["hosts=[a, b]"], {"hosts": ["a", "b"]}),
        (["error={status: 500}"], {"error": {"status": 500}}),
        (["user="], {"user": None}),
        (["path=*"], {"path": "*"}),
    ],
)
def test_fields_are_read_as_in_a_scenario(pairs: list[str], expected: dict[str, Any]) -> None:
    assert read_fields(pairs) == expected


def test_a_field_is_no_value_and_a_group_at_once() -> None:
    with pytest.raises(SimError, match="a has a value already"):
        read_fields(["a=1", "a.b=2"])
