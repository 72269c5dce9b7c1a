from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxmox_mcp.errors import InvalidArgument, TaskFailed
from proxmox_mcp.pve import Pve
from proxmox_mcp.tasks import LOG_TAIL, Tasks, parse_upid
from tests.proxmox_mcp.conftest import FakeCluster

pytestmark = pytest.mark.anyio

UPID = "UPID:pve1:0000022A:00089A36:6B03C403:qmstart:100:root@pam!mcp:"
PATH = f"/nodes/pve1/tasks/{UPID}"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxmox_mcp.tasks._FIRST_PAUSE", 0.0)


def play(cluster: FakeCluster, exit_status: str, log: list[str], polls: int = 1) -> None:
    """A task that is seen running so many times, and writes a line between two looks."""
    state = {"looks": 0}

    def status(params: dict[str, Any]) -> dict[str, Any]:
        state["looks"] += 1
        if state["looks"] <= polls:
            return {"status": "running"}
        return {"status": "stopped", "exitstatus": exit_status}

    def lines(params: dict[str, Any]) -> list[dict[str, Any]]:
        written = log if state["looks"] > polls else log[: state["looks"] - 1]
        start, limit = int(params["start"]), int(params["limit"])
        part = [{"n": number, "t": text} for number, text in enumerate(written, 1)][start : start + limit]
        return part or ([{"n": 1, "t": "no content"}] if not written else [])

    cluster.routes[f"GET {PATH}/status"] = status
    cluster.routes[f"GET {PATH}/log"] = lines


async def test_a_task_is_followed_to_its_end(cluster: FakeCluster, pve: Pve) -> None:
    play(cluster, "OK", ["transferred 1 of 2 GiB (50.00%)", "done", "TASK OK"], polls=3)
    told: list[tuple[float, float | None, str]] = []

    async def report(progress: float, total: float | None, text: str) -> None:
        told.append((progress, total, text))

    result = await Tasks(pve).follow(UPID, 60, report)
    assert result.structured() == {
        "upid": UPID,
        "node": "pve1",
        "state": "ok",
        "exit_status": "OK",
        "log_tail": ["transferred 1 of 2 GiB (50.00%)", "done", "TASK OK"],
    }
    assert "qmstart 100 on pve1: running, 50.00%" in told[1][2]
    assert [progress for progress, _, _ in told] == sorted(progress for progress, _, _ in told)
    assert {total for _, total, _ in told} == {60}


async def test_a_failed_task_is_an_error_with_the_reason(cluster: FakeCluster, pve: Pve) -> None:
    play(cluster, "VM 100 already running", ["TASK ERROR: VM 100 already running"])
    with pytest.raises(TaskFailed, match="qmstart 100 on pve1: VM 100 already running"):
        await Tasks(pve).follow(UPID, 60)


async def test_looking_at_a_failed_task_is_no_error(cluster: FakeCluster, pve: Pve) -> None:
    play(cluster, "VM 100 already running", ["TASK ERROR: VM 100 already running"], polls=0)
    result = await Tasks(pve).look(UPID)
    assert (result.state, result.exit_status) == ("failed", "VM 100 already running")


async def test_an_exit_status_that_says_nothing_is_told_with_the_errors_of_the_log(
    cluster: FakeCluster, pve: Pve
) -> None:
    said = ["ERROR: Backup of VM 100 failed - no space", "ERROR: Backup of VM 101 failed - VM is locked (backup)"]
    play(cluster, "job errors", [*said, *["INFO: more"] * LOG_TAIL, "TASK ERROR: job errors"])
    with pytest.raises(TaskFailed) as failed:
        await Tasks(pve).follow(UPID, 60)
    assert failed.value.reason == (
        "job errors: Backup of VM 100 failed - no space; Backup of VM 101 failed - VM is locked (backup)"
    )
    aborted = ["ERROR: no way", "ERROR: migration aborted (duration 00:00:01): no way"]
    play(cluster, "migration aborted", aborted)
    with pytest.raises(TaskFailed) as failed:
        await Tasks(pve).follow(UPID, 60)
    assert failed.value.reason == "migration aborted: no way"
    play(cluster, "start failed", ["ERROR: this and that"])
    with pytest.raises(TaskFailed) as failed:
        await Tasks(pve).follow(UPID, 60)
    assert failed.value.reason == "start failed"


async def test_warnings_are_no_failure(cluster: FakeCluster, pve: Pve) -> None:
    play(cluster, "WARNINGS: 1", ["TASK WARNINGS: 1"])
    assert (await Tasks(pve).follow(UPID, 60)).state == "warnings"


async def test_waiting_ends_when_the_time_is_over(cluster: FakeCluster, pve: Pve) -> None:
    play(cluster, "OK", [], polls=10**9)
    clock = iter(range(100))
    result = await Tasks(pve, now=lambda: float(next(clock))).follow(UPID, 3)
    assert (result.state, result.exit_status, result.log_tail) == ("running", None, [])


async def test_without_waiting_it_is_looked_at_once(cluster: FakeCluster, pve: Pve) -> None:
    play(cluster, "OK", [], polls=1)
    assert (await Tasks(pve).follow(UPID, 0)).state == "running"
    assert cluster.asked == [f"GET {PATH}/status"]


async def test_of_a_long_log_the_end_is_kept(cluster: FakeCluster, pve: Pve) -> None:
    play(cluster, "OK", [f"line {number}" for number in range(1200)], polls=0)
    assert (await Tasks(pve).look(UPID)).log_tail == [f"line {number}" for number in range(1200 - LOG_TAIL, 1200)]


@pytest.mark.parametrize("text", ["", "UPID:pve1", UPID[:-1], UPID.replace("pve1", "../x"), UPID.replace("qm", "a/b")])
def test_what_is_no_upid_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is no UPID"):
        parse_upid(text)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["100", "", "100@local"]), st.sampled_from(["root@pam", "a@pve!t"]))
def test_a_upid_says_what_it_is(start: int, target: str, user: str) -> None:
    upid = parse_upid(f"UPID:node-1:0000022A:00089A36:{start:08X}:vzdump:{target}:{user}:")
    assert (upid.node, upid.type, upid.id, upid.user, upid.starttime) == ("node-1", "vzdump", target, user, start)


async def test_a_log_that_grows_as_fast_as_it_is_read_is_left_alone(cluster: FakeCluster, pve: Pve) -> None:
    asked = []

    def lines(params: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(int(params["start"]))
        return [{"n": number, "t": "x"} for number in range(int(params["limit"]))]

    cluster.routes[f"GET {PATH}/status"] = lambda params: {"status": "running"}
    cluster.routes[f"GET {PATH}/log"] = lines
    assert (await Tasks(pve).look(UPID)).state == "running"
    assert len(asked) == 40
    assert asked == sorted(asked)
