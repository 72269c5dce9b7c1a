"""A world that keeps to the status daemon's rounds: what the cluster's lists show of a change, and when."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pvesim import Simulator
from pvesim.cluster.rounds import Told
from pvesim.guests.records import Guest

SCENARIO: dict[str, Any] = {
    "cluster": {"status_rounds": True},
    "nodes": {"pve1": {}},
    "vms": {100: {"config": {"name": "old"}}},
    "pools": {"p1": {"guests": [100]}},
}
VMS = "/nodes/pve1/qemu"


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(SCENARIO, clock="manual")


def row(simulator: Simulator, vmid: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = simulator.request("GET", "/cluster/resources", {"type": "vm"})
    return next(row for row in rows if row["vmid"] == vmid)


def do(simulator: Simulator, verb: str, path: str, **params: Any) -> None:
    """Make a request and let its task end, which is within the round."""
    answer = simulator.request(verb, path, {name: str(value) for name, value in params.items()})
    now = simulator.world.now
    if isinstance(answer, str) and answer.startswith("UPID:"):
        simulator.clock.run_until_done(answer)
    assert simulator.world.now // 10 == now // 10


def begin_round(simulator: Simulator) -> None:
    """Stand at the beginning of a round."""
    simulator.clock.advance(10 - simulator.world.now % 10)


def test_a_new_guest_is_unknown_until_the_next_round(simulator: Simulator) -> None:
    begin_round(simulator)
    do(simulator, "POST", VMS, vmid=101, name="new")
    assert row(simulator, 101) == {"id": "qemu/101", "type": "qemu", "vmid": 101, "node": "pve1", "status": "unknown"}
    names = {vm["vmid"]: vm["name"] for vm in simulator.request("GET", VMS)}
    assert names[101] == "new"  # the node's own list is right at once
    simulator.clock.advance(10)
    assert (row(simulator, 101)["name"], row(simulator, 101)["status"]) == ("new", "stopped")


def test_a_start_shows_with_the_next_round(simulator: Simulator) -> None:
    begin_round(simulator)
    do(simulator, "POST", f"{VMS}/100/status/start")
    assert row(simulator, 100)["status"] == "stopped"
    assert simulator.request("GET", "/pools/p1")["members"][0]["status"] == "stopped"
    assert simulator.request("GET", f"{VMS}/100/status/current")["status"] == "running"
    simulator.clock.advance(10)
    assert row(simulator, 100)["status"] == "running"
    assert simulator.request("GET", "/pools/p1")["members"][0]["status"] == "running"


def test_two_changes_in_one_round_show_neither(simulator: Simulator) -> None:
    begin_round(simulator)
    do(simulator, "PUT", f"{VMS}/100/config", name="first")
    do(simulator, "PUT", f"{VMS}/100/config", name="second")
    assert row(simulator, 100)["name"] == "old"
    simulator.clock.advance(10)
    assert row(simulator, 100)["name"] == "second"
    do(simulator, "PUT", f"{VMS}/100/config", name="third")
    assert row(simulator, 100)["name"] == "second"


def test_tags_and_locks_are_read_from_the_configuration_itself(simulator: Simulator) -> None:
    begin_round(simulator)
    do(simulator, "PUT", f"{VMS}/100/config", tags="blue", lock="backup")
    assert (row(simulator, 100)["tags"], row(simulator, 100)["lock"]) == ("blue", "backup")


def test_a_deleted_guest_is_gone_at_once_and_its_id_remembered(simulator: Simulator) -> None:
    begin_round(simulator)
    do(simulator, "DELETE", f"{VMS}/100")
    assert simulator.request("GET", "/cluster/resources", {"type": "vm"}) == []
    simulator.clock.advance(60)
    do(simulator, "POST", VMS, vmid=100, name="again")
    assert row(simulator, 100)["name"] == "old"
    simulator.clock.advance(10)
    assert row(simulator, 100)["name"] == "again"


def test_an_id_is_not_remembered_for_ever(simulator: Simulator) -> None:
    begin_round(simulator)
    do(simulator, "DELETE", f"{VMS}/100")
    simulator.clock.advance(600)
    do(simulator, "POST", VMS, vmid=100, name="again")
    assert row(simulator, 100)["status"] == "unknown"


def test_in_auto_mode_who_looks_again_sees_it() -> None:
    simulator = Simulator(SCENARIO)
    simulator.request("PUT", f"{VMS}/100/config", {"name": "new"})
    assert [row(simulator, 100)["name"] for _ in range(2)] == ["old", "new"]


def test_a_copy_and_a_dump_know_what_was_told(simulator: Simulator) -> None:
    begin_round(simulator)
    do(simulator, "PUT", f"{VMS}/100/config", name="new")
    assert row(simulator, 100)["name"] == "old"
    for other in (simulator.fork(), Simulator(yaml.safe_load(simulator.dump()), clock="manual")):
        assert row(other, 100)["name"] == "old"
        other.clock.advance(10)
        assert row(other, 100)["name"] == "new"
    assert row(simulator, 100)["name"] == "old"


def test_without_it_lists_are_right_at_once() -> None:
    simulator = Simulator({**SCENARIO, "cluster": {}}, clock="manual")
    simulator.request("PUT", f"{VMS}/100/config", {"name": "new"})
    assert row(simulator, 100)["name"] == "new"
    assert not simulator.world.rows(Told)
    assert simulator.world.rows(Guest)
