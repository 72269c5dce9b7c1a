"""Volume ids and names: what each form means, what is refused, where the volume is."""

from __future__ import annotations

import pytest

from pvesim.core.errors import Failure
from pvesim.storage.names import parse_name, parse_volid, path_of
from pvesim.storage.records import Storage

LOCAL = Storage("local", "dir", options={"path": "/var/lib/vz"})
THIN = Storage("thin", "lvmthin", options={"vgname": "pve", "thinpool": "data"})
TANK = Storage("tank", "zfspool", options={"pool": "tank/vm"})
CEPH = Storage("ceph", "rbd", options={"pool": "vms"})
PBS = Storage("pbs", "pbs", options={"server": "10.0.0.3", "datastore": "main", "username": "b@pbs"})


@pytest.mark.parametrize(
    ("storage", "name", "content", "format", "vmid", "path"),
    [
        (LOCAL, "100/vm-100-disk-0.raw", "images", "raw", 100, "/var/lib/vz/images/100/vm-100-disk-0.raw"),
        (LOCAL, "201/subvol-201-disk-0.subvol", "images", "subvol", 201,
         "/var/lib/vz/images/201/subvol-201-disk-0.subvol"),
        (LOCAL, "104/base-104-disk-0.qcow2/108/vm-108-disk-0.qcow2", "images", "qcow2", 108,
         "/var/lib/vz/images/108/vm-108-disk-0.qcow2"),
        (LOCAL, "iso/tiny.iso", "iso", "iso", None, "/var/lib/vz/template/iso/tiny.iso"),
        (LOCAL, "vztmpl/a.tar.gz", "vztmpl", "tgz", None, "/var/lib/vz/template/cache/a.tar.gz"),
        (LOCAL, "backup/vzdump-lxc-201-2026_11_23-04_41_50.tar.zst", "backup", "tar.zst", 201,
         "/var/lib/vz/dump/vzdump-lxc-201-2026_11_23-04_41_50.tar.zst"),
        (LOCAL, "snippets/user.yaml", "snippets", "snippet", None, "/var/lib/vz/snippets/user.yaml"),
        (LOCAL, "import/disk.ova", "import", "ova", None, "/var/lib/vz/import/disk.ova"),
        (THIN, "vm-100-disk-0", "images", "raw", 100, "/dev/pve/vm-100-disk-0"),
        (TANK, "subvol-200-disk-1", "rootdir", "subvol", 200, "/tank/vm/subvol-200-disk-1"),
        (TANK, "vm-100-disk-1", "images", "raw", 100, "/dev/zvol/tank/vm/vm-100-disk-1"),
        (CEPH, "base-100-disk-0/vm-101-disk-0", "images", "raw", 101,
         "rbd:vms/vm-101-disk-0:conf=/etc/pve/ceph.conf:id=admin:keyring=/etc/pve/priv/ceph/ceph.keyring"),
        (PBS, "backup/vm/100/2026-01-01T00:00:00Z", "backup", "pbs-vm", 100,
         "pbs://b@pbs@10.0.0.3:main/vm/100/2026-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_a_name_says_what_the_volume_is(
    storage: Storage, name: str, content: str, format: str, vmid: int | None, path: str
) -> None:
    parsed = parse_name(storage, name)
    assert (parsed.content, parsed.format, parsed.vmid) == (content, format, vmid)
    assert path_of(storage, name) == path


@pytest.mark.parametrize(
    ("storage", "name", "text"),
    [
        (LOCAL, "garbage", "unable to parse directory volume name 'garbage'"),
        (LOCAL, "iso/tiny.iso_none", "unable to parse directory volume name 'iso/tiny.iso_none'"),
        (LOCAL, "iso/../../etc/x.iso", "unable to parse directory volume name 'iso/../../etc/x.iso'"),
        (LOCAL, "vm-820-disk-0", "unable to parse directory volume name 'vm-820-disk-0'"),
        (LOCAL, "100/vm-100-disk-0", "unable to parse volume filename 'vm-100-disk-0'"),
        (THIN, "100/vm-100-disk-0.raw", "unable to parse lvm volume name '100/vm-100-disk-0.raw'"),
        (TANK, "disk", "unable to parse zfs volume name 'disk'"),
        (CEPH, "disk", "unable to parse rbd volume name 'disk'"),
        (PBS, "backup/vm", "unable to parse PBS volume name 'backup/vm'"),
    ],
)
def test_a_name_of_another_form_is_refused(storage: Storage, name: str, text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_name(storage, name)
    assert caught.value.message == text


def test_a_base_volume_and_its_clones() -> None:
    assert parse_name(LOCAL, "104/base-104-disk-0.qcow2").is_base
    clone = parse_name(LOCAL, "104/base-104-disk-0.qcow2/108/vm-108-disk-0.qcow2")
    assert clone.base == "104/base-104-disk-0.qcow2"
    assert not clone.is_base


def test_a_content_folder_may_be_elsewhere() -> None:
    storage = Storage("s", "dir", options={"path": "/srv", "content-dirs": "iso=images/cd,backup=bak"})
    assert path_of(storage, "iso/a.iso") == "/srv/images/cd/a.iso"
    assert path_of(storage, "snippets/a") == "/srv/snippets/a"


def test_a_volume_id_has_a_storage_and_a_name() -> None:
    assert parse_volid("local:iso/a:b.iso") == ("local", "iso/a:b.iso")
    for text in ("garbage", "1x:vm-100-disk-0", ":x", "local:"):
        with pytest.raises(Failure, match=r"^unable to parse volume ID"):
            parse_volid(text)
