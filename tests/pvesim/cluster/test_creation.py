"""A lone node becomes the first of a cluster."""

from __future__ import annotations

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import small_simulator


def test_a_cluster_is_made() -> None:
    simulator = Simulator("single-node")
    upid = simulator.request("POST", "/cluster/config", {"clustername": "lab"})
    assert ":clustercreate:lab:" in upid
    simulator.clock.run_until_done(upid)
    entries = {entry["type"]: entry for entry in simulator.request("GET", "/cluster/status")}
    assert (entries["cluster"]["name"], entries["node"]["nodeid"]) == ("lab", 1)
    assert simulator.request("GET", "/cluster/config/totem")["cluster_name"] == "lab"
    assert simulator.request("GET", "/cluster/config/join")["preferred_node"] == "pve1"


def test_there_is_one_cluster_at_most() -> None:
    simulator = small_simulator()
    with pytest.raises(ApiError) as caught:
        simulator.request("POST", "/cluster/config", {"clustername": "lab"})
    assert caught.value.message == "cluster config '/etc/pve/corosync.conf' already exists"


def test_only_root_makes_one() -> None:
    simulator = small_simulator(name="")
    with pytest.raises(ApiError) as caught:
        simulator.request("POST", "/cluster/config", {"clustername": "lab"}, user="audit@pve")
    assert caught.value.status == 403
