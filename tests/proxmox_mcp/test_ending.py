"""The server's end in the middle of a call: what it has begun in PVE goes on, and is on record."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.proxmox_mcp.wire import Era, Stdio, envelope


def close(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def send(number: int) -> Callable[[subprocess.Popen[str]], None]:
    return lambda process: process.send_signal(number)


@pytest.mark.parametrize(
    ("era", "end"),
    [
        pytest.param("legacy", send(signal.SIGTERM), id="told to end"),
        pytest.param("modern", close, id="its client has gone"),
    ],
)
def test_a_call_that_is_under_way_is_on_record(
    tmp_path: Path, era: Era, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    # Simulated seconds that take real ones: the backup lasts longer than the test.
    serve = ["serve", "--simulate", "homelab", "--time-scale", "1000", "--access", "admin", "--tools", "create_backup"]
    command = [sys.executable, "-m", "proxmox_mcp", *serve, "--state-dir", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        channel = Stdio(era, process)
        channel.begin()
        told = {"_meta": {**(envelope() if era == "modern" else {}), "progressToken": "here"}}
        arguments = {"vmid": 100, "wait_seconds": 3600}
        channel.send(channel.message("tools/call", name="create_backup", arguments=arguments, **told))
        assert process.stdout is not None
        progress = json.loads(process.stdout.readline())["params"]["message"]
        [upid] = [word for word in progress.split() if word.startswith("UPID:")]
        end(process)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert f"its task goes on: {upid}" in process.stderr.read()
    lines: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["begin", "end"]
    assert (lines[1]["result"], lines[1]["upids"]) == ("cancelled", [upid])


def environment() -> dict[str, str]:
    """This one, without what would be settings of the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PROXMOX_")}
