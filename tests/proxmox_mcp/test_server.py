import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server, instructions
from proxmox_mcp.settings import Settings
from tests.proxmox_mcp.conftest import FakeCluster, Refusal, no_guest

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
ERAS: list[Literal["auto", "legacy"]] = ["auto", "legacy"]


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> Literal["auto", "legacy"]:
    era: Literal["auto", "legacy"] = request.param
    return era


async def call(
    pve: Pve, settings: Settings, era: Literal["auto", "legacy"], name: str, **arguments: Any
) -> CallToolResult:
    async with Client(build_server(settings, pve), mode=era) as client:
        return await client.call_tool(name, arguments)


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_a_tool_answers_with_data_and_the_same_facts_as_text(pve: Pve, settings: Settings, era: Any) -> None:
    result = await call(pve, settings, era, "get_vms", status="running")
    assert result.structured_content == {
        "total": 1,
        "vms": [
            {"vmid": 100, "name": "web1", "node": "pve1", "status": "running", "cpu": 0.125, "maxcpu": 2,
             "mem": 268435456, "maxmem": 536870912, "uptime": 3720, "tags": ["prod", "web"]}
        ],
    }  # fmt: skip
    assert text_of(result) == (
        "total: 1\nvms:\nvmid\tname\tnode\tstatus\tcpu\tmaxcpu\tmem\tmaxmem\tuptime\ttags\n"
        "100\tweb1\tpve1\trunning\t12.5%\t2\t256 MiB\t512 MiB\t1h2m\tprod, web"
    )


async def test_lists_cost_one_request(cluster: Any, pve: Pve, settings: Settings) -> None:
    await call(pve, settings, "auto", "get_vms")
    assert cluster.asked == ["GET /cluster/resources"]


async def test_a_guest_is_found_by_its_id_alone(cluster: Any, pve: Pve, settings: Settings, era: Any) -> None:
    result = await call(pve, settings, era, "get_vm_status", vmid=100)
    assert result.structured_content is not None
    assert result.structured_content["node"] == "pve1"
    assert cluster.asked == ["GET /cluster/resources", "GET /nodes/pve1/qemu/100/status/current"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"vmid": 999}, "There is no guest 999; nearest: 200 (ct1)"),
        ({"vmid": 999, "node": "pve1"}, "There is no guest 999; nearest: 200 (ct1)"),
        ({"vmid": 101, "node": "pve1"}, "Guest 101 is on node pve2, not on pve1."),
        ({"vmid": 200}, "Guest 200 is a container, not a VM."),
        ({"vmid": 1}, "vmid: should be greater than or equal to 100"),
        ({}, "vmid: is required"),
        ({"vmid": 100, "nod": "pve1"}, "nod: no such argument (did you mean node?)"),
    ],
)
async def test_a_wrong_call_is_answered_with_advice(
    cluster: FakeCluster, pve: Pve, settings: Settings, era: Any, arguments: dict[str, Any], says: str
) -> None:
    cluster.routes["GET /nodes/pve1/qemu/999/status/current"] = no_guest(999)
    cluster.routes["GET /nodes/pve1/qemu/101/status/current"] = no_guest(101)
    result = await call(pve, settings, era, "get_vm_status", **arguments)
    assert result.is_error
    assert says in text_of(result)
    assert not text_of(result).startswith("Error executing")


async def test_a_rejected_value_is_not_echoed(pve: Pve, settings: Settings) -> None:
    result = await call(pve, settings, "auto", "get_vm_status", vmid="my-password")
    assert "my-password" not in text_of(result)


async def test_a_fault_of_ours_is_told_without_its_inside(
    cluster: FakeCluster, pve: Pve, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.routes["GET /nodes"] = RuntimeError("inner text")
    result = await call(pve, settings, "auto", "get_nodes")
    assert result.is_error
    assert "inner text" not in text_of(result)
    assert "inner text" in caplog.text


async def test_secrets_do_not_leave_in_texts(cluster: FakeCluster, pve: Pve, settings: Settings) -> None:
    cluster.routes["GET /nodes"] = Refusal(500, "odd: a-secret-value")
    result = await call(pve, settings, "auto", "get_nodes")
    assert "PVE answers GET /nodes with 500: odd: [hidden]." in text_of(result)


async def test_an_unknown_tool_is_said_to_be_unknown(pve: Pve, settings: Settings) -> None:
    assert "There is no tool get_rich." in text_of(await call(pve, settings, "auto", "get_rich"))


async def test_a_tool_beside_the_declared_ones_says_itself_what_went_wrong(pve: Pve, settings: Settings) -> None:
    server = build_server(settings, pve)

    def refuse(number: int) -> str:
        raise ToolError(f"{number} is refused.")

    server.add_tool(refuse)
    async with Client(server) as client:
        assert text_of(await client.call_tool("refuse", {"number": 7})) == "7 is refused."
        assert "number" in text_of(await client.call_tool("refuse", {}))


async def test_an_unreachable_cluster_lists_its_tools_and_says_so_when_called(settings: Settings, era: Any) -> None:
    away = settings.model_copy(update={"host": "127.0.0.1", "port": 1})
    async with Client(build_server(away), mode=era) as client:
        assert [tool.name for tool in (await client.list_tools()).tools][:2] == ["get_nodes", "get_vms"]
        result = await client.call_tool("get_nodes", {})
    assert result.is_error
    assert "127.0.0.1:1 cannot be reached" in text_of(result)


def test_the_instructions_are_not_cut_by_clients(settings: Settings) -> None:
    assert all(
        len(instructions(settings.model_copy(update={"access": access}))) <= 2048
        for access in ("read", "operate", "admin")
    )


def test_toolsets_that_nobody_asked_for_are_not_imported() -> None:
    script = """
import sys
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
build_server(Settings(host="h", user="root@pam", password="p", access="admin"))
print([name for name in sys.modules if name in ("proxmox_mcp.tools.networking", "proxmox_mcp.tools.agent")])
build_server(Settings(host="h", user="root@pam", password="p", toolsets=["networking"]))
print("proxmox_mcp.tools.networking" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["['proxmox_mcp.tools.agent']", "True"]
