"""Ceph on the nodes: none where no storage stands on it, else a cluster that follows from nodes and storages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage
from tests.pvesim.small_world import GIB, small_simulator

PLACE = "/nodes/pve1/ceph"


@pytest.mark.parametrize(
    ("verb", "path", "params"),
    [
        ("GET", f"{PLACE}/status", {}),
        ("GET", "/cluster/ceph/flags", {}),
        ("PUT", "/cluster/ceph/flags", {"noout": 1}),
        ("GET", f"{PLACE}/osd", {}),
        ("POST", f"{PLACE}/pool", {"name": "new"}),
    ],
)
def test_without_it_a_node_says_what_is_missing(verb: str, path: str, params: dict[str, Any]) -> None:
    simulator = small_simulator()
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert (caught.value.status, caught.value.message) == (500, "binary not installed: /usr/bin/ceph-mon")
    assert not before.diff(simulator.world)


def test_a_storage_on_other_monitors_is_no_ceph_of_ones_own() -> None:
    simulator = small_simulator()
    simulator.world.put(Storage("far", "rbd", ("images",), shared=True, options={"pool": "p", "monhost": "10.9.9.9"}))
    with pytest.raises(ApiError, match="binary not installed"):
        simulator.request("GET", f"{PLACE}/status")


def test_a_healthy_cluster(simulator: Simulator) -> None:
    status = simulator.request("GET", f"{PLACE}/status")
    assert status == simulator.request("GET", "/cluster/ceph/status")
    assert (status["health"]["status"], status["quorum_names"]) == ("HEALTH_OK", ["pve1", "pve2"])
    assert (status["osdmap"]["num_up_osds"], status["osdmap"]["num_osds"]) == (4, 4)
    assert status["pgmap"]["bytes_total"] == 900 * GIB
    pools = {row["pool_name"]: row for row in simulator.request("GET", f"{PLACE}/pool")}
    assert sorted(pools) == [".mgr", "cephfs_data", "cephfs_metadata", "vms"]
    assert pools["vms"]["bytes_used"] == 18 * GIB
    assert [row["state"] for row in simulator.request("GET", f"{PLACE}/mgr")] == ["active", "standby"]
    assert [row["host"] for row in simulator.request("GET", f"{PLACE}/mds")] == ["pve1", "pve2"]
    assert simulator.request("GET", f"{PLACE}/fs")[0]["data_pool"] == "cephfs_data"
    hosts = simulator.request("GET", f"{PLACE}/osd")["root"]["children"][0]["children"]
    assert [(host["name"], len(host["children"])) for host in hosts] == [("pve1", 2), ("pve2", 2)]


def test_a_node_that_is_down_is_missed(simulator: Simulator) -> None:
    node = simulator.world.get(Node, "pve2")
    assert node is not None
    simulator.world.put(replace(node, online=False))
    health = simulator.request("GET", f"{PLACE}/status")["health"]
    assert (health["status"], sorted(health["checks"])) == ("HEALTH_WARN", ["MON_DOWN", "OSD_DOWN"])
    safety = {"service": "osd", "id": "0", "action": "stop"}
    assert simulator.request("GET", f"{PLACE}/cmd-safety", safety)["safe"] == 0


def test_flags_osds_and_pools_keep_what_is_set(simulator: Simulator) -> None:
    simulator.clock.run_until_done(simulator.request("PUT", "/cluster/ceph/flags", {"noout": 1, "noscrub": 1}))
    simulator.request("PUT", "/cluster/ceph/flags/noscrub", {"value": 0})
    assert [row["name"] for row in simulator.request("GET", "/cluster/ceph/flags") if row["value"]] == ["noout"]
    assert simulator.request("GET", "/cluster/ceph/flags/noout") == 1
    simulator.request("POST", f"{PLACE}/osd/3/out")
    assert simulator.request("GET", f"{PLACE}/status")["osdmap"]["num_in_osds"] == 3
    simulator.request("POST", f"{PLACE}/osd/3/in")
    with pytest.raises(ApiError, match="OSD '9' does not exist"):
        simulator.request("POST", f"{PLACE}/osd/9/out")
    simulator.clock.run_until_done(simulator.request("PUT", f"{PLACE}/pool/vms", {"size": 2, "pg_num": 64}))
    shown = simulator.request("GET", f"{PLACE}/pool/vms/status")
    assert (shown["size"], shown["pg_num"]) == (2, 64)
    with pytest.raises(ApiError, match="unrecognized pool 'none'"):
        simulator.request("GET", f"{PLACE}/pool/none/status")


def test_what_else_can_be_read(simulator: Simulator) -> None:
    fsid = simulator.request("GET", f"{PLACE}/status")["fsid"]
    assert f"fsid = {fsid}" in simulator.request("GET", f"{PLACE}/cfg/raw")
    values = simulator.request("GET", f"{PLACE}/cfg/value", {"config-keys": "global:fsid"})
    assert values == {"global": {"fsid": fsid}}
    assert "host pve2" in simulator.request("GET", f"{PLACE}/crush")
    assert simulator.request("GET", f"{PLACE}/osd/2/metadata")["osd"]["hostname"] == "pve2"
    assert simulator.request("GET", f"{PLACE}/osd/2/lv-info")["vg_name"] == f"ceph-{fsid}"
    assert len(simulator.request("GET", "/cluster/ceph/metadata")["osd"]) == 4
    assert simulator.request("GET", f"{PLACE}/mon")[1]["quorum"] == 1
    assert simulator.request("GET", f"{PLACE}/rules") == [{"name": "replicated_rule"}]
    assert simulator.request("GET", f"{PLACE}/cfg/db") == []
    assert simulator.request("GET", f"{PLACE}/log") == [
        {"n": 1, "t": "unable to open file - No such file or directory"}
    ]
