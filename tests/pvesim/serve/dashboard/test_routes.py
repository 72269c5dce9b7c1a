"""The page and its stream over HTTP. What it looks like, and that it works in a browser, tests/dashboard shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pvesim.engine import Simulator
from pvesim.serve import SimServer

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def server() -> Iterator[SimServer]:
    with SimServer(Simulator("homelab", clock="manual"), tls=False) as server:
        yield server


@pytest.fixture
def client(server: SimServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def test_a_browser_gets_the_page_and_others_a_line(client: httpx.Client) -> None:
    page = client.get("/", headers=BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text.startswith("<!doctype html>")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/").text.startswith("pvesim: ")


@pytest.mark.parametrize("name", ["nothing.js", "..%2froutes.py", "..%2F..%2Fcontrol.py", "%2e%2e", "routes.py"])
def test_only_the_files_of_the_page_are_served(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/_sim/page/{name}")
    assert answer.status_code == 404
    assert "error" in answer.json()


def read_events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def test_the_stream_tells_everything_and_then_what_happens(server: SimServer, client: httpx.Client) -> None:
    with client.stream("GET", "/_sim/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read_events(answer)
        name, told = next(events)
        assert name == "snapshot"
        assert "100" in told["guests"]
        httpx.get(server.url + "/api2/json/version")
        name, told = next(events)
        assert name == "change"
        assert told["requests"][0]["path"] == "/api2/json/version"


def test_the_server_stops_while_somebody_looks() -> None:
    with (
        SimServer(Simulator(clock="manual"), tls=False) as server,
        httpx.Client(base_url=server.url) as client,
        client.stream("GET", "/_sim/events") as answer,
    ):
        events = read_events(answer)
        next(events)
        server.stop()
        with pytest.raises(httpx.RemoteProtocolError):
            list(events)


def test_a_page_from_elsewhere_cannot_steer(client: httpx.Client, server: SimServer) -> None:
    refused = client.post("/_sim/reset", headers={"Origin": "https://elsewhere.example"})
    assert refused.status_code == 403
    assert "https://elsewhere.example" in refused.json()["error"]
    assert client.post("/_sim/reset", headers={"Origin": server.url}).status_code == 200


def test_time_moves_to_the_end_of_a_task(client: httpx.Client, server: SimServer) -> None:
    simulator = server.simulator
    upid = simulator.request("POST", "/nodes/pve2/qemu/105/status/start")
    answer = client.post("/_sim/clock/run-until-done", json={"upid": upid})
    assert answer.json()["now"] == simulator.world.now
    assert simulator.request("GET", f"/nodes/pve2/tasks/{upid}/status")["exitstatus"] == "OK"
    assert client.post("/_sim/clock/run-until-done", json={"upid": "UPID:x"}).status_code == 404


def test_a_task_that_hangs_has_no_end(client: httpx.Client, server: SimServer) -> None:
    simulator = server.simulator
    simulator.faults.add("stuck", task="qmreset", hang=True)
    upid = simulator.request("POST", "/nodes/pve1/qemu/100/status/reset")
    answer = client.post("/_sim/clock/run-until-done", json={"upid": upid})
    assert answer.status_code == 409
    assert "hangs" in answer.json()["error"]
    simulator.faults.clear()
