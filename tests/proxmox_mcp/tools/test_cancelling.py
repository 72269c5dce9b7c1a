"""A client that no longer waits: the task goes on in PVE, and the client has been told which it is."""

from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.types import ElicitResult

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_snapshot", {"vmid": 105, "name": "now"}),
        ("rollback_snapshot", {"vmid": 105, "name": "clean"}),
        ("delete_snapshot", {"vmid": 105, "name": "clean"}),
        ("create_backup", {"vmid": 100}),
        ("restore_backup", {"volid": "nas:backup/vzdump-qemu-100-2026_03_14-02_02_53.vma.zst", "node": "pve1"}),
        ("create_vm", {"name": "fresh"}),
        ("clone_vm", {"vmid": 100}),
        ("delete_vm", {"vmid": 105}),
        ("migrate_lxc", {"vmid": 202, "target": "pve1"}),
        ("resize_disk", {"vmid": 105, "disk": "scsi0", "size": "+1G"}),
    ],
)
async def test_a_task_goes_on_when_nobody_waits_any_more(
    simulator: Simulator, era: Era, tool: str, arguments: dict[str, Any]
) -> None:
    told: list[str] = []

    async def approve(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"approve": True})

    settings = Settings(access="admin", tools=(tool,), retries=0)
    server = build_server(settings, Pve(settings, connect=lambda: simulator.connect("root@pam")))
    async with Client(server, mode=era, elicitation_callback=approve) as client:
        with anyio.CancelScope() as scope:

            async def give_up(progress: float, total: float | None, message: str | None) -> None:
                told.append(message or "")
                scope.cancel()

            await client.call_tool(tool, {**arguments, "wait_seconds": 600}, progress_callback=give_up)
    assert scope.cancelled_caught
    [upid] = [word for word in told[0].split() if word.startswith("UPID:")]
    node = upid.split(":")[1]
    looks = (simulator.request("GET", f"/nodes/{node}/tasks/{upid}/status") for _ in range(1000))
    assert next(look for look in looks if look["status"] != "running")["exitstatus"] == "OK"
