"""Metric servers, and the export of all current figures."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import small_simulator

PLACE = "/cluster/metrics/server"
HERE = {"server": "10.0.0.9", "port": 2003}


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    simulator.request("POST", f"{PLACE}/m1", {"type": "graphite", **HERE, "path": "proxmox"})
    return simulator


def test_what_is_written_is_read(simulator: Simulator) -> None:
    row = {"disable": 0, "id": "m1", "port": 2003, "server": "10.0.0.9", "type": "graphite"}
    assert simulator.request("GET", PLACE) == [row]
    simulator.request("PUT", f"{PLACE}/m1", {**HERE, "disable": 1, "delete": "path"})
    assert simulator.request("GET", f"{PLACE}/m1") == {**row, "disable": 1}
    secret = {"type": "influxdb", **HERE, "influxdbproto": "https", "token": "secret"}
    simulator.request("POST", f"{PLACE}/m2", secret)
    assert "token" not in simulator.request("GET", f"{PLACE}/m2")
    simulator.request("DELETE", f"{PLACE}/m1")
    assert [row["id"] for row in simulator.request("GET", PLACE)] == ["m2"]


@pytest.mark.parametrize(
    ("verb", "id", "params", "message"),
    [
        ("POST", "m1", {"type": "influxdb", **HERE}, "Metric server 'm1' already exists"),
        ("POST", "m2", {"type": "graphite", **HERE, "bucket": "b"}, "unexpected property 'bucket'"),
        ("GET", "m9", {}, "status server entry 'm9' does not exist"),
        ("PUT", "m9", HERE, "no such server 'm9'"),
        ("DELETE", "m9", {}, "cannot lookup undefined type!"),
        ("PUT", "m1", {**HERE, "digest": "1" * 40},
         "detected modified configuration - file changed by other user? Try again."),
    ],
)  # fmt: skip
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, id: str, params: dict[str, Any], message: str
) -> None:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, f"{PLACE}/{id}", params)
    assert (caught.value.status, caught.value.message) == (500, message)
    assert not before.diff(simulator.world)


def test_the_export_tells_what_other_answers_tell(simulator: Simulator) -> None:
    points = simulator.request("GET", "/cluster/metrics/export")["data"]
    figures = {(point["id"], point["metric"]): point["value"] for point in points}
    status = simulator.request("GET", "/nodes/pve1/qemu/100/status/current")
    assert figures["qemu/100", "mem_used"] == status["mem"]
    assert figures["qemu/100", "mem_total"] == status["maxmem"]
    assert figures["node/pve2", "mem_total"] == simulator.request("GET", "/nodes/pve2/status")["memory"]["total"]
    assert (
        figures["storage/pve1/local", "disk_used"]
        == simulator.request("GET", "/nodes/pve1/storage/local/status")["used"]
    )
    assert {point["timestamp"] for point in points} == {int(simulator.clock.now) // 10 * 10}


def test_the_export_of_the_past(simulator: Simulator) -> None:
    start = int(simulator.clock.now) - 60
    given = {"history": 1, "start-time": start, "node-list": "pve1"}
    points = simulator.request("GET", "/cluster/metrics/export", given)["data"]
    times = sorted({point["timestamp"] for point in points})
    assert times == list(range(-(-start // 10) * 10, int(simulator.clock.now) + 1, 10))
    assert not [point for point in points if point["id"] == "node/pve2"]
    assert simulator.request("GET", "/cluster/metrics/export", {"start-time": start + 100})["data"] == []
