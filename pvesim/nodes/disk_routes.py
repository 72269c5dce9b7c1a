"""`/nodes/{node}/disks`, and what scans find on them."""

from __future__ import annotations

from typing import Any

from pvesim.contract import split_list
from pvesim.nodes import disk_making, disks
from pvesim.nodes.disk_making import KINDS, MediumKind
from pvesim.nodes.records import Medium
from pvesim.routing import Call, route

_PLACE = "/nodes/{node}/disks"
Rows = list[dict[str, Any]]


@route("GET", f"{_PLACE}/list")
def list_disks(call: Call) -> Rows:
    return disks.disks(call.world, call.node, call.params.get("type"))


@route("GET", f"{_PLACE}/smart")
def read_health(call: Call) -> dict[str, Any]:
    return disks.health(call.world, call.node, call.params["disk"], bool(call.params.get("healthonly")))


@route("GET", f"{_PLACE}/lvm")
def list_volume_groups(call: Call) -> dict[str, Any]:
    return disks.volume_groups(call.world, call.node)


@route("GET", f"{_PLACE}/lvmthin")
def list_thin_pools(call: Call) -> Rows:
    return disks.thin_pools(call.world, call.node)


@route("GET", f"{_PLACE}/zfs")
def list_zfs_pools(call: Call) -> Rows:
    return disks.zfs_pools(call.world, call.node)


@route("GET", f"{_PLACE}/zfs/{{name}}")
def read_zfs_pool(call: Call) -> dict[str, Any]:
    return disks.zfs_pool(call.world, call.node, call.params["name"])


@route("GET", f"{_PLACE}/directory")
def list_directories(call: Call) -> Rows:
    return disks.directories(call.world, call.node)


@route("GET", "/nodes/{node}/scan/lvm")
def scan_volume_groups(call: Call) -> list[dict[str, str]]:
    return disks.scanned_groups(call.world, call.node)


@route("GET", "/nodes/{node}/scan/zfs")
def scan_pools(call: Call) -> list[dict[str, str]]:
    return disks.scanned_pools(call.world, call.node)


# -- making and removing -----------------------------------------------------------------------------------------------


def _make(call: Call, kind: str, paths: list[str], log: list[str], level: str = "single", filesystem: str = "") -> str:
    """Start the task that makes a medium of disks."""
    add = bool(call.params.get("add_storage"))
    if add:
        call.check("/storage", "Datastore.Allocate")
    found = disk_making.check_unused(call.world, call.node, paths)
    names, total, name = tuple(disk.name for disk in found), disk_making.room(found, level), call.params["name"]
    medium = Medium(call.node, kind, name, names, total, filesystem)
    return call.start(f"{KINDS[kind].task}create", name, disk_making.making_steps(call.world, medium, log, add))


@route("POST", f"{_PLACE}/lvm")
def make_volume_group(call: Call) -> str:
    device, name = call.params["device"], call.params["name"]
    return _make(call, "lvm", [device], [f'  Volume group "{name}" successfully created'])


@route("POST", f"{_PLACE}/lvmthin")
def make_thin_pool(call: Call) -> str:
    device, name = call.params["device"], call.params["name"]
    return _make(call, "lvmthin", [device], [f'  Volume group "{name}" successfully created',
                                             f'  Logical volume "{name}" created.'])  # fmt: skip


@route("POST", f"{_PLACE}/zfs")
def make_zfs_pool(call: Call) -> str:
    params = call.params
    paths, level = split_list(params["devices"]), params["raidlevel"]
    disk_making.check_raid(level, len(paths))
    how = "" if level == "single" else f"{level} "
    command = f"# zpool create -o ashift={params.get('ashift', 12)} {params['name']} {how}{' '.join(paths)}"
    return _make(call, "zfs", paths, [command], level)


@route("POST", f"{_PLACE}/directory")
def make_directory(call: Call) -> str:
    device, filesystem = call.params["device"], call.params.get("filesystem", "ext4")
    return _make(call, "directory", [device], [f"# /sbin/mkfs -t {filesystem} {device}1"], filesystem=filesystem)


def _register_removal(kind: MediumKind) -> None:
    @route("DELETE", f"{_PLACE}/{kind.kind}/{{name}}")
    def remove(call: Call) -> str:
        params = call.params
        clean = bool(params.get("cleanup-disks")), bool(params.get("cleanup-config"))
        steps = disk_making.removal_steps(kind.kind, call.node, params["name"], *clean)
        return call.start(f"{kind.task}remove", params["name"], steps)


for _kind in KINDS.values():
    _register_removal(_kind)


@route("POST", f"{_PLACE}/initgpt")
def initialize(call: Call) -> str:
    path = call.params["disk"]
    steps = disk_making.initialize_steps(call.world, call.node, path)
    return call.start("diskinit", path.rpartition("/")[2], steps)


@route("PUT", f"{_PLACE}/wipedisk")
def wipe(call: Call) -> str:
    path = call.params["disk"]
    return call.start("wipedisk", path.rpartition("/")[2], disk_making.wipe_steps(call.world, call.node, path))
