"""Guests move between nodes: what refuses it, what goes with them, and what an accident on the way leaves."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.tasks import Task, abort_task
from pvesim.engine import Simulator
from pvesim.guests.disks import volumes_in
from pvesim.guests.records import Guest, Journey
from pvesim.nodes.records import Interface
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.guests.three_nodes import (
    GIB,
    add,
    container,
    finish,
    guest_of,
    lose,
    machine,
    on,
    refusal,
    tasks,
    three_nodes,
    with_snapshot,
)
from tests.pvesim.invariants import check_invariants
from tests.pvesim.small_world import give

WITH_DISKS: dict[str, Any] = {"with-local-disks": 1}


def ask(simulator: Simulator, vmid: int, target: str = "pve2", user: str = "root@pam", **params: Any) -> str:
    guest = guest_of(simulator, vmid)
    path = f"/nodes/{guest.node}/{guest.kind}/{vmid}/migrate"
    upid: str = simulator.request("POST", path, {"target": target, **params}, user=user)
    return upid


def move(simulator: Simulator, vmid: int, target: str = "pve2", **params: Any) -> Task:
    return finish(simulator, ask(simulator, vmid, target, **params))


def log_of(task: Task) -> list[str]:
    """The log without its time stamps."""
    return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in task.log]


def volumes(simulator: Simulator, vmid: int) -> list[tuple[str, str]]:
    return sorted((each.place, each.volid) for each in simulator.world.rows(Volume).values() if each.vmid == vmid)


# -- refusals before the task --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"target": "nope"}, "no such cluster node 'nope'"),
        ({"target": "pve2"}, "can't migrate running VM without --online"),
        ({"target": "pve2", "online": 1, "targetstorage": "fast:nope"}, "storage 'nope' does not exist"),
        ({"target": "pve3", "online": 1, "targetstorage": "fast"}, "storage 'fast' is not available on node 'pve3'"),
        ({"target": "pve3", "online": 1, "targetstorage": "files"}, "storage 'files' does not support vm images"),
    ],
)
def test_a_running_machine_is_refused_at_once(params: dict[str, Any], text: str) -> None:
    simulator = three_nodes(on(machine(100)))
    simulator.world.put(Storage("files", "dir", ("iso",), options={"path": "/srv"}))
    assert refusal(simulator, "POST", "/nodes/pve1/qemu/100/migrate", params).message == text


def test_the_target_is_another_node() -> None:
    simulator = three_nodes(machine(100))
    for target in ("pve1", "localhost"):
        error = refusal(simulator, "POST", "/nodes/pve1/qemu/100/migrate", {"target": target})
        assert error.errors == {"target": "target is local node."}


def test_the_order_of_the_checks() -> None:
    simulator = three_nodes(machine(100, lock="backup"))
    unknown = {"target": "pve2"}
    error = refusal(simulator, "POST", "/nodes/pve1/qemu/999/migrate", unknown)
    assert error.message == "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"
    assert refusal(simulator, "POST", "/nodes/pve1/qemu/100/migrate", unknown).message == "VM is locked (backup)"
    give(simulator.world, "alice@pve", "/vms/100", "PVEVMAdmin")
    error = refusal(simulator, "POST", "/nodes/pve1/qemu/100/migrate", {**unknown, "force": 1}, "alice@pve")
    assert error.errors == {"force": "Only root may use this option."}


def test_another_storage_takes_the_right_to_write_there() -> None:
    simulator = three_nodes(machine(100))
    give(simulator.world, "alice@pve", "/vms/100", "PVEVMAdmin")
    wanted = {"target": "pve2", "targetstorage": "thin"}
    error = refusal(simulator, "POST", "/nodes/pve1/qemu/100/migrate", wanted, "alice@pve")
    assert (error.status, error.message) == (403, "Permission check failed (/storage/thin, Datastore.AllocateSpace)")


def test_a_storage_that_the_target_has_not_is_refused_at_once() -> None:
    simulator = three_nodes(machine(100, disk="fast:vm-{0}-disk-0"))
    error = refusal(simulator, "POST", "/nodes/pve1/qemu/100/migrate", {"target": "pve3"})
    assert error.message == "storage 'fast' is not available on node 'pve3'"


def test_a_running_container_has_to_be_restarted() -> None:
    simulator = three_nodes(on(container(200)))
    error = refusal(simulator, "POST", "/nodes/pve1/lxc/200/migrate", {"target": "pve2"})
    assert error.message == "can't migrate running container without --online or --restart"
    task = move(simulator, 200, online=1)
    assert task.exitstatus == "migration aborted"
    assert log_of(task)[0].endswith("(duration 00:00:00): lxc live migration is currently not implemented")
    assert guest_of(simulator, 200).running


# -- what goes with it ---------------------------------------------------------------------------------------------


def test_a_machine_on_shared_storage_only_changes_hands() -> None:
    simulator = three_nodes(machine(100))
    task = move(simulator, 100)
    assert log_of(task) == [
        "starting migration of VM 100 to node 'pve2' (10.0.0.2)",
        "migration finished successfully (duration 00:00:00)",
        "TASK OK",
    ]
    assert volumes(simulator, 100) == [("", "nas:100/vm-100-disk-0.qcow2")]
    assert guest_of(simulator, 100).node == "pve2"
    assert "lock" not in guest_of(simulator, 100).config
    assert refusal(simulator, "GET", "/nodes/pve1/qemu/100/config", {}).status == 500
    assert simulator.request("GET", "/nodes/pve2/qemu/100/config")["name"] == "vm100"


def test_local_volumes_go_with_it_and_leave_nothing_behind() -> None:
    simulator = three_nodes(machine(100, disk="thin:vm-{0}-disk-0", unused0="thin:vm-100-disk-1"))
    task = move(simulator, 100, "pve3")
    assert task.exitstatus == "OK"
    assert volumes(simulator, 100) == [("pve3", "thin:vm-100-disk-0"), ("pve3", "thin:vm-100-disk-1")]
    assert "found local disk 'thin:vm-100-disk-0' (attached)" in log_of(task)
    assert "found local disk 'thin:vm-100-disk-1' (unused)" in log_of(task)
    assert "volume 'thin:vm-100-disk-1' is 'thin:vm-100-disk-1' on the target" in log_of(task)


def test_a_name_that_is_taken_on_the_target_is_changed_everywhere() -> None:
    simulator = three_nodes(with_snapshot(machine(100, disk="local:{0}/vm-{0}-disk-0.qcow2")))
    taken = Volume("local", "pve2", "100/vm-100-disk-0.qcow2", "images", "qcow2", GIB, vmid=100)
    simulator.world.put(taken)
    assert move(simulator, 100).exitstatus == "OK"
    moved = guest_of(simulator, 100)
    assert moved.config["scsi0"] == "local:100/vm-100-disk-1.qcow2,size=2G"
    assert moved.snapshots[0].config["scsi0"] == "local:100/vm-100-disk-1.qcow2,size=2G"
    assert simulator.world.get(Volume, taken.key) == taken


def test_volumes_go_to_the_storages_that_are_asked_for() -> None:
    simulator = three_nodes(
        machine(100, disk="thin:vm-{0}-disk-0", scsi1="local:100/vm-100-disk-0.raw,size=2G", scsi2="nas:100/a.raw")
    )
    assert move(simulator, 100, targetstorage="thin:nas,local").exitstatus == "OK"
    config = guest_of(simulator, 100).config
    assert config["scsi0"].startswith("nas:100/vm-100-disk-0.")
    assert config["scsi1"] == "local:100/vm-100-disk-0.raw,size=2G"
    assert config["scsi2"] == "nas:100/a.raw"
    assert {place for place, _ in volumes(simulator, 100)} == {"", "pve2"}


def test_a_memory_state_of_a_snapshot_goes_too() -> None:
    guest = with_snapshot(machine(100), vmstate="thin:vm-100-state-s1")
    simulator = three_nodes(guest)
    assert move(simulator, 100).exitstatus == "OK"
    assert ("pve2", "thin:vm-100-state-s1") in volumes(simulator, 100)


def test_a_template_moves_as_any_other_and_not_from_under_its_clones() -> None:
    base = machine(100, disk="local:{0}/base-{0}-disk-0.qcow2", template=1)
    simulator = three_nodes(base)
    assert move(simulator, 100).exitstatus == "OK"
    assert move(simulator, 100, "pve1").exitstatus == "OK"
    clone = Volume(
        "local", "pve1", "100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2", "images", "qcow2", GIB, vmid=101
    )
    simulator.world.put(replace(clone, parent="100/base-100-disk-0.qcow2"))
    simulator.world.put(machine(101, disk=f"local:{clone.name}"))
    refused = move(simulator, 100)
    assert refused.exitstatus == "migration aborted"
    assert any("is still in use by linked cloned" in line for line in refused.log)
    refused = move(simulator, 101)
    assert any("as it's a clone of 'base-100-disk-0.qcow2'" in line for line in refused.log)


# -- live ----------------------------------------------------------------------------------------------------------


def test_a_running_machine_goes_on_running() -> None:
    simulator = three_nodes(on(machine(100)))
    before = guest_of(simulator, 100)
    upid = ask(simulator, 100, online=1)
    seen = set()
    while simulator.world.rows(Task)[upid].running:
        simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")
        now = guest_of(simulator, 100)
        seen.add((now.status, now.node, now.lock))
    assert seen == {("running", "pve1", "migrate"), ("running", "pve2", None)}
    after = guest_of(simulator, 100)
    assert (after.running, after.pid != before.pid, after.started > before.started) == (True, True, True)
    assert "migration status: completed" in log_of(simulator.world.rows(Task)[upid])


def test_the_disks_of_a_running_machine_are_mirrored_if_asked() -> None:
    simulator = three_nodes(on(machine(100, disk="thin:vm-{0}-disk-0")))
    refused = move(simulator, 100, online=1)
    assert log_of(refused) == [
        "starting migration of VM 100 to node 'pve2' (10.0.0.2)",
        "found local disk 'thin:vm-100-disk-0' (attached)",
        "ERROR: can't migrate local disk 'thin:vm-100-disk-0': can't live migrate attached local disks without "
        "with-local-disks option",
        "ERROR: Problem found while scanning volumes - can't migrate VM - check log",
        "aborting phase 1 - cleanup resources",
        "ERROR: migration aborted (duration 00:00:00): Problem found while scanning volumes - can't migrate VM - "
        "check log",
        "TASK ERROR: migration aborted",
    ]
    moved = move(simulator, 100, online=1, **WITH_DISKS)
    assert moved.exitstatus == "OK"
    assert "drive-scsi0: mirror-job finished" in log_of(moved)
    assert volumes(simulator, 100) == [("pve2", "thin:vm-100-disk-0")]


def test_online_means_nothing_to_a_machine_that_is_off() -> None:
    simulator = three_nodes(machine(100, disk="thin:vm-{0}-disk-0"))
    assert move(simulator, 100, online=1).exitstatus == "OK"
    assert not guest_of(simulator, 100).running


def test_a_bridge_that_the_target_has_not_stops_it() -> None:
    simulator = three_nodes(on(machine(100, net0="virtio=BC:24:11:00:00:01,bridge=vmbr7")))
    simulator.world.put(Interface("pve1", "vmbr7", "bridge"))
    task = move(simulator, 100, online=1)
    assert task.exitstatus == "migration problems"
    here = guest_of(simulator, 100)
    assert (here.node, here.running, here.lock) == ("pve1", True, None)


def test_snapshots_and_local_disks_do_not_go_together_live() -> None:
    simulator = three_nodes(on(with_snapshot(machine(100, disk="local:{0}/vm-{0}-disk-0.qcow2"))))
    task = move(simulator, 100, online=1, **WITH_DISKS)
    assert any("online storage migration not possible if snapshot exists" in line for line in task.log)


def test_a_thin_volume_cannot_take_its_snapshots_along() -> None:
    simulator = three_nodes(with_snapshot(machine(100, disk="thin:vm-{0}-disk-0")))
    assert any("non-migratable snapshot exists" in line for line in move(simulator, 100).log)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (
            {"ide2": "local:iso/a.iso,media=cdrom,size=2G"},
            "can't migrate local disk 'local:iso/a.iso': local cdrom image",
        ),
        ({"hostpci0": "0000:01:00.0"}, "can't migrate VM which uses local devices: hostpci0"),
        ({"usb1": "host=1-2"}, "can't migrate VM which uses local devices: usb1"),
    ],
)
def test_what_belongs_to_the_node_keeps_the_machine_there(option: dict[str, str], text: str) -> None:
    simulator = three_nodes(machine(100, **option))
    task = move(simulator, 100)
    assert task.exitstatus == "migration aborted"
    assert any(text in line for line in task.log)
    assert guest_of(simulator, 100).node == "pve1"


def test_spice_and_sockets_are_no_hindrance() -> None:
    simulator = three_nodes(machine(100, usb0="spice", serial0="socket", usb1="mapping=stick"))
    assert move(simulator, 100).exitstatus == "OK"


# -- containers ----------------------------------------------------------------------------------------------------


def test_a_container_is_restarted_on_the_way() -> None:
    simulator = three_nodes(on(container(200)))
    task = move(simulator, 200, restart=1)
    log = log_of(task)
    assert log[:3] == [
        "shutdown CT 200",
        "starting migration of CT 200 to node 'pve2' (10.0.0.2)",
        "found local volume 'thin:vm-200-disk-0' (in current VM config)",
    ]
    assert "start container on target node" in log
    moved = guest_of(simulator, 200)
    assert (moved.node, moved.running) == ("pve2", True)
    assert volumes(simulator, 200) == [("pve2", "thin:vm-200-disk-0")]


def test_a_container_that_does_not_heed_stays_and_runs() -> None:
    simulator = three_nodes(on(container(200), acpi=False))
    task = move(simulator, 200, restart=1, timeout=5)
    assert task.exitstatus == "migration aborted"
    assert "lxc-stop -n 200 --nokill --timeout 5" in task.log[-2]
    assert (guest_of(simulator, 200).node, guest_of(simulator, 200).running) == ("pve1", True)


@pytest.mark.parametrize(
    ("mount", "text"),
    [
        ("/srv/data,mp=/data", "cannot migrate local bind mount point 'mp0'"),
        ("/dev/sdb1,mp=/data", "cannot migrate local device mount point 'mp0'"),
    ],
)
def test_what_a_container_mounts_from_its_node_keeps_it_there(mount: str, text: str) -> None:
    simulator = three_nodes(container(200, mp0=mount))
    assert any(text in line for line in move(simulator, 200).log)
    shared = replace(guest_of(simulator, 200), config={**guest_of(simulator, 200).config, "mp0": f"{mount},shared=1"})
    simulator.world.put(shared)
    assert move(simulator, 200).exitstatus == "OK"


def test_a_target_storage_without_containers() -> None:
    simulator = three_nodes(container(200))
    simulator.world.put(replace(simulator.world.rows(Storage)["nas"], content=("images",)))
    wanted = {"target": "pve2", "target-storage": "nas"}
    error = refusal(simulator, "POST", "/nodes/pve1/lxc/200/migrate", wanted)
    assert error.message == "storage 'nas' does not support container directories"


# -- accidents -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.5, 2.5])
def test_an_interrupt_on_the_way_leaves_the_machine_where_it_was(seconds: float) -> None:
    simulator = three_nodes(on(machine(100, disk="thin:vm-{0}-disk-0", scsi1="thin:vm-100-disk-1,size=2G")))
    before = volumes(simulator, 100)
    upid = ask(simulator, 100, online=1, **WITH_DISKS)
    simulator.clock.advance(seconds)
    abort_task(simulator.world, upid)
    here = guest_of(simulator, 100)
    assert (here.node, here.running, here.lock) == ("pve1", True, None)
    assert volumes(simulator, 100) == before
    assert simulator.world.rows(Journey) == {}
    assert check_invariants(simulator.world) == []
    assert move(simulator, 100, online=1, **WITH_DISKS).exitstatus == "OK"


def test_a_container_that_was_shut_down_for_it_is_started_again() -> None:
    simulator = three_nodes(on(container(200)))
    upid = ask(simulator, 200, restart=1)
    simulator.clock.advance(4)
    assert not guest_of(simulator, 200).running
    abort_task(simulator.world, upid)
    assert (guest_of(simulator, 200).node, guest_of(simulator, 200).running) == ("pve1", True)


def test_a_target_that_does_not_answer() -> None:
    simulator = three_nodes(machine(100))
    lose(simulator, "pve2")
    task = move(simulator, 100)
    assert task.exitstatus == "migration aborted"
    assert log_of(task)[-2].endswith("Can't connect to destination address using public key")
    assert guest_of(simulator, 100).node == "pve1"


def test_a_target_that_is_lost_on_the_way() -> None:
    simulator = three_nodes(machine(100, disk="thin:vm-{0}-disk-0"))
    upid = ask(simulator, 100)
    simulator.clock.advance(1)
    lose(simulator, "pve2")
    assert finish(simulator, upid).exitstatus == "migration aborted"
    assert volumes(simulator, 100) == [("pve1", "thin:vm-100-disk-0")]


def test_a_target_that_is_full() -> None:
    simulator = three_nodes(machine(100, disk="thin:vm-{0}-disk-0"))
    simulator.world.put(Space("thin", "pve2", GIB // 2))
    task = move(simulator, 100)
    assert task.exitstatus == "migration aborted"
    assert any("storage migration for 'thin:vm-100-disk-0' to storage 'thin' failed" in line for line in task.log)
    assert volumes(simulator, 100) == [("pve1", "thin:vm-100-disk-0")]


def test_only_one_task_at_a_time_works_with_the_guest() -> None:
    simulator = three_nodes(machine(100, disk="thin:vm-{0}-disk-0"))
    first = ask(simulator, 100)
    simulator.clock.advance(0.5)
    error = refusal(simulator, "POST", "/nodes/pve1/qemu/100/migrate", {"target": "pve3"})
    assert error.message == "VM is locked (migrate)"
    assert finish(simulator, first).exitstatus == "OK"


def test_the_limit_of_the_bandwidth_takes_its_time() -> None:
    def seconds(**params: Any) -> float:
        simulator = three_nodes(machine(100, disk="thin:vm-{0}-disk-0"))
        task = move(simulator, 100, **params)
        return (task.endtime or 0) - task.starttime

    assert seconds(bwlimit=10 * 1024) > 100 > seconds()


# -- replication ---------------------------------------------------------------------------------------------------


def replicated(guest: Guest) -> Simulator:
    """A cluster with a replication job of a guest on a ZFS pool from pve1 to pve2, which has run once."""
    simulator = three_nodes()
    simulator.world.put(Storage("tank", "zfspool", options={"pool": "tank"}))
    for node in ("pve1", "pve2", "pve3"):
        simulator.world.put(Space("tank", node, 100 * GIB))
    add(simulator, guest)
    simulator.request("POST", "/cluster/replication", {"id": f"{guest.vmid}-0", "type": "local", "target": "pve2"})
    simulator.clock.advance(2000)
    assert ("pve2", f"tank:vm-{guest.vmid}-disk-0") in volumes(simulator, guest.vmid)
    return simulator


@pytest.mark.parametrize("live", [False, True])
def test_a_replicated_machine_uses_its_copies_and_is_replicated_back(live: bool) -> None:
    machine_there = machine(100, disk="tank:vm-{0}-disk-0")
    simulator = replicated(on(machine_there) if live else machine_there)
    before = volumes(simulator, 100)
    task = move(simulator, 100, online=1)
    assert task.exitstatus == "OK"
    assert "replicating disk images" in log_of(task)
    assert volumes(simulator, 100) == before  # the old ones are the copies now
    job = simulator.request("GET", "/cluster/replication/100-0")
    assert (job["source"], job["target"]) == ("pve2", "pve1")
    assert move(simulator, 100, "pve1", online=1).exitstatus == "OK"


def test_a_replicated_machine_moves_live_to_its_target_only() -> None:
    simulator = replicated(on(machine(100, disk="tank:vm-{0}-disk-0")))
    wanted = {"target": "pve3", "online": 1, **WITH_DISKS}
    text = refusal(simulator, "POST", "/nodes/pve1/qemu/100/migrate", wanted).message
    assert text.startswith("Cannot live-migrate replicated VM to node 'pve3' - not a replication target.")
    assert move(simulator, 100, "pve3", online=1, force=1, **WITH_DISKS).exitstatus == "OK"
    assert ("pve3", "tank:vm-100-disk-0") in volumes(simulator, 100)


def test_an_interrupt_leaves_the_copies_of_a_job_alone() -> None:
    simulator = replicated(machine(100, disk="tank:vm-{0}-disk-0"))
    before = volumes(simulator, 100)
    upid = ask(simulator, 100)
    simulator.clock.advance(1)
    abort_task(simulator.world, upid)
    assert volumes(simulator, 100) == before
    assert guest_of(simulator, 100).node == "pve1"


# -- preconditions -------------------------------------------------------------------------------------------------


def test_what_can_be_told_before() -> None:
    guest = machine(
        100, disk="fast:vm-{0}-disk-0", scsi1="nas:100/a.raw,size=1G", hostpci0="mapping=gpu", usb0="host=1-1"
    )
    simulator = three_nodes(guest)
    found = simulator.request("GET", "/nodes/pve1/qemu/100/migrate")
    assert found["running"] == 0
    assert found["allowed_nodes"] == ["pve2"]
    assert found["not_allowed_nodes"] == {"pve3": {"unavailable_storages": ["fast"]}}
    assert found["local_resources"] == ["hostpci0", "usb0"]
    assert (found["mapped-resources"], found["mapped-resource-info"]) == (["hostpci0"], {"hostpci0": {"name": "gpu"}})
    assert [(disk["volid"], disk["drivename"], disk["is_attached"]) for disk in found["local_disks"]] == [
        ("fast:vm-100-disk-0", "scsi0", 1)
    ]


def test_a_running_machine_may_go_anywhere_with_another_storage() -> None:
    simulator = three_nodes(on(machine(100, disk="fast:vm-{0}-disk-0")))
    found = simulator.request("GET", "/nodes/pve1/qemu/100/migrate")
    assert (found["running"], found["allowed_nodes"], found["not_allowed_nodes"]) == (1, ["pve2", "pve3"], {})


def test_what_can_be_told_of_a_container() -> None:
    simulator = three_nodes(on(container(200)))
    found = simulator.request("GET", "/nodes/pve1/lxc/200/migrate")
    assert found == {"running": 1, "allowed-nodes": ["pve2", "pve3"], "not-allowed-nodes": {}}


def test_moving_back_and_forth_changes_nothing_but_the_place() -> None:
    guest = machine(100, disk="thin:vm-{0}-disk-0", ide2="thin:vm-100-cloudinit,media=cdrom")
    simulator = three_nodes()
    add(simulator, guest)
    for target in ("pve2", "pve3", "pve1"):
        assert move(simulator, 100, target).exitstatus == "OK"
    assert guest_of(simulator, 100).config == guest.config
    assert [volid for _, volid in volumes(simulator, 100)] == sorted(volumes_in("qemu", guest.config))
    assert tasks(simulator, "qmigrate") == [("qmigrate", "100", "OK")] * 3
    assert isinstance(guest_of(simulator, 100), Guest)
