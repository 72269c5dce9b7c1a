"""Snapshots: taking them, their tree, going back, removing them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvesim.core.errors import Failure, Forbidden
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from tests.pvesim.guests.yard import config, ct, done, make_ct, make_vm, task_of, vm, volids, yard
from tests.pvesim.small_world import give

SNAPSHOT = vm(100, "/snapshot")


@pytest.fixture
def sim() -> Simulator:
    sim = yard()
    make_vm(sim, memory=256, scsi0="local:1,format=qcow2", description="the guest's own")
    return sim


def take(sim: Simulator, name: str, **params: object) -> None:
    done(sim, "POST", SNAPSHOT, {"snapname": name, **params})


def tree(sim: Simulator) -> dict[str, str | None]:
    """Each snapshot's parent, as the list shows it."""
    return {entry["name"]: entry.get("parent") for entry in sim.request("GET", SNAPSHOT)}


def test_a_snapshot_keeps_the_configuration(sim: Simulator) -> None:
    task = done(sim, "POST", SNAPSHOT, {"snapname": "s1", "description": "first"})
    assert task.type == "qmsnapshot"
    assert task.log[0] == "snapshotting 'drive-scsi0' (local:100/vm-100-disk-0.qcow2)"
    sim.request("PUT", vm(100, "/config"), {"memory": 512})
    kept = sim.request("GET", f"{SNAPSHOT}/s1/config")
    assert (kept["memory"], kept["description"]) == ("256", "first")
    assert config(sim, 100)["parent"] == "s1"
    assert "lock" not in config(sim, 100)


def test_they_make_a_tree(sim: Simulator) -> None:
    for name in ("s1", "s2"):
        take(sim, name)
    assert tree(sim) == {"s1": None, "s2": "s1", "current": "s2"}
    done(sim, "POST", f"{SNAPSHOT}/s1/rollback")
    take(sim, "s3")
    assert tree(sim) == {"s1": None, "s2": "s1", "s3": "s1", "current": "s3"}
    done(sim, "DELETE", f"{SNAPSHOT}/s1")
    assert tree(sim) == {"s2": None, "s3": None, "current": "s3"}
    done(sim, "DELETE", f"{SNAPSHOT}/s3")
    assert tree(sim) == {"s2": None, "current": None}


def test_going_back_brings_the_options_back(sim: Simulator) -> None:
    take(sim, "s1")
    genid = config(sim, 100)["vmgenid"]
    sim.request("PUT", vm(100, "/config"), {"memory": 512, "scsi1": "local:1", "description": "newer"})
    done(sim, "POST", vm(100, "/status/start"))
    done(sim, "POST", f"{SNAPSHOT}/s1/rollback")
    after = config(sim, 100)
    assert not sim.world.rows(Guest)[100].running
    assert (after["memory"], after["description"]) == ("256", "newer")
    assert after["unused0"] == "local:100/vm-100-disk-1.raw"
    assert after["vmgenid"] != genid


def test_going_back_can_start_the_guest(sim: Simulator) -> None:
    take(sim, "s1")
    task = done(sim, "POST", f"{SNAPSHOT}/s1/rollback", {"start": 1})
    sim.clock.advance(5)
    assert task.type == "qmrollback"
    assert sim.world.rows(Guest)[100].running


def test_memory_is_saved_while_it_runs(sim: Simulator) -> None:
    take(sim, "off", vmstate=1)
    done(sim, "POST", vm(100, "/status/start"))
    take(sim, "on", vmstate=1)
    states = {entry["name"]: entry.get("vmstate") for entry in sim.request("GET", SNAPSHOT)}
    assert states == {"off": 0, "on": 1, "current": None}
    assert "local:100/vm-100-state-on.raw" in volids(sim, 100)
    done(sim, "POST", vm(100, "/status/stop"))
    done(sim, "POST", f"{SNAPSHOT}/on/rollback")
    assert sim.world.rows(Guest)[100].running
    assert "vmstate" not in config(sim, 100)
    done(sim, "DELETE", f"{SNAPSHOT}/on")
    assert volids(sim, 100) == ["local:100/vm-100-disk-0.qcow2"]


FAILURES = [
    ("POST", SNAPSHOT, {"snapname": "s1"}, "snapshot name 's1' already used"),
    ("POST", f"{SNAPSHOT}/nosnap/rollback", {}, "snapshot 'nosnap' does not exist"),
    ("DELETE", f"{SNAPSHOT}/nosnap", {}, "snapshot 'nosnap' does not exist"),
]


@pytest.mark.parametrize(("verb", "path", "params", "text"), FAILURES)
def test_what_fails_in_the_task(sim: Simulator, verb: str, path: str, params: dict[str, str], text: str) -> None:
    take(sim, "s1")
    assert task_of(sim, verb, path, params).exitstatus == text
    assert "lock" not in config(sim, 100)


@pytest.mark.parametrize(
    ("kind", "name"), [("qemu", "current"), ("qemu", "pending"), ("lxc", "current"), ("lxc", "vzdump")]
)
def test_reserved_names(sim: Simulator, kind: str, name: str) -> None:
    with pytest.raises(Failure, match=f"unable to use snapshot name '{name}'"):
        sim.request("POST", f"/nodes/pve1/{kind}/100/snapshot", {"snapname": name})


def test_unknown_guests() -> None:
    sim = yard()
    with pytest.raises(Failure, match="does not exist"):
        sim.request("POST", SNAPSHOT, {"snapname": "s1"})
    assert "does not exist" in str(task_of(sim, "POST", ct(200, "/snapshot"), {"snapname": "s1"}).exitstatus)


def test_where_the_storage_cannot() -> None:
    sim = yard()
    make_vm(sim, scsi0="local:1")
    make_ct(sim, rootfs="local:1")
    for path in (SNAPSHOT, ct(200, "/snapshot")):
        assert task_of(sim, "POST", path, {"snapname": "s1"}).exitstatus == "snapshot feature is not available"


def test_containers_on_thin_volumes_and_on_zfs() -> None:
    sim = yard()
    make_ct(sim, 200, rootfs="thin:1")
    task = done(sim, "POST", ct(200, "/snapshot"), {"snapname": "s1"})
    assert task.log[0] == '  Logical volume "snap_vm-200-disk-0_s1" created.'
    make_ct(sim, 201, rootfs="tank:1")
    for name in ("s1", "s2"):
        done(sim, "POST", ct(201, "/snapshot"), {"snapname": name})
    task = task_of(sim, "POST", ct(201, "/snapshot/s1/rollback"))
    assert str(task.exitstatus).startswith("can't rollback, 's1' is not most recent snapshot on ")
    done(sim, "POST", ct(201, "/snapshot/s2/rollback"))


def test_a_locked_guest_and_its_lock_stay_as_they_are(sim: Simulator) -> None:
    take(sim, "s1")
    guest = sim.world.rows(Guest)[100]
    sim.world.put(replace(guest, config={**guest.config, "lock": "snapshot"}))
    for verb, path in (("POST", f"{SNAPSHOT}/s1/rollback"), ("DELETE", f"{SNAPSHOT}/s1")):
        assert task_of(sim, verb, path).exitstatus == "VM is locked (snapshot)"
    assert config(sim, 100)["lock"] == "snapshot"


def test_an_interrupted_snapshot_leaves_no_lock_and_no_memory(sim: Simulator) -> None:
    done(sim, "POST", vm(100, "/status/start"))
    upid = sim.request("POST", SNAPSHOT, {"snapname": "s1", "vmstate": 1})
    sim.clock.advance(0.5)
    assert config(sim, 100)["lock"] == "snapshot"
    sim.request("DELETE", f"/nodes/pve1/tasks/{upid}")
    assert "lock" not in config(sim, 100)
    assert volids(sim, 100) == ["local:100/vm-100-disk-0.qcow2"]


def test_templates_have_none(sim: Simulator) -> None:
    done(sim, "POST", vm(100, "/template"))
    assert (
        task_of(sim, "POST", SNAPSHOT, {"snapname": "s1"}).exitstatus == "you can't take a snapshot if it's a template"
    )
    rollback = task_of(sim, "POST", f"{SNAPSHOT}/s1/rollback")
    assert rollback.exitstatus == "you can't rollback if vm is a template"


def test_a_description_can_be_changed(sim: Simulator) -> None:
    take(sim, "s1")
    assert sim.request("PUT", f"{SNAPSHOT}/s1/config", {"description": "changed"}) is None
    assert sim.request("GET", SNAPSHOT)[0]["description"] == "changed"
    with pytest.raises(Failure, match="snapshot 'nosnap' does not exist"):
        sim.request("PUT", f"{SNAPSHOT}/nosnap/config", {"description": "x"})


def test_a_disk_that_only_a_snapshot_names_is_kept_and_becomes_unused(sim: Simulator) -> None:
    take(sim, "s1")
    sim.request("PUT", vm(100, "/config"), {"delete": "scsi0", "force": 1})
    assert volids(sim, 100) == ["local:100/vm-100-disk-0.qcow2"]
    done(sim, "DELETE", f"{SNAPSHOT}/s1")
    assert config(sim, 100)["unused0"] == "local:100/vm-100-disk-0.qcow2"


def test_the_right_is_wanted(sim: Simulator) -> None:
    give(sim.world, "alice@pve", "/vms/100", "PVEVMUser")
    with pytest.raises(Forbidden, match=r"Permission check failed \(/vms/100, VM.Snapshot\)"):
        sim.request("POST", SNAPSHOT, {"snapname": "s1"}, user="alice@pve")
