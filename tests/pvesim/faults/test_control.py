"""Faults, incidents and the timeline over the control API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pvesim.engine import Simulator
from pvesim.nodes.records import Node
from pvesim.serve import SimServer
from tests.pvesim.small_world import small_simulator


@pytest.fixture
def sim() -> Simulator:
    return small_simulator()


@pytest.fixture
def client(sim: Simulator) -> Iterator[httpx.Client]:
    with SimServer(sim, tls=False) as server, httpx.Client(base_url=server.url + "/_sim") as client:
        yield client


def test_faults_are_added_listed_and_taken_away(client: httpx.Client, sim: Simulator) -> None:
    wanted = {"name": "flaky", "path": "/version", "count": 2, "for": "1m", "error": {"status": 500, "message": "no"}}
    added = client.post("/faults", json=wanted)
    assert added.status_code == 201
    assert added.json() == {
        "name": "flaky",
        "live": True,
        "seen": 0,
        "hits": 0,
        "matches": {"path": "/version"},
        "effects": {"error": {"status": 500, "message": "no", "errors": {}}},
        "probability": 1.0,
        "count": 2,
        "since": 0.0,
        "until": sim.clock.now + 60,
    }
    assert client.post("/faults", json={"task": "qmstart", "hang": True, "slow": 2}).json()["effects"] == {
        "hang": True,
        "step": 0,
        "slow": 2.0,
    }
    assert [fault["name"] for fault in client.get("/faults").json()["faults"]] == ["flaky", "fault-1"]
    assert client.delete("/faults/flaky").json()["name"] == "flaky"
    assert client.delete("/faults/flaky").json() == {"error": "no fault 'flaky' (there are: fault-1)"}
    assert client.delete("/faults").json() == {"faults": []}
    assert list(sim.faults) == []


def test_incidents_happen_and_are_told(client: httpx.Client, sim: Simulator) -> None:
    answer = client.post("/incidents", json={"node_offline": "pve2"})
    assert answer.json() == {"time": sim.clock.now, "incident": {"node_offline": "pve2"}, "refused": None}
    assert not sim.world.rows(Node)["pve2"].online
    assert len(client.get("/incidents").json()["incidents"]) == 1


def test_the_timeline_is_planned_and_cancelled(client: httpx.Client, sim: Simulator) -> None:
    planned = client.post("/timeline", json={"at": "90s", "quorum_lost": True})
    assert planned.status_code == 201
    assert planned.json() == {
        "name": "entry-1",
        "kind": "at",
        "due": sim.clock.now + 90,
        "when": None,
        "incident": {"quorum_lost": True},
    }
    waiting = {"name": "later", "when": {"task": "qmstart", "id": 101}, "after": 3, "node_offline": "pve2"}
    assert client.post("/timeline", json=waiting).json() == {
        "name": "later",
        "kind": "when",
        "due": None,
        "when": {"task": "qmstart", "id": "101", "after": 3.0},
        "incident": {"node_offline": "pve2"},
    }
    assert [entry["name"] for entry in client.get("/timeline").json()["timeline"]] == ["entry-1", "later"]
    assert client.delete("/timeline/entry-1").json()["name"] == "entry-1"
    assert client.delete("/timeline/entry-1").json() == {"error": "no entry 'entry-1' (there are: later)"}


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/faults", {}, 422, "Value error, say what goes wrong"),
        ("/faults", {"delay": "soon"}, 422, "delay: Value error, a duration is"),
        ("/faults", {"delay": 1, "node": "nope"}, 409, "no node 'nope': there are pve1, pve2"),
        ("/faults", {"delay": 1, "name": "../x"}, 422, "name: String should match pattern"),
        ("/faults", {"delay": 1, "colour": "red"}, 422, "colour: Extra inputs are not permitted"),
        ("/incidents", {}, 422, "Value error, say what happens"),
        ("/incidents", {"guest_hangs": 999}, 409, "no guest 999"),
        ("/timeline", {"quorum_lost": True}, 422, "Value error, say when it happens"),
        ("/timeline", {"at": 1, "guest_hangs": 999}, 409, "no guest 999"),
    ],
)
def test_what_cannot_be_is_one_clear_text(client: httpx.Client, path: str, body: Any, status: int, text: str) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert text in answer.json()["error"]


def test_the_routes_are_described(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/_sim/faults", "/_sim/faults/{name}", "/_sim/incidents", "/_sim/timeline"} <= set(paths)
