"""A node with every kind of storage, and a second one, for the tests of this area."""

from __future__ import annotations

from pvesim.engine import Simulator
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.small_world import GIB, NOW, small_simulator

ALL_FILES = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets")


def storage_simulator() -> Simulator:
    """`local` holds all contents, `thin`, `thick`, `tank` blocks; `share` is on a server, `other` on pve2; no disks."""
    simulator = small_simulator()
    world = simulator.world
    for volume in list(world.rows(Volume).values()):
        world.remove(Volume, volume.key)
    world.put(Storage("local", "dir", ALL_FILES, options={"path": "/var/lib/vz"}))
    world.put(Storage("thin", "lvmthin", options={"vgname": "pve", "thinpool": "data"}))
    world.put(Storage("thick", "lvm", options={"vgname": "big"}))
    world.put(Storage("tank", "zfspool", options={"pool": "tank/vm", "sparse": 1}))
    share = {"server": "10.0.0.9", "export": "/x", "path": "/mnt/pve/share"}
    world.put(Storage("share", "nfs", ("images", "iso", "backup"), shared=True, options=share))
    world.put(Storage("other", "dir", nodes=("pve2",), options={"path": "/srv/other"}))
    for name, place, size in (("thin", "pve1", 50), ("thick", "pve1", 20), ("tank", "pve1", 30), ("share", "", 200)):
        world.put(Space(name, place, size * GIB))
    world.put(Volume("local", "pve1", "iso/tiny.iso", "iso", "iso", 409_600, 409_600, NOW))
    return simulator


def backup(vmid: int, stamp: str, *, place: str = "pve1", ctime: float = NOW, protected: bool = False) -> Volume:
    """A backup of a VM on `local`; `stamp` is the date and time in its name."""
    name = f"backup/vzdump-qemu-{vmid}-{stamp}.vma.zst"
    return Volume(
        "local", place, name, "backup", "vma.zst", 1000, 1000, ctime, vmid, protected=protected, subtype="qemu"
    )
