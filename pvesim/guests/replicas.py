"""Moving a guest that is replicated: the copies that a job keeps on the target are brought up to date and used.

Source: `…/migrate`'s parameter `force`; the log lines of migrations of replicated guests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.copying import source_of
from pvesim.guests.records import Guest
from pvesim.guests.travel import Use
from pvesim.replication.records import jobs_of
from pvesim.replication.run import plan
from pvesim.storage.rules import find_storage
from pvesim.storage.volumes import volume_of


def check_live_target(world: World, guest: Guest, target: str) -> None:
    """Raise `Failure` where a running machine is replicated, but not to the node that it is to move to."""
    targets = [job.options["target"] for job in jobs_of(world, guest.vmid)]
    if targets and target not in targets:
        text = (
            f"Cannot live-migrate replicated VM to node '{target}' - not a replication target. Use 'force' to override."
        )
        raise Failure(text)


def copied_to(world: World, guest: Guest, target: str, uses: Iterable[Use]) -> list[str]:
    """The ids of the volumes of which a job has made a copy on the target."""
    if not any(job.options["target"] == target for job in jobs_of(world, guest.vmid)):
        return []
    kept = (use.volid for use in uses if not use.disk.cdrom and not use.disk.unused)
    return [volid for volid in kept if volume_of(world, target, volid) is not None]


def bring_up_to_date(world: World, guest: Guest, target: str, volids: Iterable[str]) -> None:
    """Send what has changed since the last run. Raises `Failure` for a volume that is gone."""
    for volid in volids:
        volume = source_of(world, guest.node, volid)
        world.put(replace(volume, place=find_storage(world, volume.storage).place(target)))


def turn_round(world: World, vmid: int, before: str, now: str) -> list[str]:
    """The job that replicated to the node where the guest is now replicates back from there; what the log says."""
    log: list[str] = []
    for job in jobs_of(world, vmid):
        changes = {"source": now, "target": before if job.options["target"] == now else job.options["target"]}
        world.put(replace(job, options={**job.options, **changes}))
        plan(world, job.id)
        if job.options["target"] == now:
            log.append(f"switch replication job target: {job.id} to node '{before}'")
    return log
