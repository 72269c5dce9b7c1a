"""What the Debian machine is made of; that it boots is seen by `nox -s nested -- --debian`."""

import shlex
import tarfile
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest
import typer.main

from pvesim.cli import app
from tests.real.nested import debian
from tests.real.nested.debian import Debian, bootstrap, files, pack
from tests.real.node import NodeUnfit


def test_its_service_is_a_command_of_the_simulator() -> None:
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(files("x")["etc/systemd/system/pvesim.service"])
    python, module, name, verb, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert (python, module, name) == ("/usr/bin/python3", "-m", "pvesim")
    serve = typer.main.get_group(app).commands[verb]
    parsed = serve.make_context(verb, arguments).params
    assert (parsed["host"], parsed["port"], parsed["scenarios"]) == ("0.0.0.0", 8006, ["single-node"])


def test_the_password_reaches_the_service_by_its_environment() -> None:
    made = files("of-this-run")
    assert made["etc/pvesim.env"] == "PVESIM_ROOT_PASSWORD=of-this-run\n"
    assert [name for name, text in made.items() if "of-this-run" in text] == ["etc/pvesim.env"]


def test_what_is_packed_is_roots_and_the_password_for_root_alone(tmp_path: Path) -> None:
    (tmp_path / "site" / "pvesim").mkdir(parents=True)
    (tmp_path / "site" / "pvesim" / "cli.py").write_text("served = True\n")
    pack(tmp_path / "site", files("of-this-run"), tmp_path / "own.tar")
    with tarfile.open(tmp_path / "own.tar") as archive:
        entries = {entry.name: entry for entry in archive}
        assert archive.extractfile("etc/pvesim.env").read() == b"PVESIM_ROOT_PASSWORD=of-this-run\n"  # type: ignore[union-attr]
    assert "opt/pvesim/pvesim/cli.py" in entries
    assert {(entry.uid, entry.gid) for entry in entries.values()} == {(0, 0)}
    assert entries["etc/pvesim.env"].mode == 0o600
    # Folders that Debian has stay as Debian has them.
    assert not {"etc", "opt", "."} & entries.keys()


def test_a_folder_with_a_space_is_one_word_to_the_hooks(tmp_path: Path) -> None:
    command = bootstrap(tmp_path / "an archive", tmp_path / "taken", tmp_path / "rootfs.ext2")
    hooks = [part.partition("=")[2] for part in command if part.startswith("--customize-hook=")]
    assert shlex.split(hooks[0]) == ["tar-in", str(tmp_path / "an archive"), "/"]
    assert shlex.split(hooks[-1]) == ["sync-out", "/boot", str(tmp_path / "taken")]
    assert command[0] == "mmdebstrap"
    assert command[-2:] == ["bookworm", str(tmp_path / "rootfs.ext2")]


def test_qemu_starts_the_kernel_that_was_taken_from_the_disk(tmp_path: Path) -> None:
    boot = Debian(tmp_path).boot
    assert boot[:4] == ["-kernel", str(tmp_path / "vmlinuz"), "-initrd", str(tmp_path / "initrd.img")]
    assert "root=/dev/vda" in boot[5]
    assert "console=ttyS0" in boot[5]


def test_what_makes_its_disk_is_named_where_it_is_missing(
    programs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs()
    with pytest.raises(NodeUnfit, match=r"^mmdebstrap, genext2fs are not installed \(apt install gen"):
        Debian(tmp_path).check()


def test_another_wheel_makes_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [b"one", b"one", b"another"]

    def build(command: list[str], purpose: str) -> str:
        if purpose == "wheel":
            (tmp_path / "wheel").mkdir()
            (tmp_path / "wheel" / "made.whl").write_bytes(contents.pop(0))
        else:
            (tmp_path / "requirements.txt").write_text("anyio==4\n")
        return ""

    monkeypatch.setattr(debian, "run_tool", build)
    source = Debian(tmp_path)
    first, same, other = source.mark(), source.mark(), source.mark()
    assert first == same != other
