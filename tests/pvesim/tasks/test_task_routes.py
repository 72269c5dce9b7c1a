"""Tasks in lists, their status and log, who sees them, and how they are stopped."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.records import Token
from pvesim.core.errors import ApiError, Failure, Forbidden, ParameterErrors
from pvesim.core.tasks import Step, effect, run_until, running_tasks, start_task
from pvesim.engine import Simulator
from pvesim.wire import WireRequest
from tests.pvesim.small_world import small_simulator

UNKNOWN = "UPID:pve1:00000001:00000001:5F000000:qmstart:100:root@pam:"


@effect("test.refuse")
def refuse(world: Any, task: Any) -> None:
    raise Failure("no such thing")


@pytest.fixture
def simulator() -> Simulator:
    """Four finished tasks on pve1 (one failed, one with a warning, one of a token), one running on each node."""
    simulator = small_simulator()
    world = simulator.world
    ended = {
        "ok": ("qmstart", 100, "root@pam", [Step(1, ("first", "second"))]),
        "failed": ("qmstop", 101, "root@pam", [Step(1, effect="test.refuse")]),
        "warned": ("vzdump", 100, "alice@pve", [Step(1, ("WARN: something",), warning=True)]),
        "token": ("qmstart", 101, "alice@pve!t1", [Step(1)]),
    }
    for type, id, user, steps in ended.values():
        start_task(world, "pve1", type, id, user, steps)
        run_until(world, world.now + 2)
    start_task(world, "pve1", "qmshutdown", 100, "root@pam", [Step(5, ("half way",)), Step(5)])
    start_task(world, "pve2", "qmstart", 102, "root@pam", [Step(5)])
    return simulator


def upids(simulator: Simulator, **filters: Any) -> dict[str, str]:
    """The exit status of the tasks of pve1 by id."""
    tasks = simulator.request("GET", "/nodes/pve1/tasks", {"source": "all", **filters})
    return {task["upid"]: task["status"] for task in tasks}


def upid_of(simulator: Simulator, status: str) -> str:
    return next(upid for upid, shown in upids(simulator).items() if shown == status)


@pytest.mark.parametrize(
    ("filters", "statuses"),
    [
        ({}, ["OK", "WARNINGS: 1", "no such thing", "OK"]),
        ({"source": "active"}, ["RUNNING"]),
        ({"source": "all", "limit": 2}, ["RUNNING", "OK"]),
        ({"start": 2}, ["no such thing", "OK"]),
        ({"start": 100}, []),
        ({"limit": 0}, []),
        ({"errors": 1}, ["WARNINGS: 1", "no such thing"]),
        ({"typefilter": "qmstart"}, ["OK", "OK"]),
        ({"typefilter": "qm"}, []),
        ({"statusfilter": "ok"}, ["OK", "OK"]),
        ({"statusfilter": "error;warning"}, ["WARNINGS: 1", "no such thing"]),
        ({"userfilter": "ALICE"}, ["OK", "WARNINGS: 1"]),
        ({"userfilter": "!t1"}, ["OK"]),
        ({"vmid": 101}, ["OK", "no such thing"]),
        ({"vmid": 999}, []),
        ({"since": 1_800_000_005, "until": 1_800_000_007}, ["WARNINGS: 1", "no such thing"]),
        ({"since": 9_999_999_999}, []),
    ],
)
def test_lists_are_filtered_and_newest_first(
    simulator: Simulator, filters: dict[str, Any], statuses: list[str]
) -> None:
    tasks = simulator.request("GET", "/nodes/pve1/tasks", filters)
    assert [task["status"] for task in tasks] == statuses


def test_the_total_counts_what_passes_the_filters_on_all_pages() -> None:
    simulator = small_simulator()
    for _ in range(3):
        start_task(simulator.world, "pve1", "qmstart", 100, "root@pam", [])
    run_until(simulator.world, simulator.world.now + 1)
    header = {"authorization": f"PVEAPIToken={_root_token(simulator)}"}
    request = WireRequest("GET", "/api2/json/nodes/pve1/tasks", "limit=1&start=1", header, b"")
    assert b'"total":3' in simulator.handle(request).body


def test_a_list_entry_has_the_keys_of_the_recorded_ones(simulator: Simulator) -> None:
    common = {"upid", "node", "pid", "pstart", "starttime", "type", "id", "user", "status"}
    running, token, *_ = simulator.request("GET", "/nodes/pve1/tasks", {"source": "all"})
    assert set(running) == common | {"saved"}
    assert set(token) == common | {"endtime", "tokenid"}
    assert (token["user"], token["tokenid"]) == ("alice@pve", "t1")


def test_the_cluster_lists_running_tasks_first(simulator: Simulator) -> None:
    tasks = simulator.request("GET", "/cluster/tasks")
    common = {"upid", "node", "starttime", "type", "id", "user"}
    assert [task["node"] for task in tasks] == ["pve2", "pve1", "pve1", "pve1", "pve1", "pve1"]
    assert set(tasks[0]) == common | {"pid"}
    assert set(tasks[-1]) == common | {"saved", "status", "endtime"}


def test_each_node_tells_the_cluster_about_25_tasks_at_most() -> None:
    simulator = small_simulator()
    for _ in range(30):
        start_task(simulator.world, "pve1", "qmstart", 100, "root@pam", [])
    run_until(simulator.world, simulator.world.now + 1)
    assert len(simulator.request("GET", "/cluster/tasks")) == 25


def test_users_see_their_own_tasks_and_auditors_all(simulator: Simulator) -> None:
    def seen(path: str, user: str) -> int:
        return len(simulator.request("GET", path, user=user))

    assert [seen("/nodes/pve1/tasks", user) for user in ("alice@pve", "audit@pve")] == [2, 4]
    assert [seen("/cluster/tasks", user) for user in ("alice@pve", "audit@pve")] == [2, 6]


def test_status_of_a_running_and_of_a_finished_task(simulator: Simulator) -> None:
    running = simulator.request("GET", f"/nodes/pve1/tasks/{upid_of(simulator, 'RUNNING')}/status")
    assert running["status"] == "running"
    assert "exitstatus" not in running
    failed = simulator.request("GET", f"/nodes/pve1/tasks/{upid_of(simulator, 'no such thing')}/status")
    assert (failed["status"], failed["exitstatus"]) == ("stopped", "no such thing")


def test_who_polls_a_running_task_sees_it_end(simulator: Simulator) -> None:
    path = f"/nodes/pve1/tasks/{upid_of(simulator, 'RUNNING')}/status"
    states = [simulator.request("GET", path)["status"] for _ in range(4)]
    assert states[0] == "running"
    assert states[-1] == "stopped"


def test_the_log_is_paged_from_nought_and_numbered_from_one(simulator: Simulator) -> None:
    upid = list(upids(simulator, typefilter="qmstart"))[-1]

    def page(**params: int) -> list[str]:
        lines = simulator.request("GET", f"/nodes/pve1/tasks/{upid}/log", params)
        return [f"{line['n']} {line['t']}" for line in lines]

    assert page() == ["1 first", "2 second", "3 TASK OK"]
    assert page(start=1, limit=1) == ["2 second"]
    assert page(start=2, limit=0) == ["3 TASK OK"]
    assert page(start=500) == []


def test_a_log_can_be_downloaded_whole(simulator: Simulator) -> None:
    path = f"/nodes/pve1/tasks/{upid_of(simulator, 'no such thing')}/log"
    header = {"authorization": f"PVEAPIToken={_root_token(simulator)}"}
    answer = simulator.handle(WireRequest("GET", f"/api2/json{path}", "download=1", header, b""))
    assert answer.body == b"TASK ERROR: no such thing\n"
    assert dict(answer.headers)["Content-Type"] == "text/plain"
    with pytest.raises(Failure, match="'download' can't be used"):
        simulator.request("GET", path, {"download": 1, "limit": 5})


def test_a_task_that_has_written_nothing_yet(simulator: Simulator) -> None:
    path = f"/nodes/pve1/tasks/{running_tasks(simulator.world)[0].upid}/log"
    assert simulator.request("GET", path, {"start": 0}) == [{"n": 1, "t": "no content"}]


@pytest.mark.parametrize(
    ("upid", "below", "error", "text"),
    [
        ("garbage", "/status", ParameterErrors, "unable to parse worker upid"),
        ("garbage", "/log", ParameterErrors, "unable to parse worker upid"),
        ("garbage", "", ParameterErrors, "unable to parse worker upid"),
        (UNKNOWN, "/status", ParameterErrors, "no such task"),
        (UNKNOWN, "", ParameterErrors, "no such task"),
        (UNKNOWN.replace("pve1", "pve9"), "/status", ParameterErrors, "no such task"),
    ],
)
def test_ids_that_name_no_task(simulator: Simulator, upid: str, below: str, error: type[ApiError], text: str) -> None:
    verb = "GET" if below else "DELETE"
    with pytest.raises(error) as caught:
        simulator.request(verb, f"/nodes/pve1/tasks/{upid}{below}")
    assert caught.value.errors == {"upid": text}


def test_the_log_of_an_unknown_task_says_so_in_its_only_line(simulator: Simulator) -> None:
    log = simulator.request("GET", f"/nodes/pve1/tasks/{UNKNOWN}/log")
    assert log == [{"n": 1, "t": "unable to open file - No such file or directory"}]


def test_a_task_is_found_on_its_own_node_only(simulator: Simulator) -> None:
    with pytest.raises(ParameterErrors):
        simulator.request("GET", f"/nodes/pve2/tasks/{upid_of(simulator, 'RUNNING')}/status")


def test_stopping_a_task_interrupts_it(simulator: Simulator) -> None:
    upid = upid_of(simulator, "RUNNING")
    assert simulator.request("DELETE", f"/nodes/pve1/tasks/{upid}") is None
    assert simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")["exitstatus"] == "received interrupt"
    assert simulator.request("GET", f"/nodes/pve1/tasks/{upid}/log")[-1]["t"] == "TASK ERROR: received interrupt"


def test_stopping_a_finished_task_changes_nothing(simulator: Simulator) -> None:
    upid = upid_of(simulator, "no such thing")
    before = simulator.world.fork()
    assert simulator.request("DELETE", f"/nodes/pve1/tasks/{upid}") is None
    assert before.diff(simulator.world) == []


@pytest.mark.parametrize(
    ("verb", "below", "text"),
    [
        ("GET", "/status", "Permission check failed (/nodes/pve1, Sys.Audit)"),
        ("GET", "/log", "Permission check failed (/nodes/pve1, Sys.Audit)"),
        ("DELETE", "", "Permission check failed (/nodes/pve1, Sys.Modify)"),
    ],
)
def test_tasks_of_others_are_not_for_everybody(simulator: Simulator, verb: str, below: str, text: str) -> None:
    upid = upid_of(simulator, "RUNNING")
    with pytest.raises(Forbidden) as caught:
        simulator.request(verb, f"/nodes/pve1/tasks/{upid}{below}", user="alice@pve")
    assert caught.value.message == text
    own = upid_of(simulator, "WARNINGS: 1")
    simulator.request(verb, f"/nodes/pve1/tasks/{own}{below}", user="alice@pve")


def _root_token(simulator: Simulator) -> str:
    simulator.world.put(Token("root@pam", "test", "00000000-0000-4000-8000-000000000000", privsep=False))
    return "root@pam!test=00000000-0000-4000-8000-000000000000"
