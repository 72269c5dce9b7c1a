"""Clones and templates of both kinds of guest."""

from __future__ import annotations

import pytest

from pvesim.core.errors import ApiError, Failure
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.pools.records import Pool
from pvesim.storage.records import Volume
from tests.pvesim.guests.yard import ISO, config, ct, done, make_ct, make_vm, task_of, vm, volids, yard
from tests.pvesim.small_world import give

CLONE = vm(100, "/clone")


@pytest.fixture
def sim() -> Simulator:
    sim = yard()
    make_vm(sim, name="db1", scsi0="local:1,format=qcow2", ide2=f"{ISO},media=cdrom", net0="virtio,bridge=vmbr0")
    make_ct(sim, hostname="ct1", rootfs="thin:1", mp0="thin:1,mp=/data", net0="name=eth0,bridge=vmbr0")
    return sim


def test_a_full_clone_has_disks_and_an_identity_of_its_own(sim: Simulator) -> None:
    task = done(sim, "POST", CLONE, {"newid": 101, "pool": "lab", "description": "copy"})
    assert task.type == "qmclone"
    assert task.log[0] == "creating a clone of VM 100 with ID 101"
    assert "allocated target volume 'local:101/vm-101-disk-0.qcow2'" in task.log
    old, new = config(sim, 100), config(sim, 101)
    assert new["scsi0"] == "local:101/vm-101-disk-0.qcow2,size=1G"
    assert new["ide2"] == old["ide2"]
    assert (new["name"], new["description"]) == ("Copy-of-VM-db1", "copy")
    assert all(old[key] != new[key] for key in ("net0", "smbios1", "vmgenid"))
    assert "lock" not in new
    assert sim.world.rows(Pool)["lab"].vmids == (101,)


def test_a_clone_without_a_name_is_named_after_the_id() -> None:
    sim = yard()
    make_vm(sim)
    done(sim, "POST", CLONE, {"newid": 101})
    assert config(sim, 101)["name"] == "Copy-of-VM-100"


def test_to_another_storage_and_format(sim: Simulator) -> None:
    done(sim, "POST", CLONE, {"newid": 101, "full": 1, "storage": "thin"})
    done(sim, "POST", CLONE, {"newid": 102, "full": 1, "format": "raw"})
    assert config(sim, 101)["scsi0"] == "thin:vm-101-disk-0,size=1G"
    assert config(sim, 102)["scsi0"] == "local:102/vm-102-disk-0.raw,size=1G"


def test_to_another_node_over_shared_storage(sim: Simulator) -> None:
    with pytest.raises(Failure, match=r"can't clone VM to node 'pve2' \(VM uses local storage\)"):
        sim.request("POST", CLONE, {"newid": 101, "target": "pve2"})
    to_pve2 = {"newid": 101, "target": "pve2", "storage": "nas", "full": 1}
    with pytest.raises(Failure, match="VM uses local storage"):  # its CD stays behind
        sim.request("POST", CLONE, to_pve2)
    sim.request("PUT", vm(100, "/config"), {"delete": "ide2"})
    done(sim, "POST", CLONE, to_pve2)
    assert sim.world.rows(Guest)[101].node == "pve2"
    assert config(sim, 101)["scsi0"].startswith("nas:101/vm-101-disk-0.qcow2")


def test_of_a_snapshot(sim: Simulator) -> None:
    done(sim, "POST", vm(100, "/snapshot"), {"snapname": "s1"})
    sim.request("PUT", vm(100, "/config"), {"memory": 4096})
    done(sim, "POST", CLONE, {"newid": 101, "snapname": "s1", "full": 1})
    assert "memory" not in config(sim, 101)
    assert "parent" not in config(sim, 101)
    assert sim.world.rows(Guest)[101].snapshots == ()


def test_of_a_running_machine(sim: Simulator) -> None:
    done(sim, "POST", vm(100, "/status/start"))
    task = done(sim, "POST", CLONE, {"newid": 101})
    assert "drive mirror is starting for drive-scsi0" in task.log
    assert task.log[-5:-1] == ("suspend vm", "drive-scsi0: Cancelling block job", "drive-scsi0: Done.", "resume vm")
    assert not sim.world.rows(Guest)[101].running


def test_a_cloud_init_drive_is_made_anew(sim: Simulator) -> None:
    sim.request("PUT", vm(100, "/config"), {"ide0": "local:cloudinit"})
    done(sim, "POST", CLONE, {"newid": 101})
    assert config(sim, 101)["ide0"] == "local:101/vm-101-cloudinit.qcow2,media=cdrom"


REFUSALS = [
    ({"newid": 100}, "unable to create VM 100: config file already exists"),
    ({"newid": 101, "full": 0}, "Linked clone feature is not supported for 'local:100/vm-100-disk-0.qcow2' (scsi0)"),
    ({"newid": 101, "target": "nope"}, "no such cluster node 'nope'"),
    ({"newid": 101, "full": 1, "storage": "nosuch"}, "storage 'nosuch' does not exist"),
    ({"newid": 101, "pool": "nopool"}, "Permission check failed (pool 'nopool' does not exist)"),
    ({"newid": 101, "snapname": "nosnap"}, "snapshot 'nosnap' does not exist"),
]


@pytest.mark.parametrize(("params", "text"), REFUSALS)
def test_refusals(sim: Simulator, params: dict[str, object], text: str) -> None:
    with pytest.raises(ApiError) as refused:
        sim.request("POST", CLONE, params)
    assert refused.value.message == text


def test_an_unknown_machine(sim: Simulator) -> None:
    with pytest.raises(Failure, match="unable to find configuration file for VM 999 on node 'pve1'"):
        sim.request("POST", vm(999, "/clone"), {"newid": 998})


def test_an_id_that_another_node_has_fails_in_the_task(sim: Simulator) -> None:
    sim.request("PUT", vm(100, "/config"), {"delete": "ide2"})
    done(sim, "POST", CLONE, {"newid": 101, "target": "pve2", "storage": "nas", "full": 1})
    task = task_of(sim, "POST", CLONE, {"newid": 101})
    file = "/etc/pve/nodes/pve1/qemu-server/101.conf"
    assert task.exitstatus == f"close (rename) atomic file '{file}' failed: File exists"
    assert sim.world.rows(Guest)[101].node == "pve2"
    assert volids(sim, 101) == ["nas:101/vm-101-disk-0.qcow2"]


def test_a_full_storage_leaves_nothing(sim: Simulator) -> None:
    sim.request("PUT", vm(100, "/config"), {"scsi1": "thick:60"})
    task = task_of(sim, "POST", CLONE, {"newid": 101})
    assert "not enough free space" in str(task.exitstatus)
    assert sim.world.get(Guest, 101) is None
    assert volids(sim, 101) == []


def test_an_interrupted_clone_leaves_nothing(sim: Simulator) -> None:
    upid = sim.request("POST", CLONE, {"newid": 101})
    sim.clock.advance(0.1)
    assert sim.world.rows(Guest)[101].lock == "clone"
    sim.request("DELETE", f"/nodes/pve1/tasks/{upid}")
    assert sim.world.get(Guest, 101) is None
    assert volids(sim, 101) == []
    done(sim, "POST", CLONE, {"newid": 101})


class TestTemplates:
    def test_volumes_become_bases_and_clones_are_linked(self, sim: Simulator) -> None:
        done(sim, "POST", vm(100, "/template"))
        base = "local:100/base-100-disk-0.qcow2"
        assert (config(sim, 100)["scsi0"], config(sim, 100)["template"]) == (f"{base},size=1G", 1)
        task = done(sim, "POST", CLONE, {"newid": 101, "name": "linked"})
        assert task.log[1] == f"create linked clone of drive scsi0 ({base})"
        assert config(sim, 101)["scsi0"] == f"{base}/101/vm-101-disk-0.qcow2,size=1G"
        assert "template" not in config(sim, 101)
        volume = sim.world.rows(Volume)["local", "pve1", "100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2"]
        assert volume.parent == "100/base-100-disk-0.qcow2"

    def test_linked_clones_take_no_storage(self, sim: Simulator) -> None:
        done(sim, "POST", vm(100, "/template"))
        with pytest.raises(Failure, match="parameter 'storage' not allowed for linked clones"):
            sim.request("POST", CLONE, {"newid": 101, "storage": "thin"})
        done(sim, "POST", CLONE, {"newid": 101, "storage": "thin", "full": 1})

    def test_refusals(self, sim: Simulator) -> None:
        done(sim, "POST", vm(100, "/status/start"))
        with pytest.raises(Failure, match="you can't convert a VM to template if VM is running"):
            sim.request("POST", vm(100, "/template"))
        done(sim, "POST", vm(100, "/status/stop"))
        done(sim, "POST", vm(100, "/snapshot"), {"snapname": "s1"})
        with pytest.raises(Failure, match="unable to create template, because VM contains snapshots"):
            sim.request("POST", vm(100, "/template"))
        done(sim, "DELETE", vm(100, "/snapshot/s1"))
        done(sim, "POST", vm(100, "/template"))
        with pytest.raises(Failure, match="you can't convert a template to a template"):
            sim.request("POST", vm(100, "/template"))
        assert task_of(sim, "POST", vm(100, "/status/start")).exitstatus == "you can't start a vm if it's a template"


class TestContainers:
    def test_a_full_clone(self, sim: Simulator) -> None:
        task = done(sim, "POST", ct(200, "/clone"), {"newid": 201, "hostname": "ctcopy", "full": 1})
        assert task.log[0] == "creating a clone of container 200 with ID 201"
        assert [line for line in task.log if line.startswith("create full clone")] == [
            "create full clone of mountpoint mp0 (thin:vm-200-disk-1)",
            "create full clone of mountpoint rootfs (thin:vm-200-disk-0)",
        ]
        assert config(sim, 201)["hostname"] == "ctcopy"
        assert config(sim, 201)["net0"] != config(sim, 200)["net0"]
        assert volids(sim, 201) == ["thin:vm-201-disk-0", "thin:vm-201-disk-1"]

    def test_a_linked_clone_of_a_template(self, sim: Simulator) -> None:
        assert sim.request("POST", ct(200, "/template")) is None
        sim.clock.advance(2)
        assert config(sim, 200)["rootfs"] == "thin:base-200-disk-0,size=1G"
        done(sim, "POST", ct(200, "/clone"), {"newid": 201})
        assert config(sim, 201)["rootfs"] == "thin:vm-201-disk-1,size=1G"

    def test_no_linked_clone_in_a_file(self, sim: Simulator) -> None:
        make_ct(sim, 202, rootfs="local:1")
        sim.request("POST", ct(202, "/template"))
        sim.clock.advance(2)
        with pytest.raises(Failure, match=r"Linked clone feature for 'local:202/base-202-disk-0.raw' is not available"):
            sim.request("POST", ct(202, "/clone"), {"newid": 203})

    def test_refusals(self, sim: Simulator) -> None:
        with pytest.raises(Failure, match="VM 100 already exists on node 'pve1'"):
            sim.request("POST", ct(200, "/clone"), {"newid": 100})
        done(sim, "POST", ct(200, "/status/start"))
        with pytest.raises(Failure, match="Cannot do full clones on a running container without snapshots"):
            sim.request("POST", ct(200, "/clone"), {"newid": 201})
        with pytest.raises(Failure, match="you can't convert a CT to template if the CT is running"):
            sim.request("POST", ct(200, "/template"))
        done(sim, "POST", ct(200, "/snapshot"), {"snapname": "s1"})
        done(sim, "POST", ct(200, "/clone"), {"newid": 201, "snapname": "s1"})

    def test_bind_mounts_cannot_be_cloned(self, sim: Simulator) -> None:
        sim.request("PUT", ct(200, "/config"), {"mp1": "/srv,mp=/srv"})
        with pytest.raises(Failure, match=r"unable to clone mountpoint 'mp1' \(type bind\)"):
            sim.request("POST", ct(200, "/clone"), {"newid": 201})


def test_rights(sim: Simulator) -> None:
    give(sim.world, "alice@pve", "/vms/100", "PVEVMUser")
    with pytest.raises(ApiError) as refused:
        sim.request("POST", CLONE, {"newid": 101}, user="alice@pve")
    assert refused.value.message == "Permission check failed (/vms/100, VM.Clone)"
    give(sim.world, "alice@pve", "/vms/100", "PVEVMAdmin")
    give(sim.world, "alice@pve", "/vms/101", "PVEVMAdmin")
    with pytest.raises(ApiError) as refused:
        sim.request("POST", CLONE, {"newid": 101}, user="alice@pve")
    assert refused.value.message == "Permission check failed (/storage/local, Datastore.AllocateSpace)"
