"""The container template: what PVE looks for in it, and that what runs in it can be ended."""

import io
import platform
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.real.box import program, template

on_linux = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the program is for Linux on x86-64"
)


def members() -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(template())) as archive:
        return {entry.name: entry for entry in archive}


def test_it_is_the_same_every_time_and_tiny() -> None:
    assert template() == template()
    assert len(template()) < 2000


def test_it_has_what_a_distribution_is_known_by_and_what_is_written_to() -> None:
    found = members()
    assert {"./etc/os-release", "./etc/alpine-release", "./etc/hosts", "./etc/shadow", "./sbin/init"} <= found.keys()
    assert all(entry.uid == entry.gid == 0 for entry in found.values())
    for name in found:
        parent = name.rpartition("/")[0]
        assert parent == "." or found[parent].isdir(), name


def test_its_architecture_can_be_read_off_its_shell() -> None:
    with tarfile.open(fileobj=io.BytesIO(template())) as archive:
        shell = archive.extractfile("./bin/sh")
        assert shell is not None
        assert shell.read()[:20] == b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00"


@on_linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGPWR, signal.SIGUSR1, signal.SIGINT, 37])
def test_it_waits_until_it_is_told_to_end(tmp_path: Path, number: int) -> None:
    file = tmp_path / "init"
    file.write_bytes(program())
    file.chmod(0o755)
    with subprocess.Popen([file]) as process:
        status = Path(f"/proc/{process.pid}/status")
        until = time.monotonic() + 10
        # It sleeps nowhere but where it waits.
        while "State:\tS" not in status.read_text() and time.monotonic() < until:
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
