"""Whatever goes wrong, the world stays whole, and a world without faults is as if there were none."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.core.errors import ApiError, BrokenConnection
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.records import FileLock
from tests.pvesim.invariants import check_invariants
from tests.pvesim.small_world import small_simulator

JOBS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/nodes/pve1/qemu/100/migrate", {"target": "pve2", "online": 1, "with-local-disks": 1}),
    ("POST", "/nodes/pve1/qemu/101/migrate", {"target": "pve2"}),
    ("POST", "/nodes/pve1/qemu/100/snapshot", {"snapname": "one", "vmstate": 1}),
    ("POST", "/nodes/pve1/qemu/101/clone", {"newid": 300, "full": 1}),
    ("POST", "/nodes/pve1/qemu/101/status/start", {}),
    ("POST", "/nodes/pve1/qemu/100/status/shutdown", {}),
    ("POST", "/nodes/pve1/lxc/200/status/start", {}),
    ("POST", "/nodes/pve1/qemu", {"vmid": 301, "scsi0": "local:1", "memory": 128}),
    ("POST", "/nodes/pve1/vzdump", {"vmid": "100,101,200", "storage": "dumps"}),
    ("POST", "/nodes/pve1/qemu/100/move_disk", {"disk": "scsi0", "storage": "dumps"}),
    ("DELETE", "/nodes/pve2/qemu/102", {}),
]
effects = st.one_of(
    st.fixed_dictionaries({"fail": st.just("out of luck"), "step": st.integers(0, 25)}),
    st.fixed_dictionaries({"hang": st.sampled_from([True, 1.0, 600.0]), "step": st.integers(0, 8)}),
    st.fixed_dictionaries({"warn": st.just("WARN: careful"), "step": st.integers(0, 8)}),
    st.fixed_dictionaries({"slow": st.sampled_from([1.5, 100.0])}),
    st.fixed_dictionaries({"error": st.just({"status": 500}), "probability": st.sampled_from([0.5, 1.0])}),
    st.fixed_dictionaries({"connection": st.sampled_from(["drop", "lose"])}),
)


def world() -> Simulator:
    sim = small_simulator()
    storage = {"storage": "dumps", "type": "dir", "path": "/srv/dumps", "content": "backup,images,rootdir"}
    sim.request("POST", "/storage", storage)
    return sim


def ask(sim: Simulator, job: tuple[str, str, dict[str, Any]]) -> None:
    try:
        sim.request(*job)
    except (ApiError, BrokenConnection):
        return


@settings(max_examples=40, deadline=None)
@given(st.lists(effects, max_size=3), st.lists(st.sampled_from(JOBS), min_size=1, max_size=4), st.floats(0, 20))
def test_what_goes_wrong_leaves_the_world_whole(
    faults: list[dict[str, Any]], jobs: list[tuple[str, str, dict[str, Any]]], pause: float
) -> None:
    sim = world()
    for fault in faults:
        sim.faults.add(**fault)
    for job in jobs:
        ask(sim, job)
        sim.clock.advance(pause)
        assert check_invariants(sim.world) == []
    sim.faults.clear()
    sim.clock.advance(1e7)
    assert [task.upid for task in sim.world.rows(Task).values() if task.running] == []
    assert list(sim.world.rows(FileLock)) == []
    assert check_invariants(sim.world) == []


@settings(max_examples=15, deadline=None)
@given(st.lists(effects, min_size=1, max_size=3), st.lists(st.sampled_from(JOBS), min_size=1, max_size=4))
def test_a_fault_that_never_strikes_changes_nothing(
    faults: list[dict[str, Any]], jobs: list[tuple[str, str, dict[str, Any]]]
) -> None:
    sims = [world(), world()]
    for fault in faults:
        sims[1].faults.add(**{**fault, "after": "1y"})
    for sim in sims:
        for job in jobs:
            ask(sim, job)
        sim.clock.advance(1000)
    assert {change.table for change in sims[0].world.diff(sims[1].world)} == {"Fault"}
