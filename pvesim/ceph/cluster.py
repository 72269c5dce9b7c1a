"""The Ceph cluster that a world has: where a storage of type `rbd` or `cephfs` names no monitors, the nodes are it.

The first three nodes have a monitor and a manager, every node has two OSDs, and the pools are those of the storages,
until something is made or removed: from then on all of it is recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pvesim.ceph.records import CephDaemon, CephOsd, CephState, Kind
from pvesim.core.errors import Failure
from pvesim.core.tasks import Task, effect
from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage
from pvesim.storage.rules import space_of

NOT_INSTALLED = "binary not installed: /usr/bin/ceph-mon"
VERSION, RELEASE, COMMIT = "19.2.3", "squid", "2f03f1cd83e5d40cdf1393cb64a662a8e8bb07c6"
MONITORS, METADATA_SERVERS, OSDS_PER_NODE, COPIES = 3, 2, 2, 3
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
    """One OSD; it is up while it is started and its node is online. `size` are bytes."""

    id: int
    node: Node
    is_in: bool
    size: int
    running: bool = True
    device: str = ""

    @property
    def up(self) -> bool:
        return self.running and self.node.online


@dataclass(frozen=True, slots=True)
class Daemon:
    """A monitor, a manager or a metadata server; it is up while it is started and its node is online."""

    kind: Kind
    id: str
    node: Node
    running: bool = True

    @property
    def up(self) -> bool:
        return self.running and self.node.online


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
    daemons: tuple[Daemon, ...]
    osds: tuple[Osd, ...]
    pools: tuple[Pool, ...]
    filesystems: tuple[str, ...]
    state: CephState

    def of(self, kind: Kind) -> list[Daemon]:
        """The daemons of a kind."""
        return [daemon for daemon in self.daemons if daemon.kind == kind]

    @property
    def raw_total(self) -> int:
        return sum(osd.size for osd in self.osds)

    @property
    def raw_used(self) -> int:
        return sum(pool.size * pool.used for pool in self.pools)


def find_ceph(world: World, node: str) -> Ceph:
    """The Ceph cluster. Raises `Failure` as a node does on which Ceph is not installed."""
    storages = local_storages(world)
    state = world.get(CephState, "ceph")
    if not storages and state is None:
        raise Failure(NOT_INSTALLED)
    state = state or CephState()
    nodes = tuple(world.rows(Node).values())
    digest = hashlib.blake2b(f"{world.seed}:ceph".encode(), digest_size=16).hexdigest()
    fsid = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:]}"
    named = [_file_system(storage) for storage in storages if storage.type == "cephfs"]
    filesystems = tuple(dict.fromkeys((*named, *state.filesystems)))
    pools = _pools(world, node, storages, filesystems, state)
    if state.settled:
        daemons, osds = _recorded(world, state)
    else:
        daemons, osds = _given(nodes, bool(filesystems), COPIES * max((pool.total for pool in pools), default=0), state)
    return Ceph(fsid, nodes, daemons, osds, pools, filesystems, state)


def local_storages(world: World) -> list[Storage]:
    """The storages on the nodes' own Ceph."""
    return [storage for storage in world.rows(Storage).values() if _is_local(storage)]


def _is_local(storage: Storage) -> bool:
    return storage.type in ("rbd", "cephfs") and not storage.options.get("monhost") and not storage.disable


def _file_system(storage: Storage) -> str:
    return str(storage.options.get("fs-name", "cephfs"))


def _recorded(world: World, state: CephState) -> tuple[tuple[Daemon, ...], tuple[Osd, ...]]:
    nodes = world.rows(Node)
    daemons = (
        Daemon(each.kind, each.id, nodes[each.node], each.running)
        for each in world.rows(CephDaemon).values()
        if each.node in nodes
    )
    osds = (
        Osd(each.number, nodes[each.node], each.number not in state.out, each.size, each.running, each.device)
        for each in sorted(world.rows(CephOsd).values(), key=lambda osd: osd.number)
        if each.node in nodes
    )
    return tuple(daemons), tuple(osds)


def _given(
    nodes: tuple[Node, ...], with_files: bool, raw_total: int, state: CephState
) -> tuple[tuple[Daemon, ...], tuple[Osd, ...]]:
    """What a world begins with."""
    kinds: dict[Kind, int] = {"mon": MONITORS, "mgr": MONITORS, "mds": METADATA_SERVERS if with_files else 0}
    daemons = [Daemon(kind, node.name, node) for kind, count in kinds.items() for node in nodes[:count]]
    owners = [node for node in nodes for _ in range(OSDS_PER_NODE)]
    size = raw_total // max(1, len(owners))
    osds = [Osd(number, owner, number not in state.out, size) for number, owner in enumerate(owners)]
    return tuple(daemons), tuple(osds)


def _pools(
    world: World, node: str, storages: list[Storage], filesystems: tuple[str, ...], state: CephState
) -> tuple[Pool, ...]:
    rooms = {storage.storage: space_of(world, storage, node) for storage in storages}
    total = max((room.total for room in rooms.values()), default=0)
    found: dict[str, tuple[str, int, int]] = {".mgr": ("mgr", 1 << 20, 0)}
    for storage in storages:
        if storage.type == "rbd":
            room = rooms[storage.storage]
            found[str(storage.options.get("pool", "rbd"))] = ("rbd", room.used, room.total)
    for name in filesystems:
        used = sum(
            rooms[each.storage].used for each in storages if each.type == "cephfs" and _file_system(each) == name
        )
        found[f"{name}_data"] = ("cephfs", used, total)
        found[f"{name}_metadata"] = ("cephfs", 1 << 20, total)
    for name, application in state.made.items():
        found.setdefault(name, (application, 0, total))
    kept = ((name, figures) for name, figures in found.items() if name not in state.gone)
    return tuple(
        Pool(number, name, *figures, state.pools.get(name, {})) for number, (name, figures) in enumerate(kept, start=1)
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
    for osd in ceph.osds:
        if osd.id == number:
            return osd
    raise Failure(f"OSD '{number}' does not exist")


def find_pool(ceph: Ceph, name: str) -> Pool:
    """One pool. Raises `Failure`."""
    for pool in ceph.pools:
        if pool.name == name:
            return pool
    raise Failure(f"mon_command failed - unrecognized pool '{name}'")
