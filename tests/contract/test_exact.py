"""What contracts leave open for a real node's sake is exact where the simulator tells it: uptimes and time zones."""

from __future__ import annotations

import pytest
from mcp import Client

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim.engine import Simulator

SCENARIO = {
    "nodes": {"pve1": {"uptime": "2d", "timezone": "Europe/Zurich"}},
    "vms": {100: {"state": "running", "uptime": "1h"}},
    "containers": {200: {"state": "running", "uptime": "1h", "config": {"rootfs": "local-lvm:1"}}},
}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("tool", "arguments", "field", "value"),
    [
        ("get_vm_status", {"vmid": 100}, "uptime", 3600),
        ("get_lxc_status", {"vmid": 200}, "uptime", 3600),
        ("get_node_status", {"node": "pve1"}, "uptime", 172800),
        ("get_node_time", {"node": "pve1"}, "timezone", "Europe/Zurich"),
    ],
)
async def test_exactly(tool: str, arguments: dict[str, object], field: str, value: object) -> None:
    settings = Settings(host="pvesim.invalid", user="root@pam", password="nobody-asks-for-it")
    server = build_server(settings, Pve(settings, connect=Simulator(SCENARIO).connect))
    async with Client(server) as client:
        answer = await client.call_tool(tool, arguments)
    assert answer.structured_content is not None
    assert answer.structured_content[field] == value
