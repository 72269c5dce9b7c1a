"""Retention: which backups are kept, against a slow reading of the same rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.core.errors import Failure
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.storage.prune import marks_of
from pvesim.storage.records import Storage, Volume
from tests.pvesim.small_world import NOW
from tests.pvesim.storage.world import backup, storage_simulator

LOCAL = Storage("local", "dir", options={"path": "/var/lib/vz"})
PRUNE = "/nodes/pve1/storage/local/prunebackups"
DAY = 86_400.0


def at(time: float, *, protected: bool = False, vmid: int = 100) -> Volume:
    stamp = datetime.fromtimestamp(time, UTC).strftime("%Y_%m_%d-%H_%M_%S")
    return backup(vmid, stamp, ctime=time, protected=protected)


def kept(times: list[float], **keep: int) -> list[float]:
    volumes = [at(time) for time in times]
    marks = marks_of(LOCAL, volumes, {f"keep-{name}": count for name, count in keep.items()})
    return [volume.ctime for volume in volumes if marks[volume.name] == "keep"]


def test_the_last_ones_are_kept() -> None:
    times = [NOW - hours * 3600 for hours in range(5)]
    assert kept(times, last=2) == times[:2]


def test_without_rules_all_are_kept() -> None:
    times = [NOW, NOW - DAY]
    assert kept(times) == kept(times, all=1) == times


def test_each_rule_goes_on_where_the_one_before_ended() -> None:
    noon = 1_800_014_400.0  # 12:00 UTC
    times = [noon - days * DAY - hour * 3600 for days in range(4) for hour in (0, 5)]
    assert kept(times, last=1, daily=2) == [times[0], times[2], times[4]]


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 400), max_size=25), st.integers(1, 5))
def test_daily_keeps_the_newest_of_each_of_the_last_days(hours: set[int], count: int) -> None:
    times = [NOW - hour * 3600 for hour in hours]
    days: dict[int, float] = {}
    for time in sorted(times, reverse=True):
        days.setdefault(int(time // DAY), time)
    assert sorted(kept(times, daily=count)) == sorted(list(days.values())[:count])


@pytest.fixture
def simulator() -> Simulator:
    simulator = storage_simulator()
    for hours in (1, 2, 3):
        simulator.world.put(at(NOW - hours * 3600))
    simulator.world.put(at(NOW - 9 * 3600, protected=True))
    simulator.world.put(at(NOW - 4 * 3600, vmid=101))
    renamed = replace(at(NOW - 3600), name="backup/vzdump-qemu-100-mine.vma.zst")
    simulator.world.put(renamed)
    return simulator


def test_the_dry_run_marks_by_guest(simulator: Simulator) -> None:
    rows = simulator.request("GET", PRUNE, {"prune-backups": "keep-last=1"})
    marks = [(row["vmid"], int(NOW) - row["ctime"], row["mark"], row["type"]) for row in rows]
    assert sorted(marks) == [
        (100, 3600, "keep", "qemu"), (100, 3600, "renamed", "qemu"), (100, 7200, "remove", "qemu"),
        (100, 10800, "remove", "qemu"), (100, 32400, "protected", "qemu"), (101, 14400, "keep", "qemu"),
    ]  # fmt: skip
    only: list[dict[str, Any]] = simulator.request("GET", PRUNE, {"prune-backups": "keep-last=1", "vmid": 101})
    assert [row["vmid"] for row in only] == [101]
    assert simulator.request("GET", PRUNE, {"prune-backups": "keep-last=1", "type": "lxc"}) == []


def test_pruning_removes_what_the_dry_run_marks(simulator: Simulator) -> None:
    upid = simulator.request("DELETE", PRUNE, {"prune-backups": "keep-last=1", "vmid": 100})
    simulator.clock.run_until_done(upid)
    task = simulator.world.get(Task, upid)
    assert task is not None
    assert (task.type, task.id, task.exitstatus) == ("prunebackups", "100@local", "OK")
    rows = simulator.request("GET", PRUNE, {"prune-backups": "keep-last=1"})
    assert "remove" not in [row["mark"] for row in rows]
    assert len(rows) == 4


def test_the_storages_own_retention_is_the_default(simulator: Simulator) -> None:
    with pytest.raises(Failure, match=r"^no prune-backups options configured for storage 'local'$"):
        simulator.request("GET", PRUNE)
    simulator.request("PUT", "/storage/local", {"prune-backups": "keep-last=2"})
    assert [row["mark"] for row in simulator.request("GET", PRUNE)].count("remove") == 1
