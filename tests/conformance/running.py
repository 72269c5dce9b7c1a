"""The suite and the inspector, run by the Node.js that was installed beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFORMANCE = os.environ.get("MCP_CONFORMANCE")
"""Folder that `nox -s conformance` installed the suite in."""
INSPECTOR = os.environ.get("MCP_INSPECTOR")
"""Folder that `nox -s inspector` installed the inspector in."""

_LONGEST = 240  # seconds, on a machine that is busy with other things


@contextmanager
def serving(log: Path, *arguments: str) -> Iterator[str]:
    """The address of a server of ours in a process of its own; ended afterwards.

    Args:
        log: what the server writes to standard error.
        arguments: of `tests.conformance.served`.
    """
    command = [sys.executable, "-m", "tests.conformance.served", *arguments]
    with log.open("w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            assert address, f"the server did not start:\n{log.read_text()}"
            yield address
        finally:
            server.kill()


def run_node(folder: Path, home: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of a folder's packages to its end.

    Args:
        folder: where npm installed it, and Node.js with it.
        home: what it may take for the user's folder.
        command: the program's file within `node_modules`, and its arguments.
    """
    modules = folder / "node_modules"
    node = next(modules.glob("node-*/bin/node"))  # its package is named for the machine
    environment = {**os.environ, "HOME": str(home), "PATH": f"{node.parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    return subprocess.run(
        [str(node), str(modules / command[0]), *map(str, command[1:])],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )
