"""What every part of the state machine uses: a cluster, a way to ask it, and the checks after each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task, run_until
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.guests.disks import Disk, disks_of
from pvesim.guests.records import FileLock, Guest, Kind
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage, Volume
from tests.pvesim.invariants import check_invariants, check_later
from tests.pvesim.properties.worlds import CONTAINERS, STORAGES, VMS, cluster

T = TypeVar("T")
_ANY = 15

whom = st.integers(0, 15)  # a guest by its place among those that are there; the highest is an id at random
nodes = st.sampled_from(("pve1", "pve2", "pve3"))
storages = st.sampled_from(STORAGES)
flags = st.booleans()
snapshots = st.sampled_from(("s1", "s2"))
any_index = st.integers(0, 30)


class Life(RuleBasedStateMachine):
    """A cluster that is asked for anything in any order; after each step, what must always hold is looked at."""

    sim: Simulator
    user: str
    patient: bool
    quiet: bool
    before: World
    left: list[tuple[World, World]]

    @initialize(count=st.integers(2, 4), patient=flags, quiet=st.sampled_from((True, True, False)))
    def begin(self, count: int, patient: bool, quiet: bool) -> None:
        """`patient` clients wait for each task before they go on; in a `quiet` life nothing breaks."""
        self._take(cluster(count))
        self.user = "root@pam"
        self.patient, self.quiet = patient, quiet
        self.left = []  # worlds that a fork went away from, each with how it was then
        self.torn: set[str] = set()  # volumes that were removed though a guest may name them
        self.lost: set[str] = set()  # nodes that were lost once

    def _take(self, sim: Simulator) -> None:
        self.sim = sim
        self.before = sim.world.fork()

    @property
    def world(self) -> World:
        return self.sim.world

    # -- asking --------------------------------------------------------------------------------------------------------

    def ask(self, verb: str, path: str, params: Mapping[str, Any] | None = None, /, **more: Any) -> Any:
        """Ask; the answer, or None where it was refused. A refused request must have changed nothing."""
        given = {name: value for name, value in {**(params or {}), **more}.items() if value is not None}
        self.sim.clock.tick()
        before = self.world.fork()
        try:
            answer = self.sim.request(verb, path, given, user=self.user)
            if self.patient and isinstance(answer, str) and answer.startswith("UPID:"):
                self.sim.clock.run_until_done(answer)
            return answer
        except ApiError as refused:
            error = refused
        # A request that meets a guest's lock waits for it, and what goes on meanwhile is not its doing.
        run_until(before, self.world.now)
        changes = before.diff(self.world)
        assert not changes, f"{verb} {path} was refused ({error.message}) and changed {changes}"
        return None

    def who(self, place: int, kind: Kind | None = None) -> int:
        """The id of a guest that is there, or now and then of one that may not be."""
        there = [guest.vmid for guest in self.world.rows(Guest).values() if kind in (None, guest.kind)]
        return there[place % len(there)] if there and place < _ANY else _ids(kind)[place % len(_ids(kind))]

    def new_id(self, place: int, kind: Kind) -> int:
        """An id that is free, or now and then any."""
        free = [vmid for vmid in _ids(kind) if vmid not in self.world.rows(Guest)]
        return free[place % len(free)] if free and place < _ANY else _ids(kind)[place % len(_ids(kind))]

    def option_of(self, vmid: int, place: int, keys: Sequence[str]) -> str:
        """One of the keys that the guest has, or now and then one that it may not have."""
        guest = self.world.get(Guest, vmid)
        there = [key for key in guest.config if key in keys] if guest and place < _ANY else []
        return there[place % len(there)] if there else keys[place % len(keys)]

    def path(self, vmid: int, rest: str = "") -> str:
        """The path of a guest where it is, or where it would be if it is not there."""
        guest = self.world.get(Guest, vmid)
        kind = guest.kind if guest else "qemu" if vmid in VMS else "lxc"
        return f"/nodes/{guest.node if guest else 'pve1'}/{kind}/{vmid}{rest}"

    # -- what must hold ------------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        asleep = [guest.vmid for guest in self.world.rows(Guest).values() if guest.lock == "suspended"]
        problems = [*check_invariants(self.world, left_locked=asleep), *check_later(self.before, self.world)]
        problems = [problem for problem in problems if not self._is_allowed(problem)]
        assert not problems, "; ".join(problems)
        for lock in self.world.rows(FileLock).values():
            assert self.world.rows(Task)[lock.holder].running, f"guest {lock.vmid} is held by no running task"
        for guest in self.world.rows(Guest).values():
            for disk in disks_of(guest.kind, guest.config):
                self._check_size(guest, disk)
        for world, then in self.left:
            assert then.diff(world) == [], "a world changed after a fork had gone its own way"
        self.before = self.world.fork()

    def _check_size(self, guest: Guest, disk: Disk) -> None:
        """A configuration says how large its volumes are."""
        storage = self.world.get(Storage, disk.storage or "")
        if storage is not None and disk.size and not disk.cdrom:
            volume = self.world.get(Volume, (storage.storage, storage.place(guest.node), disk.file.partition(":")[2]))
            size = volume.size if volume else disk.size
            assert size == disk.size, f"{disk.key} of {guest.vmid} is said to have {disk.size} bytes and has {size}"

    def _is_allowed(self, problem: str) -> bool:
        """PVE lets volumes be removed under guests, storages be forgotten, and HA take guests from their disks."""
        if self.quiet:
            return False
        undefined = [name for name in STORAGES if self.world.get(Storage, name) is None]
        left_behind = [volume.volid for volume in self.world.rows(Volume).values() if volume.place in self.lost]
        names = [*self.torn, *left_behind, *(f"{name}:" for name in undefined)]
        return any(f" {name}" in problem for name in names) and ("not there" in problem or "no storage" in problem)

    def teardown(self) -> None:
        """In the end everything comes to rest: no task goes on, and nobody holds a guest."""
        for node in list(self.world.rows(Node).values()):
            self.world.put(replace(node, online=True))
        self.sim.clock.advance(3 * 3600)
        self.holds()
        running = [task.upid for task in self.world.rows(Task).values() if task.running]
        locks = {guest.vmid: guest.lock for guest in self.world.rows(Guest).values() if guest.lock}
        assert not running, f"these go on: {running}"
        assert set(locks.values()) <= {"suspended"}, locks
        assert not self.world.rows(FileLock), "a guest is still held"


def _ids(kind: Kind | None) -> list[int]:
    return [*(VMS if kind != "lxc" else ()), *(CONTAINERS if kind != "qemu" else ())]


def picked(rows: Mapping[Any, T], index: int) -> T | None:
    """One of the rows, or None where there are none."""
    values = list(rows.values())
    return values[index % len(values)] if values else None


def given(choices: Mapping[str, tuple[Any, ...]]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the parameters, each with one of its values."""
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in choices.items()})
