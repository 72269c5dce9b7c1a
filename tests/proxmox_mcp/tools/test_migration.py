from typing import Any

import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio


def node_of(simulator: Simulator, vmid: int) -> str:
    """Where PVE itself says that a guest is."""
    rows = simulator.request("GET", "/cluster/resources", {"type": "vm"})
    return str(next(row["node"] for row in rows if row["vmid"] == vmid))


async def test_a_stopped_guest_moves_with_its_disks(tell: Tell, simulator: Simulator, era: Era) -> None:
    reply = await tell("migrate_lxc", vmid=202, target="pve1", wait_seconds=600, _era=era)
    assert (reply.data["state"], reply.data["node"], reply.data["target"]) == ("ok", "pve2", "pve1"), reply.text
    assert node_of(simulator, 202) == "pve1"


async def test_a_vm_that_runs_moves_with_local_disks_when_told(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("migrate_vm", vmid=104, target="pve1", with_local_disks=True, wait_seconds=600)
    assert reply.data["state"] == "ok", reply.text
    assert node_of(simulator, 104) == "pve1"


async def test_a_migration_that_fails_says_why(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("migrate_vm", vmid=105, target="pve1", wait_seconds=600)
    assert reply.is_error
    assert "migration aborted" in reply.text
    assert "Its snapshots cannot leave their storage" in reply.text
    assert node_of(simulator, 105) == "pve2"


async def test_a_running_vm_on_shared_storage_goes_on_running(tell: Tell, simulator: Simulator) -> None:
    simulator.request("DELETE", "/cluster/ha/resources/vm:102")
    reply = await tell("migrate_vm", vmid=102, target="pve2", wait_seconds=600)
    assert not reply.is_error, reply.text
    assert (reply.data["state"], reply.data["possible"], reply.data["running"]) == ("ok", True, True)
    assert node_of(simulator, 102) == "pve2"
    assert simulator.request("GET", "/nodes/pve2/qemu/102/status/current")["status"] == "running"


async def test_what_stands_in_the_way_is_told_before_a_task_starts(tell: Tell) -> None:
    reply = await tell("migrate_vm", vmid=104, target="pve3")
    assert reply.is_error
    assert "VM 104 (win11) cannot be moved to pve3: it runs, and has local disks (efidisk0" in reply.text
    assert "set with_local_disks to copy them" in reply.text
    assert all(request.startswith("GET ") for request in reply.requests)


async def test_a_check_tells_all_and_does_nothing(tell: Tell, era: Era) -> None:
    reply = await tell("migrate_vm", vmid=106, target="pve1", check_only=True, _era=era)
    assert reply.data["possible"] is False
    assert reply.data["obstacles"] == ["the guest is locked (backup)"]
    assert all(request.startswith("GET ") for request in reply.requests)


async def test_rules_of_high_availability_are_told(tell: Tell) -> None:
    reply = await tell("migrate_vm", vmid=102, target="pve2", check_only=True)
    assert reply.data["possible"] is True
    assert reply.data["warnings"] == ["HA rule monitor-home keeps it rather on pve1, pve3"]
    lower = await tell("migrate_vm", vmid=102, target="pve1", check_only=True)
    assert lower.data["warnings"] == ["HA rule monitor-home prefers pve3, so it may move back"]


async def test_memory_that_the_target_has_not_is_told(tell: Tell, simulator: Simulator) -> None:
    simulator.request("PUT", "/nodes/pve2/lxc/203/config", {"memory": 60_000})
    reply = await tell("migrate_lxc", vmid=203, target="pve3", check_only=True)
    assert any("of memory, and pve3 has" in warning for warning in reply.data["warnings"])


async def test_a_container_that_runs_is_restarted_there_when_it_is_approved(tell: Tell, simulator: Simulator) -> None:
    refused = await tell("migrate_lxc", vmid=200, target="pve2")
    assert "a running container is moved by a restart only: set restart" in refused.text
    unasked = await tell("migrate_lxc", vmid=200, target="pve2", restart=True, _approves=False)
    assert unasked.is_error
    reply = await tell("migrate_lxc", vmid=200, target="pve2", restart=True, wait_seconds=600)
    assert not reply.is_error, reply.text
    assert node_of(simulator, 200) == "pve2"


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("migrate_vm", {"vmid": 105, "target": "pve9"}, "There is no node pve9; there are: pve1, pve2, pve3."),
        ("migrate_vm", {"vmid": 105, "target": "pve2"}, "VM 105 (staging) is on pve2 already."),
        ("migrate_vm", {"vmid": 105, "target": "pve1", "target_storage": "backup-usb"}, "does not work on pve1"),
        ("migrate_vm", {"vmid": 999, "target": "pve1"}, "There is no guest 999"),
        ("migrate_vm", {"vmid": 200, "target": "pve2"}, "Guest 200 is a container, not a VM."),
        ("migrate_vm", {"vmid": 105, "target": "pve1", "node": "pve3"}, "Guest 105 is on node pve2, not on pve3."),
        ("migrate_lxc", {"vmid": 105, "target": "pve1"}, "Guest 105 is a VM, not a container."),
    ],
)
async def test_what_cannot_be(tell: Tell, tool: str, arguments: dict[str, Any], says: str) -> None:
    reply = await tell(tool, **arguments)
    assert reply.is_error
    assert says in reply.text


@pytest.mark.parametrize(("tool", "vmid"), [("migrate_vm", 105), ("migrate_lxc", 202)])
async def test_who_may_not_is_told(tell: Tell, tool: str, vmid: int) -> None:
    reply = await tell(tool, vmid=vmid, target="pve1", _user="mcp@pve!auditor")
    assert reply.is_error
    assert f"VM.Migrate on path /vms/{vmid}" in reply.text
