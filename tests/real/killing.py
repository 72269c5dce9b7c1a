"""`python -m tests.real.killing`: processes that run the contracts on a served node are killed at ten random moments.

After each the node is swept, and its dump must be what it was before. `test_killed.py` does the same to the line.
"""

import random
import signal
import subprocess
import sys
import time

import typer

from pvesim import Simulator
from pvesim.serve import SimServer, make_identity
from tests.real.conftest import Served, settled
from tests.real.sweep import sweep

TIMES = 10
LONGEST = 20.0


def main() -> None:
    """Exits with 1 when the node is not as it was."""
    simulator = Simulator("single-node", clock="scaled", time_scale=0.02)
    settled(simulator)
    with SimServer(simulator, identity=make_identity(["127.0.0.1"])) as server:
        served = Served(server, simulator)
        before = served.state()
        for _ in range(TIMES):
            moment = random.uniform(0.0, LONGEST)
            told = kill(served, moment)
            node = served.node()
            removed = sweep(node) if served.state() != before else []
            node.close()
            left = "as it was" if served.state() == before else "NOT as it was"
            typer.echo(f"killed after {moment:4.1f} s, behind {told!r}: {len(removed)} things swept, {left}")
            if left != "as it was":
                sys.exit(1)


def kill(served: Served, moment: float) -> str:
    """Start a run, kill it so many seconds after it has found the node, and return the last line that it said."""
    server = served.server
    way = ["--url", f"https://{server.host}:{server.port}", "--ca", server.ca_file, "--password", "pvesim-root"]
    # Not held back in a buffer, which would be killed with the process.
    command = [sys.executable, "-u", "-m", "tests.real", *way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        lines: list[str] = [first, *process.stdout]
    return lines[-1].rstrip()


if __name__ == "__main__":
    main()
