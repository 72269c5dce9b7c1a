"""What PVE does with pools. Source: recorded exchanges `pools/*`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pvesim.access.records import AclEntry
from pvesim.access.rules import Identity, has_privileges
from pvesim.cluster.resources import guest_row, storage_row
from pvesim.contract.formats import split_list
from pvesim.core.errors import Failure, Forbidden
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.pools.records import Pool
from pvesim.storage.records import Storage


def find_pool(world: World, poolid: str) -> Pool:
    """The pool. Raises `Failure` for an unknown one."""
    pool = world.get(Pool, poolid)
    if pool is None:
        raise Failure(f"pool '{poolid}' does not exist")
    return pool


# -- reading -------------------------------------------------------------------------------------------------------


def list_pools(world: World, identity: Identity) -> list[dict[str, Any]]:
    """The pools that who asks may audit."""
    return [
        _heading(pool)
        for pool in world.rows(Pool).values()
        if has_privileges(world, identity, f"/pool/{pool.poolid}", ("Pool.Audit",))
    ]


def describe(world: World, pool: Pool, type: str | None, local_node: str) -> dict[str, Any]:
    """A pool with its members as the resources of the cluster show them, of one type only if named."""
    members = [row for row in _members(world, pool, local_node) if type is None or row["type"] == type]
    return {**_heading(pool), "members": members}


def _heading(pool: Pool) -> dict[str, Any]:
    return {"poolid": pool.poolid, **({"comment": pool.comment} if pool.comment else {})}


def _members(world: World, pool: Pool, local_node: str) -> Iterator[dict[str, Any]]:
    """What is a member and exists: PVE takes the ids of guests and storages that do not."""
    for vmid in sorted(pool.vmids):
        guest = world.get(Guest, vmid)
        if guest is not None:
            yield guest_row(world, guest)
    for name in sorted(pool.storages):
        storage = world.get(Storage, name)
        if storage is not None and not storage.disable:
            yield storage_row(world, storage, local_node if storage.on(local_node) else min(storage.nodes))


# -- writing -------------------------------------------------------------------------------------------------------


def create_pool(world: World, poolid: str, comment: str) -> None:
    """Make an empty pool. Raises `Failure` if there is one of that name, or no parent for a nested one."""
    if world.get(Pool, poolid) is not None:
        raise Failure(f"pool '{poolid}' already exists")
    parent = poolid.rpartition("/")[0]
    if parent and world.get(Pool, parent) is None:
        raise Failure(f"parent '{parent}' of pool '{poolid}' does not exist")
    world.put(Pool(poolid, comment))


def delete_pool(world: World, poolid: str) -> None:
    """Remove a pool and the rights on it. Raises `Failure` while it holds pools, storages or guests that exist."""
    pool = find_pool(world, poolid)
    content = [f"pool '{name}'" for name in sorted(world.rows(Pool)) if name.rpartition("/")[0] == poolid]
    content += [f"VM {vmid}" for vmid in sorted(pool.vmids) if world.get(Guest, vmid) is not None]
    content += [f"storage {storage}" for storage in sorted(pool.storages)]
    if content:
        raise Failure(f"pool '{poolid}' is not empty (contains {content[0]})")
    for entry in list(world.rows(AclEntry).values()):
        if entry.path == f"/pool/{poolid}":
            world.remove(AclEntry, entry.key)
    world.remove(Pool, poolid)


def update_pool(world: World, identity: Identity, poolid: str, changes: Mapping[str, Any]) -> None:
    """Change a pool's comment, and add members or, with `delete`, remove them. Raises `Failure`."""
    pool = find_pool(world, poolid)
    if "comment" in changes:
        world.put(replace(pool, comment=changes["comment"]))
    change_guest, change_storage = (
        (_remove_guest, _remove_storage) if changes.get("delete") else (_add_guest, _add_storage)
    )
    for text in split_list(changes.get("vms", "")):
        _check_may_modify(world, identity, f"/vms/{text}", "VM.Allocate")
        change_guest(world, identity, poolid, int(text), bool(changes.get("allow-move")))
    for storage in split_list(changes.get("storage", "")):
        _check_may_modify(world, identity, f"/storage/{storage}", "Datastore.Allocate")
        change_storage(world, poolid, storage)


def _add_guest(world: World, identity: Identity, poolid: str, vmid: int, allow_move: bool) -> None:
    if vmid in find_pool(world, poolid).vmids:
        raise Failure(f"VM {vmid} is already a pool member")
    other = next((pool for pool in world.rows(Pool).values() if vmid in pool.vmids), None)
    if other is not None:
        if not allow_move:
            raise Failure(f"VM {vmid} belongs already to pool '{other.poolid}' and 'allow-move' is not set")
        _check(world, identity, f"/pool/{other.poolid}", "Pool.Allocate")
        world.put(_without(other, vmid))
    pool = find_pool(world, poolid)
    world.put(replace(pool, vmids=(*pool.vmids, vmid)))


def _remove_guest(world: World, identity: Identity, poolid: str, vmid: int, allow_move: bool) -> None:
    pool = find_pool(world, poolid)
    if vmid not in pool.vmids:
        raise Failure(f"VM {vmid} is not a pool member")
    world.put(_without(pool, vmid))


def _without(pool: Pool, vmid: int) -> Pool:
    return replace(pool, vmids=tuple(member for member in pool.vmids if member != vmid))


def _add_storage(world: World, poolid: str, storage: str) -> None:
    pool = find_pool(world, poolid)
    if storage in pool.storages:
        raise Failure(f"Storage '{storage}' is already a pool member")
    world.put(replace(pool, storages=(*pool.storages, storage)))


def _remove_storage(world: World, poolid: str, storage: str) -> None:
    pool = find_pool(world, poolid)
    if storage not in pool.storages:
        raise Failure(f"Storage '{storage}' is not a pool member")
    world.put(replace(pool, storages=tuple(member for member in pool.storages if member != storage)))


def forget_guest(world: World, vmid: int) -> None:
    """Take a guest that is destroyed out of its pool."""
    for pool in list(world.rows(Pool).values()):
        if vmid in pool.vmids:
            world.put(_without(pool, vmid))


def _check(world: World, identity: Identity, path: str, *privileges: str) -> None:
    if not has_privileges(world, identity, path, privileges, any_of=True):
        raise Forbidden(f"Permission check failed ({path}, {'|'.join(privileges)})")


def _check_may_modify(world: World, identity: Identity, path: str, allocate: str) -> None:
    _check(world, identity, path, "Permissions.Modify", allocate)
