"""Power actions of containers, where they differ from those of virtual machines."""

from __future__ import annotations

import pytest

from pvesim.core.errors import Failure
from pvesim.engine import Simulator
from pvesim.guests.records import Behaviour
from pvesim.ha.records import HaResource
from tests.pvesim.guests.stage import act, change, configure, guest, stage, start, status


@pytest.fixture
def simulator() -> Simulator:
    """CT 201 runs."""
    simulator = stage()
    assert act(simulator, 201, "start").exitstatus == "OK"
    return simulator


def test_start_and_stop(simulator: Simulator) -> None:
    assert status(simulator, 201)["status"] == "running"
    task = act(simulator, 201, "stop")
    assert (task.type, task.log) == ("vzstop", ("TASK OK",))
    assert status(simulator, 201)["status"] == "stopped"


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("stop", "CT 200 not running"),
        ("shutdown", "CT 200 not running"),
        ("reboot", "VM 200 not running"),
        ("suspend", "CT 200 not running"),
    ],
)
def test_a_stopped_container_refuses_at_once(simulator: Simulator, action: str, text: str) -> None:
    with pytest.raises(Failure, match=f"^{text}$"):
        start(simulator, 200, action)


@pytest.mark.parametrize("action", ["start", "resume"])
def test_a_running_container_does_not_start_again(simulator: Simulator, action: str) -> None:
    with pytest.raises(Failure, match=r"^CT 201 already running$"):
        start(simulator, 201, action)


def test_an_unknown_container_fails_in_the_task(simulator: Simulator) -> None:
    for action in ("start", "resume"):
        task = act(simulator, 299, action)
        assert task.exitstatus == "Configuration file 'nodes/pve1/lxc/299.conf' does not exist"


def test_a_template_does_not_start(simulator: Simulator) -> None:
    configure(simulator, 200, template=1)
    assert act(simulator, 200, "start").exitstatus == "you can't start a CT if it's a template"


def test_a_locked_container(simulator: Simulator) -> None:
    configure(simulator, 200, lock="backup")
    assert act(simulator, 200, "start").exitstatus == "CT is locked (backup)"
    assert act(simulator, 200, "start", skiplock=1).exitstatus == "OK"
    for action in ("stop", "shutdown", "reboot", "suspend"):
        assert act(simulator, 200, action).exitstatus == "CT is locked (backup)"
    configure(simulator, 201, lock="mounted")
    assert act(simulator, 201, "stop", skiplock=1).exitstatus == "OK"
    assert act(simulator, 201, "start").exitstatus == "OK"


def test_shutdown_waits_and_may_force(simulator: Simulator) -> None:
    assert act(simulator, 201, "shutdown").exitstatus == "OK"
    act(simulator, 201, "start")
    change(simulator, 201, behaviour=Behaviour(acpi=False))
    task = act(simulator, 201, "shutdown", timeout=5)
    assert task.exitstatus == "command 'lxc-stop -n 201 --nokill --timeout 5' failed: exit code 1"
    assert guest(simulator, 201).running
    assert act(simulator, 201, "shutdown", timeout=5, forceStop=1).exitstatus == "OK"
    assert not guest(simulator, 201).running


def test_a_reboot_is_a_new_start_with_what_was_pending(simulator: Simulator) -> None:
    change(simulator, 201, pending={"memory": 256})
    before = guest(simulator, 201).pid
    assert act(simulator, 201, "reboot").type == "vzreboot"
    assert guest(simulator, 201).pid != before
    assert status(simulator, 201)["maxmem"] == 256 * 1024**2


def test_a_stock_node_cannot_freeze_containers(simulator: Simulator) -> None:
    task = act(simulator, 201, "suspend")
    assert (task.type, task.log[0]) == ("vzsuspend", "")
    assert task.exitstatus == "command 'lxc-checkpoint -n 201 -s -D /var/lib/vz/dump' failed: exit code 1"
    assert guest(simulator, 201).running
    task = act(simulator, 200, "resume")
    assert task.exitstatus == "command 'lxc-checkpoint -n 200 -r --foreground -D /var/lib/vz/dump' failed: exit code 1"


def test_a_container_that_can_be_frozen_thaws_where_it_was(simulator: Simulator) -> None:
    change(simulator, 201, behaviour=Behaviour(checkpoint=True))
    assert act(simulator, 201, "suspend").exitstatus == "OK"
    assert status(simulator, 201)["status"] == "stopped"
    assert act(simulator, 201, "resume").type == "vzresume"
    assert status(simulator, 201)["status"] == "running"


def test_a_bridge_that_is_gone_stops_the_start(simulator: Simulator) -> None:
    configure(simulator, 200, net0="name=eth0,bridge=vmbr77,hwaddr=BC:24:11:00:00:09,type=veth")
    task = act(simulator, 200, "start")
    assert task.log == ("bridge 'vmbr77' does not exist", "TASK ERROR: startup for container '200' failed")


def test_ha_is_asked_for_containers_too(simulator: Simulator) -> None:
    simulator.world.put(HaResource("ct:201"))
    assert act(simulator, 201, "shutdown").log == ("Requesting HA stop for CT 201", "TASK OK")


def test_interfaces_are_those_of_a_running_container(simulator: Simulator) -> None:
    url = "/nodes/pve1/lxc/201/interfaces"
    configure(simulator, 201, net0="name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:09,ip=10.0.0.9/24,type=veth")
    loopback, first = simulator.request("GET", url)
    assert (loopback["name"], loopback["inet"], loopback["inet6"]) == ("lo", "127.0.0.1/8", "::1/128")
    assert (first["name"], first["hwaddr"], first["inet"]) == ("eth0", "bc:24:11:00:00:09", "10.0.0.9/24")
    assert first["ip-addresses"][0] == {"ip-address": "10.0.0.9", "ip-address-type": "inet", "prefix": 24}
    act(simulator, 201, "stop")
    assert simulator.request("GET", url) is None
