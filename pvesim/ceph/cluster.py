"""The Ceph cluster that a world has: where a storage of type `rbd` or `cephfs` names no monitors, the nodes are it.

The first three nodes have a monitor and a manager, every node has two OSDs, and the pools are those of the storages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pvesim.ceph.records import CephState
from pvesim.core.errors import Failure
from pvesim.core.tasks import Task, effect
from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage
from pvesim.storage.rules import space_of

NOT_INSTALLED = "binary not installed: /usr/bin/ceph-mon"
VERSION, RELEASE, COMMIT = "19.2.3", "squid", "2f03f1cd83e5d40cdf1393cb64a662a8e8bb07c6"
MONITORS, OSDS_PER_NODE, COPIES = 3, 2, 3
FLAGS: Mapping[str, str] = {
    "nobackfill": "Data is not moved to new places.",
    "nodeep-scrub": "No deep scrubs are started.",
    "nodown": "OSDs that do not answer are not marked down.",
    "noin": "OSDs that start are not marked in.",
    "noout": "OSDs that are down are not marked out.",
    "norebalance": "Data is not spread anew.",
    "norecover": "Lost copies are not made again.",
    "noscrub": "No scrubs are started.",
    "notieragent": "Cache tiers are left as they are.",
    "noup": "OSDs that start are not marked up.",
    "pause": "Nobody may read or write.",
}


@dataclass(frozen=True, slots=True)
class Osd:
    """One OSD; it is up while its node is."""

    id: int
    node: Node
    is_in: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool. `used` and `total` are bytes as a guest sees them, without the copies."""

    number: int
    name: str
    application: str
    used: int
    total: int
    settings: Mapping[str, Any]

    @property
    def size(self) -> int:
        return int(self.settings.get("size", COPIES))

    @property
    def pg_num(self) -> int:
        return int(self.settings.get("pg_num", 32))


@dataclass(frozen=True, slots=True)
class Ceph:
    """All of it."""

    fsid: str
    nodes: tuple[Node, ...]
    osds: tuple[Osd, ...]
    pools: tuple[Pool, ...]
    filesystems: tuple[str, ...]
    state: CephState

    @property
    def monitors(self) -> tuple[Node, ...]:
        return self.nodes[:MONITORS]

    @property
    def raw_total(self) -> int:
        return COPIES * max((pool.total for pool in self.pools), default=0)

    @property
    def raw_used(self) -> int:
        return sum(pool.size * pool.used for pool in self.pools)


def find_ceph(world: World, node: str) -> Ceph:
    """The Ceph cluster. Raises `Failure` as a node does on which Ceph is not installed."""
    storages = [storage for storage in world.rows(Storage).values() if _is_local(storage)]
    if not storages:
        raise Failure(NOT_INSTALLED)
    nodes = tuple(world.rows(Node).values())
    state = world.get(CephState, "ceph") or CephState()
    owners = [member for member in nodes for _ in range(OSDS_PER_NODE)]
    osds = tuple(Osd(number, owner, number not in state.out) for number, owner in enumerate(owners))
    digest = hashlib.blake2b(f"{world.seed}:ceph".encode(), digest_size=16).hexdigest()
    fsid = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:]}"
    filesystems = tuple(
        str(storage.options.get("fs-name", "cephfs")) for storage in storages if storage.type == "cephfs"
    )
    return Ceph(fsid, nodes, osds, _pools(world, node, storages, state), filesystems, state)


def _is_local(storage: Storage) -> bool:
    return storage.type in ("rbd", "cephfs") and not storage.options.get("monhost") and not storage.disable


def _pools(world: World, node: str, storages: list[Storage], state: CephState) -> tuple[Pool, ...]:
    found: dict[str, tuple[str, int, int]] = {".mgr": ("mgr", 1 << 20, 0)}
    for storage in storages:
        total, used, _, _ = space_of(world, storage, node)
        if storage.type == "rbd":
            found[str(storage.options.get("pool", "rbd"))] = ("rbd", used, total)
        else:
            name = str(storage.options.get("fs-name", "cephfs"))
            found[f"{name}_data"] = ("cephfs", used, total)
            found[f"{name}_metadata"] = ("cephfs", 1 << 20, total)
    return tuple(
        Pool(number, name, *figures, state.pools.get(name, {}))
        for number, (name, figures) in enumerate(found.items(), start=1)
    )


# -- writing -----------------------------------------------------------------------------------------------------------


def set_flags(world: World, wanted: Mapping[str, bool]) -> None:
    """Set and clear flags."""
    state = world.get(CephState, "ceph") or CephState()
    kept = [flag for flag in FLAGS if wanted.get(flag, flag in state.flags)]
    world.put(replace(state, flags=tuple(kept)))


def move_osd(world: World, ceph: Ceph, number: int, is_in: bool) -> None:
    """Take an OSD in, or out. Raises `Failure` for an unknown one."""
    find_osd(ceph, number)
    out = {*ceph.state.out} - {number} if is_in else {*ceph.state.out, number}
    world.put(replace(ceph.state, out=tuple(sorted(out))))


@effect("ceph.set_pool")
def set_pool(world: World, task: Task | None, name: str, settings: Mapping[str, Any]) -> None:
    """Change the settings of a pool."""
    state = world.get(CephState, "ceph") or CephState()
    world.put(replace(state, pools={**state.pools, name: {**state.pools.get(name, {}), **settings}}))


def find_osd(ceph: Ceph, number: int) -> Osd:
    """One OSD. Raises `Failure`."""
    if not 0 <= number < len(ceph.osds):
        raise Failure(f"OSD '{number}' does not exist")
    return ceph.osds[number]


def find_pool(ceph: Ceph, name: str) -> Pool:
    """One pool. Raises `Failure`."""
    for pool in ceph.pools:
        if pool.name == name:
            return pool
    raise Failure(f"mon_command failed - unrecognized pool '{name}'")
