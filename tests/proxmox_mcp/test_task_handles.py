"""The tasks extension, as a client that declares it sees it, and as one that does not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, Request, Result
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from proxmox_mcp.errors import Unreachable
from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from proxmox_mcp.task_handles import IDENTIFIER
from pvesim import Simulator

pytestmark = pytest.mark.anyio


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


@asynccontextmanager
async def client_of(simulator: Simulator, folder: Path, declares: bool = True, **more: Any) -> AsyncIterator[Client]:
    settings = Settings(access="admin", state_dir=folder / "state", retries=0, **more)
    server = build_server(settings, Pve(settings, simulator.connect, cluster="lab", user="root@pam"))
    async with Client(server, extensions=[Declares()] if declares else []) as client:
        yield client


async def start(client: Client, tool: str = "manage_vm", **arguments: Any) -> Any:
    given = arguments or {"vmid": 105, "action": "start"}
    return await client.session.call_tool(tool, given, allow_claimed=True)


async def send(client: Client, method: str, upid: str) -> dict[str, Any]:
    answer = await client.session.send_request(
        Request[dict[str, Any], str](method=method, params={"taskId": upid}), Answer
    )
    return answer.model_dump(by_alias=True)


async def ended(client: Client, upid: str) -> dict[str, Any]:
    """The task at its end: every look moves the simulated clock."""
    while (seen := await send(client, "tasks/get", upid))["status"] == "working":
        pass
    return seen


async def test_a_task_that_goes_on_is_a_handle_and_its_end_the_result(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(simulator, tmp_path) as client:
        handle = await start(client)
        assert isinstance(handle, Handle)
        assert handle.status == "working"
        assert handle.task_id.startswith("UPID:pve2:")
        seen = await ended(client, handle.task_id)
    assert seen["status"] == "completed"
    assert seen["result"]["structuredContent"]["state"] == "ok"
    assert seen["result"]["structuredContent"]["upid"] == handle.task_id


async def test_a_client_that_does_not_declare_it_sees_the_upid(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(simulator, tmp_path, declares=False) as client:
        result = await start(client)
        assert isinstance(result, CallToolResult)
        assert result.structured_content is not None
        with pytest.raises(MCPError) as caught:
            await send(client, "tasks/get", result.structured_content["upid"])
    assert caught.value.error.code == -32021


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_tasks_of_others_are_not_reached(simulator: Simulator, tmp_path: Path, method: str) -> None:
    upid = simulator.request("GET", "/cluster/tasks")[0]["upid"]
    async with client_of(simulator, tmp_path) as client:
        with pytest.raises(MCPError) as caught:
            await send(client, method, upid)
    assert caught.value.error.code == -32602


async def test_to_cancel_takes_approval_too(simulator: Simulator, tmp_path: Path) -> None:
    async with client_of(simulator, tmp_path) as client:
        handle = await start(client)
        with pytest.raises(MCPError, match="approval"):
            await send(client, "tasks/cancel", handle.task_id)


async def test_it_is_cancelled_where_the_policy_allows_it(simulator: Simulator, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rules]]\neffect = "allow"\nrisks = ["destroy"]\n', encoding="utf-8")
    async with client_of(simulator, tmp_path, policy=policy) as client:
        handle = await start(client, "create_backup", vmid=100)
        assert isinstance(handle, Handle)
        await send(client, "tasks/cancel", handle.task_id)
        seen = await ended(client, handle.task_id)
    assert seen["status"] == "completed"
    assert seen["result"]["isError"]


async def test_a_cluster_out_of_reach_ends_no_task(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client_of(simulator, tmp_path) as client:
        handle = await start(client)
        with monkeypatch.context() as patch:
            patch.setattr(Pve, "get", _out_of_reach)
            with pytest.raises(MCPError, match="no route"):
                await send(client, "tasks/get", handle.task_id)
        assert (await send(client, "tasks/get", handle.task_id))["status"] in {"working", "completed"}


async def _out_of_reach(*arguments: Any, **more: Any) -> Any:
    raise Unreachable("There is no route to the node.", "Try again.")
