"""A served stand-in for the engine: what it is asked is kept, what it answers is set by the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pvesim.serve import SimServer
from pvesim.wire import WireRequest, WireResponse

JSON_HEADERS = (("Content-Type", "application/json;charset=UTF-8"),)


class StandIn:
    """Answers every request by a function that the test sets."""

    def __init__(self) -> None:
        self.clock = SimpleNamespace(mode="auto", scale=1.0)
        self.asked: list[WireRequest] = []
        self.threads: list[str] = []
        self.answer: Callable[[WireRequest], WireResponse] = lambda _request: WireResponse(
            200, "OK", JSON_HEADERS, b'{"data":null}'
        )

    def handle(self, request: WireRequest) -> WireResponse:
        self.asked.append(request)
        self.threads.append(threading.current_thread().name)
        return self.answer(request)


@pytest.fixture
def engine() -> StandIn:
    return StandIn()


@pytest.fixture
def serve(engine: StandIn) -> Iterator[Callable[..., SimServer]]:
    """Start servers on the stand-in; they are stopped after the test."""
    servers: list[SimServer] = []

    def start(**options: Any) -> SimServer:
        servers.append(SimServer(engine, **{"tls": False, **options}))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()
