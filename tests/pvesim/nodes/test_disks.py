"""What can be made of a node's disks, and what is left when it is taken apart."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator

DISKS = "/nodes/pve1/disks"
GIB = 1024**3
SPARE = {f"sd{letter}": {"size": "100G"} for letter in "bcde"}


@pytest.fixture
def simulator() -> Simulator:
    """One node with the disk behind `local-lvm` and four that are not in use."""
    storages = {
        "local": {"type": "dir", "config": {"path": "/var/lib/vz"}},
        "local-lvm": {"type": "lvmthin", "config": {"vgname": "pve", "thinpool": "data"}, "size": "200G"},
    }
    return Simulator({"nodes": {"pve1": {"disks": SPARE}}, "storages": storages})


def run(simulator: Simulator, verb: str, path: str, params: dict[str, Any]) -> str:
    """The exit status of a task."""
    upid = simulator.request(verb, f"{DISKS}/{path}", params)
    simulator.clock.run_until_done(upid)
    status: str = simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")["exitstatus"]
    return status


def refusal(simulator: Simulator, verb: str, path: str, params: dict[str, Any]) -> str:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, f"{DISKS}/{path}", params)
    assert not before.diff(simulator.world)
    return caught.value.message


def unused(simulator: Simulator) -> list[str]:
    return sorted(row["devpath"] for row in simulator.request("GET", f"{DISKS}/list", {"type": "unused"}))


def test_disks_in_use_and_not(simulator: Simulator) -> None:
    rows = {row["devpath"]: row.get("used") for row in simulator.request("GET", f"{DISKS}/list")}
    assert rows == {"/dev/sda": "LVM", "/dev/sdb": None, "/dev/sdc": None, "/dev/sdd": None, "/dev/sde": None}
    assert simulator.request("GET", f"{DISKS}/list", {"type": "journal_disks"}) == []


@pytest.mark.parametrize(
    ("kind", "params", "type", "size"),
    [
        ("lvm", {"device": "/dev/sdb"}, "lvm", 100),
        ("lvmthin", {"device": "/dev/sdb"}, "lvmthin", 100),
        ("zfs", {"devices": "/dev/sdb", "raidlevel": "single"}, "zfspool", 100),
        ("zfs", {"devices": "/dev/sdb /dev/sdc", "raidlevel": "mirror"}, "zfspool", 100),
        ("zfs", {"devices": "/dev/sdb,/dev/sdc,/dev/sdd", "raidlevel": "raidz"}, "zfspool", 200),
        ("directory", {"device": "/dev/sdb", "filesystem": "xfs"}, "dir", 100),
    ],
)
def test_a_storage_on_new_disks(simulator: Simulator, kind: str, params: dict[str, Any], type: str, size: int) -> None:
    assert run(simulator, "POST", kind, {**params, "name": "fresh", "add_storage": 1}) == "OK"
    assert "/dev/sdb" not in unused(simulator)
    assert simulator.request("GET", "/storage/fresh")["type"] == type
    status = simulator.request("GET", "/nodes/pve1/storage/fresh/status")
    assert (status["active"], status["total"]) == (1, size * GIB)
    listed = simulator.request("GET", f"{DISKS}/{kind}")
    rows = listed["children"] if kind == "lvm" else listed
    assert [row for row in rows if "fresh" in (row.get("name"), row.get("lv"), row.get("path", "")[9:])]
    removal = {"cleanup-disks": 1, "cleanup-config": 1}
    assert (
        run(simulator, "DELETE", f"{kind}/fresh", removal | ({"volume-group": "fresh"} if kind == "lvmthin" else {}))
        == "OK"
    )
    assert unused(simulator) == ["/dev/sdb", "/dev/sdc", "/dev/sdd", "/dev/sde"]
    assert "fresh" not in {row["storage"] for row in simulator.request("GET", "/storage")}


def test_a_definition_finds_the_group_that_was_made_before(simulator: Simulator) -> None:
    run(simulator, "POST", "lvm", {"device": "/dev/sdb", "name": "vg1"})
    assert {"vg": "vg1"} in simulator.request("GET", "/nodes/pve1/scan/lvm")
    simulator.request("POST", "/storage", {"storage": "s1", "type": "lvm", "vgname": "vg1", "content": "images"})
    assert simulator.request("GET", "/nodes/pve1/storage/s1/status")["total"] == 100 * GIB


def test_what_guests_use_is_not_removed(simulator: Simulator) -> None:
    run(simulator, "POST", "lvm", {"device": "/dev/sdb", "name": "vg1", "add_storage": 1})
    volume = {"vmid": 100, "filename": "vm-100-disk-0", "size": "1G"}
    simulator.request("POST", "/nodes/pve1/storage/vg1/content", volume)
    assert run(simulator, "DELETE", "lvm/vg1", {}) == "command '/sbin/vgremove -y vg1' failed: exit code 5"
    assert simulator.request("GET", "/nodes/pve1/storage/vg1/status")["active"] == 1
    assert run(simulator, "DELETE", "lvm/none", {}) == "command '/sbin/vgremove -y none' failed: exit code 5"


def test_a_disk_keeps_its_label_until_it_is_wiped(simulator: Simulator) -> None:
    run(simulator, "POST", "zfs", {"devices": "/dev/sdb", "raidlevel": "single", "name": "tank"})
    assert simulator.request("GET", f"{DISKS}/zfs/tank")["children"][0]["children"][0]["name"] == "/dev/sdb"
    assert refusal(simulator, "PUT", "wipedisk", {"disk": "/dev/sdb"}) == "disk/partition '/dev/sdb' has a holder"
    run(simulator, "DELETE", "zfs/tank", {})
    assert "/dev/sdb" not in unused(simulator)
    assert refusal(simulator, "POST", "initgpt", {"disk": "/dev/sdb"}) == "device '/dev/sdb' is already in use"
    assert run(simulator, "PUT", "wipedisk", {"disk": "/dev/sdb"}) == "OK"
    assert run(simulator, "POST", "initgpt", {"disk": "/dev/sdb"}) == "OK"
    row = next(row for row in simulator.request("GET", f"{DISKS}/list") if row["devpath"] == "/dev/sdb")
    assert (row["gpt"], "used" in row) == (1, False)


def test_the_disk_of_the_installer_comes_free_too(simulator: Simulator) -> None:
    removal = {"volume-group": "pve", "cleanup-disks": 1, "cleanup-config": 1}
    assert run(simulator, "DELETE", "lvmthin/pve", removal) == "OK"
    assert "/dev/sda" in unused(simulator)


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("lvm", {"device": "/dev/sda", "name": "vg1"}, "device '/dev/sda' is already in use"),
        ("lvm", {"device": "/dev/sdz", "name": "vg1"}, "not a valid block device"),
        ("zfs", {"devices": "/dev/sdb", "raidlevel": "mirror", "name": "t1"}, "mirror needs at least 2 disks."),
        ("zfs", {"devices": "/dev/sdb /dev/sdc", "raidlevel": "single", "name": "t1"},
         "Please give only one disk for single disk mode."),
        ("zfs", {"devices": "/dev/sdb /dev/sdc /dev/sdd", "raidlevel": "raid10", "name": "t1"},
         "raid10 needs an even number of disks."),
        ("lvmthin", {"device": "/dev/sdb", "name": "pve"},
         "volume group with name 'pve' already exists on node 'pve1'"),
        ("lvm", {"device": "/dev/sdb", "name": "local", "add_storage": 1}, "storage ID 'local' already defined"),
    ],
)  # fmt: skip
def test_refusals_change_nothing(simulator: Simulator, kind: str, params: dict[str, Any], message: str) -> None:
    assert refusal(simulator, "POST", kind, params) == message
