from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxmox_mcp.settings import Connection
from pvesim import Simulator
from pvesim.scenario.dump import dump_world
from pvesim.serve import Identity, SimServer, make_identity
from tests.real.node import RealNode

# What only grows, or fades: the log, tasks that have ended, counters, where storages were, what was told of guests.
_REMOVED, _SIZES = "storage.definitions.RemovedStorage", "storage.records.Space"
_TIMERS, _ROUND = "core.tasks.Timer", "status/round"
_HISTORY = frozenset(("core.world.Counter", "core.log.LogEntry", "core.tasks.Task", "cluster.rounds.Told", _REMOVED))


class Served:
    """A simulated node as a stranger sees it: an address, a password, a certificate authority."""

    def __init__(self, server: SimServer, simulator: Simulator) -> None:
        self.server, self.simulator = server, simulator
        self._began = simulator.world.now

    def connection(self, **other: Any) -> Connection:
        known = {"host": self.server.host, "port": self.server.port, "ca_file": Path(self.server.ca_file)}
        return Connection(**{**known, "user": "root@pam", "password": "pvesim-root", **other})

    def node(self, **other: Any) -> RealNode:
        return RealNode(self.connection(**other), limit=30)

    def state(self) -> str:
        """The node's dump, as of one moment whenever it is asked for, without the history."""
        world = self.simulator.world.fork()
        world.now = self._began
        data = dump_world(world)
        tables = data.pop("state", {}).get("tables", {})
        # A definition that is gone leaves the size of what was behind it, for when it is defined again.
        gone = {record["storage"] for record in tables.get(_REMOVED, {}).get("records", ())}
        sizes = tables.get(_SIZES, {}).get("records", ())
        tables[_SIZES] = {"records": [size for size in sizes if size["storage"] not in gone]}
        timers = tables.pop(_TIMERS, {}).get("records", ())
        if lasting := [timer for timer in timers if timer["name"] != _ROUND]:
            tables[_TIMERS] = {"records": lasting}
        kept = {name: table for name, table in tables.items() if name not in _HISTORY}
        return yaml.safe_dump({**data, "state": kept})


def settled(simulator: Simulator) -> None:
    """Bring a node to where it was used before.

    It writes root's expiry down with the first change of its users, and its firewall's files with the first change of
    those, for good.
    """
    api = simulator.connect()
    api.access.groups.post(groupid="first")
    api.access.groups("first").delete()
    for path in ("cluster/firewall/options", f"nodes/{api.nodes.get()[0]['node']}/firewall/options"):
        api(path).put(enable=0)
        api(path).put(delete="enable")


@pytest.fixture(scope="session")
def identity() -> Identity:
    return make_identity(["127.0.0.1"])


@pytest.fixture
def fresh(identity: Identity) -> Iterator[Served]:
    """A node as the installer leaves it."""
    simulator = Simulator(Path(__file__).with_name("fresh.yaml"), clock="scaled", time_scale=0.02)
    settled(simulator)
    with SimServer(simulator, identity=identity) as server:
        yield Served(server, simulator)


@pytest.fixture
def served(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A node on which every task ends at once."""
    monkeypatch.setattr("proxmox_mcp.tasks._FIRST_PAUSE", 0.0)
    simulator = Simulator("single-node", clock="scaled", time_scale=0)
    settled(simulator)
    with SimServer(simulator, identity=identity) as server:
        yield Served(server, simulator)
