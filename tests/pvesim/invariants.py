"""What must hold in every world, whatever was asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from pvesim.access.records import Token, User
from pvesim.backup.records import BackupRun
from pvesim.core.tasks import Task, Timer
from pvesim.core.world import World
from pvesim.guests.disks import volumes_in
from pvesim.guests.records import FileLock, Guest
from pvesim.ha.records import HaResource
from pvesim.nodes.records import Node
from pvesim.pools.records import Pool
from pvesim.storage.records import Space, Storage, Volume
from pvesim.storage.rules import space_of

SHARES_ROOT = ("btrfs", "dir")  # such a storage may share its space with others


def check_invariants(world: World, *, left_locked: Collection[int] = ()) -> list[str]:
    """Every invariant that is broken, in words. `left_locked` are guests whose lock a fault has left behind."""
    return [
        *_volumes(world),
        *_owners(world),
        *_guests(world),
        *_locks(world, left_locked),
        *_spaces(world),
        *_tasks(world),
        *_members(world),
    ]


def check_later(before: World, after: World) -> list[str]:
    """What must hold between two moments: a finished task never changes, and time does not go back."""
    problems = [
        f"finished task {task.upid} changed"
        for task in before.rows(Task).values()
        if not task.running and after.get(Task, task.upid) not in (task, None)
    ]
    if after.now < before.now:
        problems.append(f"time went back from {before.now} to {after.now}")
    return problems


def volumes_of(guest: Guest) -> set[str]:
    """Every volume that a guest's configuration, snapshots or pending changes name."""
    pending = {key: value for key, value in guest.pending.items() if value is not None}
    configs = [guest.config, pending, *(snapshot.config for snapshot in guest.snapshots)]
    return {volid for config in configs for volid in volumes_in(guest.kind, config)}


def _find(world: World, node: str, volid: str) -> Volume | None:
    name, _, volume = volid.partition(":")
    storage = world.get(Storage, name)
    return world.get(Volume, (name, storage.place(node), volume)) if storage else None


def _volumes(world: World) -> Iterator[str]:
    for guest in world.rows(Guest).values():
        for volid in sorted(volumes_of(guest)):
            volume = _find(world, guest.node, volid)
            if volume is None:
                yield f"guest {guest.vmid} names {volid}, which is not there on {guest.node}"
            elif volume.vmid is not None and volume.vmid != guest.vmid:
                yield f"guest {guest.vmid} names {volid}, which belongs to {volume.vmid}"
    for volume in world.rows(Volume).values():
        if volume.storage not in world.rows(Storage):
            yield f"volume {volume.volid} is on no storage"
        if volume.parent and world.get(Volume, (volume.storage, volume.place, volume.parent)) is None:
            yield f"volume {volume.volid} is linked to {volume.parent}, which is not there"


def _owners(world: World) -> Iterator[str]:
    users = Counter(
        (volid, world.rows(Storage)[volid.partition(":")[0]].place(guest.node))
        for guest in world.rows(Guest).values()
        for volid in volumes_of(guest)
        if volid.partition(":")[0] in world.rows(Storage)
    )
    for (volid, place), count in users.items():
        storage, _, name = volid.partition(":")
        volume = world.get(Volume, (storage, place, name))
        if count > 1 and volume is not None and volume.vmid is not None:
            yield f"volume {volid} is in the configurations of {count} guests"


def _guests(world: World) -> Iterator[str]:
    pids = Counter((guest.node, guest.pid) for guest in world.rows(Guest).values() if guest.pid is not None)
    yield from (f"process {pid} on {node} is {count} guests" for (node, pid), count in pids.items() if count > 1)
    for key, guest in world.rows(Guest).items():
        if key != guest.vmid or guest.node not in world.rows(Node):
            yield f"guest {guest.vmid} is on no node"
        if guest.running != (guest.pid is not None) or guest.running == (guest.qmpstatus == "stopped"):
            yield f"guest {guest.vmid} is {guest.status}, {guest.qmpstatus}, with process {guest.pid}"
        if guest.running and (guest.template or guest.started > world.now):
            yield f"guest {guest.vmid} cannot run"
        names = [snapshot.name for snapshot in guest.snapshots]
        parents = {snapshot.name: snapshot.parent for snapshot in guest.snapshots}
        if len(set(names)) != len(names) or any(_loops(parents, name) for name in names):
            yield f"guest {guest.vmid}: its snapshots {parents} are no tree"


def _loops(parents: dict[str, str | None], name: str) -> bool:
    seen: set[str] = set()
    here: str | None = name
    while here is not None:
        if here in seen or here not in parents:
            return True
        seen.add(here)
        here = parents[here]
    return False


def _locks(world: World, left_locked: Collection[int]) -> Iterator[str]:
    tasks = {task.upid: task for task in world.rows(Task).values() if task.running}
    named = {task.id for task in tasks.values()}
    held = {
        lock.vmid for lock in world.rows(FileLock).values() if lock.holder in tasks
    }  # a clone's task names its source
    held |= {run.guest for run in world.rows(BackupRun).values() if run.guest is not None}
    for guest in world.rows(Guest).values():
        if guest.lock and guest.vmid not in left_locked and str(guest.vmid) not in named and guest.vmid not in held:
            yield f"guest {guest.vmid} is locked ({guest.lock}) and no task runs on it"


def _spaces(world: World) -> Iterator[str]:
    for storage in world.rows(Storage).values():
        for node in world.rows(Node):
            figures = space_of(world, storage, node)
            if figures.used > figures.total or figures.avail < 0:
                yield f"storage {storage.storage} on {node} uses more than it has: {figures}"
            space = world.get(Space, (storage.storage, storage.place(node)))
            if space is None or not figures.active or storage.type in SHARES_ROOT:
                continue
            volumes = sum(
                volume.used
                for volume in world.rows(Volume).values()
                if (volume.storage, volume.place) == (space.storage, space.place)
            )
            if figures.used != space.used + volumes:
                yield f"storage {storage.storage} on {node} uses {figures.used}, its volumes {volumes}"


def _tasks(world: World) -> Iterator[str]:
    for task in world.rows(Task).values():
        waits = world.get(Timer, task.upid) is not None
        if task.running != waits:
            yield f"task {task.upid}: running is {task.running}, and whether something is due for it is {waits}"
        if not task.running and (task.endtime is None or not task.starttime <= task.endtime <= world.now):
            yield f"task {task.upid} ended at {task.endtime}"


def _members(world: World) -> Iterator[str]:
    homes = Counter(vmid for pool in world.rows(Pool).values() for vmid in pool.vmids)
    yield from (f"guest {vmid} is in {count} pools" for vmid, count in homes.items() if count > 1)
    for resource in world.rows(HaResource).values():
        if resource.vmid not in world.rows(Guest):
            yield f"HA manages {resource.sid}, which is no guest"
    for token in world.rows(Token).values():
        if token.userid not in world.rows(User):
            yield f"token {token.key} has no user"
