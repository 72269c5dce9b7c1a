"""A machine that is switched on, with a program in QEMU's place."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.nested.conftest import free_port
from tests.real.nested.machine import Machine
from tests.real.nested.running import Running
from tests.real.node import NodeUnfit


@pytest.fixture
def machine(qemu: Path, tmp_path: Path) -> Machine:
    made = Machine(tmp_path, free_port(), kvm=False)
    made.password.write_text("of-this-run")
    return made


@pytest.fixture
def running(machine: Machine) -> Iterator[Running]:
    switched_on = Running(machine, machine.command(machine.overlay))
    yield switched_on
    switched_on.end()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Running:
    monkeypatch.setenv("FAKE_QEMU", "silent")
    return request.getfixturevalue("running")  # type: ignore[no-any-return]


def test_the_api_is_waited_for_and_the_machine_shut_down(running: Running) -> None:
    node = running.wait_for_api("of-this-run", 30)
    assert node.get("version")["version"] == "9.2.11"
    assert node.connection.fingerprint is not None
    node.close()
    with pytest.raises(NodeUnfit, match=r"not answered within 0.2 s. The last attempt: PVE does not accept the login"):
        running.wait_for_api("of-another-run", 0.2)
    assert running.shut_down(30)
    with pytest.raises(NodeUnfit, match="The machine ended by itself"):
        running.wait_for_api("of-this-run", 30)
    assert running.picture() is None


def test_a_machine_that_never_answers_is_told(silent: Running) -> None:
    with pytest.raises(NodeUnfit, match=r"has not answered within 0.5 s. The last attempt: .*refused"):
        silent.wait_for_api("of-this-run", 0.5)
    picture = silent.picture()
    assert picture is not None
    assert picture.is_file()


def test_a_machine_that_does_not_heed_its_power_button_is_switched_off(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_QEMU", "silent deaf")
    running = Running(machine, machine.command(machine.overlay))
    assert not running.shut_down(0.1)
    assert running.process.poll() is not None


def test_an_end_with_an_error_is_no_end_of_an_installation(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_QEMU", "dies")
    running = Running(machine, machine.command(machine.base))
    with pytest.raises(NodeUnfit, match="QEMU ended with status 1"):
        running.wait_for_end(30)
    running.end()
    assert machine.complaints.read_text() == "qemu: it cannot be\n"
