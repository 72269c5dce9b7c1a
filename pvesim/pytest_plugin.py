"""Fixtures for pytest: a fresh simulated cluster for each test.

| fixture | what |
| --- | --- |
| `pve` | a `pvesim.testing.Cluster` in this process: `pve.api` is an unmodified `proxmoxer.ProxmoxAPI` |
| `pve_server` | the same cluster behind HTTPS on a port of its own: `url`, `ca_file`, `fingerprint`, `connect()` |
| `pve_clock` | its virtual time: `advance`, `freeze`, `run_until_done` |
| `pve_faults` | what goes wrong in it: `add`, `cause`, `plan`; see `pvesim.faults.manager.Faults` |

`@pytest.mark.pve("homelab", seed=1, clock="manual", time_scale=0)` says what it begins as: a scenario's name, path or
mapping, as `pvesim.Simulator` takes it. Without the marker it is the ini option `pve_scenario`, or `homelab`.
A scenario is loaded once in a process and forked for each test, which costs next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from proxmoxer import ProxmoxAPI

    from pvesim.core.world import World
    from pvesim.faults.manager import Faults
    from pvesim.serve import Identity, SimServer
    from pvesim.testing import Cluster, TimeControl

DEFAULT_SCENARIO = "homelab"
_MARKER = "pve(scenario=None, *, seed=None, clock='auto', time_scale=1.0): what the simulated cluster begins as"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The scenario of tests that name none."""
    parser.addini("pve_scenario", "scenario of the fixture `pve` where a test names none", default=DEFAULT_SCENARIO)


def pytest_configure(config: pytest.Config) -> None:
    """The marker, so that `--strict-markers` knows it."""
    config.addinivalue_line("markers", _MARKER)


class _Wanted:
    """What a test's marker asks for."""

    def __init__(
        self, scenario: Any = None, *, seed: int | None = None, clock: str = "auto", time_scale: float = 1.0
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.clock: Any = clock
        self.time_scale = time_scale


def _wanted(request: pytest.FixtureRequest) -> _Wanted:
    marker = request.node.get_closest_marker("pve")
    try:
        wanted = _Wanted(*marker.args, **marker.kwargs) if marker else _Wanted()
    except TypeError as error:
        text = str(error).partition("() ")[2]
        raise pytest.UsageError(f"@pytest.mark.pve of {request.node.nodeid}: {text}") from None
    if wanted.scenario is None:
        wanted.scenario = request.config.getini("pve_scenario")
    return wanted


@pytest.fixture(scope="session")
def _pve_worlds() -> dict[str, World]:
    """The worlds that were loaded in this process."""
    return {}


def _loaded(worlds: dict[str, World], wanted: _Wanted, folder: Path) -> World:
    """The world of a scenario, loaded once. A path is looked for beside the test, then where pytest runs."""
    from pvesim.scenario import build_world

    source = wanted.scenario
    if isinstance(source, str | Path) and (folder / source).is_file():
        source = folder / source
    name = json.dumps(source, sort_keys=True, default=str) if isinstance(source, Mapping) else str(source)
    key = f"{wanted.seed}:{name}"
    if key not in worlds:
        worlds[key] = build_world(source, seed=wanted.seed)
    return worlds[key]


@pytest.fixture
def pve(request: pytest.FixtureRequest, _pve_worlds: dict[str, World]) -> Cluster:
    """A fresh simulated cluster; see `pvesim.testing.Cluster`."""
    from pvesim.engine import Simulator
    from pvesim.testing import Cluster

    wanted = _wanted(request)
    world = _loaded(_pve_worlds, wanted, request.path.parent)
    return Cluster(Simulator(world.fork(), clock=wanted.clock, time_scale=wanted.time_scale))


@pytest.fixture
def pve_clock(pve: Cluster) -> TimeControl:
    """The virtual time of the test's cluster."""
    return pve.clock


@pytest.fixture
def pve_faults(pve: Cluster) -> Faults:
    """What goes wrong in the test's cluster."""
    return pve.faults


class ServedCluster:
    """A cluster behind HTTPS, as a client of another process or language meets it."""

    def __init__(self, cluster: Cluster, server: SimServer) -> None:
        self.cluster = cluster
        self.url = server.url
        self.host = server.host
        self.port = server.port
        self.ca_file = server.ca_file
        self.fingerprint = server.fingerprint

    def connect(self, user: str = "root@pam", **credentials: Any) -> ProxmoxAPI:
        """A `proxmoxer.ProxmoxAPI` over HTTPS that verifies the certificate.

        A token (`root@pam!name`) brings its secret from the scenario; a user needs `password`.
        """
        from proxmoxer import ProxmoxAPI

        from pvesim.access.records import Token

        userid, _, tokenid = user.partition("!")
        if tokenid and "token_value" not in credentials:
            credentials["token_value"] = self.cluster.world.rows(Token)[user].secret
        token = {"token_name": tokenid} if tokenid else {}
        return ProxmoxAPI(self.host, port=self.port, user=userid, verify_ssl=self.ca_file, **token, **credentials)

    def __repr__(self) -> str:
        return f"<{self.cluster!r} at {self.url}>"


@pytest.fixture(scope="session")
def _pve_identity() -> Identity:
    """One certificate for all servers of this process: to make one takes longer than to start a server."""
    from pvesim.serve import make_identity

    return make_identity()


@pytest.fixture
def pve_server(pve: Cluster, _pve_identity: Identity) -> Iterator[ServedCluster]:
    """The test's cluster behind HTTPS on a free port of this machine, until the test ends."""
    from pvesim.serve import SimServer

    with SimServer(pve.simulator, identity=_pve_identity) as server:
        yield ServedCluster(pve, server)
