"""Faults over a real connection: the server drops and cuts it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator

import httpx
import pytest

from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.serve import SimServer
from tests.pvesim.small_world import small_simulator

START = "/api2/json/nodes/pve1/qemu/101/status/start"


@pytest.fixture(params=[True, False], ids=["https", "http"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Simulator, httpx.Client]]:
    sim = small_simulator()
    token = sim.request("POST", "/access/users/root@pam/token/one", {"privsep": 0})["value"]
    headers = {"authorization": f"PVEAPIToken=root@pam!one={token}"}
    with SimServer(sim, tls=request.param) as server:
        verify = ssl.create_default_context(cafile=server.ca_file) if request.param else True
        with httpx.Client(base_url=server.url, verify=verify, headers=headers) as client:
            yield sim, client


Served = tuple[Simulator, httpx.Client]


@pytest.mark.parametrize(("connection", "carried_out"), [("drop", False), ("lose", True), ("cut", True)])
def test_the_connection_is_really_broken(served: Served, connection: str, carried_out: bool) -> None:
    sim, client = served
    client.get("/api2/json/version")  # the connection is there and kept
    sim.faults.add(path="/**/start", connection=connection)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as caught:
        client.post(START)
    assert ("complete message body" in str(caught.value)) == (connection == "cut"), str(caught.value)
    assert any(task.type == "qmstart" for task in sim.world.rows(Task).values()) == carried_out
    assert client.get("/api2/json/version").status_code == 200


def test_garbage_and_errors(served: Served) -> None:
    sim, client = served
    sim.faults.add("x", path="/version", connection="garbage", count=1)
    answer = client.get("/api2/json/version")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json;charset=UTF-8")
    with pytest.raises(ValueError, match="codec can't decode"):
        answer.json()
    sim.faults.add("y", path="/version", error={"status": 596})
    answer = client.get("/api2/json/version")
    assert (answer.status_code, answer.reason_phrase, answer.content) == (596, "Connection timed out", b"")


def test_a_delay_is_waited_for(served: Served) -> None:
    sim, client = served
    sim.faults.add(path="/version", delay=0.05)
    begin = time.monotonic()
    assert client.get("/api2/json/version").status_code == 200
    assert time.monotonic() - begin >= 0.05
    sim.clock.set_mode("scaled", 0.0)  # where seconds take no time, nor does this
    sim.faults.add(path="/version", delay="1h")
    assert client.get("/api2/json/version").status_code == 200
    assert not sim.world.rows(Guest)[101].running
