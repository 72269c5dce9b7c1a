"""Making virtual machines: checks, defaults, drives, log lines."""

from __future__ import annotations

import pytest

from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.guests.records import Guest
from pvesim.pools.records import Pool
from tests.pvesim.guests.yard import ISO, config, make_ct, make_vm, task_of, vm, volids, yard
from tests.pvesim.small_world import give

CREATE = "/nodes/pve1/qemu"


def test_a_machine_is_made_with_what_pve_adds() -> None:
    sim = yard()
    task = make_vm(sim, name="web1", memory=256, scsi0="local:1", ide2=f"{ISO},media=cdrom", net0="virtio,bridge=vmbr0")
    assert task.type == "qmcreate"
    assert task.log == (
        "Formatting '/var/lib/vz/images/100/vm-100-disk-0.raw', fmt=raw size=1073741824 preallocation=off",
        "scsi0: successfully created disk 'local:100/vm-100-disk-0.raw,size=1G'",
        "TASK OK",
    )
    made = config(sim, 100)
    assert made["boot"] == "order=scsi0;ide2;net0"
    assert made["scsi0"] == "local:100/vm-100-disk-0.raw,size=1G"
    assert made["ide2"] == "local:iso/tiny.iso,media=cdrom,size=400K"
    assert made["net0"].startswith("virtio=BC:24:11:")
    assert made["smbios1"].startswith("uuid=")
    assert made["meta"].endswith(f"ctime={int(sim.world.now)}")
    assert "lock" not in made


def test_a_machine_of_nothing_boots_from_nothing() -> None:
    sim = yard()
    make_vm(sim)
    assert config(sim, 100)["boot"] == " "


@pytest.mark.parametrize(
    ("asked", "stored", "lines"),
    [
        (
            "local:1,format=qcow2,discard=on",
            "local:100/vm-100-disk-0.qcow2,discard=on,size=1G",
            (
                "Formatting '/var/lib/vz/images/100/vm-100-disk-0.qcow2', fmt=qcow2 cluster_size=65536 extended_l2=off "
                "preallocation=metadata compression_type=zlib size=1073741824 lazy_refcounts=off refcount_bits=16",
            ),
        ),
        ("thin:0.5", "thin:vm-100-disk-0,size=512M", ('  Logical volume "vm-100-disk-0" created.',)),
        ("tank:8", "tank:vm-100-disk-0,size=8G", ()),
    ],
)
def test_disks_are_made_as_their_storage_makes_them(asked: str, stored: str, lines: tuple[str, ...]) -> None:
    sim = yard()
    task = make_vm(sim, scsi0=asked)
    assert config(sim, 100)["scsi0"] == stored
    assert task.log == (*lines, f"scsi0: successfully created disk '{stored}'", "TASK OK")
    assert volids(sim, 100) == [stored.partition(",")[0]]


def test_firmware_and_tpm_drives_have_sizes_of_their_own() -> None:
    sim = yard()
    make_vm(sim, efidisk0="local:1,efitype=4m", tpmstate0="local:1,version=v2.0")
    assert config(sim, 100)["efidisk0"].endswith("efitype=4m,size=528K")
    assert config(sim, 100)["tpmstate0"].endswith("size=4M,version=v2.0")


def test_a_cloud_init_drive_is_made_and_its_password_hashed() -> None:
    sim = yard()
    make_vm(sim, ide0="local:cloudinit", cipassword="secret-pw", scsi0="local:1")
    assert config(sim, 100)["ide0"] == "local:100/vm-100-cloudinit.qcow2,media=cdrom"
    assert config(sim, 100)["cipassword"].startswith("$5$")
    assert sim.request("GET", vm(100, "/config"))["cipassword"] == "**********"


def test_tags_are_sorted_and_in_lower_case() -> None:
    sim = yard()
    make_vm(sim, tags="Zeta,alpha;beta alpha")
    assert config(sim, 100)["tags"] == "alpha;beta;zeta"


def test_autostart_is_a_task_of_its_own_and_over_with_this_one() -> None:
    sim = yard()
    task = make_vm(sim, virtio0="local:1", start=1)
    assert task.log[-2:] == ("Execute autostart", "TASK OK")
    assert sim.world.rows(Guest)[100].running


def test_a_pool_gets_its_member() -> None:
    sim = yard()
    make_vm(sim, pool="lab")
    assert sim.world.rows(Pool)["lab"].vmids == (100,)


REFUSALS = [
    ({"scsi0": "nosuch:1"}, "storage 'nosuch' does not exist"),
    ({"scsi0": "local:big"}, "unable to parse directory volume name 'big'"),
    ({"pool": "nopool"}, "Permission check failed (pool 'nopool' does not exist)"),
]


@pytest.mark.parametrize(("params", "text"), REFUSALS)
def test_what_is_wrong_is_said_at_once(params: dict[str, str], text: str) -> None:
    sim = yard()
    with pytest.raises(ApiError) as refused:
        sim.request("POST", CREATE, {"vmid": 100, **params})
    assert refused.value.message == text
    assert sim.world.get(Guest, 100) is None


def test_a_taken_id_is_refused_whoever_has_it() -> None:
    sim = yard()
    make_vm(sim)
    make_ct(sim)
    for vmid, word in ((100, "VM"), (200, "CT")):
        with pytest.raises(Failure) as refused:
            sim.request("POST", CREATE, {"vmid": vmid})
        assert refused.value.message == f"unable to create VM {vmid} - {word} {vmid} already exists on node 'pve1'"


FAILURES = [
    ({"ide2": "local:iso/none.iso,media=cdrom"}, "volume 'local:iso/none.iso' does not exist"),
    ({"scsi0": "local:100/vm-100-disk-9.raw"}, "volume 'local:100/vm-100-disk-9.raw' does not exist"),
    ({"scsi0": "thick:4000"}, "not enough free space"),
    ({"boot": "order=scsi9"}, "invalid bootorder: device 'scsi9' does not exist'"),
]


@pytest.mark.parametrize(("params", "text"), FAILURES)
def test_what_goes_wrong_in_the_task_leaves_nothing(params: dict[str, str], text: str) -> None:
    sim = yard()
    task = task_of(sim, "POST", CREATE, {"vmid": 100, "virtio0": "local:1", **params})
    assert str(task.exitstatus).startswith("unable to create VM 100 - ")
    assert text in str(task.exitstatus)
    assert sim.world.get(Guest, 100) is None
    assert volids(sim, 100) == []


def test_what_was_made_before_it_went_wrong_stays_in_the_log() -> None:
    sim = yard()
    task = task_of(sim, "POST", CREATE, {"vmid": 100, "scsi0": "local:1", "virtio0": "local:100/vm-100-disk-9.raw"})
    assert task.log[1] == "scsi0: successfully created disk 'local:100/vm-100-disk-0.raw,size=1G'"
    assert task.log[-1].startswith("TASK ERROR: ")


def test_an_interrupted_task_frees_the_id() -> None:
    sim = yard()
    upid = sim.request("POST", CREATE, {"vmid": 100, "scsi0": "local:1"})
    assert sim.world.rows(Guest)[100].lock == "create"
    sim.request("DELETE", f"/nodes/pve1/tasks/{upid}")
    assert sim.world.get(Guest, 100) is None
    make_vm(sim)


def test_rights_are_looked_at_in_order() -> None:
    sim = yard()

    def refusal(**params: object) -> str:
        with pytest.raises(Forbidden) as refused:
            sim.request("POST", CREATE, {"vmid": 100, **params}, user="alice@pve")
        return refused.value.message

    assert refusal() == "Permission check failed"
    give(sim.world, "alice@pve", "/vms/100", "PVEVMAdmin")
    assert refusal(scsi0="local:1") == "Permission check failed (/storage/local, Datastore.AllocateSpace)"
    give(sim.world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    task = task_of(sim, "POST", CREATE, {"vmid": 100, "scsi0": "local:1", "cores": 2}, user="alice@pve")
    assert task.exitstatus == "OK"
    give(sim.world, "alice@pve", "/vms/101", "PVEVMAdmin")
    with pytest.raises(Failure, match="only root can set 'args' config"):
        sim.request("POST", CREATE, {"vmid": 101, "args": "-no-reboot"}, user="alice@pve")


def test_a_pool_gives_the_right_to_make_members() -> None:
    sim = yard()
    give(sim.world, "alice@pve", "/pool/lab", "PVEVMAdmin")
    task = task_of(sim, "POST", CREATE, {"vmid": 100, "pool": "lab", "cores": 2}, user="alice@pve")
    assert task.exitstatus == "OK"
    with pytest.raises(Forbidden):
        sim.request("POST", CREATE, {"vmid": 101}, user="alice@pve")


def test_a_storage_without_images_is_refused_by_parameter() -> None:
    sim = yard()
    sim.request("PUT", "/storage/local", {"content": "iso"})
    with pytest.raises(ParameterErrors) as refused:
        sim.request("POST", CREATE, {"vmid": 100, "scsi0": "local:1"})
    assert refused.value.errors == {"storage": "storage 'local' does not support vm images"}
