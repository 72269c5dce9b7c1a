"""The control API, on a small stand-in for the simulator."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from pvesim.core.clock import Clock
from pvesim.core.errors import SimError
from pvesim.core.world import World
from pvesim.serve import SimServer
from pvesim.serve.control import _is_loopback, build_control_app


class Steered:
    """What the control API steers, reduced to notes of what was done."""

    def __init__(self) -> None:
        self.clock = Clock(World(), "manual")
        self.lock = threading.RLock()
        self.requests: deque[Any] = deque(maxlen=100)
        self.done: list[str] = []
        self.checkpoints: list[str] = []

    def summary(self) -> dict[str, Any]:
        return {"records": {"nodes": 3}}

    def reset(self) -> None:
        self.done.append("reset")

    def checkpoint(self, name: str) -> None:
        self.checkpoints.append(name)

    def restore(self, name: str) -> None:
        self.done.append(f"restore {name}")


@pytest.fixture
def steered() -> Steered:
    return Steered()


@pytest.fixture
def client(steered: Steered) -> Iterator[httpx.Client]:
    with SimServer(steered, tls=False) as server, httpx.Client(base_url=server.url + "/_sim") as client:
        yield client


def test_health_and_state(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/state").json() == {"records": {"nodes": 3}}


def test_reset(client: httpx.Client, steered: Steered) -> None:
    assert client.post("/reset").status_code == 200
    assert steered.done == ["reset"]


def test_checkpoints_are_made_listed_and_restored(client: httpx.Client, steered: Steered) -> None:
    assert client.post("/checkpoints", json={"name": "b-2"}).status_code == 201
    assert client.post("/checkpoints", json={"name": "a.1"}).status_code == 201
    assert client.get("/checkpoints").json() == {"checkpoints": ["a.1", "b-2"]}
    assert client.post("/checkpoints/b-2/restore").status_code == 200
    assert steered.done == ["restore b-2"]


def test_an_unknown_checkpoint_names_those_that_exist(client: httpx.Client, steered: Steered) -> None:
    assert client.post("/checkpoints/x/restore").json() == {"error": "no checkpoint 'x' (there are: none)"}
    steered.checkpoints.append("one")
    answer = client.post("/checkpoints/x/restore")
    assert (answer.status_code, answer.json()) == (404, {"error": "no checkpoint 'x' (there are: one)"})
    assert steered.done == []


def test_the_clock_is_read_changed_and_moved(client: httpx.Client, steered: Steered) -> None:
    start = client.get("/clock").json()
    assert start == {"mode": "manual", "scale": 1.0, "now": steered.clock.now}
    assert client.post("/clock/advance", json={"seconds": 90.5}).json()["now"] == start["now"] + 90.5
    assert client.put("/clock", json={"mode": "scaled", "scale": 0.25}).json()["mode"] == "scaled"
    assert client.get("/clock").json()["scale"] == 0.25
    assert client.put("/clock", json={"scale": 2}).json()["mode"] == "scaled"
    assert client.post("/clock/freeze").json()["mode"] == "manual"
    assert steered.clock.mode == "manual"


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("POST", "/clock/advance", {"seconds": -1}, "seconds: Input should be greater than or equal to 0"),
        ("POST", "/clock/advance", {}, "seconds: Field required"),
        ("POST", "/clock/advance", {"seconds": 1, "minutes": 1}, "minutes: Extra inputs are not permitted"),
        ("PUT", "/clock", {"mode": "warp"}, "mode: Input should be 'auto', 'scaled' or 'manual'"),
        ("PUT", "/clock", {"scale": -2}, "scale: Input should be greater than or equal to 0"),
        ("POST", "/checkpoints", {"name": "../x"}, "name: String should match pattern"),
        ("GET", "/requests?limit=0", None, "limit: Input should be greater than or equal to 1"),
    ],
)
def test_bad_input_is_one_clear_text(client: httpx.Client, method: str, path: str, body: Any, text: str) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(text)


def test_a_body_that_is_no_json_is_one_clear_text(client: httpx.Client) -> None:
    answer = client.post("/clock/advance", content=b"\xff{", headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("DELETE", "/reset")])
def test_unknown_paths_point_to_the_docs(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.json() == {"error": f"no {method} /_sim{path} here: see /_sim/docs"}


def test_what_the_simulator_refuses_is_told(client: httpx.Client, steered: Steered) -> None:
    def refuse(_name: str) -> None:
        raise SimError("this cannot be kept")

    steered.checkpoint = refuse  # type: ignore[assignment]
    answer = client.post("/checkpoints", json={"name": "a"})
    assert (answer.status_code, answer.json()) == (409, {"error": "this cannot be kept"})


def test_the_request_log_is_filtered_and_newest_first(client: httpx.Client, steered: Steered) -> None:
    for number, verb in enumerate(["GET", "POST", "GET", "GET"]):
        steered.requests.append(
            SimpleNamespace(
                time=float(number),
                verb=verb,
                path=f"/api2/json/{number}",
                user=None if number == 0 else "root@pam",
                status=401 if number == 0 else 200,
                reason="No ticket" if number == 0 else "OK",
            )
        )

    def times(**filters: Any) -> list[float]:
        return [record["time"] for record in client.get("/requests", params=filters).json()["requests"]]

    assert times() == [3.0, 2.0, 1.0, 0.0]
    assert times(limit=2) == [3.0, 2.0]
    assert times(method="post") == [1.0]
    assert times(status=401) == [0.0]
    assert times(user="root@pam", method="GET", limit=1) == [3.0]
    assert times(path="json/2") == [2.0]
    first = client.get("/requests", params={"status": 401}).json()["requests"][0]
    assert first == {
        "time": 0.0,
        "method": "GET",
        "path": "/api2/json/0",
        "user": None,
        "status": 401,
        "reason": "No ticket",
    }


def test_the_routes_are_described(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/_sim/state", "/_sim/reset", "/_sim/checkpoints", "/_sim/clock", "/_sim/requests"} <= set(paths)
    assert client.get("/docs").status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("peer", "is_open", "status"), [("127.0.0.1", False, 200), ("192.0.2.7", False, 403), ("192.0.2.7", True, 200)]
)
async def test_only_this_machine_is_served_unless_opened(
    steered: Steered, peer: str, is_open: bool, status: int
) -> None:
    app = build_control_app(steered, control_open=is_open)
    transport = httpx.ASGITransport(app, client=(peer, 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
        answer = await client.post("/_sim/reset")
    assert answer.status_code == status
    if status == 403:
        assert "--control-open" in answer.json()["error"]
    assert bool(steered.done) == (status == 200)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_loopback_addresses(address: str, expected: bool) -> None:
    assert _is_loopback(address) is expected
