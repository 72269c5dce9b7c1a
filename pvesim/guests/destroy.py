"""Removing guests, of both kinds. Source: recorded exchanges `qemu-create/029-032`, `qemu-clone/019-021`, `delete/*`,
`lxc/057`, `lxc/070`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pvesim.access.acl import forget_path
from pvesim.backup.jobs import leave_jobs
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.firewall.records import Firewall
from pvesim.guests.disks import disks_of, volumes_in
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import start_locked
from pvesim.guests.newcomers import leave_pools
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.volumes import free_volume, owned_volumes
from pvesim.ha.records import HaResource
from pvesim.ha.rules import delete_resource
from pvesim.replication.records import jobs_of
from pvesim.replication.run import forget_jobs
from pvesim.routing import Call
from pvesim.storage.records import Volume
from pvesim.storage.volumes import linked_clones, volume_of

DESTROY_SECONDS = 0.4


_RUNNING: Mapping[Kind, str] = {
    "qemu": "VM {vmid} is running - destroy failed",
    "lxc": "unable to destroy CT {vmid} - container is running",
}


def destroy(kind: Kind, call: Call) -> str:
    """`DELETE …/{vmid}`; the UPID. A lock refuses a container at once and a machine in the task."""
    call.root_only("skiplock")
    params, vmid = call.params, call.params["vmid"]
    purge, force = bool(params.get("purge")), bool(params.get("force"))
    guest = find_guest(call.world, kind, call.node, vmid)
    check_removable(call.world, guest, purge)
    if kind == "lxc":
        check_lock(guest)
    if guest.running and not force:
        raise Failure(_RUNNING[kind].format(vmid=vmid))
    unreferenced = bool(params.get("destroy-unreferenced-disks"))
    arguments = (kind, vmid, bool(params.get("skiplock")), purge, force, unreferenced)
    step = Step(DESTROY_SECONDS, effect="guests.destroy", arguments=arguments)
    return start_locked(call.world, kind, call.node, f"{KINDS[kind].task}destroy", vmid, call.identity.name, [step])


def check_removable(world: World, guest: Guest, purge: bool) -> None:
    """Raise `Failure` for a protected guest, and for one that HA knows unless that is purged too."""
    word = KINDS[guest.kind].word
    if guest.config.get("protection"):
        raise Failure(f"can't remove {word} {guest.vmid} - protection mode enabled")
    if world.get(HaResource, _sid(guest)) is not None and not purge:
        raise Failure(f"unable to remove {word} {guest.vmid} - used in HA resources and purge parameter not set.")
    jobs = jobs_of(world, guest.vmid)
    if jobs and not purge:
        raise Failure(f"There is a replication job '{jobs[0].id}' for guest '{guest.vmid}' - Please remove that first.")


def _sid(guest: Guest) -> str:
    return f"{KINDS[guest.kind].sid}:{guest.vmid}"


@effect("guests.destroy")
def _destroy(
    world: World, task: Task, kind: Kind, vmid: int, skiplock: bool, purge: bool, force: bool, unreferenced: bool
) -> Iterable[Step]:
    guest = find_guest(world, kind, task.node, vmid)
    check_removable(world, guest, purge)
    check_lock(guest, skip=skiplock)
    if guest.running and not force:
        raise Failure(_RUNNING[kind].format(vmid=vmid))
    remove_volumes(world, guest, unreferenced)
    forget_guest(world, guest)
    if not purge:
        return []
    word = KINDS[kind].word
    log = [f"purging {word} {vmid} from related configurations.."]
    leave_jobs(world, vmid)
    forget_jobs(world, vmid)
    if world.get(HaResource, _sid(guest)) is not None:
        delete_resource(world, _sid(guest), purge=True)
        log.append(f"NOTE: removed {word} {vmid} from HA resource configuration.")
    return [Step(log=tuple(log))]


def remove_volumes(world: World, guest: Guest, unreferenced: bool = False) -> None:
    """Remove the volumes that the guest's configuration and snapshots name; with `unreferenced`, all that carry its id.

    Raises `Failure` for a base volume that linked clones stand on.
    """
    if guest.template:
        for disk in disks_of(guest.kind, guest.config):
            volume = None if disk.cdrom or disk.volid is None else _known(world, guest.node, disk.volid)
            if volume is not None and next(linked_clones(world, volume), None) is not None:
                raise Failure(f"base volume '{volume.volid}' is still in use by linked cloned")
    pending = {key: value for key, value in guest.pending.items() if value is not None}
    for config in (guest.config, pending, *(snapshot.config for snapshot in guest.snapshots)):
        for volid in volumes_in(guest.kind, config):
            if _known(world, guest.node, volid) is not None:
                free_volume(world, guest.node, volid, guest.vmid)
    if unreferenced:
        for volume in owned_volumes(world, guest.node, guest.vmid):
            free_volume(world, guest.node, volume.volid, guest.vmid)


def _known(world: World, node: str, volid: str) -> Volume | None:
    try:
        return volume_of(world, node, volid)
    except Failure:  # its storage is gone
        return None


def forget_guest(world: World, guest: Guest) -> None:
    """Remove a guest's configuration, and what other areas keep about it: rights, pool, firewall."""
    world.remove(Guest, guest.vmid)
    forget_path(world, f"/vms/{guest.vmid}")
    leave_pools(world, guest.vmid)
    world.remove(Firewall, f"guest/{guest.vmid}")
