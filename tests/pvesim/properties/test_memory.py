"""After a long session and a reset, the simulator holds no more than before.

It is measured in a process of its own: what other tests have left in this one must not count.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

from tests.pvesim.properties.profiles import DEEP
from tests.pvesim.properties.sessions import Session
from tests.pvesim.properties.worlds import cluster

STEPS = 10_000 if DEEP else 600
ROOT = Path(__file__).resolve().parents[3]


def test_a_reset_gives_back_what_a_session_took() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.pvesim.properties.test_memory"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = map(int, done.stdout.split())
    assert second <= 1.1 * first, f"{first} bytes after one session, {second} after two"


def measured() -> list[int]:
    """The bytes held after one session and after another."""
    Session(cluster(3), 1).ask()  # what is made once per process is made now
    tracemalloc.start()
    session = Session(cluster(3), 2)
    return [live(session) for _ in range(2)]


def live(session: Session) -> int:
    """The bytes held after a session and a reset."""
    for step in range(STEPS):
        session.ask()
        if step % 10 == 0:
            session.sim.clock.advance(5)
    assert len(session.sim.world.size()) > 10
    session.sim.reset()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


if __name__ == "__main__":
    sys.stdout.write(" ".join(map(str, measured())))
