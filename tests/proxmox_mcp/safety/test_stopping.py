"""A task is stopped at once where that undoes what it began; what would stay half done, or is not its own, is asked."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult, TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.approval import Approvals
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator
from tests.proxmox_mcp.redteam.conftest import YES

pytestmark = pytest.mark.anyio

BACKUP = ("/nodes/pve1/vzdump", {"vmid": "100", "storage": "nas"})
ROLLBACK: tuple[str, dict[str, str]] = ("/nodes/pve2/qemu/105/snapshot/clean/rollback", {})


@pytest.fixture(scope="module")
def homelab() -> Simulator:
    simulator = Simulator("homelab")
    simulator.clock.set_mode("manual")
    return simulator


@pytest.fixture
def simulator(homelab: Simulator) -> Simulator:
    simulator = homelab.fork()
    simulator.clock.set_mode("manual")
    return simulator


def server(simulator: Simulator, folder: Path, rules: str = "", user: str = "root@pam", **options: Any) -> Any:
    policy = folder / "policy.toml"
    policy.write_text(rules, encoding="utf-8")
    given = {"access": "admin", "tools": ("stop_task", "call_api"), "policy": policy, "state_dir": folder / "state"}
    settings = Settings(retries=0, **{**given, **options})
    return build_server(settings, Pve(settings, simulator.connect, cluster="lab", user=user))


def started(simulator: Simulator, what: tuple[str, dict[str, str]]) -> str:
    return str(simulator.request("POST", *what))


def call_for(tool: str, upid: str) -> dict[str, str]:
    node = upid.split(":")[1]
    return {"upid": upid} if tool == "stop_task" else {"method": "DELETE", "path": f"/nodes/{node}/tasks/{upid}"}


def state_of(simulator: Simulator, upid: str) -> str:
    status = simulator.request("GET", f"/nodes/{upid.split(':')[1]}/tasks/{upid}/status")
    return str(status.get("exitstatus") or status["status"])


def text_of(result: CallToolResult) -> str:
    return "".join(content.text for content in result.content if isinstance(content, TextContent))


@pytest.mark.parametrize("tool", ["stop_task", "call_api"])
async def test_a_task_of_its_own_that_leaves_nothing_behind_is_stopped_at_once(
    simulator: Simulator, tmp_path: Path, tool: str
) -> None:
    upid = started(simulator, BACKUP)
    async with Client(server(simulator, tmp_path)) as client:
        result = await client.call_tool(tool, call_for(tool, upid))
    assert not result.is_error, text_of(result)
    assert state_of(simulator, upid) == "received interrupt"
    begin = next(Audit(tmp_path / "state").records())
    assert (begin["guests"], begin["approval"]) == ([100], "not needed")


@pytest.mark.parametrize("tool", ["stop_task", "call_api"])
@pytest.mark.parametrize(("what", "user"), [(ROLLBACK, "root@pam"), (BACKUP, "root@pam!other")])
async def test_other_tasks_are_stopped_by_a_persons_leave_alone(
    simulator: Simulator, tmp_path: Path, tool: str, what: tuple[str, dict[str, str]], user: str
) -> None:
    upid = started(simulator, what)
    async with Client(server(simulator, tmp_path, user=user)) as client:
        refused = await client.call_tool(tool, call_for(tool, upid))
    assert refused.is_error
    assert "needs a person's approval" in text_of(refused)
    assert state_of(simulator, upid) == "running"
    async with Client(server(simulator, tmp_path, user=user), elicitation_callback=YES) as client:
        assert not (await client.call_tool(tool, call_for(tool, upid))).is_error
    assert state_of(simulator, upid) == "received interrupt"


@pytest.mark.parametrize("tool", ["stop_task", "call_api"])
@pytest.mark.parametrize("user", ["root@pam", "root@pam!other"])
async def test_what_protects_a_guest_protects_what_is_done_with_it(
    simulator: Simulator, tmp_path: Path, tool: str, user: str
) -> None:
    upid = started(simulator, BACKUP)
    attacker = server(simulator, tmp_path, "protected = [100]", user=user)
    async with Client(attacker, elicitation_callback=YES) as client:
        refused = await client.call_tool(tool, call_for(tool, upid))
    assert "guest 100 is protected" in text_of(refused)
    assert state_of(simulator, upid) == "running"


@pytest.mark.parametrize("tool", ["stop_task", "call_api"])
async def test_what_is_left_half_done_is_above_the_level_operate(
    simulator: Simulator, tmp_path: Path, tool: str
) -> None:
    upid = started(simulator, ROLLBACK)
    async with Client(server(simulator, tmp_path, access="operate"), elicitation_callback=YES) as client:
        refused = await client.call_tool(tool, call_for(tool, upid))
    assert "has the risk destroy" in text_of(refused)
    assert state_of(simulator, upid) == "running"


async def test_the_person_reads_what_is_stopped(simulator: Simulator, tmp_path: Path) -> None:
    upid = started(simulator, ROLLBACK)
    async with Client(server(simulator, tmp_path)) as client:
        refused = text_of(await client.call_tool("stop_task", {"upid": upid}))
    for part in ("half done", "qmrollback 105 on pve2", "Started by: root@pam", "Log: "):
        assert part in refused


async def test_a_log_that_grows_while_the_person_thinks_voids_no_approval(simulator: Simulator, tmp_path: Path) -> None:
    upid = started(simulator, BACKUP)
    user = "root@pam!other"  # whose task it is not
    async with Client(server(simulator, tmp_path, user=user)) as client:
        assert "needs a person's approval" in text_of(await client.call_tool("stop_task", {"upid": upid}))
    store = Approvals(tmp_path / "state", 600)
    (request,) = store.listed()
    store.decide(request.code, True)
    simulator.clock.advance(2)
    assert state_of(simulator, upid) == "running"
    async with Client(server(simulator, tmp_path, user=user)) as client:
        result = await client.call_tool("stop_task", {"upid": upid})
    assert not result.is_error, text_of(result)
    assert any(fact.startswith("Log: ") for fact in request.facts)
