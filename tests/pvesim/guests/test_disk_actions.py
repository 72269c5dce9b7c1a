"""Disks that grow, move to another storage or format, or go to another guest."""

from __future__ import annotations

import pytest

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.engine import Simulator
from pvesim.storage.records import Volume
from tests.pvesim.guests.yard import GIB, config, ct, done, make_ct, make_vm, task_of, vm, volids, yard

RESIZE, MOVE = vm(100, "/resize"), vm(100, "/move_disk")


@pytest.fixture
def sim() -> Simulator:
    sim = yard()
    make_vm(sim, scsi0="local:1", ide2="none,media=cdrom")
    make_ct(sim, rootfs="local:1", mp0="thin:1,mp=/data")
    return sim


class TestResize:
    @pytest.mark.parametrize(("size", "after"), [("+1G", "2G"), ("3G", "3G"), ("+512M", "1536M")])
    def test_a_disk_grows(self, sim: Simulator, size: str, after: str) -> None:
        task = done(sim, "PUT", RESIZE, {"disk": "scsi0", "size": size})
        assert (task.type, task.log) == ("resize", ("Image resized.", "TASK OK"))
        assert config(sim, 100)["scsi0"].endswith(f"size={after}")

    def test_the_same_size_is_no_work(self, sim: Simulator) -> None:
        assert done(sim, "PUT", RESIZE, {"disk": "scsi0", "size": "1G"}).log == ("TASK OK",)

    @pytest.mark.parametrize(
        ("params", "text"),
        [
            ({"disk": "scsi0", "size": "512M"}, "shrinking disks is not supported"),
            ({"disk": "scsi5", "size": "+1G"}, "disk 'scsi5' does not exist"),
            ({"disk": "ide2", "size": "+1G"}, "unable to parse volume ID 'none'"),
            ({"disk": "scsi0", "size": "+500G"}, "not enough free space"),
            ({"disk": "scsi0", "size": "+1G", "digest": "0" * 40}, "checksum mismatch (file change by other user?)"),
        ],
    )
    def test_what_fails_in_the_task(self, sim: Simulator, params: dict[str, str], text: str) -> None:
        if "500G" in params["size"]:
            sim.request("PUT", vm(100, "/config"), {"scsi0": "thick:1"})
        assert text in str(task_of(sim, "PUT", RESIZE, params).exitstatus)

    def test_an_unknown_machine_fails_in_the_task_too(self, sim: Simulator) -> None:
        task = task_of(sim, "PUT", vm(999, "/resize"), {"disk": "scsi0", "size": "+1G"})
        assert task.exitstatus == "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"

    def test_a_container_refuses_at_once(self, sim: Simulator) -> None:
        for params, text in (
            ({"disk": "rootfs", "size": "512M"}, "unable to shrink disk size"),
            ({"disk": "rootfs", "size": "1G"}, "disk is already at specified size"),
        ):
            with pytest.raises(Failure, match=text):
                sim.request("PUT", ct(200, "/resize"), params)

    def test_a_mount_point_that_is_not_set(self, sim: Simulator) -> None:
        with pytest.raises(Failure) as refused:
            sim.request("PUT", ct(200, "/resize"), {"disk": "mp7", "size": "+1G"})
        missing = "property is missing and it is not optional"
        assert (refused.value.message, refused.value.errors) == ("format error", {"mp": missing, "volume": missing})

    def test_a_container_on_thin_volumes(self, sim: Simulator) -> None:
        task = done(sim, "PUT", ct(200, "/resize"), {"disk": "mp0", "size": "+1G"})
        assert task.log[1] == "  Logical volume pve/vm-200-disk-0 successfully resized."
        assert config(sim, 200)["mp0"] == "thin:vm-200-disk-0,mp=/data,size=2G"

    def test_a_directory_has_no_size(self) -> None:
        sim = yard()
        make_ct(sim, rootfs="local:0")
        task = task_of(sim, "PUT", ct(200, "/resize"), {"disk": "rootfs", "size": "+1G"})
        assert task.exitstatus == "can't resize this image format"


class TestMove:
    def test_to_another_format(self, sim: Simulator) -> None:
        task = done(sim, "POST", MOVE, {"disk": "scsi0", "storage": "local", "format": "qcow2", "delete": 1})
        old, new = "local:100/vm-100-disk-0.raw", "local:100/vm-100-disk-1.qcow2"
        assert task.type == "qmmove"
        assert task.log[:2] == (
            f"copying volume '{old}' from current storage 'local' to target storage 'local'",
            f"create full clone of drive scsi0 ({old})",
        )
        assert f"allocated target volume '{new}'" in task.log
        assert task.log[-2] == f"removing source volume '{old}' after successful copy"
        assert config(sim, 100)["scsi0"] == f"{new},size=1G"
        assert volids(sim, 100) == [new]

    def test_the_source_stays_unless_it_is_deleted(self, sim: Simulator) -> None:
        task = done(sim, "POST", MOVE, {"disk": "scsi0", "storage": "thin"})
        assert task.log[-2] == "adding source volume 'local:100/vm-100-disk-0.raw' as 'unused0' to config"
        assert config(sim, 100)["unused0"] == "local:100/vm-100-disk-0.raw"

    def test_while_the_machine_runs(self, sim: Simulator) -> None:
        done(sim, "POST", vm(100, "/status/start"))
        task = done(sim, "POST", MOVE, {"disk": "scsi0", "storage": "thin", "delete": 1})
        assert "drive mirror is starting for drive-scsi0" in task.log
        assert "drive-scsi0: mirror-job finished" in task.log
        assert config(sim, 100)["scsi0"] == "thin:vm-100-disk-0,size=1G"

    @pytest.mark.parametrize(
        ("params", "text"),
        [
            ({"disk": "scsi0", "storage": "local"}, "you can't move to the same storage with same format"),
            ({"disk": "scsi7", "storage": "local"}, "disk 'scsi7' does not exist"),
            ({"disk": "scsi0", "storage": "nosuch"}, "storage 'nosuch' does not exist"),
            ({"disk": "ide2", "storage": "thin"}, "you can't move a cdrom"),
            ({"disk": "scsi0", "storage": "thin", "digest": "0" * 40}, "detected modified configuration"),
        ],
    )
    def test_refusals(self, sim: Simulator, params: dict[str, str], text: str) -> None:
        with pytest.raises(Failure) as refused:
            sim.request("POST", MOVE, params)
        assert text in refused.value.message

    def test_a_goal_is_wanted_and_only_one(self, sim: Simulator) -> None:
        for params in ({}, {"storage": "thin", "target-vmid": 101}):
            with pytest.raises(ParameterErrors) as refused:
                sim.request("POST", MOVE, {"disk": "scsi0", **params})
            assert set(refused.value.errors or {}) == {"storage", "target-vmid"}

    def test_a_full_storage_leaves_the_disk_where_it_is(self, sim: Simulator) -> None:
        make_vm(sim, 101, scsi0="thick:95")
        before = config(sim, 100)
        done(sim, "PUT", RESIZE, {"disk": "scsi0", "size": "20G"})
        task = task_of(sim, "POST", MOVE, {"disk": "scsi0", "storage": "thick"})
        assert "not enough free space" in str(task.exitstatus)
        assert config(sim, 100)["scsi0"] == before["scsi0"].replace("1G", "20G")
        assert volids(sim, 100) == ["local:100/vm-100-disk-0.raw"]

    def test_an_interrupted_move_leaves_the_disk_where_it_is(self, sim: Simulator) -> None:
        for vmid, path, params in (
            (100, MOVE, {"disk": "scsi0", "storage": "thin", "delete": 1}),
            (200, ct(200, "/move_volume"), {"volume": "rootfs", "storage": "tank", "delete": 1}),
        ):
            before = config(sim, vmid), volids(sim, vmid)
            upid = sim.request("POST", path, params)
            sim.clock.advance(0.2)
            assert volids(sim, vmid) != before[1]
            sim.request("DELETE", f"/nodes/pve1/tasks/{upid}")
            assert (config(sim, vmid), volids(sim, vmid)) == before

    def test_a_containers_volume(self, sim: Simulator) -> None:
        task = done(sim, "POST", ct(200, "/move_volume"), {"volume": "rootfs", "storage": "tank", "delete": 1})
        assert task.type == "move_volume"
        assert config(sim, 200)["rootfs"] == "tank:subvol-200-disk-0,size=1G"
        assert volids(sim, 200) == ["tank:subvol-200-disk-0", "thin:vm-200-disk-0"]

    def test_a_running_container_keeps_its_volumes(self, sim: Simulator) -> None:
        done(sim, "POST", ct(200, "/status/start"))
        with pytest.raises(Failure, match="cannot move volumes of a running container"):
            sim.request("POST", ct(200, "/move_volume"), {"volume": "rootfs", "storage": "tank"})


class TestReassign:
    def test_a_disk_goes_to_another_machine(self, sim: Simulator) -> None:
        make_vm(sim, 101, scsi0="local:1")
        done(sim, "POST", MOVE, {"disk": "scsi0", "target-vmid": 101, "target-disk": "virtio1"})
        assert config(sim, 101)["virtio1"] == "local:101/vm-101-disk-1.raw,size=1G"
        assert "scsi0" not in config(sim, 100)
        assert volids(sim, 100) == []
        volume = sim.world.rows(Volume)["local", "pve1", "101/vm-101-disk-1.raw"]
        assert (volume.vmid, volume.size) == (101, GIB)

    def test_a_mount_point_goes_to_another_container(self, sim: Simulator) -> None:
        make_ct(sim, 201, rootfs="local:1")
        done(sim, "POST", ct(200, "/move_volume"), {"volume": "mp0", "target-vmid": 201})
        assert config(sim, 201)["mp0"] == "thin:vm-201-disk-0,mp=/data,size=1G"

    def test_refusals(self, sim: Simulator) -> None:
        make_vm(sim, 101, scsi0="local:1")
        for params, text in (
            ({"disk": "scsi3", "target-vmid": 101}, "Disk 'scsi3' for VM '100' does not exist"),
            ({"disk": "scsi0", "target-vmid": 101}, "Disk key 'scsi0' is already in use for target VMID '101'"),
            (
                {"disk": "scsi0", "target-vmid": 999},
                "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist",
            ),
        ):
            with pytest.raises(Failure, match=text):
                sim.request("POST", MOVE, params)
        with pytest.raises(ParameterErrors):
            sim.request("POST", MOVE, {"disk": "scsi0", "target-vmid": 100})
