"""Small clusters with a little of everything, to be lived in at random."""

from __future__ import annotations

from functools import cache
from typing import Any

from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.scenario import build_world

VMS = range(100, 106)
CONTAINERS = range(200, 205)
STORAGES = ("local", "thin", "thick", "tank", "share")
TEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"
ISO = "local:iso/tiny.iso"
TOKEN = "5e7a1c3e-0000-4000-8000-00000000c0de"  # the secret of root@pam!auto
USERS = ("root@pam", "root@pam", "root@pam", "op@pve", "op@pve!ci", "root@pam!auto")


def cluster(nodes: int) -> Simulator:
    """A fresh cluster `pve1`, … with five kinds of storage, three VMs and two containers."""
    return Simulator(_world(nodes).fork())


@cache
def _world(nodes: int) -> World:
    scenario: dict[str, Any] = {
        "seed": 11,
        "nodes": {f"pve{number}": {} for number in range(1, nodes + 1)},
        "storages": _storages(),
        "vms": _machines(),
        "containers": _containers(),
        "pools": {"lab": {"guests": [100], "storages": ["share"]}},
        "users": {"op@pve": {"tokens": {"ci": {"privsep": False}}}},
        "acl": [
            {"path": "/vms", "role": "PVEVMAdmin", "user": "op@pve"},
            {"path": "/storage", "role": "PVEDatastoreUser", "user": "op@pve"},
            {"path": "/", "role": "Administrator", "token": "root@pam!auto"},
        ],
        "ha": {"resources": {"vm:101": {"state": "stopped"}}},
    }
    scenario["users"]["root@pam"] = {"tokens": {"auto": {"privsep": True, "secret": TOKEN}}}
    return build_world(scenario)


def _storages() -> dict[str, Any]:
    files = ["iso", "vztmpl", "backup", "snippets", "images", "rootdir"]
    images = ["images", "rootdir"]
    return {
        "local": {
            "type": "dir",
            "config": {"path": "/var/lib/vz", "content": files},
            "volumes": [
                {"name": TEMPLATE.partition(":")[2], "size": "124M"},
                {"name": ISO.partition(":")[2], "size": "400K"},
            ],
            "backups": [{"guest": 100, "ago": "2d"}, {"guest": 200, "ago": "1d"}],
        },
        "thin": {"type": "lvmthin", "size": "24G", "config": {"vgname": "pve", "thinpool": "data", "content": images}},
        "thick": {"type": "lvm", "size": "12G", "config": {"vgname": "big", "content": images}},
        "tank": {"type": "zfspool", "size": "16G", "config": {"pool": "tank/vm", "content": images, "sparse": 1}},
        "share": {
            "type": "nfs",
            "size": "40G",
            "config": {"server": "10.0.0.9", "export": "/x", "content": ["images", "rootdir", "iso", "backup"]},
        },
    }


def _machines() -> dict[int, Any]:
    net = "virtio=BC:24:11:00:00:01,bridge=vmbr0"
    web = {"name": "web", "memory": 512, "scsi0": "share:2,format=qcow2", "net0": net, "agent": 1}
    return {
        100: {"node": "pve1", "state": "running", "config": web, "behaviour": {"agent": True}},
        101: {"node": "pve1", "config": {"name": "db", "memory": 256, "scsi0": "thin:4", "virtio0": "thick:1"}},
        102: {"node": "pve2", "config": {"name": "base", "memory": 256, "scsi0": "share:1,format=qcow2"}},
    }


def _containers() -> dict[int, Any]:
    net = "name=eth0,bridge=vmbr0,ip=dhcp"
    return {
        200: {"node": "pve1", "state": "running", "config": {"hostname": "dns", "rootfs": "thin:2", "net0": net}},
        201: {"node": "pve2", "config": {"hostname": "git", "rootfs": "tank:2", "mp0": "tank:1,mp=/srv"}},
    }
