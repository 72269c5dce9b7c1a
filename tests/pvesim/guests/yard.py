"""A cluster to make guests in: three nodes (the last one is off), storages of several kinds, a template, an ISO."""

from __future__ import annotations

from typing import Any

from pvesim.access.records import User
from pvesim.core.tasks import Task
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.nodes.records import Interface, Node
from pvesim.pools.records import Pool
from pvesim.scenario.base import empty_world
from pvesim.storage.records import Space, Storage, Volume

NOW = 1_800_000_003.0
GIB = 1024**3
TEMPLATE = "local:vztmpl/alpine-3.20-default_20240908_amd64.tar.gz"
ISO = "local:iso/tiny.iso"
ALL_CONTENT = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets")


def yard() -> Simulator:
    """Storages: `local` (files), `thin`, `thick`, `tank` (ZFS) on each node, `nas` shared; pool `lab`; no guest."""
    world = empty_world(11, NOW)
    for number in (1, 2, 3):
        _add_node(world, number)
    options = {"path": "/var/lib/vz"}
    world.put(Storage("local", "dir", ALL_CONTENT, options=options))
    world.put(Storage("thin", "lvmthin", ("images", "rootdir"), options={"vgname": "pve", "thinpool": "data"}))
    world.put(Storage("thick", "lvm", ("images", "rootdir"), nodes=("pve1",), options={"vgname": "old"}))
    world.put(Storage("tank", "zfspool", ("images", "rootdir"), options={"pool": "tank", "sparse": 1}))
    world.put(Storage("nas", "nfs", ("images", "rootdir"), shared=True, options={"server": "10.0.0.9", "export": "/x"}))
    world.put(Space("nas", "", 200 * GIB))
    world.put(Volume("local", "pve1", TEMPLATE.partition(":")[2], "vztmpl", "tgz", 1_032_923))
    world.put(Volume("local", "pve1", ISO.partition(":")[2], "iso", "iso", 409_600))
    world.put(Pool("lab"))
    world.put(User("alice@pve"))
    return Simulator(world)


def _add_node(world: World, number: int) -> None:
    node = f"pve{number}"
    world.put(Node(node, nodeid=number, ip=f"10.0.0.{number}", started=NOW - 90_000, online=number < 3))
    world.put(Interface(node, "vmbr0", "bridge"))
    for storage in ("local", "thin", "thick", "tank"):
        world.put(Space(storage, node, 100 * GIB, GIB))


def vm(vmid: int, rest: str = "", node: str = "pve1") -> str:
    return f"/nodes/{node}/qemu/{vmid}{rest}"


def ct(vmid: int, rest: str = "", node: str = "pve1") -> str:
    return f"/nodes/{node}/lxc/{vmid}{rest}"


def task_of(sim: Simulator, verb: str, path: str, params: dict[str, Any] | None = None, user: str = "root@pam") -> Task:
    """Ask for something that a task does, and follow it to its end."""
    upid = sim.request(verb, path, params or {}, user=user)
    sim.clock.run_until_done(upid)
    return sim.world.rows(Task)[upid]


def make_vm(sim: Simulator, vmid: int = 100, **params: Any) -> Task:
    task = task_of(sim, "POST", "/nodes/pve1/qemu", {"vmid": vmid, **params})
    assert task.exitstatus == "OK", task.log
    return task


def make_ct(sim: Simulator, vmid: int = 200, **params: Any) -> Task:
    task = task_of(sim, "POST", "/nodes/pve1/lxc", {"vmid": vmid, "ostemplate": TEMPLATE, **params})
    assert task.exitstatus == "OK", task.log
    return task


def done(sim: Simulator, verb: str, path: str, params: dict[str, Any] | None = None) -> Task:
    """The same as `task_of` where the task has to succeed."""
    task = task_of(sim, verb, path, params)
    assert task.exitstatus == "OK", task.log
    return task


def config(sim: Simulator, vmid: int) -> dict[str, Any]:
    return dict(sim.world.rows(Guest)[vmid].config)


def volids(sim: Simulator, vmid: int) -> list[str]:
    """The ids of the volumes that carry a guest's id, sorted."""
    return sorted(volume.volid for volume in sim.world.rows(Volume).values() if volume.vmid == vmid)
