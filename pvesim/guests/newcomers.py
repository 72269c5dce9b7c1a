"""What every new guest needs: an id that is free, a pool that is there, the right to make it.

Source: recorded exchanges `qemu-create/025`, `qemu-create/034-035`, `lxc/014-015`, `offline-node/006`.
"""

from __future__ import annotations

from dataclasses import replace

from pvesim.core.errors import Failure, Forbidden
from pvesim.core.world import World
from pvesim.guests.kinds import KINDS
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.pools.records import Pool
from pvesim.routing import Call


def check_id_free(world: World, vmid: int) -> None:
    """Raise `Failure` where a guest of either kind, on any node, has the id."""
    guest = world.get(Guest, vmid)
    if guest is not None:
        raise Failure(f"{KINDS[guest.kind].word} {vmid} already exists on node '{guest.node}'")


def check_pool(world: World, pool: str | None) -> None:
    """Raise `Forbidden`, as PVE does, for a pool that does not exist."""
    if pool is not None and world.get(Pool, pool) is None:
        raise Forbidden(f"Permission check failed (pool '{pool}' does not exist)")


def check_may_create(call: Call, vmid: int, pool: str | None) -> None:
    """Raise `Forbidden` unless who asks may make a guest of that id, or one in that pool."""
    if not call.may(f"/vms/{vmid}", "VM.Allocate") and not (pool and call.may(f"/pool/{pool}", "VM.Allocate")):
        raise Forbidden("Permission check failed")


def may_in_pool(call: Call, vmid: int, pool: str | None, *privileges: str, any_of: bool = False) -> bool:
    """Whether who asks has the privileges on a guest, or on the pool that it will be a member of."""
    if call.may(f"/vms/{vmid}", *privileges, any_of=any_of):
        return True
    return pool is not None and call.may(f"/pool/{pool}", *privileges, any_of=any_of)


def check_in_pool(call: Call, vmid: int, pool: str | None, *privileges: str, any_of: bool = False) -> None:
    """The same, raising `Forbidden`."""
    if not may_in_pool(call, vmid, pool, *privileges, any_of=any_of):
        call.check(f"/vms/{vmid}", *privileges, any_of=any_of)


def check_node(world: World, node: str) -> None:
    """Raise `Failure` for a node that the cluster does not have."""
    if world.get(Node, node) is None:
        raise Failure(f"no such cluster node '{node}'")


def add_to_pool(world: World, pool: str | None, vmid: int) -> None:
    """Make a guest a member of a pool, if there is one; its id may have been in another one already."""
    record = world.get(Pool, pool) if pool else None
    if record is not None and vmid not in record.vmids:
        leave_pools(world, vmid)
        world.put(replace(record, vmids=(*record.vmids, vmid)))


def leave_pools(world: World, vmid: int) -> None:
    """Take a guest out of the pool that it is in."""
    for record in list(world.rows(Pool).values()):
        if vmid in record.vmids:
            world.put(replace(record, vmids=tuple(member for member in record.vmids if member != vmid)))
