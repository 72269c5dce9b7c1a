"""A small cluster for tests: two nodes with guests and a local storage each, and users with few rights."""

from __future__ import annotations

from pvesim.access.records import AclEntry, User
from pvesim.cluster.records import Cluster
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.scenario.base import empty_world
from pvesim.storage.records import Space, Storage, Volume

NOW = 1_800_000_003.0
GIB = 1024**3


def small_simulator(*, name: str = "test") -> Simulator:
    """`pve1` (VM 100 running, VM 101, CT 200) and `pve2` (VM 102); `alice@pve` has no rights, `audit@pve` may look."""
    world = empty_world(7, NOW)
    world.put(Cluster(name=name))
    for number in (1, 2):
        node = f"pve{number}"
        world.put(Node(node, nodeid=number, ip=f"10.0.0.{number}", started=NOW - 90_000))
        world.put(Space("local", node, 100 * GIB, 10 * GIB))
    world.put(Storage("local", "dir", ("images", "rootdir", "iso"), options={"path": "/var/lib/vz"}))
    for guest in _guests():
        world.put(guest)
        name = f"{guest.vmid}/vm-{guest.vmid}-disk-0.raw"
        content = "images" if guest.kind == "qemu" else "rootdir"
        world.put(Volume("local", guest.node, name, content, "raw", GIB, used=GIB, vmid=guest.vmid))
    for userid in ("alice@pve", "audit@pve"):
        world.put(User(userid))
    give(world, "audit@pve", "/", "PVEAuditor")
    return Simulator(world)


def give(world: World, userid: str, path: str, roleid: str) -> None:
    """Give a user a role on a path."""
    world.put(AclEntry(path, "user", userid, roleid))


def _guests() -> list[Guest]:
    """Every guest has one disk of 1 GiB."""

    def disk(vmid: int) -> str:
        return f"local:{vmid}/vm-{vmid}-disk-0.raw,size=1G"

    running = Guest(
        100,
        "qemu",
        "pve1",
        {"name": "web1", "memory": "256", "scsi0": disk(100), "tags": "prod;web"},
        status="running",
        qmpstatus="running",
        started=NOW - 600,
        pid=77,
    )
    return [
        running,
        Guest(101, "qemu", "pve1", {"name": "db1", "memory": "256", "virtio0": disk(101)}),
        Guest(102, "qemu", "pve2", {"name": "cache1", "memory": "256", "scsi0": disk(102)}),
        Guest(200, "lxc", "pve1", {"hostname": "ct1", "memory": 128, "cores": 1, "rootfs": disk(200)}),
    ]
