"""Programs that are run: what is said of those that fail, and that none is left behind."""

import select
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.nested.programs import end, need, run_tool
from tests.real.node import NodeUnfit


def test_what_is_missing_is_named_with_its_packages(programs: Callable[..., Path]) -> None:
    programs("xorriso")
    need({"xorriso": "xorriso"})
    with pytest.raises(NodeUnfit, match=r"^qemu-img is not installed \(apt install qemu-utils\)\.$"):
        need({"xorriso": "xorriso", "qemu-img": "qemu-utils"})


def test_a_program_that_fails_has_the_last_word() -> None:
    assert run_tool(["sh", "-c", "echo made"], "thing") == "made\n"
    with pytest.raises(
        NodeUnfit, match=r"^sh failed, so there is no thing\. It said:\n    3\n    4\n    5\n    6\n    7$"
    ):
        run_tool(["sh", "-c", "seq 7 >&2; exit 1"], "thing")


def test_what_a_program_has_started_ends_with_it() -> None:
    command = ["sh", "-c", "sleep 600 & echo on; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        end(process)
        # The other end of the pipe is closed when nobody holds it any more.
        assert select.select([process.stdout], [], [], 10)[0]
        assert process.stdout.read() == b""


def test_a_stop_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    def stop(process: subprocess.Popen[str]) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", stop)
    with pytest.raises(KeyboardInterrupt):
        run_tool(["sleep", "600"], "thing")
    assert started[0].poll() is not None
    assert started[0].stdout is not None
    started[0].stdout.close()
