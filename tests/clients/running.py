"""A `pvesim serve` in a process of its own, and clients in environments of their own that talk to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from proxmoxer import ProxmoxAPI

# Where `nox -s clients` installs the clients, each in a folder of its own.
FOLDER = os.environ.get("PVE_CLIENTS")

PASSWORD = "clients-secret"
TOKEN = "00000000-0000-4000-8000-000000000001"  # of root@pam!automation in the scenario homelab
# Simulated seconds pass thirty times as fast as real ones: a task is still seen running, and nobody waits long.
TIME_SCALE = "0.03"


@dataclass(frozen=True, slots=True)
class Served:
    """A running `pvesim serve`, and what a client must know of it."""

    port: int
    authority: Path

    @property
    def api(self) -> ProxmoxAPI:
        """The API, logged in now: where time flies, a ticket's two hours are over before a module's tests are."""
        return ProxmoxAPI(
            "127.0.0.1", port=self.port, user="root@pam", password=PASSWORD, verify_ssl=str(self.authority)
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a client's process: Python's and Node's HTTP libraries trust the simulated cluster."""
        trusted = {"REQUESTS_CA_BUNDLE": str(self.authority), "NODE_EXTRA_CA_CERTS": str(self.authority)}
        return {**os.environ, **trusted, "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": ""}

    def guest(self, vmid: int) -> dict[str, Any] | None:
        """A guest's row among the cluster's resources, None if there is no such guest."""
        rows = [row for row in self.api.cluster.resources.get(type="vm") if row["vmid"] == vmid]
        return rows[0] if rows else None


@dataclass(frozen=True, slots=True)
class Client:
    """An environment with one client in it."""

    folder: Path

    def run(
        self,
        served: Served,
        *command: str | Path,
        variables: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ends_with: int = 0,
    ) -> str:
        """Run a program of the environment to its end; returns what it printed. It must end with that status."""
        done = subprocess.run(
            [str(part) for part in command],
            env={**served.environment, **(variables or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == ends_with, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def program(self, name: str) -> Path:
        """A program that the client brings along."""
        return self.folder / "bin" / name


@contextmanager
def serving(scenario: str, folder: Path) -> Iterator[Served]:
    """A `pvesim serve` in a process of its own, ended when the test module is through."""
    authority = folder / "ca.pem"
    options = ["--port", "0", "--time-scale", TIME_SCALE, "--root-password", PASSWORD, "--ca-out", str(authority)]
    command = [sys.executable, "-m", "pvesim", "serve", scenario, *options]
    # What it says when something goes wrong inside belongs into the report of the test.
    log = (folder / "pvesim.log").open("w+")
    with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        assert process.stdout is not None
        printed = ""
        try:
            for line in process.stdout:
                printed += line
                if line.startswith("Stop it"):
                    break
            found = re.search(r"^  URL +(\S+)$", printed, re.MULTILINE)
            assert found, f"{printed}\n{(folder / 'pvesim.log').read_text()}"
            port = urlsplit(found[1]).port
            assert port is not None
            yield Served(port, authority)
        finally:
            process.terminate()
            process.wait(timeout=20)


def client(name: str) -> Client:
    """The environment of a client; skips where the session could not install it."""
    assert FOLDER is not None
    folder = Path(FOLDER) / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not installed: the session said why")
    return Client(folder)
