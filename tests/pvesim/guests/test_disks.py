"""Drives and mount points as a configuration names them."""

from __future__ import annotations

import pytest

from pvesim.guests.disks import parse_disks, read_options, volumes_in
from pvesim.guests.records import Guest

MACHINE = {
    "name": "web1",
    "scsi0": "local:100/vm-100-disk-0.raw,discard=on,size=1G",
    "ide0": "local:100/vm-100-cloudinit.qcow2,media=cdrom",
    "ide2": "none,media=cdrom",
    "virtio3": "/dev/sdb,size=2T",
    "unused0": "local:100/vm-100-disk-1.raw",
    "efidisk0": "file=local:100/vm-100-disk-2.raw,size=528K",
    "scsihw": "virtio-scsi-pci",
    "vmstate": "local:100/vm-100-state-s1.raw",
}


def test_a_machine_has_drives_cds_and_unused_disks() -> None:
    disks = {disk.key: disk for disk in parse_disks(Guest(100, "qemu", "pve1", MACHINE))}
    assert list(disks) == ["scsi0", "ide0", "ide2", "virtio3", "unused0", "efidisk0"]
    assert (disks["scsi0"].volid, disks["scsi0"].storage) == ("local:100/vm-100-disk-0.raw", "local")
    assert (disks["scsi0"].size, dict(disks["scsi0"].options)) == (1024**3, {"discard": "on", "size": "1G"})
    assert (disks["ide2"].volid, disks["ide2"].cdrom) == (None, True)
    assert (disks["virtio3"].volid, disks["virtio3"].file) == (None, "/dev/sdb")
    assert disks["efidisk0"].size == 528 * 1024
    assert [key for key, disk in disks.items() if disk.cloudinit] == ["ide0"]
    assert [key for key, disk in disks.items() if disk.unused] == ["unused0"]


def test_a_container_has_a_root_disk_and_mount_points() -> None:
    config = {"rootfs": "local:200/a.raw,size=4G", "mp0": "/srv,mp=/srv", "mp1": "volume=local:200/b.raw,mp=/b"}
    disks = parse_disks(Guest(200, "lxc", "pve1", config))
    assert [(disk.key, disk.volid) for disk in disks] == [
        ("rootfs", "local:200/a.raw"),
        ("mp0", None),
        ("mp1", "local:200/b.raw"),
    ]


def test_volumes_are_named_once_and_memory_states_count() -> None:
    config = {**MACHINE, "unused1": "local:100/vm-100-disk-0.raw"}
    assert volumes_in("qemu", config) == (
        "local:100/vm-100-disk-0.raw",
        "local:100/vm-100-cloudinit.qcow2",
        "local:100/vm-100-disk-1.raw",
        "local:100/vm-100-disk-2.raw",
        "local:100/vm-100-state-s1.raw",
    )


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("1", {"enabled": "1"}),
        ("enabled=0,type=isa", {"enabled": "0", "type": "isa"}),
        ("", {}),
        ("1,fstrim_cloned_disks=1", {"enabled": "1", "fstrim_cloned_disks": "1"}),
    ],
)
def test_options_are_read_with_their_default_key(text: str, fields: dict[str, str]) -> None:
    assert read_options(text, "enabled") == fields
