"""What of the Dockerfile can be checked with no Docker engine; `nox -s containers` builds and starts the images."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pvesim.engine import Simulator
from pvesim.serve import SimServer

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Dockerfile").read_text()


def test_what_is_copied_is_there_and_not_ignored() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_the_version_of_uv_is_found_in_the_lock_file() -> None:
    found = re.search(r"sed -n '(.+?)' uv.lock", TEXT)
    assert found is not None
    done = subprocess.run(["sed", "-n", found[1], "uv.lock"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


def test_the_health_check_tells_a_server_that_answers_from_none() -> None:
    command = json.loads(re.findall(r"CMD (\[\"python\".*\])", TEXT)[0])
    with SimServer(Simulator(clock="manual")) as server:
        asked = [sys.executable, *(part.replace(":8006/", f":{server.port}/") for part in command[1:])]
        assert subprocess.run(asked, capture_output=True, check=False).returncode == 0
    assert subprocess.run(asked, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("package", ["proxmox_mcp", "pvesim"])
def test_a_command_heeds_sigterm_from_its_start(package: str) -> None:
    """What it does by itself, exit status -15, the first process of a container does not do."""
    starting = "lambda: os.kill(os.getpid(), signal.SIGTERM)"
    script = f"import os, signal, {package}.cli as cli; cli.app = {starting}; cli.main()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")


def test_the_commands_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'ENTRYPOINT \["(.+)"\]', TEXT):
        assert f"\n{name} = " in project
