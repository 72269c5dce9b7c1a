"""Copying a volume by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from pvesim.storage.records import Space, Volume
from tests.pvesim.small_world import GIB, NOW
from tests.pvesim.storage.world import storage_simulator

CONTENT = "/nodes/pve1/storage/local/content"


@pytest.fixture
def simulator() -> Simulator:
    simulator = storage_simulator()
    disk = Volume("local", "pve1", "100/vm-100-disk-0.raw", "images", "raw", GIB, 1000, NOW, vmid=100)
    simulator.world.put(disk)
    return simulator


def copied(simulator: Simulator, source: str, target: str, node: str = "pve1") -> str:
    upid = simulator.request("POST", f"{CONTENT}/{source}", {"target": target, "target_node": node})
    assert upid.split(":")[5] == "imgcopy"
    simulator.clock.run_until_done(upid)
    status: str = simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")["exitstatus"]
    return status


def test_a_copy_under_another_name(simulator: Simulator) -> None:
    assert copied(simulator, "100/vm-100-disk-0.raw", "101/vm-101-disk-3.raw") == "OK"
    rows = {row["volid"]: row for row in simulator.request("GET", CONTENT, {"content": "images"})}
    assert rows["local:101/vm-101-disk-3.raw"]["vmid"] == 101
    assert rows["local:101/vm-101-disk-3.raw"]["size"] == rows["local:100/vm-100-disk-0.raw"]["size"] == GIB


def test_a_copy_to_another_node(simulator: Simulator) -> None:
    assert copied(simulator, "iso/tiny.iso", "iso/tiny.iso", "pve2") == "OK"
    there = simulator.request("GET", "/nodes/pve2/storage/local/content", {"content": "iso"})
    assert [row["volid"] for row in there] == ["local:iso/tiny.iso"]


@pytest.mark.parametrize(
    ("source", "target", "node", "status"),
    [
        ("100/none.raw", "100/vm-100-disk-1.raw", "pve1", "volume 'local:100/none.raw' does not exist"),
        ("iso/tiny.iso", "iso/tiny.iso", "pve1", "file '/var/lib/vz/template/iso/tiny.iso' already exists"),
        ("iso/tiny.iso", "iso/tiny.iso", "none", "no such cluster node 'none'"),
        ("iso/tiny.iso", "100/vm-100-disk-1.raw", "pve1", "cannot copy a volume of type 'iso' to one of type 'images'"),
        ("100/vm-100-disk-0.raw", "100/vm-100-disk-1.qcow2", "pve1",
         "cannot import format raw into a volume of format qcow2"),
        ("iso/tiny.iso", "odd", "pve1", "unable to parse directory volume name 'odd'"),
    ],
)  # fmt: skip
def test_what_cannot_be_copied_fails_in_the_task(
    simulator: Simulator, source: str, target: str, node: str, status: str
) -> None:
    before = dict(simulator.world.rows(Volume))
    assert copied(simulator, source, target, node) == status
    assert dict(simulator.world.rows(Volume)) == before


def test_a_copy_needs_room(simulator: Simulator) -> None:
    space = simulator.world.rows(Space)["local", "pve2"]
    simulator.world.put(replace(space, used=space.total))
    assert copied(simulator, "iso/tiny.iso", "iso/tiny.iso", "pve2") == "import failed: No space left on device"


def test_a_copy_stays_on_its_storage(simulator: Simulator) -> None:
    with pytest.raises(ApiError) as refused:
        simulator.request("POST", f"{CONTENT}/iso/tiny.iso", {"target": "share:iso/tiny.iso"})
    assert refused.value.errors == {"volume": "storage ID missmatch (share != local)\n"}
    with pytest.raises(ApiError, match=r"Permission check failed"):
        simulator.request("POST", f"{CONTENT}/iso/tiny.iso", {"target": "iso/b.iso"}, user="audit@pve")
