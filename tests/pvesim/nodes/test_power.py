"""Nodes that restart, are switched off and woken, and what a cluster is without them."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.cluster.records import Cluster
from pvesim.core.errors import NodeUnreachable
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.nodes.records import Node
from tests.pvesim.guests.three_nodes import (
    bring_back,
    container,
    guest_of,
    lose,
    machine,
    on,
    refusal,
    tasks,
    three_nodes,
)
from tests.pvesim.invariants import check_invariants
from tests.pvesim.small_world import give


def command(simulator: Simulator, what: str, node: str = "pve2", user: str = "root@pam") -> None:
    assert simulator.request("POST", f"/nodes/{node}/status", {"command": what}, user=user) is None


def is_online(simulator: Simulator, node: str = "pve2") -> bool:
    return simulator.world.rows(Node)[node].online


def state(simulator: Simulator, node: str = "pve2") -> str:
    listed = simulator.request("GET", "/nodes")
    return str(next(row["status"] for row in listed if row["node"] == node))


# -- reboot and shutdown -------------------------------------------------------------------------------------------


def test_a_restart_stops_guests_by_their_order_and_starts_those_with_onboot() -> None:
    simulator = three_nodes(
        on(machine(100, node="pve2", onboot=1, startup="order=1")),
        on(machine(101, node="pve2", startup="order=2")),
        on(container(200, node="pve2", onboot=1, startup="order=3")),
        on(machine(102)),
    )
    command(simulator, "reboot")
    assert is_online(simulator)
    simulator.clock.advance(30)
    assert not is_online(simulator)
    stop = next(task for task in simulator.world.rows(Task).values() if task.type == "stopall")
    assert (stop.node, stop.owner, stop.exitstatus) == ("pve2", "root@pam", "OK")
    assert [line.split(" (")[0] for line in stop.log[:3]] == ["Stopping CT 200", "Stopping VM 101", "Stopping VM 100"]
    assert [guest_of(simulator, vmid).running for vmid in (100, 101, 200, 102)] == [False, False, False, True]
    simulator.clock.advance(80)
    assert is_online(simulator)
    assert [guest_of(simulator, vmid).running for vmid in (100, 101, 200)] == [True, False, True]
    assert tasks(simulator, "startall") == [("startall", "", "OK")]
    assert simulator.request("GET", "/nodes/pve2/status")["uptime"] < 100
    assert check_invariants(simulator.world) == []


def test_who_waits_sees_the_node_go_and_come_back() -> None:
    simulator = three_nodes(on(machine(100, node="pve2", onboot=1)))
    command(simulator, "reboot")
    seen = [state(simulator) for _ in range(30)]
    changes = [status for number, status in enumerate(seen) if number == 0 or status != seen[number - 1]]
    assert changes == ["online", "offline", "online"]


def test_who_asks_the_node_itself_sees_the_same() -> None:
    simulator = three_nodes()
    command(simulator, "reboot")
    answers = []
    for _ in range(12):
        try:
            answers.append(simulator.request("GET", "/nodes/pve2/status")["uptime"] < 60)
        except NodeUnreachable as error:
            answers.append(error.status)
    assert answers[0] is False
    assert 595 in answers
    assert answers[-1] is True


def test_a_lone_node_comes_back_too() -> None:
    simulator = three_nodes()
    for name in ("pve2", "pve3"):
        simulator.world.remove(Node, name)
    command(simulator, "reboot", "pve1")
    simulator.clock.advance(20)
    with pytest.raises(NodeUnreachable):
        simulator.request("GET", "/nodes/pve1/status")
    assert simulator.request("GET", "/nodes/pve1/status")["uptime"] < 60


def test_a_node_that_was_switched_off_is_woken() -> None:
    simulator = three_nodes(on(machine(100, node="pve2", onboot=1)))
    simulator.request("PUT", "/nodes/pve2/config", {"wakeonlan": "BC:24:11:00:00:02"})
    command(simulator, "shutdown")
    simulator.clock.advance(600)
    assert not is_online(simulator)
    simulator.request("POST", "/nodes/pve2/wakeonlan")
    simulator.clock.advance(80)
    assert is_online(simulator)
    assert guest_of(simulator, 100).running


def test_a_guest_that_does_not_stop_is_cut_off_in_the_end() -> None:
    simulator = three_nodes(on(machine(100, node="pve2", startup="down=3600"), acpi=False))
    command(simulator, "shutdown")
    simulator.clock.advance(250)
    assert is_online(simulator)
    simulator.clock.advance(100)
    assert not is_online(simulator)
    assert not guest_of(simulator, 100).running
    assert {task[2] for task in tasks(simulator, "stopall", "qmshutdown")} == {"received interrupt"}
    assert check_invariants(simulator.world) == []


def test_it_takes_the_right_to_power() -> None:
    simulator = three_nodes()
    error = refusal(simulator, "POST", "/nodes/pve2/status", {"command": "reboot"}, "alice@pve")
    assert error.message == "Permission check failed (/nodes/pve2, Sys.PowerMgmt)"
    give(simulator.world, "alice@pve", "/nodes/pve2", "Administrator")
    command(simulator, "reboot", user="alice@pve")
    error = refusal(simulator, "POST", "/nodes/pve2/status", {"command": "dance"})
    assert error.errors == {"command": "value 'dance' does not have a value in the enumeration 'reboot, shutdown'"}


def test_a_second_command_changes_nothing() -> None:
    simulator = three_nodes()
    command(simulator, "shutdown")
    command(simulator, "reboot")
    simulator.clock.advance(300)
    assert not is_online(simulator)


# -- with HA -------------------------------------------------------------------------------------------------------


def with_ha(policy: str | None = None) -> Simulator:
    simulator = three_nodes(on(machine(100, node="pve2")))
    if policy:
        simulator.world.put(Cluster(name="lab", options={"ha": f"shutdown_policy={policy}"}))
    simulator.request("POST", "/cluster/ha/resources", {"sid": "vm:100"})
    simulator.clock.advance(20)
    return simulator


def ha_state(simulator: Simulator) -> str:
    status = simulator.request("GET", "/cluster/ha/status/current")
    return str(next(entry["crm_state"] for entry in status if entry["type"] == "service"))


@pytest.mark.parametrize(
    ("policy", "what", "expected"),
    [
        (None, "reboot", "pve2"),
        ("conditional", "reboot", "pve2"),
        ("freeze", "reboot", "pve2"),
        (None, "shutdown", "pve1"),
        ("failover", "shutdown", "pve1"),
        ("migrate", "reboot", "pve1"),
        ("migrate", "shutdown", "pve1"),
    ],
)
def test_where_a_guest_of_ha_is_after_its_node_went_down(policy: str | None, what: str, expected: str) -> None:
    simulator = with_ha(policy)
    command(simulator, what)
    simulator.clock.advance(250)
    assert (guest_of(simulator, 100).node, guest_of(simulator, 100).running) == (expected, True)
    assert ha_state(simulator) == "started"
    moved = tasks(simulator, "qmigrate")
    assert moved == ([("qmigrate", "100", "OK")] if policy == "migrate" else [])
    assert check_invariants(simulator.world) == []


def test_frozen_guests_wait_for_their_node() -> None:
    simulator = with_ha("freeze")
    command(simulator, "shutdown")
    simulator.clock.advance(600)
    assert ha_state(simulator) == "freeze"
    assert (guest_of(simulator, 100).node, guest_of(simulator, 100).running) == ("pve2", False)
    bring_back(simulator, "pve2")
    simulator.clock.advance(30)
    assert (guest_of(simulator, 100).node, guest_of(simulator, 100).running) == ("pve2", True)


# -- what is left of the cluster -----------------------------------------------------------------------------------


def test_a_lost_node_answers_nothing_and_its_guests_are_unknown() -> None:
    simulator = three_nodes(on(machine(100, node="pve2")), machine(101))
    lose(simulator, "pve2")
    for verb, path, params in (
        ("GET", "/nodes/pve2/status", {}),
        ("GET", "/nodes/pve2/qemu", {}),
        ("POST", "/nodes/pve2/qemu/100/status/stop", {}),
        ("POST", "/nodes/pve2/startall", {}),
        ("POST", "/nodes/pve2/status", {"command": "reboot"}),
    ):
        error = refusal(simulator, verb, path, params)
        assert (error.status, error.message) == (595, "No route to host")
    rows = {row["id"]: row for row in simulator.request("GET", "/cluster/resources")}
    assert rows["qemu/100"] == {"id": "qemu/100", "type": "qemu", "vmid": 100, "node": "pve2", "status": "unknown"}
    assert rows["node/pve2"]["status"] == "offline"
    assert rows["storage/pve2/local"]["status"] == "unknown"
    assert simulator.request("GET", "/nodes/pve1/qemu")[0]["vmid"] == 101


WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/nodes/pve1/qemu/100/status/start", {}),
    ("PUT", "/nodes/pve1/qemu/100/config", {"cores": 2}),
    ("POST", "/nodes/pve1/qemu/100/migrate", {"target": "pve2"}),
    ("POST", "/nodes/pve1/startall", {}),
    ("POST", "/pools", {"poolid": "p1"}),
    ("POST", "/cluster/ha/resources", {"sid": "vm:100"}),
    ("PUT", "/access/acl", {"path": "/", "roles": "PVEAuditor", "users": "alice@pve"}),
]


@pytest.mark.parametrize(("verb", "path", "params"), WRITES)
def test_without_quorum_nothing_is_written_and_all_is_read(verb: str, path: str, params: dict[str, Any]) -> None:
    simulator = three_nodes(machine(100))
    lose(simulator, "pve2")
    lose(simulator, "pve3")
    assert refusal(simulator, verb, path, params).message == "cluster not ready - no quorum?"
    assert simulator.request("GET", "/nodes/pve1/qemu/100/config")["name"] == "vm100"
    status = simulator.request("GET", "/cluster/status")
    assert [entry["quorate"] for entry in status if entry["type"] == "cluster"] == [0]
    bring_back(simulator, "pve2")
    simulator.request(verb, path, params)


def test_what_runs_on_is_reached_without_quorum() -> None:
    simulator = three_nodes(on(machine(100, agent="1"), agent=True))
    lose(simulator, "pve2")
    lose(simulator, "pve3")
    agent = "/nodes/pve1/qemu/100/agent"
    assert simulator.request("POST", f"{agent}/ping") == {"result": {}}
    simulator.request("POST", f"{agent}/file-write", {"file": "/tmp/x", "content": "kept"})
    assert simulator.request("GET", f"{agent}/file-read", {"file": "/tmp/x"})["content"] == "kept"
    password = {"username": "root", "password": "a long one"}
    simulator.request("POST", f"{agent}/set-user-password", password)


def test_a_node_that_boots_without_quorum_waits_with_its_guests() -> None:
    simulator = three_nodes(on(machine(100, node="pve2", onboot=1)))
    command(simulator, "reboot")
    simulator.clock.advance(20)
    lose(simulator, "pve3")
    lose(simulator, "pve1")
    simulator.clock.advance(100)
    assert not guest_of(simulator, 100).running
    start = next(task for task in simulator.world.rows(Task).values() if task.type == "startall")
    assert (start.running, start.log) == (True, ("waiting for quorum ...",))
    bring_back(simulator, "pve1")
    simulator.clock.advance(30)
    assert guest_of(simulator, 100).running
    assert simulator.world.rows(Task)[start.upid].exitstatus == "OK"
