"""A cluster with Ceph on its two nodes, an unused disk in the first."""

from __future__ import annotations

import pytest

from pvesim.engine import Simulator
from pvesim.nodes.records import Disk
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.small_world import GIB, small_simulator


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    world = simulator.world
    world.put(Storage("pool", "rbd", ("images",), shared=True, options={"pool": "vms"}))
    world.put(Storage("files", "cephfs", ("iso",), shared=True, options={"path": "/mnt/pve/files"}))
    for storage in ("pool", "files"):
        world.put(Space(storage, "", 300 * GIB, 0))
    world.put(Volume("pool", "", "vm-101-disk-5", "images", "raw", 9 * GIB, used=6 * GIB, vmid=101))
    world.put(Disk("pve1", "sdx", 300 * GIB))
    return simulator
