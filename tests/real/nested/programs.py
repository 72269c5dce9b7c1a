"""Other programs: run to their end, with their own words when they fail, and never left behind."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from tests.real.node import NodeUnfit

_END_SECONDS = 30
_LINES = 5


def need(tools: dict[str, str]) -> None:
    """Raises `NodeUnfit` when one of these programs is not here; the values are their Debian packages."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        packages = " ".join(sorted({tools[tool] for tool in missing}))
        verb = "is" if len(missing) == 1 else "are"
        raise NodeUnfit(f"{', '.join(missing)} {verb} not installed (apt install {packages}).")


def run_tool(command: Sequence[str], purpose: str) -> str:
    """Run a program that makes something; what it prints.

    Raises:
        NodeUnfit: it failed; with the last of what it said.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        end(process)
        raise
    if process.returncode != 0:
        lines = "\n    ".join(said.strip().splitlines()[-_LINES:])
        raise NodeUnfit(f"{command[0]} failed, so there is no {purpose}. It said:\n    {lines}")
    return said


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a program that has a session of its own, with all that it started, and see that it has ended.

    What it holds, such as mounts and temporary folders, it gives back by itself when all of it is asked to end.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
