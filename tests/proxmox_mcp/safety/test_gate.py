"""What the gate does that no attempt of redteam/ shows."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.types import ElicitResult, TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def homelab() -> Simulator:
    return Simulator("homelab")


@pytest.fixture
def simulator(homelab: Simulator) -> Simulator:
    return homelab.fork()


def server(simulator: Simulator, folder: Path, **options: Any) -> Any:
    settings = Settings(access="admin", state_dir=folder / "state", retries=0, **options)
    return build_server(settings, Pve(settings, simulator.connect, cluster="lab", user="root@pam"))


async def _yes(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"approve": True})


async def test_the_question_says_what_is_lost(simulator: Simulator, tmp_path: Path) -> None:
    asked: list[str] = []

    async def read(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    async with Client(server(simulator, tmp_path), elicitation_callback=read) as client:
        result = await client.call_tool("delete_vm", {"vmid": 105})
    assert result.is_error
    [question] = asked
    for part in (
        "VM 105 (staging) on pve2",
        "State: stopped",
        "Disks: scsi0 local-lvm:vm-105-disk-0",
        "(32G)",
        "Snapshots: clean, with-app, experiment",
        "Newest backup: ",
        "What depends on it: ",
        "The call: delete_vm(vmid=105",
        "Asked for by: mcp 0.1.0, on lab as root@pam",
    ):
        assert part in question


async def test_a_template_names_its_linked_clones(simulator: Simulator, tmp_path: Path) -> None:
    asked: list[str] = []

    async def read(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    async with Client(server(simulator, tmp_path), elicitation_callback=read) as client:
        api = simulator.connect()
        api.cluster.ha.resources("vm:102").delete()
        for change in (api.nodes("pve3").qemu(102).status.stop, api.nodes("pve3").qemu(102).template):
            done = await client.call_tool("wait_for_task", {"upid": change.post(), "wait_seconds": 60})
            assert not done.is_error, done.content
        await client.call_tool("clone_vm", {"vmid": 102, "newid": 150, "full": False, "wait_seconds": 60})
        await client.call_tool("delete_vm", {"vmid": 102})
    assert any("disks of guest 150 build on it" in question for question in asked)


async def test_what_was_started_is_on_record_when_the_caller_goes_away(
    simulator: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(server(simulator, tmp_path), elicitation_callback=_yes) as client:
        first = anyio.Event()

        async def note(progress: float, total: float | None, message: str | None) -> None:
            first.set()

        async with anyio.create_task_group() as group:

            async def shut_down() -> None:
                arguments = {"vmid": 103, "action": "shutdown", "timeout_seconds": 3000, "wait_seconds": 3000}
                await client.call_tool("manage_vm", arguments, progress_callback=note)

            group.start_soon(shut_down)
            await first.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            while (records := list(Audit(tmp_path / "state").records()))[-1]["event"] != "end":
                await anyio.lowlevel.checkpoint()
    assert records[-1]["result"] == "cancelled"
    [upid] = records[-1]["upids"]
    assert ":qmshutdown:103:" in upid
    assert f"its task goes on: {upid}" in caplog.text


@pytest.mark.parametrize(("audit", "events"), [("writes", []), ("all", ["begin", "end"])])
async def test_reads_are_on_record_when_that_is_wanted(
    simulator: Simulator, tmp_path: Path, audit: Any, events: list[str]
) -> None:
    async with Client(server(simulator, tmp_path, audit=audit)) as client:
        await client.call_tool("get_vms", {})
    assert [record["event"] for record in Audit(tmp_path / "state").records()] == events


async def test_a_read_is_answered_although_it_cannot_be_recorded(simulator: Simulator, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    async with Client(server(simulator, tmp_path, audit="all")) as client:
        assert not (await client.call_tool("get_vms", {})).is_error


async def test_a_failed_write_is_on_record_as_one(simulator: Simulator, tmp_path: Path) -> None:
    async with Client(server(simulator, tmp_path)) as client:
        result = await client.call_tool("manage_vm", {"vmid": 106, "action": "start", "wait_seconds": 5})
        assert result.is_error
    end = list(Audit(tmp_path / "state").records())[-1]
    assert (end["result"], "VM is locked" in end["error"]) == ("error", True)


async def test_a_rule_that_allows_waives_the_question(simulator: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[[rules]]\neffect = "allow"\ntags = ["test"]\nreason = "Play here."\n')
    async with Client(server(simulator, tmp_path, policy=file)) as client:
        result = await client.call_tool("delete_lxc", {"vmid": 202})
        assert not result.is_error
    assert next(Audit(tmp_path / "state").records())["approval"] == "Play here."


async def test_a_rule_that_asks_asks_about_what_would_be_done_at_once(simulator: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[[rules]]\neffect = "ask"\ntools = ["get_vm_info", "create_snapshot"]\n')
    async with Client(server(simulator, tmp_path, policy=file)) as client:
        for tool, arguments in (("get_vm_info", {"vmid": 105}), ("create_snapshot", {"vmid": 105, "name": "now"})):
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert isinstance(result.content[0], TextContent)
            assert "needs a person's approval" in result.content[0].text
    assert [record["event"] for record in Audit(tmp_path / "state").records()] == ["refused", "refused"]
