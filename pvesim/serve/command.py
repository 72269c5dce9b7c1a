"""What `pvesim serve` does: one or more worlds, each behind a port of its own, until a signal ends them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pvesim.core.clock import Mode
from pvesim.core.errors import SimError
from pvesim.engine import Simulator
from pvesim.nodes.records import Node
from pvesim.scenario import load
from pvesim.scenario.base import DEFAULT_PASSWORD
from pvesim.scenario.model import Scenario
from pvesim.serve.server import SimServer
from pvesim.serve.tls import Identity, make_identity_apart

_ANY = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What all the worlds of one `pvesim serve` have in common."""

    host: str = "127.0.0.1"
    port: int = 8006
    clock: Mode = "scaled"
    time_scale: float = 1.0
    root_password: str | None = None
    seed: int | None = None
    tls: bool = True
    identity: Identity | None = None
    ca_out: Path | None = None
    control_open: bool = False
    log_requests: bool = False
    state: Path | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Served:
    """One world with its server, and how to log in to it."""

    scenario: str
    simulator: Simulator
    server: SimServer
    password: str | None  # None where it is the one that a state file holds

    def described(self) -> dict[str, Any]:
        """How to reach it, as data for programs."""
        return {
            "scenario": self.scenario,
            "url": self.server.url,
            "user": "root@pam",
            "password": self.password,
            "fingerprint": self.server.fingerprint if self.server.identity else None,
            "page": f"{self.server.url}/",
            "control": f"{self.server.url}/_sim/docs",
        }

    def introduced(self) -> list[str]:
        """The same in lines for people."""
        lines = [
            f"  URL          {self.server.url}",
            "  User         root@pam",
            f"  Password     {self.password or '(the one of the kept world)'}",
        ]
        if self.server.identity is not None:
            lines.append(f"  Fingerprint  {self.server.fingerprint}")
        return [*lines, f"  Live page    {self.server.url}/", f"  Control API  {self.server.url}/_sim/docs"]


def prepare(scenarios: Sequence[str], wanted: Wanted) -> list[Served]:
    """Load the worlds and take their ports: `port` and those after it, or free ones for 0.

    Raises `SimError`; no port is held then.
    """
    if wanted.state is not None and len(scenarios) > 1:
        raise SimError("--state keeps one world: serve the others by a command of their own")
    loaded = [(name, *_simulator(name, load(name, variables=wanted.variables), wanted)) for name in scenarios]
    identity = wanted.identity
    if identity is None and wanted.tls:  # several worlds share it, and so an authority's file
        names = [node for _, simulator, _ in loaded for node in simulator.world.rows(Node)]
        identity = make_identity_apart([*names, *([] if wanted.host in _ANY else [wanted.host])])
    served: list[Served] = []
    try:
        for position, (name, simulator, password) in enumerate(loaded):
            port = wanted.port + position if wanted.port else 0
            server = SimServer(
                simulator,
                host=wanted.host,
                port=port,
                tls=wanted.tls,
                identity=identity,
                names=simulator.world.rows(Node),
                control_open=wanted.control_open,
                log_requests=wanted.log_requests,
            )
            served.append(Served(name, simulator, server, password))
        if wanted.ca_out is not None:
            _write_authority(served[0].server, wanted.ca_out)
    except SimError:
        for one in served:
            one.server.stop()
        raise
    return served


def _simulator(name: str, scenario: Scenario, wanted: Wanted) -> tuple[Simulator, str | None]:
    """A world as wanted, and root's password as far as it is known."""
    # A clock that goes with real time begins now, unless the scenario says when it plays.
    begins_now = wanted.clock == "scaled" and "start" not in scenario.model_fields_set
    options: dict[str, Any] = {
        "seed": wanted.seed,
        "clock": wanted.clock,
        "time_scale": wanted.time_scale,
        "root_password": wanted.root_password,
        "now": time.time() if begins_now else None,
    }
    password = wanted.root_password or scenario.root_password or DEFAULT_PASSWORD
    if wanted.state is None:
        return Simulator(scenario, **options), password
    from pvesim.keeping import KeptSimulator

    kept = KeptSimulator(scenario, state=wanted.state, title=name, **options)
    return kept, wanted.root_password if kept.resumed else password


def _write_authority(server: SimServer, path: Path) -> None:
    try:
        path.write_bytes(Path(server.ca_file).read_bytes())
    except OSError as error:
        raise SimError(f"cannot write {path}: {error.strerror}") from error


def introduction(served: Sequence[Served], version: str) -> str:
    """What is printed when all are ready."""
    names = ", ".join(one.scenario for one in served)
    lines = [f"pvesim {version} serves {names}"]
    for one in served:
        if len(served) > 1:
            lines.append(f"{one.scenario}:")
        lines += one.introduced()
    return "\n".join([*lines, "Stop it with Ctrl-C."])


def introduction_json(served: Sequence[Served], version: str) -> str:
    """The same on one line for programs."""
    return json.dumps({"pvesim": version, "worlds": [one.described() for one in served]})


def run(served: Sequence[Served], ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called when all answer."""
    import signal
    import threading

    asked_to_end = threading.Event()

    def end(_signal: int, _frame: Any) -> None:
        asked_to_end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        for one in served:
            one.server.start()
        ready()
        sys.stdout.flush()
        asked_to_end.wait()
    finally:
        for one in served:
            one.server.stop()
