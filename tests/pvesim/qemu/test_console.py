"""The monitor and the keyboard of virtual machines."""

from __future__ import annotations

import pytest

from pvesim.core.errors import Failure, NotModelled, ParameterErrors
from pvesim.engine import Simulator
from tests.pvesim.guests.stage import act, configure, path, stage


@pytest.fixture
def simulator() -> Simulator:
    """VM 101 runs."""
    simulator = stage()
    act(simulator, 101, "start")
    return simulator


def monitor(simulator: Simulator, vmid: int, command: str) -> str:
    answer: str = simulator.request("POST", path(vmid, "/monitor"), {"command": command})
    return answer


def test_the_monitor_of_a_stopped_machine_says_so(simulator: Simulator) -> None:
    assert monitor(simulator, 100, "info status") == "ERROR: VM 100 not running\n"
    with pytest.raises(Failure, match="does not exist"):
        monitor(simulator, 999, "info status")


def test_the_monitor_knows_the_machine(simulator: Simulator) -> None:
    assert monitor(simulator, 101, "info  status").strip() == "VM status: running"
    act(simulator, 101, "suspend")
    assert monitor(simulator, 101, "info status").strip() == "VM status: paused"
    assert monitor(simulator, 101, "info name").strip() == "db1"
    assert monitor(simulator, 101, "info version")[0].isdigit()
    with pytest.raises(NotModelled, match="'info qtree' is not modelled"):
        monitor(simulator, 101, "info qtree")


def press(simulator: Simulator, vmid: int, key: str, user: str = "root@pam", **params: int) -> None:
    assert simulator.request("PUT", path(vmid, "/sendkey"), {"key": key, **params}, user=user) is None


def test_keys_are_pressed_on_a_machine_that_runs(simulator: Simulator) -> None:
    press(simulator, 101, "ctrl-alt-delete")
    with pytest.raises(Failure, match=r"^VM 100 not running$"):
        press(simulator, 100, "a")
    with pytest.raises(Failure, match=r"^invalid parameter: hyper$"):
        press(simulator, 101, "ctrl-hyper")


def test_keys_do_not_mind_a_lock(simulator: Simulator) -> None:
    configure(simulator, 101, lock="backup")
    press(simulator, 101, "a")
    press(simulator, 101, "a", skiplock=1)
    with pytest.raises(ParameterErrors):
        press(simulator, 100, "a", user="alice@pve", skiplock=1)
