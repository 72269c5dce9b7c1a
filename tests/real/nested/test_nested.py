"""All of a nested node that can be tested without the installer's medium."""

import hashlib
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.real.conftest import Served
from tests.real.nested.__main__ import is_installed, wait_for_api
from tests.real.nested.answer import Answers, mode_toml
from tests.real.nested.machine import Machine, check_port, end, kvm_works
from tests.real.nested.media import build, check_iso, remaster_command
from tests.real.node import NodeUnfit

# The keys that the installer's documentation has, by section, as far as they are used.
DOCUMENTED = {
    "global": {"keyboard", "country", "fqdn", "mailto", "timezone", "root-password"},
    "network": {"source"},
    "disk-setup": {"filesystem", "disk-list"},
}


def small_iso(path: Path) -> Path:
    path.write_bytes(bytes(0x8001) + b"CD001" + bytes(2048))
    return path


def test_the_answers_are_toml_with_documented_keys() -> None:
    password = 'a"b\\c'
    read = tomllib.loads(Answers(password).toml())
    assert {section: set(values) for section, values in read.items()} == DOCUMENTED
    assert read["global"]["root-password"] == password
    assert read["disk-setup"] == {"filesystem": "ext4", "disk-list": ["vda"]}
    assert tomllib.loads(mode_toml()) == {"mode": "iso"}


def test_an_answer_of_two_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="no control characters"):
        Answers("one\ntwo").toml()


def test_an_iso_is_looked_at_before_anything_is_made(tmp_path: Path) -> None:
    iso = small_iso(tmp_path / "a.iso")
    digest = hashlib.sha256(iso.read_bytes()).hexdigest()
    check_iso(iso, digest.upper())
    with pytest.raises(NodeUnfit, match=f"is {digest}, not 00"):
        check_iso(iso, "00")
    with pytest.raises(NodeUnfit, match="There is no file"):
        check_iso(tmp_path / "none.iso", None)
    iso.write_bytes(b"text")
    with pytest.raises(NodeUnfit, match="is no ISO image"):
        check_iso(iso, None)


def test_the_medium_is_copied_with_both_files_and_boots_as_before(tmp_path: Path) -> None:
    command = remaster_command("xorriso", tmp_path / "in.iso", tmp_path, tmp_path / "out.iso")
    assert command[:5] == ["xorriso", "-indev", str(tmp_path / "in.iso"), "-outdev", str(tmp_path / "out.iso")]
    assert command[5:8] == ["-boot_image", "any", "replay"]
    assert [command[i + 2] for i, part in enumerate(command) if part == "-map"] == [
        "/auto-installer-mode.toml",
        "/answer.toml",
    ]


def test_without_xorriso_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NodeUnfit, match="apt install xorriso"):
        build(tmp_path / "a.iso", Answers("x"), tmp_path)


@pytest.mark.parametrize(("kvm", "accelerated"), [(True, "-enable-kvm"), (False, "tcg,thread=multi")])
def test_qemu_listens_on_loopback_alone(tmp_path: Path, kvm: bool, accelerated: str) -> None:
    command = Machine(tmp_path, 18006, kvm=kvm).command(tmp_path / "run.qcow2")
    assert accelerated in command
    assert "user,id=net0,hostfwd=tcp:127.0.0.1:18006-:8006" in command
    assert f"file={tmp_path / 'run.qcow2'},if=virtio,format=qcow2,cache=unsafe" in command
    assert "-cdrom" not in command


def test_the_installer_ends_instead_of_starting_again(tmp_path: Path) -> None:
    command = Machine(tmp_path, 18006).command(tmp_path / "base.qcow2", tmp_path / "installer.iso")
    assert command[-5:] == ["-cdrom", str(tmp_path / "installer.iso"), "-boot", "once=d", "-no-reboot"]


def test_each_run_has_an_overlay_of_the_disk_that_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, 18006)
    made, overlaid = machine.disk_commands(16)
    assert made[-2:] == [str(machine.base), "16G"]
    assert overlaid[-3:] == ["-b", str(machine.base), str(machine.overlay)]


def test_a_disk_is_used_again_for_the_iso_that_it_was_installed_from(tmp_path: Path) -> None:
    iso = small_iso(tmp_path / "a.iso")
    machine = Machine(tmp_path, 18006)
    assert not is_installed(machine, iso)
    machine.base.touch()
    (tmp_path / "installed").write_text(hashlib.sha256(iso.read_bytes()).hexdigest())
    assert is_installed(machine, iso)
    iso.write_bytes(b"another")
    assert not is_installed(machine, iso)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(NodeUnfit, match="is taken: give another with --port"):
            check_port(listener.getsockname()[1])


def test_no_kvm_is_noticed(tmp_path: Path) -> None:
    assert not kvm_works(tmp_path / "kvm")
    (tmp_path / "kvm").touch()
    assert kvm_works(tmp_path / "kvm")


def test_the_api_is_waited_for_and_the_machine_ended(served: Served) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        wait_for_api(served.connection(), process, 30).close()
        end(process)
        assert process.returncode is not None
        with pytest.raises(NodeUnfit, match="ended by itself"):
            wait_for_api(served.connection(), process, 30)
