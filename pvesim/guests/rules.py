"""What holds for every guest: where it is, whether it is locked, which ids are free, what counts as running."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.disks import Disk, disks_of, parse_disks, read_options, volumes_in
from pvesim.guests.kinds import KINDS
from pvesim.guests.records import Guest, Kind, Snapshot
from pvesim.guests.sizes import maxcpu, maxdisk, maxmem
from pvesim.ha.records import HaArming, HaResource

__all__ = [
    "Disk",
    "agent_enabled",
    "check_lock",
    "check_not_template",
    "disks_of",
    "find_guest",
    "find_snapshot",
    "guest_at",
    "guests_on",
    "is_paused",
    "is_running",
    "managed_by_ha",
    "maxcpu",
    "maxdisk",
    "maxmem",
    "next_free_vmid",
    "parse_disks",
    "read_options",
    "require_existing",
    "volumes_in",
]
FIRST_VMID, LAST_VMID = 100, 999_999_999


def guest_at(world: World, kind: Kind, node: str, vmid: int) -> Guest | None:
    """The guest of that kind on that node, or None: ids are the cluster's, configuration files are each node's."""
    guest = world.get(Guest, vmid)
    return guest if guest is not None and guest.kind == kind and guest.node == node else None


def find_guest(world: World, kind: Kind, node: str, vmid: int) -> Guest:
    """The guest, read as PVE reads its configuration file. Raises `Failure` when there is none on that node."""
    guest = guest_at(world, kind, node, vmid)
    if guest is None:
        raise Failure(f"Configuration file 'nodes/{node}/{KINDS[kind].directory}/{vmid}.conf' does not exist")
    return guest


def require_existing(world: World, kind: Kind, node: str, vmid: int) -> Guest:
    """The same where PVE looks for the file before it reads it (stop, clone), which it says in other words."""
    guest = guest_at(world, kind, node, vmid)
    if guest is None:
        raise Failure(f"unable to find configuration file for {KINDS[kind].word} {vmid} on node '{node}'")
    return guest


def guests_on(world: World, kind: Kind, node: str) -> tuple[Guest, ...]:
    """All guests of a kind on a node, in the order of their making."""

    def by_place() -> dict[tuple[Kind, str], tuple[Guest, ...]]:
        places: dict[tuple[Kind, str], list[Guest]] = {}
        for guest in world.rows(Guest).values():
            places.setdefault((guest.kind, guest.node), []).append(guest)
        return {place: tuple(guests) for place, guests in places.items()}

    return world.cached("guests by place", (Guest,), by_place).get((kind, node), ())


def check_lock(guest: Guest, *allowed: str, skip: bool = False) -> None:
    """Raise `Failure` if the guest's configuration is locked by something else than `allowed`."""
    if guest.lock and guest.lock not in allowed and not skip:
        raise Failure(f"{KINDS[guest.kind].word} is locked ({guest.lock})")


def check_not_template(guest: Guest) -> None:
    """Raise `Failure` if the guest is a template, which cannot be started."""
    if guest.template:
        raise Failure(f"you can't start a {'vm' if guest.kind == 'qemu' else 'CT'} if it's a template")


def find_snapshot(guest: Guest, name: str) -> Snapshot:
    """The snapshot of that name. Raises `Failure`."""
    for snapshot in guest.snapshots:
        if snapshot.name == name:
            return snapshot
    raise Failure(f"snapshot '{name}' does not exist")


def is_running(world: World, kind: Kind, node: str, vmid: int) -> bool:
    """Whether that guest runs on that node; no error if there is none."""
    guest = guest_at(world, kind, node, vmid)
    return guest is not None and guest.running


def is_paused(guest: Guest) -> bool:
    """Whether a virtual machine's CPUs stand still while its process runs."""
    return guest.running and guest.qmpstatus in ("paused", "suspended", "prelaunch")


def agent_enabled(config: Mapping[str, Any]) -> bool:
    """Whether a virtual machine's configuration says that an agent is inside."""
    return read_options(str(config.get("agent", "0")), "enabled").get("enabled", "0") == "1"


def managed_by_ha(world: World, guest: Guest) -> bool:
    """Whether the HA manager decides where and whether the guest runs."""
    resource = world.get(HaResource, f"{KINDS[guest.kind].sid}:{guest.vmid}")
    if resource is None or resource.state == "ignored":
        return False
    arming = world.get(HaArming, "ha")
    return arming is None or arming.mode != "ignore"


def next_free_vmid(world: World, low: int = FIRST_VMID, high: int = LAST_VMID) -> int:
    """The lowest id that no guest has. Raises `Failure` when all are taken."""
    taken = world.rows(Guest)
    for vmid in range(low, high + 1):
        if vmid not in taken:
            return vmid
    raise Failure(f"unable to get any free VMID in range [{low}, {high}]")
