"""How much of a model's context an answer takes, where a cluster is large."""

import json
from pathlib import Path

import pytest
from mcp import Client

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def two_hundred(tmp_path: Path) -> Simulator:
    scenario = tmp_path / "two-hundred.yaml"
    scenario.write_text("fleet: {nodes: 4, vms: 200}\n")
    return Simulator(scenario)


async def test_two_hundred_guests_are_told_in_sixteen_kilobytes_of_one_request(two_hundred: Simulator) -> None:
    settings = Settings(host="pvesim.invalid", user="root@pam", password="never-asked-for")
    server = build_server(settings, Pve(settings, connect=two_hundred.connect))
    async with Client(server) as client:
        two_hundred.requests.clear()
        answer = await client.call_tool("get_vms", {})
        assert [request.path for request in two_hundred.requests] == ["/api2/json/cluster/resources"]
        every = await client.call_tool("get_vms", {"limit": 200})
    assert answer.structured_content is not None
    assert answer.structured_content["total"] == 200
    assert len(json.dumps(answer.structured_content, separators=(",", ":")).encode()) <= 16_000
    assert len(text_of(answer).encode()) <= 16_000
    assert len(text_of(every).encode()) <= 16_000
