"""What the cluster knows of guests between two rounds of the status daemon, for a world that keeps to them.

On a genuine node `/cluster/resources` and `/pools/{poolid}` show what the daemon told in its last round, up to ten
seconds ago: a new guest is `unknown` there and has no name yet, one that was started is still stopped, and an id that
is used again shows what it was before. Lists of a node are right at once.
Source: recorded exchanges; a name that stays for an id used again is how the nodes keep what was told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pvesim.cluster.records import Cluster
from pvesim.core.tasks import Task, Timer, effect, set_timer, watcher
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.metrics import ROUND, round_of
from pvesim.routing import Call

_NEXT = "status/round"  # the timer of the next round, while something is to be told in it
_REMEMBERED = 300.0  # seconds for which the nodes keep what they were told about an id


@dataclass(frozen=True, slots=True)
class Told:
    """What was told about a guest before it last changed, at the time `changed`; `latest` is what it is since."""

    vmid: int
    before: Guest | None
    latest: Guest | None
    changed: float

    @property
    def key(self) -> int:
        return self.vmid


def keeps_rounds(world: World) -> bool:
    """Whether the world shows changes with the next round only."""
    cluster = world.get(Cluster, "cluster")
    return cluster is not None and cluster.status_rounds


def tell_all(world: World) -> None:
    """Begin with everything told, as in a world that has been there for a while."""
    if keeps_rounds(world):
        for vmid, guest in world.rows(Guest).items():
            world.put(Told(vmid, guest, guest, world.now - ROUND))


def as_told(world: World, guest: Guest) -> Guest | None:
    """The guest as the last round told of it; None if it did not know it yet."""
    told = world.get(Told, guest.vmid)
    if told is None or round_of(world.now) > round_of(told.changed):
        return guest
    return told.before


def watch_round(call: Call) -> None:
    """In auto mode, who looks at a list that is behind finds it right the next time."""
    if call.world.get(Timer, _NEXT) is not None:
        call.watch(_NEXT)


@watcher(Guest, Cluster)
def _take_note(world: World) -> None:
    if not keeps_rounds(world):
        return
    changes = list(_changes(world))
    for told in changes:
        world.put(told)
    if changes:
        set_timer(world, _NEXT, round_of(world.now) + ROUND, "status.round")


def _changes(world: World) -> Iterator[Told]:
    guests, now = world.rows(Guest), world.now
    for vmid, guest in guests.items():
        told = world.get(Told, vmid)
        if told is None or told.latest is not guest:
            yield Told(vmid, _known(told, now), guest, now)
    for vmid, told in world.rows(Told).items():
        if told.latest is not None and vmid not in guests:
            yield Told(vmid, _known(told, now), None, now)


def _known(told: Told | None, now: float) -> Guest | None:
    """What the nodes know of an id at a time."""
    if told is None:
        return None
    if told.latest is None:
        return told.before if now - told.changed <= _REMEMBERED else None
    return told.latest if round_of(now) > round_of(told.changed) else told.before


@effect("status.round")
def _round(world: World, task: Task | None) -> None:
    """A round by itself changes nothing: what is told follows from the time."""
