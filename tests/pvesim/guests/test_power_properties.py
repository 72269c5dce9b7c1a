"""Whatever is asked of guests in whatever order, what the API shows of them hangs together."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import Behaviour, FileLock, Guest
from pvesim.storage.records import Volume
from tests.pvesim.guests.stage import change, path, stage, start
from tests.pvesim.invariants import check_invariants

ACTIONS = ("start", "stop", "shutdown", "reboot", "suspend", "resume", "reset")
MOVES = st.one_of(
    st.tuples(st.sampled_from((100, 101, 201)), st.sampled_from(ACTIONS), st.booleans()),
    st.tuples(st.just(0), st.sampled_from(("wait", "look", "abort")), st.booleans()),
)


def move(simulator: Simulator, vmid: int, action: str, flag: bool) -> None:
    if vmid:
        params: dict[str, Any] = {}
        if flag and action == "suspend" and vmid < 200:
            params = {"todisk": 1}
        if flag and action == "shutdown":
            params = {"forceStop": 1, "timeout": 2}
        try:
            start(simulator, vmid, action, **params)
        except ApiError:
            return
    elif action == "wait":
        simulator.clock.advance(30 if flag else 0.7)
    elif action == "look":
        simulator.request("GET", path(100, "/status/current"))
    else:
        running = [task for task in simulator.world.rows(Task).values() if task.running]
        if running:
            simulator.request("DELETE", f"/nodes/pve1/tasks/{running[-1].upid}")


def check(simulator: Simulator) -> None:
    world = simulator.world
    asleep = [guest.vmid for guest in world.rows(Guest).values() if guest.lock == "suspended"]
    assert check_invariants(world, left_locked=asleep) == []
    for guest in world.rows(Guest).values():
        assert (guest.pid is not None) is guest.running
        assert (guest.qmpstatus in ("running", "paused")) is guest.running
        assert guest.started <= world.now
        assert guest.lock in (None, "suspending", "suspended")
        state = guest.config.get("vmstate")
        assert (state is not None) is (guest.lock is not None)
        states = [volume.volid for volume in world.rows(Volume).values() if f"vm-{guest.vmid}-state" in volume.name]
        assert states == ([state] if state else [])
    for lock in world.rows(FileLock).values():
        assert world.rows(Task)[lock.holder].running


# A task that only waited for the lock must not undo, in the end, what the one that had it did.
@example([(101, "start", False), (0, "wait", True), (101, "suspend", True), (101, "suspend", True), (0, "abort", True)])
@settings(max_examples=100, deadline=None)
@given(st.lists(MOVES, min_size=5, max_size=25))
def test_guests_stay_consistent(moves: list[tuple[int, str, bool]]) -> None:
    simulator = stage()
    change(simulator, 201, behaviour=Behaviour(checkpoint=False, shutdown_seconds=5))
    for vmid, action, flag in moves:
        move(simulator, vmid, action, flag)
        check(simulator)
    simulator.clock.advance(300)
    check(simulator)
    assert not simulator.world.rows(FileLock)
    assert not [task for task in simulator.world.rows(Task).values() if task.running]
