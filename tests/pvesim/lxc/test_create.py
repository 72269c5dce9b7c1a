"""Making containers from templates: checks, defaults, file systems, log lines."""

from __future__ import annotations

import pytest

from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.guests.records import Guest
from pvesim.storage.records import Volume
from tests.pvesim.guests.yard import TEMPLATE, config, ct, make_ct, make_vm, task_of, volids, yard
from tests.pvesim.small_world import give

CREATE = "/nodes/pve1/lxc"


def test_a_container_is_made_with_what_pve_adds() -> None:
    sim = yard()
    task = make_ct(sim, rootfs="local:1", net0="name=eth0,bridge=vmbr0,ip=dhcp", password="ct-password-1")
    assert task.type == "vzcreate"
    assert (
        task.log[0]
        == "Formatting '/var/lib/vz/images/200/vm-200-disk-0.raw', fmt=raw size=1073741824 preallocation=off"
    )
    assert task.log[1] == "Creating filesystem with 262144 4k blocks and 65536 inodes"
    assert task.log[3:5] == ("Superblock backups stored on blocks: ", "\t32768, 98304, 163840, 229376")
    assert task.log[5] == "extracting archive '/var/lib/vz/template/cache/alpine-3.20-default_20240908_amd64.tar.gz'"
    assert task.log[-2:] == ("Detected container architecture: amd64", "TASK OK")
    made = config(sim, 200)
    mac = made.pop("net0")
    assert mac.startswith("name=eth0,bridge=vmbr0,hwaddr=BC:24:11:")
    assert mac.endswith(",ip=dhcp,type=veth")
    assert made == {
        "arch": "amd64",
        "ostype": "alpine",
        "hostname": "CT200",
        "memory": 512,
        "swap": 512,
        "rootfs": "local:200/vm-200-disk-0.raw,size=1G",
        "unprivileged": 1,
    }


def test_without_a_root_disk_it_gets_one_of_four_gigabytes() -> None:
    sim = yard()
    make_ct(sim)
    assert config(sim, 200)["rootfs"] == "local:200/vm-200-disk-0.raw,size=4G"
    make_ct(sim, 201, storage="thin")
    assert config(sim, 201)["rootfs"] == "thin:vm-201-disk-0,size=4G"


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("local:0", "local:200/subvol-200-disk-0.subvol,size=0T"),
        ("tank:8", "tank:subvol-200-disk-0,size=8G"),
        ("2", "local:200/vm-200-disk-0.raw,size=2G"),
    ],
)
def test_root_disks(asked: str, stored: str) -> None:
    sim = yard()
    make_ct(sim, rootfs=asked)
    assert config(sim, 200)["rootfs"] == stored


def test_mount_points_are_made_and_bound() -> None:
    sim = yard()
    make_ct(sim, rootfs="local:1", mp0="thin:2,mp=/data,backup=1", mp1="/srv/share,mp=/share")
    assert config(sim, 200)["mp0"] == "thin:vm-200-disk-0,mp=/data,backup=1,size=2G"
    assert config(sim, 200)["mp1"] == "/srv/share,mp=/share"


def test_a_privileged_container_has_to_be_asked_for() -> None:
    sim = yard()
    make_ct(sim, unprivileged=0, start=1)
    assert "unprivileged" not in config(sim, 200)
    assert sim.world.rows(Guest)[200].running


def test_the_root_disk_holds_the_template() -> None:
    sim = yard()
    make_ct(sim, rootfs="local:1")
    volume = sim.world.rows(Volume)["local", "pve1", "200/vm-200-disk-0.raw"]
    assert 2_000_000 < volume.used < 4_000_000


REFUSALS = [
    ({"rootfs": "nosuch:1"}, "storage 'nosuch' does not exist"),
    ({"mp0": "local:1,mp=/x"}, "mount points configured, but 'rootfs' not set - aborting"),
    ({"pool": "nopool"}, "Permission check failed (pool 'nopool' does not exist)"),
    ({"ostemplate": "local:iso/tiny.iso"}, "content type needs to be 'vztmpl'"),
]


@pytest.mark.parametrize(("params", "text"), REFUSALS)
def test_what_is_wrong_is_said_at_once(params: dict[str, str], text: str) -> None:
    sim = yard()
    with pytest.raises(ApiError) as refused:
        sim.request("POST", CREATE, {"vmid": 200, "ostemplate": TEMPLATE, **params})
    assert text in refused.value.message
    assert sim.world.get(Guest, 200) is None


def test_a_taken_id_is_refused() -> None:
    sim = yard()
    make_vm(sim)
    make_ct(sim)
    for vmid, word in ((100, "VM"), (200, "CT")):
        with pytest.raises(Failure) as refused:
            sim.request("POST", CREATE, {"vmid": vmid, "ostemplate": TEMPLATE})
        assert refused.value.message == f"{word} {vmid} already exists on node 'pve1'"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("local:vztmpl/none.tar.gz", "volume 'local:vztmpl/none.tar.gz' does not exist"),
        ("none.tar.gz", "can't find file 'none.tar.gz'"),
    ],
)
def test_a_missing_template_is_seen_after_the_disks_are_made(template: str, reason: str) -> None:
    sim = yard()
    task = task_of(sim, "POST", CREATE, {"vmid": 200, "ostemplate": template, "rootfs": "local:1"})
    assert task.exitstatus == f"unable to create CT 200 - {reason}"
    assert task.log[0].startswith("Formatting ")
    assert task.log[-2] == reason
    assert sim.world.get(Guest, 200) is None
    assert volids(sim, 200) == []


def test_an_interrupted_task_leaves_nothing() -> None:
    sim = yard()
    upid = sim.request("POST", CREATE, {"vmid": 200, "ostemplate": TEMPLATE, "rootfs": "local:1"})
    sim.clock.advance(0.5)
    assert volids(sim, 200) == ["local:200/vm-200-disk-0.raw"]
    sim.request("DELETE", f"/nodes/pve1/tasks/{upid}")
    assert sim.world.get(Guest, 200) is None
    assert volids(sim, 200) == []


def test_rights() -> None:
    sim = yard()
    give(sim.world, "alice@pve", "/storage/local", "PVEDatastoreUser")
    asked = {"vmid": 200, "ostemplate": TEMPLATE, "rootfs": "local:1"}
    with pytest.raises(Forbidden, match=r"Permission check failed$"):
        sim.request("POST", CREATE, asked, user="alice@pve")
    give(sim.world, "alice@pve", "/vms/200", "PVEVMAdmin")
    for params, errors in (
        ({"mp0": "/srv,mp=/srv"}, {"mp0": "mount point type bind is only allowed for root@pam"}),
        (
            {"features": "mount=nfs"},
            {"features": "changing feature flags (except nesting) is only allowed for root@pam"},
        ),
        ({"dev0": "/dev/kvm"}, {"dev0": "device passthrough is only allowed for root@pam"}),
    ):
        with pytest.raises(ParameterErrors) as refused:
            sim.request("POST", CREATE, {**asked, **params}, user="alice@pve")
        assert refused.value.errors == errors
    assert task_of(sim, "POST", CREATE, {**asked, "features": "nesting=1"}, user="alice@pve").exitstatus == "OK"


def test_a_storage_without_containers_is_refused_by_parameter() -> None:
    sim = yard()
    sim.request("PUT", "/storage/thin", {"content": "images"})
    with pytest.raises(ParameterErrors) as refused:
        sim.request("POST", CREATE, {"vmid": 200, "ostemplate": TEMPLATE, "rootfs": "thin:1"})
    assert refused.value.errors == {"storage": "storage 'thin' does not support container directories"}


def test_a_full_storage_fails_the_task() -> None:
    sim = yard()
    task = task_of(sim, "POST", CREATE, {"vmid": 200, "ostemplate": TEMPLATE, "rootfs": "thick:500"})
    assert "not enough free space" in str(task.exitstatus)
    assert sim.request("GET", "/nodes/pve1/lxc") == []


def test_it_is_seen_at_once_while_it_is_made() -> None:
    sim = yard()
    sim.request("POST", CREATE, {"vmid": 200, "ostemplate": TEMPLATE})
    assert sim.request("GET", ct(200, "/status/current"))["lock"] == "create"
