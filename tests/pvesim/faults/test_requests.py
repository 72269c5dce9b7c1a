"""Faults on requests: what they match, how often they strike, and what the client gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from pvesim.access.records import Token
from pvesim.core.errors import ApiError, BrokenConnection, FaultError
from pvesim.engine import Simulator
from pvesim.faults.requests import GARBAGE, fits_path
from pvesim.guests.records import Guest
from pvesim.wire import WireRequest
from tests.pvesim.small_world import small_simulator

START = "/nodes/pve1/qemu/101/status/start"


def refusal(sim: Simulator, verb: str, path: str, **how: Any) -> tuple[int, str] | None:
    """The error that a request meets, None where it meets none."""
    try:
        sim.request(verb, path, **how)
    except ApiError as error:
        return error.status, error.message
    return None


# -- what is matched -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/version", "/version", True),
        ("/version", "/versions", False),
        ("/nodes/*/status", "/nodes/pve1/status", True),
        ("/nodes/*/status", "/nodes/pve1/qemu/status", False),
        ("/nodes/{node}/qemu/{vmid}/config", "/nodes/pve1/qemu/100/config", True),
        ("/nodes/pve*/status", "/nodes/pve2/status", True),
        ("/nodes/pve2/**", "/nodes/pve2/qemu/100", True),
        ("/nodes/pve2/**", "/nodes/pve2", True),
        ("/nodes/pve2/**", "/nodes/pve20", False),
        ("/**", "/", True),
        ("/", "/", True),
        ("/", "/version", False),
        ("/a.c", "/abc", False),
    ],
)
def test_fits_paths(pattern: str, path: str, expected: bool) -> None:
    assert fits_path(pattern, path) == expected


@pytest.mark.parametrize(
    ("fields", "struck"),
    [
        ({}, ["GET /version", "GET /nodes/pve1/status", "GET /nodes/pve1/qemu/100/config"]),
        ({"path": "/version"}, ["GET /version"]),
        ({"method": "POST"}, []),
        ({"node": "pve1"}, ["GET /nodes/pve1/status", "GET /nodes/pve1/qemu/100/config"]),
        ({"guest": 100}, ["GET /nodes/pve1/qemu/100/config"]),
        ({"guest": 10_000}, []),
        ({"node": "pve2", "guest": 100}, []),
        ({"storage": "local"}, []),
    ],
)
def test_a_fault_strikes_what_all_of_its_fields_match(fields: Mapping[str, Any], struck: list[str]) -> None:
    sim = small_simulator()
    sim.faults.add(error={"status": 500, "message": "struck"}, **fields)
    asked = ["GET /version", "GET /nodes/pve1/status", "GET /nodes/pve1/qemu/100/config"]
    assert [line for line in asked if refusal(sim, *line.split()) == (500, "struck")] == struck


def test_a_storage_is_matched_in_both_of_its_paths() -> None:
    sim = small_simulator()
    sim.faults.add(storage="local", error={"status": 596})
    assert refusal(sim, "GET", "/storage/local") == (596, "Connection timed out")
    assert refusal(sim, "GET", "/nodes/pve1/storage/local/content") == (596, "Connection timed out")
    assert refusal(sim, "GET", "/storage") is None


def test_a_user_stands_for_its_tokens_and_a_token_for_itself() -> None:
    sim = small_simulator()
    sim.request("POST", "/access/users/audit@pve/token/one", {"privsep": 0})
    sim.faults.add("all", user="audit@pve", error={"status": 503})
    assert refusal(sim, "GET", "/version", user="audit@pve") == (503, "Service Unavailable")
    assert refusal(sim, "GET", "/version", user="audit@pve!one") == (503, "Service Unavailable")
    assert refusal(sim, "GET", "/version", user="root@pam") is None
    sim.faults.remove("all")
    sim.faults.add(user="audit@pve!one", error={"status": 503})
    assert refusal(sim, "GET", "/version", user="audit@pve") is None


# -- how often -------------------------------------------------------------------------------------------------------


def test_a_fault_with_a_count_is_spent_and_tells_its_hits() -> None:
    sim = small_simulator()
    sim.faults.add("twice", count=2, error={"status": 500, "message": "no"})
    assert [refusal(sim, "GET", "/version") for _ in range(3)] == [(500, "no"), (500, "no"), None]
    assert (sim.faults["twice"].seen, sim.faults["twice"].hits) == (2, 2)


def test_a_fault_has_a_window_of_virtual_time() -> None:
    sim = small_simulator()
    sim.faults.add(after="10s", for_="5s", error={"status": 500, "message": "no"})
    found = []
    for _ in range(4):
        found.append(refusal(sim, "GET", "/version") is not None)
        sim.clock.advance(5)
    assert found == [False, False, True, False]


def test_probability_is_seeded_and_disturbs_no_other_draw() -> None:
    def life(with_fault: bool) -> tuple[list[bool], str]:
        sim = small_simulator()
        if with_fault:
            sim.faults.add("coin", path="/version", probability=0.5, error={"status": 500, "message": "no"})
        struck = [refusal(sim, "GET", "/version") is not None for _ in range(200)]
        return struck, sim.world.uuid()

    struck, drawn = life(with_fault=True)
    assert life(with_fault=True) == (struck, drawn)
    assert life(with_fault=False)[1] == drawn
    assert 70 < sum(struck) < 130


@given(st.sampled_from([0.0, 1.0]), st.integers(1, 5))
def test_never_and_always(probability: float, count: int) -> None:
    sim = small_simulator()
    sim.faults.add("x", probability=probability, error={"status": 500, "message": "no"})
    struck = [refusal(sim, "GET", "/version") is not None for _ in range(count)]
    assert struck == [probability == 1.0] * count
    assert (sim.faults["x"].seen, sim.faults["x"].hits) == (count, count * int(probability))


# -- what the client gets --------------------------------------------------------------------------------------------


def answer(sim: Simulator, path: str = "/api2/json/version") -> tuple[int, str, bytes]:
    response = sim.handle(WireRequest("GET", path, headers={"authorization": token(sim)}))
    return response.status, response.reason, response.body


def token(sim: Simulator) -> str:
    if "root@pam!one" not in sim.identities:
        sim.request("POST", "/access/users/root@pam/token/one", {"privsep": 0})
    return f"PVEAPIToken=root@pam!one={sim.world.rows(Token)['root@pam!one'].secret}"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"status": 500}, (500, "got timeout", b'{"data":null,"message":"got timeout\\n"}')),
        (
            {"status": 500, "message": "cfs-lock 'file-storage_cfg' error: got lock request timeout"},
            (
                500,
                "cfs-lock 'file-storage_cfg' error: got lock request timeout",
                b'{"data":null,"message":"cfs-lock \'file-storage_cfg\' error: got lock request timeout\\n"}',
            ),
        ),
        (
            {"status": 400, "errors": {"vmid": "bad\n"}},
            (
                400,
                "Parameter verification failed.",
                b'{"data":null,"message":"Parameter verification failed.\\n","errors":{"vmid":"bad\\n"}}',
            ),
        ),
        ({"status": 401}, (401, "permission denied - invalid PVE ticket", b"")),
        ({"status": 403}, (403, "Permission check failed", b'{"data":null,"message":"Permission check failed\\n"}')),
        ({"status": 595}, (595, "No route to host", b"")),
        ({"status": 596, "message": "broken pipe"}, (596, "broken pipe", b"")),
    ],
)
def test_errors_are_written_as_pve_writes_them(error: dict[str, Any], expected: tuple[int, str, bytes]) -> None:
    sim = small_simulator()
    token(sim)
    sim.faults.add(path="/version", error=error)
    assert answer(sim) == expected


def test_an_error_comes_in_place_of_the_request() -> None:
    sim = small_simulator()
    sim.faults.add(path="/**/start", error={"status": 500, "message": "no"})
    assert refusal(sim, "POST", START) == (500, "no")
    assert not sim.world.rows(Guest)[101].running


@pytest.mark.parametrize(("connection", "carried_out"), [("drop", False), ("lose", True), ("cut", True)])
def test_a_broken_connection(connection: str, carried_out: bool) -> None:
    sim = small_simulator()
    pve = sim.connect()
    sim.faults.add("x", path="/**/start", connection=connection, count=1)
    with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        pve.nodes("pve1").qemu(101).status.start.post()
    sim.clock.advance(5)
    assert sim.world.rows(Guest)[101].running == carried_out
    assert pve.version.get()["version"]


def test_a_request_without_a_connection_is_told_too() -> None:
    sim = small_simulator()
    sim.faults.add("x", connection="drop", count=1)
    with pytest.raises(BrokenConnection, match="was not carried out"):
        sim.request("GET", "/version")
    sim.faults.add("y", connection="lose", count=1)
    with pytest.raises(BrokenConnection, match="was carried out"):
        sim.request("POST", START)


def test_garbage_is_no_json() -> None:
    sim = small_simulator()
    token(sim)
    sim.faults.add(path="/version", connection="garbage")
    assert answer(sim) == (200, "OK", GARBAGE)


def test_a_delay_that_outlasts_a_client_is_a_timeout_after_the_request_was_carried_out() -> None:
    sim = small_simulator()
    pve = sim.connect(timeout=5)
    sim.faults.add(path="/**/start", delay="30s")
    sim.faults.add(path="/version", delay="3s")
    with pytest.raises(requests.exceptions.ReadTimeout, match="read timeout=5"):
        pve.nodes("pve1").qemu(101).status.start.post()
    sim.clock.advance(5)
    assert sim.world.rows(Guest)[101].running
    assert pve.version.get()["version"]


def test_delays_add_up_and_the_first_error_counts() -> None:
    sim = small_simulator()
    token(sim)
    for number in (1, 2):
        sim.faults.add(path="/version", delay=number, error={"status": 500, "message": f"number {number}"})
    response = sim.handle(WireRequest("GET", "/api2/json/version", headers={"authorization": token(sim)}))
    assert (response.reason, response.latency) == ("number 1", 3)


def test_who_is_refused_suffers_from_the_network_as_well() -> None:
    sim = small_simulator()
    sim.faults.add(connection="drop")
    response = sim.handle(WireRequest("GET", "/api2/json/version"))
    assert (response.status, response.connection) == (401, "drop")


# -- what can be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "say what goes wrong: one of delay, error, connection, fail, hang, warn, slow"),
        ({"path": "/x", "fail": "no"}, "method and path are for requests"),
        ({"task": "qmstart", "delay": 1}, "task is for tasks"),
        ({"step": 2, "delay": 1}, "step and log say when a task fails, hangs or warns"),
        ({"step": 2, "log": "x", "fail": "no"}, "step and log are two ways to say when"),
        ({"delay": "soon"}, "delay: a duration is a number of seconds"),
        ({"node": "nope", "delay": 1}, "no node 'nope': there are pve1, pve2"),
        ({"storage": "nope", "delay": 1}, "no storage 'nope': there are local"),
        ({"error": {"status": 200}}, "error.status: input should be greater than or equal to 400"),
        ({"probability": 1.5, "delay": 1}, "probability: input should be less than or equal to 1"),
        ({"dealy": 1}, "dealy: there is no such field"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_in_words(fields: dict[str, Any], text: str) -> None:
    sim = small_simulator()
    with pytest.raises(FaultError, match=text):
        sim.faults.add(**fields)
    assert len(sim.faults) == 0


def test_faults_have_names() -> None:
    sim = small_simulator()
    assert [sim.faults.add(delay=1).name for _ in range(2)] == ["fault-1", "fault-2"]
    with pytest.raises(FaultError, match="there is a fault 'fault-1' already"):
        sim.faults.add("fault-1", delay=1)
    with pytest.raises(FaultError, match="no fault 'x': there are fault-1, fault-2"):
        sim.faults.remove("x")
    sim.faults.clear()
    assert list(sim.faults) == []


def test_faults_fork_and_are_restored_with_their_world() -> None:
    sim = small_simulator()
    sim.checkpoint("before")
    sim.faults.add("x", delay=1)
    fork = sim.fork()
    sim.restore("before")
    assert len(sim.faults) == 0
    assert [fault.name for fault in fork.faults] == ["x"]
