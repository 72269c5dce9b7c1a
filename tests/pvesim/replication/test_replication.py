"""Replication jobs and their runs on the virtual clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.small_world import GIB, give, small_simulator

JOBS = "/cluster/replication"
LOCAL = "/nodes/pve1/replication"
NEW = {"id": "101-0", "type": "local", "target": "pve2"}


@pytest.fixture
def simulator() -> Simulator:
    """VM 101 has its disk on a ZFS pool that both nodes have."""
    simulator = small_simulator()
    world = simulator.world
    world.put(Storage("tank", "zfspool", ("images", "rootdir"), options={"pool": "tank"}))
    for node in ("pve1", "pve2"):
        world.put(Space("tank", node, 100 * GIB, GIB))
    world.put(Volume("tank", "pve1", "vm-101-disk-0", "images", "raw", 4 * GIB, used=2 * GIB, vmid=101))
    guest = world.get(Guest, 101)
    assert guest is not None
    world.put(replace(guest, config={**guest.config, "virtio0": "tank:vm-101-disk-0,size=4G"}))
    return simulator


def refusal(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any] | None = None, user: str = "root@pam"
) -> str:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params, user=user)
    assert not before.diff(simulator.world)
    return caught.value.message


def status(simulator: Simulator) -> dict[str, Any]:
    found: dict[str, Any] = simulator.request("GET", f"{LOCAL}/101-0/status")
    return found


def on_pve2(simulator: Simulator) -> list[str]:
    rows = simulator.request("GET", "/nodes/pve2/storage/tank/content")
    return [row["volid"] for row in rows]


def test_a_job_copies_and_goes_on_by_its_schedule(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, {**NEW, "schedule": "*/30", "rate": 50})
    expected = {"guest": 101, "id": "101-0", "jobnum": 0, "rate": 50, "schedule": "*/30", "source": "pve1",
                "target": "pve2", "type": "local"}  # fmt: skip
    assert simulator.request("GET", JOBS) == [expected]
    shown = status(simulator)
    assert (shown["last_sync"], shown["fail_count"], shown["vmtype"]) == (0, 0, "qemu")
    assert simulator.request("GET", f"{LOCAL}/101-0/log")[0]["t"].startswith("unable to open file")
    simulator.clock.advance(61)
    assert status(simulator)["pid"]
    assert on_pve2(simulator) == []
    simulator.clock.advance(120)
    shown = status(simulator)
    assert (shown["fail_count"], "pid" in shown, shown["duration"]) == (0, False, 2 * 1024 / 50)
    assert shown["next_sync"] % 1800 == 0
    assert on_pve2(simulator) == ["tank:vm-101-disk-0"]
    simulator.clock.advance(3600)
    log = [line["t"] for line in simulator.request("GET", f"{LOCAL}/101-0/log")]
    assert log[0].endswith("101-0: start replication job")
    assert "incremental sync 'tank:vm-101-disk-0'" in log[-2]
    assert status(simulator)["last_sync"] > shown["last_sync"]


def test_removing_a_job_removes_its_copies(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, NEW)
    simulator.clock.advance(200)
    assert on_pve2(simulator)
    simulator.request("DELETE", f"{JOBS}/101-0")
    assert simulator.request("GET", f"{JOBS}/101-0")["remove_job"] == "full"
    simulator.clock.advance(61)
    assert simulator.request("GET", JOBS) == []
    assert on_pve2(simulator) == []


def test_a_job_may_leave_its_copies_or_go_at_once(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, NEW)
    simulator.clock.advance(200)
    simulator.request("DELETE", f"{JOBS}/101-0", {"keep": 1})
    simulator.clock.advance(61)
    assert (simulator.request("GET", JOBS), on_pve2(simulator)) == ([], ["tank:vm-101-disk-0"])
    simulator.request("POST", JOBS, NEW)
    simulator.request("DELETE", f"{JOBS}/101-0", {"force": 1})
    assert simulator.request("GET", JOBS) == []
    simulator.clock.advance(200)


def test_a_run_that_fails_is_counted_and_tried_again(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, NEW)
    node = simulator.world.get(Node, "pve2")
    assert node is not None
    simulator.world.put(replace(node, online=False))
    simulator.clock.advance(200)
    failed = status(simulator)
    assert (failed["fail_count"], failed["last_sync"]) == (1, 0)
    assert "ssh root@10.0.0.2" in failed["error"]
    assert failed["next_sync"] == failed["last_try"] + 300
    simulator.world.put(node)
    simulator.clock.advance(400)
    assert (status(simulator)["fail_count"], "error" in status(simulator)) == (0, False)


def test_a_disabled_job_waits_until_it_is_asked(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, {**NEW, "disable": 1})
    simulator.clock.advance(3600)
    assert status(simulator)["last_try"] == status(simulator)["next_sync"] == 0
    simulator.request("PUT", f"{JOBS}/101-0", {"delete": "disable", "schedule": "monthly"})
    simulator.clock.advance(200)
    last = status(simulator)["last_try"]
    assert last
    simulator.request("POST", f"{LOCAL}/101-0/schedule_now")
    simulator.clock.advance(120)
    assert status(simulator)["last_try"] > last


@pytest.mark.parametrize(
    ("verb", "path", "params", "message"),
    [
        ("POST", "", {**NEW, "target": "nope"}, "Target 'nope' does not exist."),
        ("POST", "", {**NEW, "id": "999-0"}, "Guest '999' does not exist."),
        ("POST", "", {**NEW, "target": "pve1"}, "Source 'pve1' equals target 'pve1' and cannot overlap"),
        ("POST", "", {**NEW, "source": "pve2"},
         "Source 'pve2' does not match current node of guest '101' (pve1)"),
        ("POST", "", {**NEW, "id": "100-0"},
         "missing replicate feature on volume 'local:100/vm-100-disk-0.raw'"),
        ("GET", "/101-9", {}, "no such replication job '101-9'"),
        ("PUT", "/101-9", {"rate": 5}, "no such job '101-9'"),
        ("DELETE", "/101-9", {}, "no such job '101-9'"),
    ],
)  # fmt: skip
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], message: str
) -> None:
    assert refusal(simulator, verb, JOBS + path, params) == message


def test_one_job_for_each_target(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, NEW)
    assert refusal(simulator, "POST", JOBS, NEW) == "replication job '101-0' already exists"
    assert refusal(simulator, "POST", JOBS, {**NEW, "id": "101-1"}) == (
        "replication job for guest '101' to target 'pve2' already exists"
    )


def test_a_guest_with_a_job_is_not_destroyed_by_mistake(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, NEW)
    assert refusal(simulator, "DELETE", "/nodes/pve1/qemu/101") == (
        "There is a replication job '101-0' for guest '101' - Please remove that first."
    )
    simulator.clock.run_until_done(simulator.request("DELETE", "/nodes/pve1/qemu/101", {"purge": 1}))
    assert simulator.request("GET", JOBS) == []


def test_who_may(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, NEW)
    assert simulator.request("GET", JOBS, user="alice@pve") == []
    assert len(simulator.request("GET", JOBS, user="audit@pve")) == 1
    assert refusal(simulator, "DELETE", f"{JOBS}/101-0", user="audit@pve") == (
        "Permission check failed (/vms/101, VM.Replicate)"
    )
    assert refusal(simulator, "GET", f"{LOCAL}/101-0/log", user="alice@pve") == (
        "Permission check failed (/vms/101, VM.Audit)"
    )
    give(simulator.world, "alice@pve", "/vms/101", "PVEVMAdmin")
    simulator.request("POST", f"{LOCAL}/101-0/schedule_now", user="alice@pve")


def test_a_node_lists_the_jobs_of_its_guests(simulator: Simulator) -> None:
    simulator.request("POST", JOBS, NEW)
    assert [row["id"] for row in simulator.request("GET", LOCAL)] == ["101-0"]
    assert simulator.request("GET", LOCAL, {"guest": 100}) == []
    assert simulator.request("GET", "/nodes/pve2/replication") == []
