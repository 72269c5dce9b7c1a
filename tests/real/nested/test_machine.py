"""QEMU's command line, and what this computer must have for it."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.real.nested.checks import check_port, check_room, check_screen, check_tools, kvm_problem
from tests.real.nested.machine import Machine
from tests.real.node import NodeUnfit


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("kvm", "accelerator"), [(True, "kvm"), (False, "tcg,thread=multi")])
def test_qemu_listens_on_loopback_alone(tmp_path: Path, kvm: bool, accelerator: str) -> None:
    command = Machine(tmp_path, 18006, kvm=kvm).command(tmp_path / "run.qcow2")
    assert command[command.index("-accel") + 1] == accelerator
    assert "user,id=net0,hostfwd=tcp:127.0.0.1:18006-:8006" in command
    assert f"file={tmp_path / 'run.qcow2'},if=none,id=disk0,format=qcow2,cache=unsafe" in command
    assert "-cdrom" not in command


def test_the_installer_ends_instead_of_starting_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 18006, boot=["-kernel", "vmlinuz"])
    command = machine.command(machine.base, tmp_path / "installer.iso")
    assert command[-5:] == ["-cdrom", str(tmp_path / "installer.iso"), "-boot", "once=d", "-no-reboot"]
    assert machine.command(machine.base)[-2:] == ["-kernel", "vmlinuz"]


def test_what_is_installed_finds_its_devices_where_they_were(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 18006)
    commands = machine.command(machine.base, tmp_path / "installer.iso"), machine.command(machine.overlay)
    devices = [[part for part in command if "addr=" in part] for command in commands]
    assert (
        devices[0]
        == devices[1]
        == ["virtio-blk-pci,drive=disk0,addr=0x3", "virtio-net-pci,netdev=net0,addr=0x4,romfile="]
    )


def test_a_comma_in_a_path_divides_no_option(tmp_path: Path) -> None:
    command = Machine(tmp_path / "a,b", 18006).command(tmp_path / "a,b" / "run.qcow2")
    assert any(part.startswith(f"file={tmp_path}/a,,b/run.qcow2,") for part in command)
    assert f"file:{tmp_path}/a,,b/console.log" in command


def test_each_run_has_an_overlay_of_the_disk_that_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 18006)
    assert machine.new_disk(16)[-2:] == [str(machine.base), "16G"]
    assert machine.new_overlay()[-3:] == ["-b", str(machine.base), str(machine.overlay)]


def test_a_disk_is_used_again_for_what_it_was_made_from(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 18006)
    assert not machine.is_made_from("one")
    machine.base.touch()
    assert not machine.is_made_from("one")
    machine.stamp.write_text("one")
    assert not machine.is_made_from("one")
    machine.password.write_text("of-that-run")
    assert machine.is_made_from("one")
    assert not machine.is_made_from("another")


def test_without_qemu_it_is_said_what_to_install(programs: Callable[..., Path]) -> None:
    programs("qemu-img")
    with pytest.raises(NodeUnfit, match=r"^qemu-system-x86_64 is not installed \(apt install qemu-system-x86\).$"):
        check_tools()


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(NodeUnfit, match=r"cannot be had .*: give another with --port"):
            check_port(listener.getsockname()[1])


def test_a_disk_that_is_too_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100 << 30, 98 << 30, 2 << 30))
    check_room(tmp_path / "not" / "yet", 2)
    with pytest.raises(NodeUnfit, match=rf"There are 2.0 GiB free below {tmp_path}, and the machine takes up to 3 GiB"):
        check_room(tmp_path / "not" / "yet", 3)


def test_a_screen_needs_a_desktop() -> None:
    check_screen({"WAYLAND_DISPLAY": "wayland-0"})
    with pytest.raises(NodeUnfit, match="leave --console out"):
        check_screen({"DISPLAY": ""})


def test_kvm_is_used_where_qemu_starts_with_it(qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "kvm"
    assert kvm_problem(device=device) == f"there is no {device}"
    device.touch()
    # A device alone is no virtualisation: QEMU tells.
    assert kvm_problem(device=device) == "no such processor"
    monkeypatch.setenv("FAKE_QEMU", "kvm")
    assert kvm_problem(device=device) is None
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert kvm_problem(device=device) == f"this user may not open {device} (sudo adduser $USER kvm)"
