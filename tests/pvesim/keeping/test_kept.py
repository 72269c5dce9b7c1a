"""A world that outlives its process."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pvesim import ApiError, Simulator, World
from pvesim.core.tasks import Task
from pvesim.faults.records import Fault
from pvesim.guests.records import Guest
from pvesim.keeping import KeptSimulator, StateError, StateFile
from tests.pvesim.properties.sessions import Session
from tests.pvesim.properties.worlds import cluster


def left_behind(simulator: KeptSimulator) -> None:
    """The process is gone, with nothing done at its end."""
    simulator.close()


def same(one: World, other: World) -> bool:
    """Whether two worlds are the same in content and in the order of their tables."""
    return (
        not one.diff(other)
        and (one.now, one.seed, one.started) == (other.now, other.seed, other.started)
        and all(list(one.rows(kind)) == list(other.rows(kind)) for kind in one.kinds())
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "world.pvesim"


def test_a_new_file_holds_the_scenario_as_it_is(state: Path) -> None:
    kept = KeptSimulator("homelab", state=state, title="homelab")
    assert not kept.resumed
    left_behind(kept)
    again = KeptSimulator("homelab", state=state, title="homelab")
    assert again.resumed
    assert same(again.world, Simulator("homelab").world)
    assert [path.name for path in state.parent.iterdir() if "new" in path.name] == []
    again.close()


def test_what_was_answered_is_there_and_tasks_go_on(state: Path) -> None:
    kept = KeptSimulator("homelab", state=state)
    kept.request("PUT", "/nodes/pve2/qemu/105/config", {"memory": "4096"})
    upid = kept.request("POST", "/nodes/pve2/qemu/105/status/start")
    left_behind(kept)
    again = KeptSimulator("homelab", state=state)
    assert same(kept.world, again.world)
    assert again.world.rows(Task)[upid].running
    again.clock.run_until_done(upid)
    assert again.world.rows(Guest)[105].running
    again.close()


def test_a_refused_request_leaves_nothing(state: Path) -> None:
    kept = KeptSimulator("homelab", state=state)
    before = kept.world.fork()
    with pytest.raises(ApiError, match="not running"):
        kept.request("POST", "/nodes/pve2/qemu/105/status/reset")
    left_behind(kept)
    again = KeptSimulator("homelab", state=state)
    assert same(before, again.world)
    again.close()


@pytest.mark.parametrize("seed", range(3))
def test_after_any_life_the_file_holds_the_world(state: Path, seed: int) -> None:
    session = Session(cluster(3), seed)
    kept = KeptSimulator(session.sim.world.fork(), state=state)
    session.sim = kept
    for step in range(150):
        session.ask()
        if step % 10 == 0:
            with kept.lock:
                kept.clock.advance(5)
    left_behind(kept)
    again = KeptSimulator(state=state)
    assert same(kept.world, again.world)
    again.close()


def test_a_checkpoint_that_is_restored_and_a_reset_are_kept(state: Path) -> None:
    kept = KeptSimulator("homelab", state=state)
    kept.request("POST", "/pools", {"poolid": "one"})
    kept.checkpoint("one")
    kept.request("POST", "/pools", {"poolid": "two"})
    kept.restore("one")
    kept.request("POST", "/pools", {"poolid": "three"})
    left_behind(kept)
    again = KeptSimulator("homelab", state=state)
    assert same(kept.world, again.world)
    again.reset()
    left_behind(again)
    third = KeptSimulator("homelab", state=state)
    assert same(third.world, Simulator("homelab").world)
    third.close()


def test_what_goes_and_comes_again_is_at_the_end(state: Path) -> None:
    kept = KeptSimulator("homelab", state=state)
    for pool in ("one", "two"):
        kept.request("POST", "/pools", {"poolid": pool})
    with kept.lock:
        guest = kept.world.rows(Guest)[100]
        kept.world.remove(Guest, 100)
        kept.world.put(guest)
    left_behind(kept)
    again = KeptSimulator("homelab", state=state)
    assert same(kept.world, again.world)
    again.close()


def test_a_password_on_the_command_line_holds(state: Path) -> None:
    KeptSimulator("homelab", state=state, root_password="first").close()
    again = KeptSimulator("homelab", state=state, root_password="second")
    assert again.connect(password="second").version.get()
    again.close()


def test_faults_and_the_timeline_are_kept(state: Path) -> None:
    kept = KeptSimulator("homelab", state=state)
    kept.faults.add("slow", path="/nodes/**", delay=2, probability=0.5)
    kept.faults.plan(at="5m", node_offline="pve3")
    left_behind(kept)
    again = KeptSimulator("homelab", state=state)
    assert again.faults["slow"] == kept.world.rows(Fault)["slow"]
    with again.lock:
        again.clock.advance(600)
    assert [happened.incident for happened in again.faults.happened] == [("node_offline", "pve3")]
    again.close()


def test_a_fork_is_not_kept(state: Path) -> None:
    kept = KeptSimulator("homelab", state=state)
    kept.fork().request("POST", "/pools", {"poolid": "elsewhere"})
    left_behind(kept)
    again = KeptSimulator("homelab", state=state)
    assert same(kept.world, again.world)
    again.close()


def test_a_write_that_cannot_be_kept_is_refused_and_tried_again(state: Path) -> None:
    kept = KeptSimulator("homelab", state=state)
    kept._file._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(ApiError, match="the state cannot be written: attempt to write a readonly database"):
        kept.request("POST", "/pools", {"poolid": "late"})
    kept._file._connection.execute("PRAGMA query_only = OFF")
    kept.request("GET", "/version")
    left_behind(kept)
    again = KeptSimulator("homelab", state=state)
    assert same(kept.world, again.world)
    again.close()


# -- files that cannot be used -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_one_clear_error(state: Path, share: float) -> None:
    KeptSimulator("homelab", state=state).close()
    whole = state.read_bytes()
    state.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StateError, match=r"world.pvesim: the state file is damaged \(.*\): put back a copy"):
        KeptSimulator("homelab", state=state)


def test_bytes_that_were_changed_are_one_clear_error(state: Path) -> None:
    KeptSimulator("homelab", state=state).close()
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE records SET record = '[1, 2' WHERE position = 3")
    connection.close()
    with pytest.raises(StateError, match="the state file is damaged"):
        KeptSimulator("homelab", state=state)


def test_an_empty_file(state: Path) -> None:
    state.touch()
    with pytest.raises(StateError, match="is empty: remove it to begin anew"):
        KeptSimulator("homelab", state=state)


def test_what_is_no_state_file(state: Path) -> None:
    state.write_text("nodes: {pve1: {}}\n" * 100)
    with pytest.raises(StateError, match="file is not a database"):
        KeptSimulator("homelab", state=state)
    state.unlink()
    with sqlite3.connect(state) as connection:
        connection.execute("CREATE TABLE own (name TEXT)")
    connection.close()
    with pytest.raises(StateError, match="no state of pvesim"):
        KeptSimulator("homelab", state=state)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("PRAGMA user_version = 99", "its format is 99, this version reads 1"),
        ("UPDATE kinds SET fields = fields || ' more' WHERE name LIKE '%.Guest'", "Guest' has other fields there"),
        ("UPDATE kinds SET name = 'pvesim.gone.Record' WHERE name LIKE '%.Guest'", "no record 'pvesim.gone.Record'"),
    ],
)
def test_another_version(state: Path, change: str, text: str) -> None:
    KeptSimulator("homelab", state=state).close()
    with sqlite3.connect(state) as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(StateError, match="was written by another version of pvesim") as refusal:
        KeptSimulator("homelab", state=state)
    assert text in str(refusal.value)


def test_a_file_in_use(state: Path) -> None:
    first = KeptSimulator("homelab", state=state)
    with pytest.raises(StateError, match="another pvesim has this state file"):
        StateFile(state)
    first.close()


def test_the_world_of_another_scenario(state: Path) -> None:
    KeptSimulator("homelab", state=state, title="homelab").close()
    with pytest.raises(StateError, match="a world of the scenario 'homelab', not of 'single-node'"):
        KeptSimulator("single-node", state=state, title="single-node")


def test_a_place_that_cannot_be_written() -> None:
    with pytest.raises(StateError, match="/no/such/folder/file: the state file cannot be written"):
        KeptSimulator("homelab", state="/no/such/folder/file")


def test_a_file_that_cannot_be_resumed_is_given_back(state: Path) -> None:
    KeptSimulator("homelab", state=state).close()
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE records SET record = '[1, 2' WHERE position = 3")
    connection.close()
    with pytest.raises(StateError, match="damaged"):
        KeptSimulator("homelab", state=state)
    with sqlite3.connect(state, timeout=0) as connection:
        connection.execute("UPDATE records SET record = record")  # would fail if it were still held
    connection.close()
