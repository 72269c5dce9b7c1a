"""Incidents: what happens to nodes, storages, guests and tokens, and back."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError, FaultError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.storage.rules import space_of
from tests.pvesim.small_world import small_simulator


def refusal(sim: Simulator, verb: str, path: str, params: Any = None, **how: Any) -> tuple[int, str] | None:
    try:
        sim.request(verb, path, params, **how)
    except ApiError as error:
        return error.status, error.message
    return None


def test_a_node_goes_and_comes_back() -> None:
    sim = Simulator("homelab")
    running = sim.request("POST", "/nodes/pve2/qemu/105/status/start")
    sim.faults.cause(node_offline="pve2")
    assert refusal(sim, "GET", "/nodes/pve2/status") == (595, "No route to host")
    assert not sim.world.rows(Guest)[101].running
    assert sim.world.rows(Task)[running].exitstatus == "received interrupt"
    sim.faults.cause(node_offline="pve2")  # it is off already
    sim.faults.cause(node_online="pve2")
    assert refusal(sim, "GET", "/nodes/pve2/status") is None
    sim.faults.cause(node_online="pve2")


def test_without_quorum_nothing_is_written_and_everything_is_read() -> None:
    sim = small_simulator()
    sim.faults.cause(quorum_lost=True)
    assert refusal(sim, "POST", "/nodes/pve1/qemu/101/status/start") == (500, "cluster not ready - no quorum?")
    assert refusal(sim, "GET", "/nodes/pve1/qemu/101/config") is None
    assert sim.request("GET", "/cluster/status")[0]["quorate"] == 0
    assert all(node.online for node in sim.world.rows(Node).values())
    sim.faults.cause(quorum_back=True)
    assert refusal(sim, "POST", "/nodes/pve1/qemu/101/status/start") is None


@pytest.mark.parametrize("storage", ["nas", "local", "local-lvm", "pve1/local"])
def test_a_storage_fills_up_and_is_freed(storage: str) -> None:
    sim = Simulator("homelab")
    name = storage.rpartition("/")[2]
    before = {node: space_of(sim.world, name, node) for node in ("pve1", "pve2")}
    sim.faults.cause(storage_full=storage)
    now = {node: space_of(sim.world, name, node) for node in ("pve1", "pve2")}
    assert (now["pve1"].avail, now["pve1"].used) == (0, before["pve1"].total)
    assert (now["pve2"].avail == 0) == ("/" not in storage)
    sim.faults.cause(storage_full=storage)
    sim.faults.cause(storage_freed=storage)
    assert {node: space_of(sim.world, name, node) for node in ("pve1", "pve2")} == before
    with pytest.raises(FaultError, match="was not filled up"):
        sim.faults.cause(storage_freed=storage)


def test_a_backup_to_a_full_storage_fails_for_want_of_space() -> None:
    sim = Simulator("homelab")
    sim.faults.cause(storage_full="nas")
    upid = sim.request("POST", "/nodes/pve1/vzdump", {"vmid": "100", "storage": "nas"})
    sim.clock.run_until_done(upid)
    task = sim.world.rows(Task)[upid]
    assert task.exitstatus == "job errors"
    assert any("No space left on device" in line for line in task.log)


@pytest.mark.parametrize("storage", ["nas", "local", "pve2/local-lvm"])
def test_a_storage_goes_offline_and_comes_back(storage: str) -> None:
    sim = Simulator("homelab")
    name = storage.rpartition("/")[2]
    before = space_of(sim.world, name, "pve2")
    sim.faults.cause(storage_offline=storage)
    assert not space_of(sim.world, name, "pve2").active
    assert space_of(sim.world, name, "pve1").active == ("/" in storage)
    sim.faults.cause(storage_online=storage)
    assert space_of(sim.world, name, "pve2") == before


def test_a_guest_that_hangs_ignores_a_shutdown_and_its_agent_is_gone() -> None:
    sim = Simulator("homelab")
    assert refusal(sim, "POST", "/nodes/pve1/qemu/100/agent/ping") is None
    sim.faults.cause(guest_hangs=100)
    assert refusal(sim, "POST", "/nodes/pve1/qemu/100/agent/ping") == (500, "QEMU guest agent is not running")
    upid = sim.request("POST", "/nodes/pve1/qemu/100/status/shutdown", {"timeout": 10})
    sim.clock.run_until_done(upid)
    assert sim.world.rows(Task)[upid].exitstatus == "VM quit/powerdown failed - got timeout"
    sim.faults.cause(guest_recovers=100)
    upid = sim.request("POST", "/nodes/pve1/qemu/100/status/shutdown", {"timeout": 10})
    sim.clock.run_until_done(upid)
    assert sim.world.rows(Task)[upid].exitstatus == "OK"


def test_an_agent_dies_and_returns() -> None:
    sim = Simulator("homelab")
    sim.faults.cause(agent_dies=100)
    assert refusal(sim, "POST", "/nodes/pve1/qemu/100/agent/ping") == (500, "QEMU guest agent is not running")
    sim.faults.cause(agent_returns=100)
    assert refusal(sim, "POST", "/nodes/pve1/qemu/100/agent/ping") is None


def test_a_guest_is_locked_and_unlocked() -> None:
    sim = small_simulator()
    sim.faults.cause(guest_locked={"guest": 101, "lock": "backup"})
    upid = sim.request("POST", "/nodes/pve1/qemu/101/status/start")
    sim.clock.run_until_done(upid)
    assert sim.world.rows(Task)[upid].exitstatus == "VM is locked (backup)"
    sim.faults.cause(guest_unlocked=101)
    upid = sim.request("POST", "/nodes/pve1/qemu/101/status/start")
    sim.clock.run_until_done(upid)
    assert sim.world.rows(Task)[upid].exitstatus == "OK"


def test_a_token_expires() -> None:
    sim = Simulator("homelab")
    pve = sim.connect("mcp@pve!auditor")
    assert pve.version.get()
    sim.faults.cause(token_expires="mcp@pve!auditor")
    with pytest.raises(Exception, match="401"):
        pve.version.get()


def test_a_fault_can_be_an_incident() -> None:
    sim = small_simulator()
    sim.faults.cause(fault={"name": "x", "path": "/version", "for": "10s", "error": {"status": 500, "message": "no"}})
    assert refusal(sim, "GET", "/version") == (500, "no")
    sim.faults.cause(fault_over="x")
    assert refusal(sim, "GET", "/version") is None


@pytest.mark.parametrize(
    ("incident", "text"),
    [
        ({"node_offline": "nope"}, "no node 'nope': there are pve1, pve2"),
        ({"storage_full": "nope"}, "no storage 'nope': there are local"),
        ({"storage_full": "nope/local"}, "no node 'nope'"),
        ({"guest_hangs": 999}, "no guest 999"),
        ({"agent_dies": 200}, "200 is a container: it has no agent"),
        ({"agent_dies": 100}, "VM 100 has no agent that could die"),
        ({"agent_returns": 100}, "VM 100 has no agent configured"),
        ({"guest_recovers": 100}, "guest 100 does not hang"),
        ({"guest_unlocked": 100}, "guest 100 is not locked"),
        ({"guest_locked": {"guest": 100, "lock": "odd"}}, "guest_locked.lock: input should be 'backup', 'clone'"),
        ({"token_expires": "a@pve!b"}, "no token 'a@pve!b': there are none"),
        ({"fault_over": "x"}, "no fault 'x': there are none"),
        ({"fault": {"name": "x"}}, "fault: say what goes wrong"),
        ({}, "say what happens: exactly one of node_offline, node_online"),
        ({"quorum_lost": True, "quorum_back": True}, "exactly one of"),
        ({"meteorite": "pve1"}, "meteorite: there is no such field"),
    ],
)
def test_what_cannot_happen_is_refused_and_changes_nothing(incident: dict[str, Any], text: str) -> None:
    sim = small_simulator()
    before = sim.world.fork()
    with pytest.raises(FaultError, match=text):
        sim.faults.cause(**incident)
    assert {change.table for change in before.diff(sim.world)} <= {"Happened", "Counter"}


def test_what_has_happened_is_told() -> None:
    sim = small_simulator()
    sim.faults.cause(node_offline="pve2")
    sim.clock.advance(5)
    with pytest.raises(FaultError):
        sim.faults.cause(guest_recovers=100)
    told = [(event.time - sim.world.now, event.incident, event.refused) for event in sim.faults.happened]
    assert told == [
        (-5.0, ("node_offline", "pve2"), ""),
        (0.0, ("guest_recovers", 100), "guest 100 does not hang"),
    ]
