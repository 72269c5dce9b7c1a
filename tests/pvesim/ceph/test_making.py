"""Making, removing and stopping what Ceph is made of."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError, NotModelled
from pvesim.engine import Simulator
from tests.pvesim.small_world import GIB, small_simulator

PLACE = "/nodes/pve1/ceph"
OTHER = "/nodes/pve2/ceph"


def done(simulator: Simulator, verb: str, path: str, params: dict[str, Any] | None = None) -> str:
    """The exit status of a task."""
    upid = simulator.request(verb, path, params)
    simulator.clock.run_until_done(upid)
    status: str = simulator.request("GET", f"/nodes/{upid.split(':')[1]}/tasks/{upid}/status")["exitstatus"]
    return status


def names(simulator: Simulator, what: str) -> list[str]:
    return [row["name"] for row in simulator.request("GET", f"{PLACE}/{what}")]


def refused(simulator: Simulator, verb: str, path: str, params: dict[str, Any] | None = None) -> str:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert not before.diff(simulator.world)
    return caught.value.message


def test_monitors_come_and_go(simulator: Simulator) -> None:
    assert refused(simulator, "POST", f"{OTHER}/mon/pve2") == "monitor 'pve2' already exists"
    assert refused(simulator, "POST", f"{OTHER}/mon/second") == "monitor address '10.0.0.2' already in use"
    assert done(simulator, "DELETE", f"{OTHER}/mon/pve2") == "OK"
    assert names(simulator, "mon") == ["pve1"]
    assert simulator.request("GET", f"{PLACE}/status")["quorum_names"] == ["pve1"]
    assert "10.0.0.2" not in simulator.request("GET", f"{PLACE}/cfg/raw")
    assert refused(simulator, "DELETE", f"{PLACE}/mon/pve1") == "can't remove last monitor"
    assert refused(simulator, "DELETE", f"{PLACE}/mon/none") == "no such monitor id 'none'"
    assert done(simulator, "POST", f"{OTHER}/mon/second") == "OK"
    assert names(simulator, "mon") == ["pve1", "second"]
    text = "monitor filesystem '/var/lib/ceph/mon/ceph-second' does not exist on this node"
    assert refused(simulator, "DELETE", f"{PLACE}/mon/second") == text


@pytest.mark.parametrize(("kind", "noun"), [("mgr", "manager"), ("mds", "metadata server")])
def test_other_daemons_come_and_go(simulator: Simulator, kind: str, noun: str) -> None:
    assert done(simulator, "DELETE", f"{OTHER}/{kind}/pve2") == "OK"
    assert names(simulator, kind) == ["pve1"]
    folder = f"ceph {noun} directory '/var/lib/ceph/{kind}/ceph-pve2'"
    assert done(simulator, "DELETE", f"{OTHER}/{kind}/pve2") == f"{folder} not found"
    assert done(simulator, "POST", f"{OTHER}/{kind}/pve2") == "OK"
    assert done(simulator, "POST", f"{OTHER}/{kind}/pve2") == f"{folder} already exists"
    assert [row["state"] for row in simulator.request("GET", f"{PLACE}/{kind}")] == ["active", "standby"]


def test_a_stopped_service_is_missed(simulator: Simulator) -> None:
    assert done(simulator, "POST", f"{PLACE}/stop", {"service": "mgr.pve1"}) == "OK"
    assert [row["state"] for row in simulator.request("GET", f"{PLACE}/mgr")] == ["stopped", "active"]
    assert done(simulator, "POST", f"{PLACE}/stop", {"service": "osd"}) == "OK"
    health = simulator.request("GET", f"{PLACE}/status")["health"]
    assert health["checks"]["OSD_DOWN"]["summary"]["count"] == 2
    assert done(simulator, "POST", f"{PLACE}/stop") == "OK"
    assert "MON_DOWN" in simulator.request("GET", f"{PLACE}/status")["health"]["checks"]
    assert done(simulator, "POST", f"{PLACE}/start") == "OK"
    assert simulator.request("GET", f"{PLACE}/status")["health"]["status"] == "HEALTH_OK"
    assert done(simulator, "POST", f"{PLACE}/restart", {"service": "mon"}) == "OK"
    assert [row["state"] for row in simulator.request("GET", f"{PLACE}/mon")] == ["running", "running"]
    text = "command '/bin/systemctl stop ceph-osd@3' failed: exit code 5"
    assert done(simulator, "POST", f"{PLACE}/stop", {"service": "osd.3"}) == text


def test_a_disk_becomes_an_osd_and_is_freed_again(simulator: Simulator) -> None:
    room = simulator.request("GET", "/nodes/pve1/storage/pool/status")["total"]
    assert done(simulator, "POST", f"{PLACE}/osd", {"dev": "/dev/sdx"}) == "OK"
    assert simulator.request("GET", f"{PLACE}/status")["osdmap"]["num_up_osds"] == 5
    disk = next(row for row in simulator.request("GET", "/nodes/pve1/disks/list") if row["devpath"] == "/dev/sdx")
    assert (disk["osdid"], disk["osdid-list"], disk["used"]) == (4, ["4"], "LVM")
    assert simulator.request("GET", "/nodes/pve1/storage/pool/status")["total"] == room + 100 * GIB
    assert refused(simulator, "POST", f"{PLACE}/osd", {"dev": "/dev/sdx"}) == "device '/dev/sdx' is already in use"
    wipe = refused(simulator, "PUT", "/nodes/pve1/disks/wipedisk", {"disk": "/dev/sdx"})
    assert wipe == "disk/partition '/dev/sdx' has a holder"
    osd = f"{PLACE}/osd/4"
    assert refused(simulator, "DELETE", osd) == "osd is in use (in == 1)"
    simulator.request("POST", f"{osd}/out")
    assert refused(simulator, "DELETE", osd) == "osd is still running (up == 1)"
    assert done(simulator, "POST", f"{PLACE}/stop", {"service": "osd.4"}) == "OK"
    assert refused(simulator, "DELETE", f"{OTHER}/osd/4") == "OSD osd.4 does not exists on host 'pve2'"
    assert done(simulator, "DELETE", osd, {"cleanup": 1}) == "OK"
    assert simulator.request("GET", f"{PLACE}/status")["osdmap"]["num_osds"] == 4
    assert simulator.request("GET", "/nodes/pve1/storage/pool/status")["total"] == room
    disk = next(row for row in simulator.request("GET", "/nodes/pve1/disks/list") if row["devpath"] == "/dev/sdx")
    assert (disk["osdid"], "used" in disk) == (-1, False)
    assert refused(simulator, "DELETE", osd) == "OSD '4' does not exist"


def test_a_pool_with_a_storage(simulator: Simulator) -> None:
    params = {"name": "fast", "add_storages": 1, "size": 2, "target_size": "10G"}
    assert done(simulator, "POST", f"{PLACE}/pool", params) == "OK"
    row = next(row for row in simulator.request("GET", f"{PLACE}/pool") if row["pool_name"] == "fast")
    assert (row["size"], row["pg_num"], row["pg_autoscale_mode"], row["target_size"]) == (2, 128, "warn", 10 * GIB)
    assert simulator.request("GET", "/storage/fast")["pool"] == "fast"
    assert simulator.request("GET", "/nodes/pve2/storage/fast/status")["total"] == 300 * GIB
    assert refused(simulator, "POST", f"{PLACE}/pool", {"name": "fast"}) == "pool 'fast' already exists"
    disk = {"vmid": 100, "filename": "vm-100-disk-0", "size": "1G"}
    simulator.request("POST", "/nodes/pve1/storage/fast/content", disk)
    assert refused(simulator, "DELETE", f"{PLACE}/pool/fast") == "ceph pool 'fast' still in use by storage 'fast'"
    assert done(simulator, "DELETE", f"{PLACE}/pool/fast", {"force": 1, "remove_storages": 1}) == "OK"
    assert refused(simulator, "GET", f"{PLACE}/pool/fast/status").endswith("unrecognized pool 'fast'")
    assert all(row["storage"] != "fast" for row in simulator.request("GET", "/storage"))


def test_a_storage_whose_pool_is_gone_does_not_answer(simulator: Simulator) -> None:
    assert done(simulator, "DELETE", f"{PLACE}/pool/vms", {"force": 1}) == "OK"
    assert simulator.request("GET", "/nodes/pve1/storage/pool/status")["active"] == 0
    assert done(simulator, "POST", f"{PLACE}/pool", {"name": "vms"}) == "OK"
    assert simulator.request("GET", "/nodes/pve1/storage/pool/status")["active"] == 1
    assert simulator.request("GET", "/nodes/pve1/storage/pool/content") == []


def test_what_pools_cannot_be(simulator: Simulator) -> None:
    text = "mon_command failed - error: crush rule odd does not exist"
    assert refused(simulator, "POST", f"{PLACE}/pool", {"name": "new", "crush_rule": "odd"}) == text
    assert refused(simulator, "PUT", f"{PLACE}/pool/vms", {"crush_rule": "odd"}) == text
    with pytest.raises(NotModelled):
        simulator.request("POST", f"{PLACE}/pool", {"name": "new", "erasure-coding": "k=2,m=1"})


def test_a_file_system_needs_a_server_to_spare(simulator: Simulator) -> None:
    taken = "ceph pools 'cephfs_data' and/or 'cephfs_metadata' already exist"
    assert refused(simulator, "POST", f"{PLACE}/fs/cephfs") == taken
    assert done(simulator, "POST", f"{PLACE}/fs/more", {"add-storage": 1, "pg_num": 64}) == "OK"
    assert names(simulator, "fs") == ["cephfs", "more"]
    groups = {row["pool_name"]: row["pg_num"] for row in simulator.request("GET", f"{PLACE}/pool")}
    assert (groups["more_data"], groups["more_metadata"]) == (64, 16)
    assert simulator.request("GET", "/storage/more")["fs-name"] == "more"
    assert simulator.request("GET", "/nodes/pve1/storage/more/status")["active"] == 1
    spare = "no standby Metadata Server (MDS) found!"
    assert refused(simulator, "POST", f"{PLACE}/fs/third") == spare
    for node in ("pve1", "pve2"):
        done(simulator, "DELETE", f"/nodes/{node}/ceph/mds/{node}")
    assert refused(simulator, "POST", f"{PLACE}/fs/third") == "no running Metadata Server (MDS) found!"


def test_networks_are_written_to_the_configuration(simulator: Simulator) -> None:
    simulator.request("POST", f"{PLACE}/init", {"network": "10.1.0.0/24", "cluster-network": "10.2.0.0/24"})
    raw = simulator.request("GET", f"{PLACE}/cfg/raw")
    assert "public_network = 10.1.0.0/24" in raw
    assert "cluster_network = 10.2.0.0/24" in raw
    keys = {"config-keys": "global:public-network"}
    assert simulator.request("GET", f"{PLACE}/cfg/value", keys) == {"global": {"public_network": "10.1.0.0/24"}}


@pytest.mark.parametrize(
    ("verb", "path", "params"),
    [
        ("POST", "mon/pve1", {}),
        ("DELETE", "mds/pve1", {}),
        ("POST", "osd", {"dev": "/dev/sdx"}),
        ("DELETE", "osd/0", {}),
        ("POST", "osd/0/scrub", {}),
        ("POST", "fs/cephfs", {}),
        ("DELETE", "pool/vms", {}),
        ("POST", "init", {}),
        ("POST", "stop", {}),
    ],
)
def test_without_ceph_there_is_nothing_to_make(verb: str, path: str, params: dict[str, Any]) -> None:
    assert refused(small_simulator(), verb, f"{PLACE}/{path}", params) == "binary not installed: /usr/bin/ceph-mon"


def test_a_scrub_leaves_no_trace_and_is_not_modelled(simulator: Simulator) -> None:
    with pytest.raises(NotModelled):
        simulator.request("POST", f"{PLACE}/osd/0/scrub")
