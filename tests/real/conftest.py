from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxmox_mcp.settings import Connection
from pvesim import Simulator
from pvesim.serve import Identity, SimServer, make_identity
from tests.real.node import RealNode

READS = (
    *("storage", "pools", "access/users", "access/groups", "access/acl", "access/roles", "cluster/options"),
    *("cluster/firewall/options", "cluster/firewall/rules", "cluster/firewall/groups", "cluster/backup"),
    *("nodes/pve1/firewall/options", "nodes/pve1/firewall/rules", "nodes/pve1/qemu", "nodes/pve1/lxc"),
    *("nodes/pve1/network", "nodes/pve1/storage/local/content", "cluster/sdn/zones", "cluster/ha/resources"),
)


class Served:
    """A simulated node as a stranger sees it: an address, a password, a certificate authority."""

    def __init__(self, server: SimServer, simulator: Simulator) -> None:
        self.server, self.simulator = server, simulator

    def connection(self, **other: Any) -> Connection:
        known = {"host": self.server.host, "port": self.server.port, "ca_file": Path(self.server.ca_file)}
        return Connection(**{**known, "user": "root@pam", "password": "pvesim-root", **other})

    def node(self, **other: Any) -> RealNode:
        return RealNode(self.connection(**other), limit=30)

    def state(self) -> dict[str, Any]:
        """All that the API shows of what is configured."""
        api = self.simulator.connect()
        return {path: api(path).get() for path in READS}


@pytest.fixture(scope="session")
def identity() -> Identity:
    return make_identity(["127.0.0.1"])


@pytest.fixture
def served(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A node on which every task ends at once."""
    monkeypatch.setattr("proxmox_mcp.tasks._FIRST_PAUSE", 0.0)
    simulator = Simulator("single-node", clock="scaled", time_scale=0)
    # A node writes root's expiry down with the first change of its users, for good; here that is long past.
    simulator.connect().access.groups.post(groupid="first")
    simulator.connect().access.groups("first").delete()
    with SimServer(simulator, identity=identity) as server:
        yield Served(server, simulator)
