"""Making and removing pools and file systems. Source: `/nodes/{node}/ceph/{pool,fs}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pvesim.ceph.cluster import COPIES, Ceph, find_ceph, find_pool, local_storages
from pvesim.ceph.records import CephState
from pvesim.core.errors import Failure
from pvesim.core.sections import under
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.storage import definitions
from pvesim.storage.records import Space, Storage, Volume

DEFAULTS: Mapping[str, Any] = {"pg_num": 128, "size": 3, "min_size": 2, "pg_autoscale_mode": "warn"}
RULE = "replicated_rule"
_IMAGES = ("images", "rootdir")


def check_rule(settings: Mapping[str, Any]) -> None:
    """Raise `Failure` for a CRUSH rule that is not there."""
    rule = settings.get("crush_rule", RULE)
    if rule != RULE:
        raise Failure(f"mon_command failed - error: crush rule {rule} does not exist")


# -- pools -------------------------------------------------------------------------------------------------------------


def pool_steps(ceph: Ceph, name: str, application: str, settings: Mapping[str, Any], add_storage: bool) -> list[Step]:
    """The task that makes a pool. Raises `Failure` for one that is there."""
    check_rule(settings)
    if any(pool.name == name for pool in ceph.pools):
        raise Failure(f"pool '{name}' already exists")
    arguments = (name, application, {**DEFAULTS, **settings}, add_storage)
    return [Step(after=1.0, log=(f"pool {name}: applying settings",), effect="ceph.make_pool", arguments=arguments)]


@effect("ceph.make_pool")
def make_pool(
    world: World, task: Task, name: str, application: str, settings: Mapping[str, Any], add_storage: bool
) -> None:
    """Make a pool, and define a storage on it if that was asked for. Raises `Failure`."""
    _make(world, name, application, settings)
    if add_storage:
        with under(f"adding storage for pool '{name}' failed"):
            _define(world, task.node, "rbd", name, {"pool": name, "content": "images,rootdir", "krbd": 0})


def _make(world: World, name: str, application: str, settings: Mapping[str, Any]) -> None:
    state = world.get(CephState, "ceph") or CephState()
    gone = tuple(each for each in state.gone if each != name)
    made = {**state.made, name: application}
    world.put(replace(state, made=made, gone=gone, pools={**state.pools, name: dict(settings)}))
    for storage in storages_of(world, name):
        space = world.get(Space, (storage.storage, ""))
        if space is not None and not space.active:
            world.put(replace(space, active=True))


def _define(world: World, node: str, type: str, name: str, options: Mapping[str, Any]) -> None:
    """A storage on the cluster, with the room that all storages on it share."""
    if world.get(Storage, name) is None and not local_storages(world):
        world.put(definitions.RemovedStorage(name, definitions.read_definition(type, name, options)))
        world.put(Space(name, "", find_ceph(world, node).raw_total // COPIES, 0))
    definitions.create(world, node, type, name, options)


def storages_of(world: World, pool: str) -> list[Storage]:
    """The storages on a pool."""
    on_rbd = [storage for storage in local_storages(world) if storage.type == "rbd"]
    return [storage for storage in on_rbd if storage.options.get("pool", "rbd") == pool]


def pool_removal_steps(world: World, ceph: Ceph, name: str, force: bool, remove_storages: bool) -> list[Step]:
    """The task that destroys a pool. Raises `Failure` for an unknown pool, or one with disks of guests on it."""
    find_pool(ceph, name)
    storages = storages_of(world, name)
    if not force:
        for storage in storages:
            if any(volume.content in _IMAGES for volume in _volumes_on(world, storage)):
                raise Failure(f"ceph pool '{name}' still in use by storage '{storage.storage}'")
    return [Step(after=1.0, effect="ceph.remove_pool", arguments=(name, remove_storages))]


def _volumes_on(world: World, storage: Storage) -> list[Volume]:
    return [volume for volume in world.rows(Volume).values() if volume.storage == storage.storage]


@effect("ceph.remove_pool")
def remove_pool(world: World, task: Task, name: str, remove_storages: bool) -> None:
    """Remove a pool with what is on it. Its storages stay, with nothing behind them, unless they are to go too."""
    find_pool(find_ceph(world, task.node), name)
    state = world.get(CephState, "ceph") or CephState()
    kept = {key: value for key, value in state.pools.items() if key != name}
    made = {key: value for key, value in state.made.items() if key != name}
    world.put(replace(state, pools=kept, made=made, gone=(*state.gone, name)))
    for storage in storages_of(world, name):
        for volume in _volumes_on(world, storage):
            world.remove(Volume, volume.key)
        if remove_storages:
            definitions.remove(world, storage.storage)
        else:
            space = world.get(Space, (storage.storage, ""))
            world.put(replace(space or Space(storage.storage, "", 0), active=False))


# -- file systems ------------------------------------------------------------------------------------------------------


def filesystem_steps(world: World, ceph: Ceph, name: str, groups: int, add_storage: bool) -> list[Step]:
    """The task that makes a file system. Raises `Failure`: its pools are there, or no server is free for it."""
    data, metadata = f"{name}_data", f"{name}_metadata"
    if any(pool.name in (data, metadata) for pool in ceph.pools):
        raise Failure(f"ceph pools '{data}' and/or '{metadata}' already exist")
    running = [server for server in ceph.of("mds") if server.up]
    if not running:
        raise Failure("no running Metadata Server (MDS) found!")
    if len(running) <= len(ceph.filesystems):
        raise Failure("no standby Metadata Server (MDS) found!")
    if add_storage and world.get(Storage, name) is not None:
        raise Failure(f"storage ID '{name}' already defined")
    log = (f"creating data pool '{data}'...", f"creating metadata pool '{metadata}'...")
    return [
        Step(log=log),
        Step(after=2.0, log=("configuring new CephFS",), effect="ceph.make_filesystem",
             arguments=(name, groups, add_storage)),
    ]  # fmt: skip


@effect("ceph.make_filesystem")
def make_filesystem(world: World, task: Task, name: str, groups: int, add_storage: bool) -> None:
    """Make a file system of two pools, and define a storage on it if that was asked for. Raises `Failure`."""
    _make(world, f"{name}_data", "cephfs", {**DEFAULTS, "pg_num": groups})
    _make(world, f"{name}_metadata", "cephfs", {**DEFAULTS, "pg_num": max(1, groups // 4)})
    state = world.rows(CephState)["ceph"]
    world.put(replace(state, filesystems=(*state.filesystems, name)))
    if add_storage:
        options = {"content": "backup,iso,vztmpl", "fs-name": name, "path": f"/mnt/pve/{name}"}
        _define(world, task.node, "cephfs", name, options)


def set_networks(world: World, network: str | None, cluster_network: str | None) -> None:
    """`POST …/init` where the configuration is there already: the networks in it are set anew."""
    state = world.get(CephState, "ceph") or CephState()
    networks = dict(state.networks)
    if network is not None:
        networks.update(public_network=network, cluster_network=network)
    if cluster_network is not None:
        networks["cluster_network"] = cluster_network
    world.put(replace(state, networks=networks))
