import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

UNKNOWN = "UPID:pve1:00000001:00000001:5F000000:qmstart:100:root@pam:"


def upid_of(simulator: Simulator, type: str) -> str:
    """The task of this type in the history."""
    return str(next(task["upid"] for task in simulator.request("GET", "/cluster/tasks") if task["type"] == type))


async def test_tasks_are_listed_newest_first_with_their_end(tell: Tell, era: Era) -> None:
    reply = await tell("get_cluster_tasks", _era=era)
    tasks = reply.data["tasks"]
    assert reply.requests == ["GET /cluster/tasks"]
    assert [task["starttime"] for task in tasks] == sorted((task["starttime"] for task in tasks), reverse=True)
    by_type = {task["type"]: task for task in tasks}
    assert (by_type["qmstart"]["state"], by_type["qmstart"]["duration"]) == ("ok", 2)
    assert by_type["qmshutdown"]["exit_status"] == "VM quit/powerdown failed - got timeout"
    assert by_type["aptupdate"]["state"] == "warnings"
    assert by_type["vzstart"]["user"] == "mcp@pve!operator"
    assert "VM quit/powerdown failed - got timeout" in reply.text


@pytest.mark.parametrize(
    ("filters", "types"),
    [
        ({"vmid": 103}, ["vncproxy", "qmshutdown"]),
        ({"type": "vzdump"}, ["vzdump", "vzdump"]),
        ({"user": "ALICE"}, ["vncproxy", "qmsnapshot"]),
        ({"errors_only": True}, ["aptupdate", "vzdump", "qmshutdown"]),
        ({"running": True}, []),
        ({"node": "pve3"}, ["aptupdate", "vzdump"]),
        ({"node": "pve3", "vmid": 106, "errors_only": True, "type": "vzdump", "user": "root"}, ["vzdump"]),
        ({"node": "pve3", "running": True}, []),
    ],
)
async def test_tasks_are_filtered(tell: Tell, filters: dict[str, object], types: list[str]) -> None:
    reply = await tell("get_cluster_tasks", **filters)
    assert [task["type"] for task in reply.data["tasks"]] == types
    assert reply.data["total"] == len(types)
    assert len(reply.requests) == 1


async def test_a_running_task_is_shown_as_running(tell: Tell, simulator: Simulator) -> None:
    upid = simulator.request("POST", "/nodes/pve1/qemu/103/status/shutdown")
    reply = await tell("get_cluster_tasks", running=True)
    [task] = reply.data["tasks"]
    assert (task["upid"], task["state"]) == (upid, "running")
    assert "duration" not in task


async def test_tasks_come_in_pages(tell: Tell) -> None:
    whole = await tell("get_cluster_tasks")
    first = await tell("get_cluster_tasks", limit=3)
    second = await tell("get_cluster_tasks", limit=100, cursor=first.data["next_cursor"])
    assert first.data["tasks"] + second.data["tasks"] == whole.data["tasks"]
    assert "next_cursor" not in second.data


async def test_the_tasks_of_a_node_that_is_not_there(tell: Tell) -> None:
    reply = await tell("get_cluster_tasks", node="pve9")
    assert reply.is_error
    assert reply.text == "There is no node pve9 that this cluster can reach. Call get_nodes for the names."


async def test_only_one_s_own_tasks_are_seen_without_the_right_to_see_all(tell: Tell) -> None:
    reply = await tell("get_cluster_tasks", _user="alice@pve")
    assert {task["user"] for task in reply.data["tasks"]} == {"alice@pve"}


async def test_a_task_is_looked_at(tell: Tell, simulator: Simulator, era: Era) -> None:
    upid = upid_of(simulator, "qmshutdown")
    reply = await tell("get_task_status", upid=upid, _era=era)
    assert not reply.is_error, "that a task failed is what was asked for, not an error of the call"
    assert reply.data["state"] == "failed"
    assert reply.data["exit_status"] == "VM quit/powerdown failed - got timeout"
    assert (reply.data["type"], reply.data["id"], reply.data["node"]) == ("qmshutdown", "103", "pve1")
    assert reply.data["log_tail"][-1] == "TASK ERROR: VM quit/powerdown failed - got timeout"


@pytest.mark.parametrize("tool", ["get_task_status", "get_task_log", "wait_for_task"])
async def test_a_task_that_is_not_there(tell: Tell, tool: str) -> None:
    reply = await tell(tool, upid=UNKNOWN)
    assert reply.is_error
    assert "Call get_cluster_tasks for the UPIDs of recent tasks" in reply.text


@pytest.mark.parametrize("tool", ["get_task_status", "get_task_log", "wait_for_task"])
async def test_what_is_no_upid_is_refused_without_asking_pve(tell: Tell, tool: str) -> None:
    reply = await tell(tool, upid="qmstart 100")
    assert reply.is_error
    assert "'qmstart 100' is no UPID." in reply.text
    assert reply.requests == []


async def test_another_s_task_needs_a_privilege_on_its_node(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("get_task_status", upid=upid_of(simulator, "vzdump"), _user="alice@pve")
    assert reply.is_error
    assert "privilege Sys.Audit on path /nodes/pve" in reply.text


async def test_a_log_is_read_in_parts(tell: Tell, simulator: Simulator, era: Era) -> None:
    upid = simulator.request("GET", "/nodes/pve3/tasks", {"typefilter": "vzdump"})[0]["upid"]
    first = await tell("get_task_log", upid=upid, limit=5, _era=era)
    rest = await tell("get_task_log", upid=upid, start=first.data["next_start"], _era=era)
    assert first.data["log"][0].startswith("INFO: starting new backup job: vzdump 106")
    assert len(first.data["log"]) == 5
    assert rest.data["first_line"] == 6
    assert rest.data["log"][-1] == "TASK ERROR: job errors"
    assert "next_start" not in rest.data
    assert "No space left on device" in first.text + rest.text


async def test_the_end_of_a_log(tell: Tell, simulator: Simulator) -> None:
    upid = simulator.request("GET", "/nodes/pve3/tasks", {"typefilter": "vzdump"})[0]["upid"]
    reply = await tell("get_task_log", upid=upid, tail=2)
    assert reply.data["log"] == ["INFO: Backup job finished with errors", "TASK ERROR: job errors"]
    assert reply.data["first_line"] == 7
    assert len(reply.requests) == 1


async def test_a_log_that_is_exactly_as_long_as_asked_has_no_rest(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("get_task_log", upid=upid_of(simulator, "qmstart"), limit=1)
    assert reply.data["log"] == ["TASK OK"]
    assert "next_start" not in reply.data


async def test_the_log_of_a_task_that_has_not_written_yet_is_empty(tell: Tell, simulator: Simulator) -> None:
    upid = simulator.request("POST", "/nodes/pve1/qemu/103/status/shutdown")
    reply = await tell("get_task_log", upid=upid)
    assert not reply.is_error
    assert reply.data["log"] == []


async def test_begin_and_end_of_a_log_cannot_be_asked_for_at_once(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("get_task_log", upid=upid_of(simulator, "qmstart"), start=1, tail=1)
    assert reply.is_error
    assert "Give one of them." in reply.text


async def test_a_task_is_waited_for_with_progress(tell: Tell, simulator: Simulator, era: Era) -> None:
    upid = simulator.request("POST", "/nodes/pve1/qemu/100/status/shutdown")
    reply = await tell("wait_for_task", upid=upid, _era=era)
    assert (reply.data["state"], reply.data["exit_status"]) == ("ok", "OK")
    assert reply.progress[-1].startswith("qmshutdown 100 on pve1: ok")


async def test_a_task_that_failed_is_an_error_with_its_reason(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("wait_for_task", upid=upid_of(simulator, "qmshutdown"), _user="mcp@pve!auditor")
    assert reply.is_error
    assert "qmshutdown 103 on pve1: VM quit/powerdown failed - got timeout" in reply.text


async def test_waiting_no_time_only_looks(tell: Tell, simulator: Simulator) -> None:
    upid = simulator.request("POST", "/nodes/pve1/qemu/103/status/shutdown")
    reply = await tell("wait_for_task", upid=upid, wait_seconds=0)
    assert reply.data["state"] == "running"
    assert reply.progress == []


async def test_a_task_that_has_ended_is_not_stopped(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("stop_task", upid=upid_of(simulator, "vzstart"))
    assert reply.is_error
    assert "has ended already" in reply.text
    assert not [request for request in reply.requests if request.startswith("DELETE")]
