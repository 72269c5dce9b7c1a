"""The tasks extension, as a client that declares it sees it, and as one that does not."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, ElicitResult, Implementation, Request, Result
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from proxmox_mcp import task_handles
from proxmox_mcp.errors import Unreachable
from proxmox_mcp.pve import Pve
from proxmox_mcp.server import ProxmoxServer, build_server
from proxmox_mcp.settings import Settings
from proxmox_mcp.task_handles import IDENTIFIER, LIFETIME
from pvesim import Simulator
from tests.proxmox_mcp.tools.test_provisioning import CLOUD

pytestmark = pytest.mark.anyio

TOOLS = (
    "clone_vm", "create_backup", "create_snapshot", "create_vm", "delete_vm", "get_vm_status", "get_vms", "manage_vm",
    "provision_vm",
)  # fmt: skip


class Handle(Result):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class Answer(Result):
    model_config = ConfigDict(extra="allow")


async def _unresolved(handle: Handle, context: ClaimContext) -> CallToolResult:
    raise AssertionError("every call here takes the handle itself")


class Declares(ClientExtension):
    identifier = IDENTIFIER

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Handle, resolve=_unresolved)]


@pytest.fixture(scope="module")
def homelab() -> Simulator:
    return Simulator("homelab")


@pytest.fixture
def simulator(homelab: Simulator) -> Simulator:
    return homelab.fork()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is not handed out for how long it takes, unless a test says so: a busy machine may be slow."""
    monkeypatch.setattr(task_handles, "PATIENCE", math.inf)
    monkeypatch.setattr("proxmox_mcp.tasks._FIRST_PAUSE", 0.0)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call is handed out at once."""
    monkeypatch.setattr(task_handles, "PATIENCE", 0)


def server_of(simulator: Simulator, folder: Path, **more: Any) -> ProxmoxServer:
    settings = Settings(access="admin", state_dir=folder / "state", retries=0, tools=TOOLS, **more)
    return build_server(settings, Pve(settings, simulator.connect, cluster="lab", user="root@pam"))


@asynccontextmanager
async def client_of(server: ProxmoxServer, declares: bool = True, **more: Any) -> AsyncIterator[Client]:
    who = Implementation(name="desk", version="7")
    async with Client(server, extensions=[Declares()] if declares else [], client_info=who, **more) as client:
        yield client


async def start(client: Client, tool: str = "", **arguments: Any) -> Any:
    """The answer to a call; by default one that starts a VM."""
    tool, arguments = (tool, arguments) if tool else ("manage_vm", {"vmid": 105, "action": "start"})
    return await client.session.call_tool(tool, arguments, allow_claimed=True, allow_input_required=True)


async def send(client: Client, method: str, handle: str, **more: Any) -> dict[str, Any]:
    params = {"taskId": handle, **more}
    answer = await client.session.send_request(Request[dict[str, Any], str](method=method, params=params), Answer)
    return answer.model_dump(by_alias=True)


async def until(client: Client, handle: str, *statuses: str, message: str = "") -> dict[str, Any]:
    """The task as soon as it is so: every look moves a simulated clock that goes by itself."""
    while True:
        seen = await send(client, "tasks/get", handle)
        if seen["status"] in statuses and message in seen.get("statusMessage", ""):
            return seen
        assert seen["status"] in {"working", "input_required"}, seen


def audit(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "state" / "audit.jsonl").read_text().splitlines()]


async def test_a_task_of_pve_that_goes_on_is_a_handle_and_its_end_the_result(
    simulator: Simulator, tmp_path: Path
) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client)
        assert isinstance(handle, Handle)
        assert handle.status == "working"
        seen = await until(client, handle.task_id, "completed")
    facts = seen["result"]["structuredContent"]
    assert facts["state"] == "ok"
    assert facts["upid"].startswith("UPID:pve2:")
    assert facts["upid"] in seen["result"]["content"][0]["text"]


async def test_the_result_has_what_the_tool_told_besides_its_task(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client, "create_vm", name="fresh", vmid=777, node="pve1")
        seen = await until(client, handle.task_id, "completed")
    facts, text = seen["result"]["structuredContent"], seen["result"]["content"][0]["text"]
    assert (facts["vmid"], facts["state"]) == (777, "ok")
    assert "vmid: 777" in text
    assert "state: ok" in text
    assert "running" not in text


async def test_a_client_that_does_not_declare_it_sees_the_upid(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path), declares=False) as client:
        result = await start(client)
        assert isinstance(result, CallToolResult)
        assert result.structured_content is not None
        with pytest.raises(MCPError) as caught:
            await send(client, "tasks/get", result.structured_content["upid"])
    assert caught.value.error.code == -32021


@pytest.mark.usefixtures("at_once")
async def test_a_client_of_the_older_era_is_waited_for(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path), mode="legacy") as client:
        result = await start(client, "get_vms")
    assert isinstance(result, CallToolResult)


async def test_what_ends_in_a_moment_is_no_task(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        assert isinstance(await start(client, "get_vms"), CallToolResult)
        refused = await start(client, "get_vm_status", vmid=999)
        assert refused.is_error


@pytest.mark.usefixtures("at_once")
async def test_a_call_that_takes_longer_is_one(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client, "get_vms", status="running")
        assert isinstance(handle, Handle)
        seen = await until(client, handle.task_id, "completed")
        assert seen["result"]["structuredContent"]["vms"]
        handle = await start(client, "get_vm_status", vmid=999)
        seen = await until(client, handle.task_id, "completed")
    assert seen["result"]["isError"]
    assert "There is no guest 999" in seen["result"]["content"][0]["text"]


@pytest.mark.usefixtures("at_once")
async def test_the_handle_of_a_tool_of_many_steps_ends_with_the_tool(tmp_path: Path) -> None:
    async with client_of(server_of(Simulator(CLOUD), tmp_path)) as client:
        handle = await start(client, "provision_vm", name="fresh", template=900, wait_seconds=30)
        seen = await until(client, handle.task_id, "completed")
    facts = seen["result"]["structuredContent"]
    assert facts["steps"] == ["cloned 900", "configured", "started"]
    assert facts["addresses"] == ["10.0.0.77"]


@pytest.mark.usefixtures("at_once")
async def test_to_give_a_call_up_stops_waiting_and_names_what_goes_on(tmp_path: Path) -> None:
    simulator = Simulator(CLOUD, clock="manual")
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client, "provision_vm", name="fresh", template=900)
        told = (await until(client, handle.task_id, "working", message="UPID:"))["statusMessage"]
        [upid] = [word for word in told.split() if word.startswith("UPID:")]
        await send(client, "tasks/cancel", handle.task_id)
        seen = await send(client, "tasks/get", handle.task_id)
        await send(client, "tasks/cancel", handle.task_id)  # once more does no harm
    assert seen["status"] == "cancelled"
    assert upid in seen["statusMessage"]
    assert "stop_task" in seen["statusMessage"]
    status = f"/nodes/pve1/tasks/{upid}/status"
    assert simulator.request("GET", status)["status"] == "running"
    simulator.clock.advance(3600)
    assert simulator.request("GET", status)["exitstatus"] == "OK"
    [guest] = [guest for guest in simulator.request("GET", "/nodes/pve1/qemu") if guest["name"] == "fresh"]
    assert guest["status"] == "stopped"  # the steps that were to follow were not taken
    [end] = [line for line in audit(tmp_path) if line["event"] == "end"]
    assert (end["result"], end["upids"]) == ("cancelled", [upid])


async def test_a_client_that_goes_away_before_it_has_a_handle_gives_the_call_up(tmp_path: Path) -> None:
    simulator = Simulator(CLOUD, clock="manual")
    async with client_of(server_of(simulator, tmp_path)) as client:
        with anyio.CancelScope() as scope:

            async def leave(progress: float, total: float | None, message: str | None) -> None:
                scope.cancel()

            given = {"name": "fresh", "template": 900}
            await client.session.call_tool("provision_vm", given, progress_callback=leave, allow_claimed=True)
    assert scope.cancelled_caught
    [end] = [line for line in audit(tmp_path) if line["event"] == "end"]
    assert end["result"] == "cancelled"
    assert len(end["upids"]) == 1


@pytest.mark.usefixtures("at_once")
async def test_what_was_given_up_before_pve_was_asked_leaves_nothing(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pve, "get", _never)
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client, "get_vms")
        await send(client, "tasks/cancel", handle.task_id)
        seen = await send(client, "tasks/get", handle.task_id)
    assert seen["status"] == "cancelled"
    assert "PVE had told of no task" in seen["statusMessage"]


@pytest.mark.usefixtures("at_once")
async def test_the_servers_end_ends_what_it_has_at_work(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pve, "get", _never)
    async with client_of(server_of(simulator, tmp_path, audit="all")) as client:
        await start(client, "get_vms")
    # That the client was left is what is shown: it waits until its server has ended.
    assert [line["event"] for line in audit(tmp_path)] == ["begin", "end"]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_tasks_of_others_are_not_reached(simulator: Simulator, tmp_path: Path, method: str) -> None:
    upid = simulator.request("GET", "/cluster/tasks")[0]["upid"]
    async with client_of(server_of(simulator, tmp_path)) as client:
        with pytest.raises(MCPError, match="get_cluster_tasks") as caught:
            await send(client, method, upid)
    assert caught.value.error.code == -32602


async def test_a_task_is_not_known_by_its_upid(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        first, second = await start(client), await start(client, "create_backup", vmid=100)
        assert first.task_id != second.task_id
        assert not {first.task_id, second.task_id} & {
            task["upid"] for task in simulator.request("GET", "/cluster/tasks")
        }


async def test_a_handle_lasts_a_day(simulator: Simulator, tmp_path: Path) -> None:
    server = server_of(simulator, tmp_path)
    now = 1000.0
    server.handles._now = lambda: now
    async with client_of(server) as client:
        handle = await start(client)
        assert handle.model_dump(by_alias=True)["ttlMs"] == LIFETIME * 1000
        now += LIFETIME - 1
        await until(client, handle.task_id, "completed")
        now += 2
        with pytest.raises(MCPError, match="no such task"):
            await send(client, "tasks/get", handle.task_id)


async def test_a_client_is_told_to_ask_more_rarely_when_it_takes_long(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client)
        assert handle.model_dump(by_alias=True)["pollIntervalMs"] == 500
        monkeypatch.setattr("proxmox_mcp.handed_out._SOON", 0.0)
        assert (await send(client, "tasks/get", handle.task_id))["pollIntervalMs"] == 2000


async def test_when_there_are_too_many_handles_calls_are_waited_for(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_handles, "_MOST", 1)
    async with client_of(server_of(simulator, tmp_path)) as client:
        assert isinstance(await start(client), Handle)
        assert isinstance(await start(client, "create_backup", vmid=100), CallToolResult)


# Asking the user.


@pytest.mark.usefixtures("at_once")
async def test_a_task_asks_for_approval_and_works_on_once_it_has_it(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path), elicitation_callback=_not_asked) as client:
        handle = await start(client, "delete_vm", vmid=105)
        seen = await until(client, handle.task_id, "input_required")
        [(name, question)] = seen["inputRequests"].items()
        assert question["method"] == "elicitation/create"
        assert "105" in question["params"]["message"]
        no_answer = {"something": {"ignored": True}}
        await send(client, "tasks/update", handle.task_id, inputResponses=no_answer)
        assert (await send(client, "tasks/get", handle.task_id))["status"] == "input_required"
        with pytest.raises(MCPError, match="inputResponses"):
            await send(client, "tasks/update", handle.task_id, inputResponses={name: {"approve": True}})
        yes = {name: {"action": "accept", "content": {"approve": True}}}
        await send(client, "tasks/update", handle.task_id, inputResponses=yes)
        seen = await until(client, handle.task_id, "completed")
        await send(client, "tasks/update", handle.task_id, inputResponses=yes)  # too late for anything
    assert seen["result"]["structuredContent"]["state"] == "ok"
    assert 105 not in {guest["vmid"] for guest in simulator.request("GET", "/nodes/pve2/qemu")}


@pytest.mark.usefixtures("at_once")
async def test_a_task_that_is_declined_does_nothing(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path), elicitation_callback=_not_asked) as client:
        handle = await start(client, "delete_vm", vmid=105)
        [name] = (await until(client, handle.task_id, "input_required"))["inputRequests"]
        await send(client, "tasks/update", handle.task_id, inputResponses={name: {"action": "decline"}})
        seen = await until(client, handle.task_id, "completed")
    assert seen["result"]["isError"]
    assert "declined" in seen["result"]["content"][0]["text"]
    assert 105 in {guest["vmid"] for guest in simulator.request("GET", "/nodes/pve2/qemu")}


@pytest.mark.usefixtures("at_once")
async def test_a_task_that_asks_can_be_given_up(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path), elicitation_callback=_not_asked) as client:
        handle = await start(client, "delete_vm", vmid=105)
        [name] = (await until(client, handle.task_id, "input_required"))["inputRequests"]
        await send(client, "tasks/cancel", handle.task_id)
        yes = {name: {"action": "accept", "content": {"approve": True}}}
        await send(client, "tasks/update", handle.task_id, inputResponses=yes)
        assert (await send(client, "tasks/get", handle.task_id))["status"] == "cancelled"
    assert 105 in {guest["vmid"] for guest in simulator.request("GET", "/nodes/pve2/qemu")}


async def test_an_answer_to_an_earlier_question_is_none_to_a_later(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_handles, "PATIENCE", 0)
    async with client_of(server_of(simulator, tmp_path), elicitation_callback=_not_asked) as client:
        handle = await start(client, "delete_vm", vmid=105)
        [first] = (await until(client, handle.task_id, "input_required"))["inputRequests"]
        # Changed while the person reads: what was approved is another state, and the new one is asked about.
        simulator.request("PUT", "/nodes/pve2/qemu/105/config", {"description": "something else"})
        yes = {"action": "accept", "content": {"approve": True}}
        await send(client, "tasks/update", handle.task_id, inputResponses={first: yes})
        seen = await until(client, handle.task_id, "input_required", "completed")
        while first in seen.get("inputRequests", {}):
            seen = await send(client, "tasks/get", handle.task_id)
        assert seen["status"] == "input_required"
        [second] = seen["inputRequests"]
        assert second != first
        await send(client, "tasks/update", handle.task_id, inputResponses={first: yes})
        assert (await send(client, "tasks/get", handle.task_id))["status"] == "input_required"


# The task of PVE that a call has left at work.


async def test_a_backup_is_stopped(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client, "create_backup", vmid=100)
        assert isinstance(handle, Handle)
        await send(client, "tasks/cancel", handle.task_id)
        seen = await until(client, handle.task_id, "cancelled")
    assert "vzdump" in seen["statusMessage"]
    assert "result" not in seen
    [stopped] = [line for line in audit(tmp_path) if line["event"] == "begin" and line["tool"] == "stop_task"]
    assert (stopped["client"], stopped["risk"]) == ("desk 7", "operate")


@pytest.mark.parametrize("asks", [None, "a form"])
async def test_what_would_be_left_half_done_is_not_stopped_without_approval(tmp_path: Path, asks: str | None) -> None:
    simulator = Simulator("homelab", clock="manual")
    can_ask = {"elicitation_callback": _not_asked} if asks else {}
    async with client_of(server_of(simulator, tmp_path), **can_ask) as client:
        handle = await start(client, "create_snapshot", vmid=105, name="now")
        with pytest.raises(MCPError, match="stop_task needs a person's approval"):
            await send(client, "tasks/cancel", handle.task_id)
        simulator.clock.advance(3600)
        await until(client, handle.task_id, "completed")
    [refused] = [line for line in audit(tmp_path) if line["event"] == "refused"]
    assert (refused["client"], refused["risk"]) == ("desk 7", "destroy")


async def test_what_has_ended_meanwhile_is_told_as_it_ended(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client)
        simulator.clock.advance(3600)
        await send(client, "tasks/cancel", handle.task_id)
        assert (await send(client, "tasks/get", handle.task_id))["status"] == "completed"
        await send(client, "tasks/cancel", handle.task_id)
        assert (await send(client, "tasks/get", handle.task_id))["status"] == "completed"


async def test_a_task_of_pve_that_fails_is_an_error_of_the_tool(simulator: Simulator, tmp_path: Path) -> None:
    simulator.faults.add("full", task="vzdump", step=1000, fail="no space left")
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client, "create_backup", vmid=100)
        seen = await until(client, handle.task_id, "completed")
    assert seen["result"]["isError"]
    assert "no space left" in seen["result"]["content"][0]["text"]


async def test_a_cluster_out_of_reach_ends_no_task(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client)
        with monkeypatch.context() as patch:
            patch.setattr(Pve, "get", _out_of_reach)
            with pytest.raises(MCPError, match="no route"):
                await send(client, "tasks/get", handle.task_id)
        assert (await send(client, "tasks/get", handle.task_id))["status"] in {"working", "completed"}


async def test_what_is_looked_at_by_a_handle_is_recorded_with_its_client(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(server_of(simulator, tmp_path, audit="all")) as client:
        handle = await start(client)
        await until(client, handle.task_id, "completed")
    looks = [line for line in audit(tmp_path) if line.get("tool") == "get_task_status" and line["event"] == "begin"]
    assert looks
    assert {line["client"] for line in looks} == {"desk 7"}


# Tools that break.


@pytest.mark.usefixtures("at_once")
async def test_what_the_protocol_refuses_has_failed(simulator: Simulator, tmp_path: Path) -> None:
    server, looked_at = server_of(simulator, tmp_path), anyio.Event()

    async def refuses() -> str:
        await looked_at.wait()
        raise MCPError(-32099, "not so", {"why": "because"})

    server.add_tool(refuses)
    async with client_of(server) as client:
        handle = await start(client, "refuses")
        looked_at.set()
        seen = await until(client, handle.task_id, "failed")
    assert seen["error"] == {"code": -32099, "message": "not so", "data": {"why": "because"}}
    assert "result" not in seen


async def test_what_the_protocol_refuses_in_a_moment_is_refused(simulator: Simulator, tmp_path: Path) -> None:
    server = server_of(simulator, tmp_path)

    async def refuses() -> str:
        raise MCPError(-32099, "not so")

    server.add_tool(refuses)
    async with client_of(server) as client:
        with pytest.raises(MCPError, match="not so"):
            await start(client, "refuses")


@pytest.mark.usefixtures("at_once")
async def test_a_call_that_breaks_has_failed_and_says_whose_fault_it_is(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = anyio.Event()

    async def breaks(*arguments: Any, **more: Any) -> Any:
        await looked_at.wait()
        raise RuntimeError("a secret of the server's")

    monkeypatch.setattr(ProxmoxServer, "_handle_call_tool", breaks)
    async with client_of(server_of(simulator, tmp_path)) as client:
        handle = await start(client)
        looked_at.set()
        seen = await until(client, handle.task_id, "failed")
    assert seen["error"]["code"] == -32603
    assert "its log says more" in seen["error"]["message"]
    assert "secret" not in json.dumps(seen)


async def _not_asked(context: Any, params: Any) -> ElicitResult:
    raise AssertionError("what a task asks is answered by tasks/update")


async def _never(*arguments: Any, **more: Any) -> Any:
    await anyio.sleep_forever()


async def _out_of_reach(*arguments: Any, **more: Any) -> Any:
    raise Unreachable("There is no route to the node.", "Try again.")
