from typing import Any, Literal

import pytest
from mcp import Client
from mcp.types import CallToolResult, TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings

pytestmark = pytest.mark.anyio

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
