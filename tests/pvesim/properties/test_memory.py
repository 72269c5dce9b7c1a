"""After a long session and a reset, the simulator holds no more than before."""

from __future__ import annotations

import gc
import tracemalloc

from tests.pvesim.properties.profiles import DEEP
from tests.pvesim.properties.sessions import Session
from tests.pvesim.properties.worlds import cluster

STEPS = 10_000 if DEEP else 600


def test_a_reset_gives_back_what_a_session_took() -> None:
    Session(cluster(3), 1).ask()  # what is made once per process is made now
    tracemalloc.start()
    try:
        session = Session(cluster(3), 2)
        held = [live(session) for _ in range(2)]
    finally:
        tracemalloc.stop()
    assert held[1] <= 1.1 * held[0], f"{held[0]} bytes after one session, {held[1]} after two"


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
