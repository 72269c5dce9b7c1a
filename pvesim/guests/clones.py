"""What cloning has in common for machines and containers: the new guest's place, and who holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.disks import volumes_in
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import lock_step, unlock
from pvesim.guests.newcomers import add_to_pool
from pvesim.guests.records import FileLock, Guest, Kind
from pvesim.guests.volumes import free_volume
from pvesim.routing import Call


def start_clone(call: Call, kind: Kind, newid: int, steps: Sequence[Step]) -> str:
    """Start the task of a clone, which holds the source; the UPID."""
    vmid = call.params["vmid"]
    cleanup = Step(effect="guests.clone_over", arguments=(vmid, newid))
    return call.start(f"{KINDS[kind].task}clone", vmid, [lock_step(kind, vmid), *steps], cleanup)


def take_place(world: World, task: Task, guest: Guest) -> None:
    """Put the new guest into the world, held by the task. Raises `Failure` where its id has been taken meanwhile."""
    if world.get(Guest, guest.vmid) is not None:
        file = f"/etc/pve/nodes/{guest.node}/{KINDS[guest.kind].directory}/{guest.vmid}.conf"
        raise Failure(f"close (rename) atomic file '{file}' failed: File exists")
    world.put(guest)
    world.put(FileLock(guest.vmid, task.upid))


@effect("guests.cloned")
def _cloned(world: World, task: Task, newid: int, pool: str | None, target: str | None) -> None:
    guest = world.rows(Guest)[newid]
    config = {key: value for key, value in guest.config.items() if key != "lock"}
    world.put(replace(guest, config=config, node=target or guest.node))
    add_to_pool(world, pool, newid)


@effect("guests.clone_over")
def _clone_over(world: World, task: Task, vmid: int, newid: int) -> None:
    """Where the clone was not finished, what was made of it goes away."""
    ended, guest, lock = world.get(Task, task.upid), world.get(Guest, newid), world.get(FileLock, newid)
    if guest is not None and lock is not None and lock.holder == task.upid:
        if ended is not None and ended.exitstatus != "OK":
            for volid in volumes_in(guest.kind, guest.config):
                free_volume(world, guest.node, volid, newid)
            world.remove(Guest, newid)
        unlock(world, task, newid)
    unlock(world, task, vmid)
