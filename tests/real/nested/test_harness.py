"""The nested command as a whole, with programs in QEMU's, xorriso's and qemu-img's place."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.real.nested.__main__ import app
from tests.real.nested.conftest import free_port, installed
from tests.real.nested.installer import Installer
from tests.real.nested.machine import Machine
from tests.real.nested.running import Running
from tests.real.record import Record

SHORT = ("--scenario", "contract/api")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def call(qemu: Path, iso: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs the command; its status and what it says."""
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)

    def run(*arguments: str) -> tuple[int, str]:
        own = ["--iso", str(iso), "--folder", str(folder), "--port", str(free_port())]
        done = CliRunner().invoke(app, [*own, *arguments])
        return done.exit_code, done.output

    return run


def is_over(folder: Path) -> bool:
    """Whether the machine's process has ended."""
    try:
        os.kill(int((folder / "qemu.pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the process that is kept outlives what started it
def test_a_node_is_installed_once_and_run_on_an_overlay_each_time(
    call: Callable[..., tuple[int, str]], folder: Path, tmp_path: Path
) -> None:
    record = tmp_path / "record.json"
    status, said = call(*SHORT, "--record", str(record))
    assert status == 0, said
    steps = [
        "No KVM: ",
        "Making the disk ",
        "The disk is made after ",
        "The API answers after ",
        "node pve1, PVE 9.2.11",
    ]
    steps += ["contract/api: 13 passed, 0 left out", "The contracts took ", "The machine has shut down after "]
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    written = Record.read(record)
    assert (written.called, written.counts()["passed"]) == ("nested, installed from small.iso", 13)
    assert is_over(folder)
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".iso") == []
    password = (folder / "password").read_text()

    status, said = call(*SHORT, "--token", "--keep")
    assert status == 0, said
    assert "is there already and is used again" in said
    assert "not root@pam with a password" in said
    assert (folder / "password").read_text() == password
    process = int((folder / "qemu.pid").read_text())
    assert f"To end it: kill {process}" in said
    assert not is_over(folder)
    os.kill(process, signal.SIGTERM)
    os.waitpid(process, 0)
    gc.collect()


def test_a_machine_that_never_answers_is_shown_and_ended_and_its_new_disk_not_taken_again(
    call: Callable[..., tuple[int, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_QEMU", "silent")
    status, said = call("--wait", "0.5")
    assert status == 1
    assert f"The end of {folder}/console.log:\n    the kernel panics\n" in said
    assert f"The machine's screen: {folder}/screen.png" in said
    assert "The machine's API has not answered within 0.5 s" in said
    assert is_over(folder)
    assert not (folder / "installed").exists()


def test_a_disk_that_has_worked_is_kept_when_the_machine_does_not_answer(
    call: Callable[..., tuple[int, str]], iso: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(Machine(folder, 0), iso)
    monkeypatch.setenv("FAKE_QEMU", "silent")
    assert call("--wait", "0.5")[0] == 1
    assert (folder / "installed").exists()


def test_an_installer_that_hangs_is_ended_with_a_picture_of_where(
    call: Callable[..., tuple[int, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_QEMU", "hangs")
    monkeypatch.setattr("tests.real.nested.__main__.Installer", partial(Installer, seconds=0.02))
    status, said = call()
    assert status == 1
    assert "The machine has not ended within" in said
    assert f"The machine's screen: {folder}/screen.png" in said
    assert is_over(folder)


def test_what_qemu_says_is_shown(call: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_QEMU", "dies")
    status, said = call()
    assert status == 1
    assert "qemu: it cannot be" in said
    assert said.endswith("QEMU ended with status 1.\n")


def test_a_disk_that_is_full_half_way_is_told(
    call: Callable[..., tuple[int, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    status, said = call()
    assert status == 1
    assert said.endswith(f"{folder}/installer.iso: No space left on device. What was made is below {folder}.\n")
    assert not (folder / "installed").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--debian"], "Give the installer (--iso proxmox-ve_9.x.iso"),
        (["--sha256", "00"], ", not 00: fetch it again."),
        (["--iso", "/nowhere.iso"], "There is no file /nowhere.iso."),
    ],
)
def test_bad_input_is_told_before_anything_is_made(
    call: Callable[..., tuple[int, str]], folder: Path, arguments: list[str], sentence: str
) -> None:
    status, said = call(*arguments)
    assert status == 1
    assert sentence in said
    assert said.count("\n") == 1
    assert not folder.exists()


def test_a_stop_while_installing_ends_the_machine(
    call: Callable[..., tuple[int, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Running, seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("FAKE_QEMU", "hangs")
    monkeypatch.setattr(Running, "wait_for_end", stop)
    status, said = call("--keep")
    assert status == 1
    assert said.endswith("Stopped; the machine was ended.\n")
    assert not (folder / "installed").exists()
    assert not (folder / "installer.iso").exists()


def test_a_stop_while_booting_ends_the_machine(
    qemu: Path, iso: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_QEMU", "silent")
    installed(Machine(folder, 0), iso)
    own = ["--iso", str(iso), "--folder", str(folder), "--port", str(free_port()), "--keep"]
    command = [sys.executable, "-u", "-m", "tests.real.nested", *own]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        on = next(line for line in process.stdout if line.startswith("The machine is on"))
        machine = int(on.split("process ")[1].split(")")[0])
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == "Stopped; the machine was ended.\n"
    with pytest.raises(ProcessLookupError):
        os.kill(machine, 0)
