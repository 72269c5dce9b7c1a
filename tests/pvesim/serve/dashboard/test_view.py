"""What a viewer of the live page is told: everything once, then what differs."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.engine import Simulator
from pvesim.serve.dashboard import view as viewing
from pvesim.serve.dashboard.view import View
from pvesim.wire import WireRequest


@pytest.fixture
def simulator() -> Simulator:
    return Simulator("homelab", clock="manual")


@pytest.fixture
def view(simulator: Simulator) -> View:
    told = View(simulator)
    told.changes()
    return told


def test_the_first_look_tells_everything(simulator: Simulator) -> None:
    told = View(simulator).changes()
    assert set(told["nodes"]) == {"pve1", "pve2", "pve3"}
    assert told["guests"]["100"]["state"] == "running"
    assert told["guests"]["104"]["state"] == "paused"
    assert told["guests"]["106"]["lock"] == "backup"
    assert told["guests"]["900"]["template"] is True
    assert told["cluster"] == {"name": "homelab", "quorate": True, "split": False}
    assert told["clock"]["mode"] == "manual"
    assert told["storages"]["pve1/local"]["place"] == "pve1"
    assert {"clock", "cluster", "checkpoints", "trouble", "nodes", "guests", "storages", "tasks"} == set(told)


def test_where_nothing_happens_nothing_is_told(view: View) -> None:
    assert view.changes() == {}


def test_a_task_is_told_as_it_goes_and_the_guest_when_it_changes(simulator: Simulator, view: View) -> None:
    upid = simulator.request("POST", "/nodes/pve2/qemu/105/status/start")
    assert view.changes()["tasks"][upid]["status"] == "running"
    simulator.clock.advance(5)
    told = view.changes()
    assert told["tasks"][upid]["status"] == "OK"
    assert told["guests"]["105"]["state"] == "running"


def test_looking_moves_no_clock(simulator: Simulator, view: View) -> None:
    simulator.clock.set_mode("auto")
    simulator.request("POST", "/nodes/pve2/qemu/105/status/start")
    before = simulator.world.now
    for _ in range(3):
        view.changes()
    assert simulator.world.now == before
    assert simulator.request("GET", "/nodes/pve2/qemu/105/status/current")["status"] == "stopped"


def test_what_is_gone_is_told_as_none(simulator: Simulator, view: View) -> None:
    simulator.checkpoint("before")
    simulator.request("DELETE", "/nodes/pve2/qemu/105")
    simulator.clock.advance(60)
    assert view.changes()["guests"] == {"105": None}
    simulator.restore("before")
    told = view.changes()
    assert told["guests"]["105"]["state"] == "stopped"


def test_guests_of_a_node_that_is_lost_are_unknown(simulator: Simulator, view: View) -> None:
    simulator.request("POST", "/nodes/pve2/status", {"command": "shutdown"})
    simulator.clock.advance(600)
    told = view.changes()
    assert told["nodes"]["pve2"]["online"] is False
    assert told["guests"]["105"]["state"] == "unknown"


def test_trouble_is_told_of_when_it_comes_and_when_its_time_is_over(simulator: Simulator, view: View) -> None:
    simulator.faults.add(path="/**", delay="1s", for_="60s")
    first = view.changes()["trouble"]
    assert "trouble" not in view.changes()
    simulator.clock.advance(61)
    assert view.changes()["trouble"] > first


def ask(simulator: Simulator, path: str) -> None:
    simulator.handle(WireRequest("GET", path, "", {}, b""))


def test_requests_are_told_oldest_first_and_once(simulator: Simulator, view: View) -> None:
    ask(simulator, "/api2/json/nodes")
    ask(simulator, "/api2/json/version")
    told = view.changes()
    assert [(line["path"], line["status"]) for line in told["requests"]] == [
        ("/api2/json/nodes", 401),
        ("/api2/json/version", 401),
    ]
    assert told["unshown"] == 0
    assert "requests" not in view.changes()


def test_of_many_requests_the_last_are_told_and_the_others_counted(
    simulator: Simulator, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "LAST_REQUESTS", 2)
    for _ in range(5):
        ask(simulator, "/api2/json/version")
    told = view.changes()
    assert (len(told["requests"]), told["unshown"]) == (2, 3)


def test_figures_are_told_again_when_they_are_new_but_not_at_every_look_of_a_fast_clock(simulator: Simulator) -> None:
    real = [100.0]
    view = View(simulator, real=lambda: real[0])
    view.changes()

    def figures_told() -> bool:
        simulator.clock.advance(3600)
        told: dict[str, Any] = view.changes()
        return "guests" in told

    assert not figures_told()
    real[0] += 2
    assert figures_told()
    assert not figures_told()
