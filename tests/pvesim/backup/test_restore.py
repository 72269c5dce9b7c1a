"""Restoring machines and containers: who may, what comes back, what is in the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.firewall.records import Firewall
from pvesim.guests.records import Guest
from pvesim.pools.records import Pool
from pvesim.storage.records import Storage, Volume
from tests.pvesim.backup.world import (
    GIB,
    MIB,
    back_up,
    backup_simulator,
    backups,
    behave,
    configure,
    finish,
    guest,
    restore,
    said,
)
from tests.pvesim.invariants import check_invariants
from tests.pvesim.small_world import give


@pytest.fixture
def simulator() -> Simulator:
    return backup_simulator()


def made(simulator: Simulator, vmid: int, storage: str = "local", **params: Any) -> str:
    """The id of a fresh backup of a guest."""
    assert back_up(simulator, vmid=str(vmid), storage=storage, **params).exitstatus == "OK"
    return str(next(row["volid"] for row in backups(simulator, storage) if row["vmid"] == vmid))


def destroy(simulator: Simulator, vmid: int) -> None:
    kind = guest(simulator, vmid).kind
    if guest(simulator, vmid).running:
        finish(simulator, simulator.request("POST", f"/nodes/pve1/{kind}/{vmid}/status/stop"))
    assert finish(simulator, simulator.request("DELETE", f"/nodes/pve1/{kind}/{vmid}")).exitstatus == "OK"


def refused(simulator: Simulator, kind: str, user: str = "root@pam", **params: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        restore(simulator, kind, user, **params)
    assert check_invariants(simulator.world) == []
    return caught.value


# -- machines ------------------------------------------------------------------------------------------------------


def test_a_machine_comes_back_as_it_was(simulator: Simulator) -> None:
    behave(simulator, 100, cpu_load=0.9)
    before = guest(simulator, 100).config
    volid = made(simulator, 100, compress="zstd")
    destroy(simulator, 100)
    task = restore(simulator, "qemu", vmid=100, archive=volid)
    path = f"/var/lib/vz/dump/{volid.rpartition('/')[2]}"
    folder = f"/var/tmp/vzdumptmp{task.pid}"
    assert task.type == "qmrestore"
    assert said(
        task,
        f"restore vma archive: zstd -q -d -c {path} | vma extract -v -r {folder}.fifo - {folder}",
        "DEV: dev_id=1 size: 1073741824 devname: drive-scsi0",
        "CTIME: Fri Jan 15 08:00:03 2027",
        "Formatting '/var/lib/vz/images/100/vm-100-disk-0.raw', fmt=raw size=1073741824 preallocation=off",
        "new volume ID is 'local:100/vm-100-disk-0.raw'",
        "map 'drive-scsi0' to '/var/lib/vz/images/100/vm-100-disk-0.raw' (write zeros = 0)",
        "progress 100% (read 1073741824 bytes, duration 2 sec)",
        "rescan volumes...",
        "TASK OK",
    )
    after = guest(simulator, 100)
    assert after.behaviour.cpu_load == 0.9
    assert after.config["vmgenid"] != before["vmgenid"]
    same = ("name", "net0", "smbios1", "scsi0", "ide2", "boot")
    assert {key: after.config[key] for key in same} == {key: before[key] for key in same}
    # A disk that is not backed up is only remembered.
    assert "scsi1" not in after.config
    assert after.config["description"] == "scsi1: local:100/vm-100-disk-1.raw,backup=0,size=2G"
    assert simulator.world.rows(Volume)["local", "pve1", "100/vm-100-disk-0.raw"].used == 100 * MIB


def test_a_copy_of_its_own_elsewhere(simulator: Simulator) -> None:
    simulator.world.put(Pool("p1"))
    simulator.world.put(Firewall("guest/100", options={"enable": 1}))
    volid = made(simulator, 100)
    task = restore(
        simulator, "qemu", vmid=130, archive=volid, storage="thin", unique=1, pool="p1", name="copy", start=1
    )
    assert said(
        task,
        '  Logical volume "vm-130-disk-0" created.',
        "new volume ID is 'thin:vm-130-disk-0'",
        "Execute autostart",
    )
    copy, original = guest(simulator, 130), guest(simulator, 100)
    assert copy.running
    assert (copy.config["name"], copy.config["scsi0"]) == ("copy", "thin:vm-130-disk-0,size=1G")
    assert copy.config["net0"].startswith("virtio=BC:24:11:")
    assert copy.config["net0"] != original.config["net0"]
    assert copy.config["smbios1"] != original.config["smbios1"]
    assert simulator.world.rows(Pool)["p1"].vmids == (130,)
    assert simulator.world.rows(Firewall)["guest/130"].options == {"enable": 1}


def test_over_a_machine_that_is_there(simulator: Simulator) -> None:
    volid = made(simulator, 101)
    configure(simulator, 101, name="later", scsi3="thin:vm-101-disk-3,size=1G")
    simulator.world.put(Volume("thin", "pve1", "vm-101-disk-3", "images", "raw", GIB, vmid=101))
    error = refused(simulator, "qemu", vmid=101, archive=volid)
    assert error.message == "unable to restore VM 101 - VM 101 already exists on node 'pve1'"
    task = restore(simulator, "qemu", vmid=101, archive=volid, force=1)
    assert said(task, "VM 101 add unreferenced volume 'thin:vm-101-disk-3' as 'unused0' to config", "TASK OK")
    config = guest(simulator, 101).config
    assert (config["name"], config["unused0"]) == ("db1", "thin:vm-101-disk-3")
    assert config["virtio0"] == "thin:vm-101-disk-0,size=2G"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protection": 1}, "unable to restore VM 100 - - protection mode enabled"),
        ({}, "unable to restore VM 100 - vm is running"),
    ],
)
def test_what_is_not_replaced(simulator: Simulator, options: dict[str, Any], message: str) -> None:
    volid = made(simulator, 100)
    configure(simulator, 100, **options)
    before = guest(simulator, 100)
    task = restore(simulator, "qemu", vmid=100, archive=volid, force=1)
    assert task.exitstatus == message
    assert guest(simulator, 100) == before


def test_a_locked_machine_is_not_replaced(simulator: Simulator) -> None:
    volid = made(simulator, 101)
    configure(simulator, 101, lock="backup")
    with pytest.raises(ApiError, match=r"unable to restore VM 101 - VM is locked \(backup\)"):
        restore(simulator, "qemu", vmid=101, archive=volid, force=1)


@pytest.mark.parametrize(
    ("archive", "status", "message"),
    [
        (
            "local:backup/vzdump-qemu-100-2020_01_01-00_00_00.vma.zst",
            500,
            "volume 'local:backup/vzdump-qemu-100-2020_01_01-00_00_00.vma.zst' does not exist",
        ),
        ("local:iso/tiny.iso", 500, "unable to use volume local:iso/tiny.iso - content type needs to be 'backup'"),
        ("-", 500, "pipe requires cli environment"),
        ("nosuch:backup/x.vma", 500, "storage 'nosuch' does not exist"),
        ("/var/lib/vz/dump/x.vma", 500, "can't find file '/var/lib/vz/dump/x.vma'"),
    ],
)
def test_an_archive_that_is_none(simulator: Simulator, archive: str, status: int, message: str) -> None:
    error = refused(simulator, "qemu", vmid=130, archive=archive)
    assert (error.status, error.message) == (status, message)


def test_an_archive_may_be_named_by_its_path(simulator: Simulator) -> None:
    volid = made(simulator, 102)
    task = restore(simulator, "qemu", vmid=130, archive=f"/var/lib/vz/dump/{volid.rpartition('/')[2]}")
    assert task.exitstatus == "OK"
    assert guest(simulator, 130).config["boot"] == " "


def test_drives_are_the_archives(simulator: Simulator) -> None:
    volid = made(simulator, 102)
    error = refused(simulator, "qemu", vmid=130, archive=volid, scsi0="local:1")
    assert error.errors == {"scsi0": "option conflicts with option 'archive'"}


@pytest.mark.parametrize(
    ("content", "config", "message"),
    [
        ("tar", {"hostname": "x"}, "ERROR: file '{path}' does not look like a QemuServer vzdump backup"),
        ("vma", {}, "command 'set -o pipefail && vma extract -v -r"),
    ],
)
def test_an_archive_that_cannot_be_read(
    simulator: Simulator, content: str, config: dict[str, Any], message: str
) -> None:
    file = f"vzdump-qemu-100-2026_01_01-00_00_00.{content}"
    simulator.world.put(
        Volume("local", "pve1", f"backup/{file}", "backup", content, 9, 9, vmid=100, guest_config=config)
    )
    task = restore(simulator, "qemu", vmid=130, archive=f"local:backup/{file}")
    assert str(task.exitstatus).startswith(message.format(path=f"/var/lib/vz/dump/{file}"))
    assert 130 not in simulator.world.rows(Guest)


def test_an_archive_that_goes_away_before_it_is_opened(simulator: Simulator) -> None:
    volid = made(simulator, 101)
    upid = simulator.request("POST", "/nodes/pve1/qemu", {"vmid": 130, "archive": volid})
    simulator.request("DELETE", f"/nodes/pve1/storage/local/content/{volid}", {"delay": 1})
    assert finish(simulator, upid).exitstatus == f"volume '{volid}' does not exist"
    assert 130 not in simulator.world.rows(Guest)


def test_a_full_storage_leaves_nothing_behind(simulator: Simulator) -> None:
    volid = made(simulator, 101, storage="share")
    space = simulator.world.rows(Storage)
    assert "thin" in space
    for number in range(20, 24):
        name = f"vm-999-disk-{number}"
        simulator.world.put(Volume("thin", "pve1", name, "images", "raw", 12 * GIB, used=12 * GIB, vmid=999))
    simulator.world.put(Volume("thin", "pve1", "vm-999-disk-0", "images", "raw", GIB, used=int(1.8 * GIB), vmid=999))
    count = len(simulator.world.rows(Volume))
    task = restore(simulator, "qemu", vmid=130, archive=volid)
    assert "No space left on device" in str(task.exitstatus)
    assert (130 in simulator.world.rows(Guest), len(simulator.world.rows(Volume))) == (False, count)


def test_a_storage_that_takes_no_disks(simulator: Simulator) -> None:
    volid = made(simulator, 101)
    task = restore(simulator, "qemu", vmid=130, archive=volid, storage="pbs")
    assert task.exitstatus == "storage 'pbs' does not support content-type 'images'"
    local = simulator.world.rows(Storage)["thin"]
    simulator.world.put(replace(local, disable=True))
    assert restore(simulator, "qemu", vmid=130, archive=volid).exitstatus == "storage 'thin' is disabled"


def test_from_a_backup_server(simulator: Simulator) -> None:
    volid = made(simulator, 101, storage="pbs")
    task = restore(simulator, "qemu", vmid=130, archive=volid, live_restore=1, storage="thin")
    assert said(task, "new volume ID is 'thin:vm-130-disk-0'", "rescan volumes...", "Execute autostart")
    assert guest(simulator, 130).running
    volid = made(simulator, 102)
    task = restore(simulator, "qemu", vmid=131, archive=volid, live_restore=1, storage="thin")
    assert "only compatible with backup images from a Proxmox Backup Server" in str(task.exitstatus)


def test_a_template_comes_back_as_one(simulator: Simulator) -> None:
    simulator.clock.run_until_done(simulator.request("POST", "/nodes/pve1/qemu/101/template"))
    volid = made(simulator, 101)
    assert said(restore(simulator, "qemu", vmid=130, archive=volid), "Convert to template.")
    assert guest(simulator, 130).config["virtio0"] == "thin:base-130-disk-0,size=2G"
    assert guest(simulator, 130).template


def test_a_task_that_is_stopped_leaves_nothing(simulator: Simulator) -> None:
    volid = made(simulator, 101)
    for vmid in (130, 101):
        asked = {"vmid": vmid, "archive": volid, **({"force": 1} if vmid == 101 else {})}
        upid = simulator.request("POST", "/nodes/pve1/qemu", asked)
        simulator.clock.advance(0.5)
        assert guest(simulator, vmid).lock == "create"
        simulator.request("DELETE", f"/nodes/pve1/tasks/{upid}")
        assert check_invariants(simulator.world) == []
    assert 130 not in simulator.world.rows(Guest)
    assert guest(simulator, 101).lock is None


def test_a_restore_that_is_over_leaves_the_next_one_alone(simulator: Simulator) -> None:
    volid = made(simulator, 101)
    first = simulator.request("POST", "/nodes/pve1/qemu", {"vmid": 130, "archive": volid, "start": 1})
    while not any(task.type == "qmstart" for task in simulator.world.rows(Task).values()):
        simulator.clock.advance(0.2)
    assert simulator.world.rows(Task)[first].running
    second = simulator.request("POST", "/nodes/pve1/qemu", {"vmid": 130, "archive": volid, "force": 1})
    assert finish(simulator, first).exitstatus == "OK"
    assert finish(simulator, second).exitstatus == "unable to restore VM 130 - vm is running"
    assert guest(simulator, 130).running


# -- who may -------------------------------------------------------------------------------------------------------


def test_what_a_user_needs_to_restore(simulator: Simulator) -> None:
    volid = made(simulator, 101)
    asked: dict[str, Any] = {"vmid": 101, "archive": volid, "force": 1}
    assert refused(simulator, "qemu", "alice@pve", **asked).message == "Permission check failed"
    give(simulator.world, "alice@pve", "/vms/101", "PVEVMUser")
    task = restore(simulator, "qemu", "alice@pve", **asked)
    assert task.exitstatus == "403 Permission check failed (/storage/thin, Datastore.AllocateSpace)"
    give(simulator.world, "alice@pve", "/storage/thin", "PVEDatastoreUser")
    assert restore(simulator, "qemu", "alice@pve", **asked).exitstatus == "OK"
    error = refused(simulator, "qemu", "alice@pve", vmid=130, archive=volid)
    assert error.message == "Permission check failed"


# -- containers ----------------------------------------------------------------------------------------------------


def test_a_container_comes_back_on_another_storage(simulator: Simulator) -> None:
    volid = made(simulator, 201, compress="zstd")
    task = restore(simulator, "lxc", vmid=210, ostemplate=volid, restore=1, storage="local", start=1, unique=1)
    assert task.type == "vzrestore"
    assert said(
        task,
        f"recovering backed-up configuration from '{volid}'",
        "Formatting '/var/lib/vz/images/210/vm-210-disk-0.raw', fmt=raw size=4294967296 preallocation=off",
        f"restoring '{volid}' now..",
        f"extracting archive '/var/lib/vz/dump/{volid.rpartition('/')[2]}'",
        "merging backed-up and given configuration..",
        "TASK OK",
    )
    copy = guest(simulator, 210)
    assert copy.running
    assert (copy.config["hostname"], copy.config["memory"], copy.config["unprivileged"]) == ("ct2", 128, 1)
    assert copy.config["rootfs"] == "local:210/vm-210-disk-0.raw,size=4G"
    assert simulator.world.rows(Volume)["local", "pve1", "210/vm-210-disk-0.raw"].used == 100 * MIB


def test_what_is_given_counts_more_than_what_was(simulator: Simulator) -> None:
    volid = made(simulator, 200)
    task = restore(
        simulator, "lxc", vmid=210, ostemplate=volid, restore=1, rootfs="thin:2", hostname="new", unprivileged=0
    )
    assert task.exitstatus == "OK"
    config = guest(simulator, 210).config
    assert config["rootfs"] == "thin:vm-210-disk-0,size=2G"
    assert (config["hostname"], config.get("unprivileged"), config.get("mp0")) == ("new", None, None)


def test_over_a_container_that_is_there(simulator: Simulator) -> None:
    volid = made(simulator, 201)
    asked: dict[str, Any] = {"vmid": 201, "ostemplate": volid, "restore": 1, "storage": "local"}
    assert refused(simulator, "lxc", **asked).message == "CT 201 already exists on node 'pve1'"
    configure(simulator, 201, hostname="later")
    assert restore(simulator, "lxc", **asked, force=1).exitstatus == "OK"
    assert guest(simulator, 201).config["hostname"] == "ct2"
    assert ("thin", "pve1", "vm-201-disk-0") not in simulator.world.rows(Volume)
    configure(simulator, 201, protection=1)
    error = refused(simulator, "lxc", **asked, force=1)
    assert error.message == "unable to restore CT 201 - protection mode enabled"
    configure(simulator, 201, protection=0)
    simulator.clock.run_until_done(simulator.request("POST", "/nodes/pve1/lxc/201/status/start"))
    assert refused(simulator, "lxc", **asked, force=1).message == "can't overwrite running container"


def test_an_archive_of_another_kind_or_none(simulator: Simulator) -> None:
    machine = made(simulator, 101)
    task = restore(simulator, "lxc", vmid=210, ostemplate=machine, restore=1, storage="local")
    assert task.exitstatus == "unable to restore CT 210 - ERROR: archive contains no configuration file"
    gone = "local:backup/vzdump-lxc-200-2020_01_01-00_00_00.tar"
    task = restore(simulator, "lxc", vmid=210, ostemplate=gone, restore=1, storage="local")
    assert task.exitstatus == f"unable to restore CT 210 - volume '{gone}' does not exist"
    error = refused(simulator, "lxc", vmid=210, ostemplate=machine, storage="local")
    assert error.message == f"unable to use volume {machine} - content type needs to be 'vztmpl'"
    assert 210 not in simulator.world.rows(Guest)


def test_a_root_disk_that_is_too_small(simulator: Simulator) -> None:
    volid = made(simulator, 201)
    task = restore(simulator, "lxc", vmid=210, ostemplate=volid, restore=1, rootfs="local:0.05")
    assert str(task.exitstatus).startswith("unable to restore CT 210 - command 'tar xpf")
    assert 210 not in simulator.world.rows(Guest)
    assert not [volume for volume in simulator.world.rows(Volume).values() if volume.vmid == 210]


def test_host_directories_come_back_for_root_alone(simulator: Simulator) -> None:
    configure(simulator, 201, mp1="/srv/data,mp=/data")
    volid = made(simulator, 201)
    asked: dict[str, Any] = {"vmid": 210, "ostemplate": volid, "restore": 1, "storage": "local"}
    give(simulator.world, "alice@pve", "/", "PVEAdmin")
    task = restore(simulator, "lxc", "alice@pve", **asked)
    assert task.exitstatus == "unable to restore CT 210 - restoring 'mp1' to bind mount is only possible for root"
    assert restore(simulator, "lxc", **asked).exitstatus == "OK"
    assert guest(simulator, 210).config["mp1"] == "/srv/data,mp=/data"


def test_a_restored_container_has_its_storage_checked(simulator: Simulator) -> None:
    volid = made(simulator, 201)
    error = refused(simulator, "lxc", vmid=210, ostemplate=volid, restore=1, storage="pbs")
    assert error.errors == {"storage": "storage 'pbs' does not support container directories"}
    assert not [task for task in simulator.world.rows(Task).values() if task.type == "vzrestore"]
