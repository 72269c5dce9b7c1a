"""Whatever is backed up, restored, stopped and removed in between, the world stays in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.backup.archive import kept_config
from pvesim.backup.records import BackupRun
from pvesim.core.errors import ApiError
from pvesim.core.tasks import running_tasks
from pvesim.engine import Simulator
from pvesim.storage.records import Space, Volume
from tests.pvesim.backup.world import GIB, back_up, backup_simulator, backups, configure, guest, restore
from tests.pvesim.invariants import check_invariants

MODES = st.sampled_from(("snapshot", "suspend", "stop"))
GUESTS = st.sampled_from(("100", "101,100,200", "200,201", "102", "100,999", "130"))
IDS = st.sampled_from((100, 101, 130, 200, 201, 210))
STORAGES = st.sampled_from(("local", "share", "thin", "pbs"))
Act = Callable[[Simulator], None]


def _ask(verb: str, path: str, params: dict[str, Any]) -> Act:
    def act(simulator: Simulator) -> None:
        with suppress(ApiError):
            simulator.request(verb, path, params)

    return act


def _backup(vmids: str, mode: str, storage: str, extra: dict[str, Any]) -> Act:
    return _ask("POST", "/nodes/pve1/vzdump", {"vmid": vmids, "mode": mode, "storage": storage, **extra})


def _restore(index: int, vmid: int, extra: dict[str, Any]) -> Act:
    def act(simulator: Simulator) -> None:
        archives = [row for row in simulator.world.rows(Volume).values() if row.content == "backup"]
        if archives:
            archive = archives[index % len(archives)]
            if archive.subtype == "qemu":
                _ask("POST", "/nodes/pve1/qemu", {"vmid": vmid, "archive": archive.volid, **extra})(simulator)
            else:
                asked = {"vmid": vmid, "ostemplate": archive.volid, "restore": 1, **extra}
                _ask("POST", "/nodes/pve1/lxc", asked)(simulator)

    return act


def _stop_a_task(index: int) -> Act:
    def act(simulator: Simulator) -> None:
        running = running_tasks(simulator.world)
        if running:
            _ask("DELETE", f"/nodes/pve1/tasks/{running[index % len(running)].upid}", {})(simulator)

    return act


def _let_time_pass(seconds: float) -> Act:
    return lambda simulator: simulator.clock.advance(seconds)


def _power(vmid: int, action: str) -> Act:
    kind = "lxc" if 200 <= vmid < 300 else "qemu"
    return _ask("POST", f"/nodes/pve1/{kind}/{vmid}/status/{action}", {})


def _remove(vmid: int) -> Act:
    kind = "lxc" if 200 <= vmid < 300 else "qemu"
    return _ask("DELETE", f"/nodes/pve1/{kind}/{vmid}", {"purge": 1})


def _fill(gigabytes: int) -> Act:
    return lambda simulator: simulator.world.put(Space("share", "", 200 * GIB, gigabytes * GIB))


ACTS = st.one_of(
    st.builds(
        _backup,
        GUESTS,
        MODES,
        STORAGES,
        st.sampled_from(({}, {"prune-backups": "keep-last=1"}, {"protected": 1}, {"compress": "zstd"}, {"stop": 1})),
    ),
    st.builds(
        _restore,
        st.integers(0, 9),
        IDS,
        st.sampled_from(({}, {"force": 1}, {"force": 1, "storage": "thin"}, {"force": 1, "unique": 1, "start": 1})),
    ),
    st.builds(_stop_a_task, st.integers(0, 5)),
    st.builds(_let_time_pass, st.sampled_from((0.3, 1.0, 2.5, 30.0))),
    st.builds(_power, IDS, st.sampled_from(("start", "stop", "shutdown"))),
    st.builds(_remove, IDS),
    st.builds(_fill, st.sampled_from((0, 190))),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ACTS, min_size=3, max_size=25))
def test_the_world_stays_in_order(acts: list[Act]) -> None:
    simulator = backup_simulator()
    for act in acts:
        act(simulator)
        assert check_invariants(simulator.world) == []
    simulator.clock.advance(86_400)
    assert check_invariants(simulator.world) == []
    assert not simulator.world.rows(BackupRun)
    assert not running_tasks(simulator.world)


TEXTS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=20)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(("description", "searchdomain")), TEXTS), MODES, st.booleans())
def test_what_was_backed_up_comes_back(options: dict[str, str], mode: str, container: bool) -> None:
    simulator = backup_simulator()
    vmid, kind = (201, "lxc") if container else (101, "qemu")
    configure(simulator, vmid, **options)
    before = kept_config(guest(simulator, vmid))
    back_up(simulator, vmid=str(vmid), mode=mode)
    (row,) = backups(simulator)
    named: dict[str, Any] = {"ostemplate": row["volid"], "restore": 1} if container else {"archive": row["volid"]}
    assert restore(simulator, kind, vmid=vmid, force=1, storage="thin", **named).exitstatus == "OK"
    disk = "rootfs" if container else "virtio0"
    after = dict(guest(simulator, vmid).config)
    # A container's old volume goes only after the new one is there.
    assert after.pop(disk) == str(before.pop(disk)).replace("disk-0", "disk-1" if container else "disk-0")
    assert after == before
