"""The same reads asked of two clusters."""

from __future__ import annotations

import pytest

from pvesim import Simulator
from pvesim.live import SimulatedCluster, compare


def words(live: Simulator, other: Simulator, user: str = "root@pam") -> list[str]:
    found = compare(SimulatedCluster(live), SimulatedCluster(other, user))
    return [finding.words() for finding in found.findings]


@pytest.fixture(scope="module")
def homelab() -> Simulator:
    return Simulator("homelab", clock="manual")


def test_a_cluster_is_like_itself_at_another_time(homelab: Simulator) -> None:
    later = homelab.fork()
    later.clock.advance(1000)
    assert words(homelab, later) == []


def test_a_difference_names_path_field_and_both_values(homelab: Simulator) -> None:
    other = homelab.fork()
    other.request("PUT", "/nodes/pve2/qemu/105/config", {"cores": 4, "delete": "description"})
    told = words(homelab, other)
    assert "GET /nodes/pve2/qemu/105/config data.cores: 2, simulated 4" in told
    assert (
        "GET /nodes/pve2/qemu/105/config data.description: A copy of web to try things on., simulated nothing" in told
    )
    assert "GET /cluster/resources data[qemu/105].maxcpu: 2, simulated 4" in told


def test_what_one_side_has_alone(homelab: Simulator) -> None:
    other = homelab.fork()
    other.request("POST", "/pools", {"poolid": "new"})
    other.request("DELETE", "/nodes/pve2/qemu/105")
    other.clock.advance(60)
    told = words(homelab, other)
    assert any(line.startswith("GET /pools data[new]: nothing, simulated {'poolid': 'new'") for line in told)
    assert "GET /nodes/pve2/qemu/105/config status: 200, simulated 500" in told


def test_statuses_are_compared(homelab: Simulator) -> None:
    assert "GET /access/users status: 200, simulated 403" not in words(homelab, homelab.fork())
    told = words(homelab, homelab.fork(), user="alice@pve")
    assert any("simulated 403" in line for line in told)


def test_an_order_that_differs_and_a_number_as_text_are_no_difference() -> None:
    class Rows:
        def __init__(self, rows: object) -> None:
            self.rows = rows

        def get(self, path: str, **_params: object) -> object:
            return self.rows if path == "/pools" else []

    one = Rows([{"poolid": "a", "n": "4"}, {"poolid": "b", "list": ["x", "y"]}])
    other = Rows([{"poolid": "b", "list": ["y", "x"]}, {"poolid": "a", "n": 4}])
    assert compare(one, other).findings == ()
