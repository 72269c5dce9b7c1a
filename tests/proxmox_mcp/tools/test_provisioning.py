import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

CLOUD = {
    "storages": {
        "thin": {
            "type": "lvmthin",
            "config": {"vgname": "pve", "thinpool": "data", "content": "images,rootdir"},
            "size": "100G",
        }
    },
    "vms": {
        900: {
            "config": {
                "name": "mould",
                "template": 1,
                "scsi0": "thin:2",
                "ide2": "thin:cloudinit",
                "agent": 1,
                "net0": "virtio,bridge=vmbr0",
            },
            "behaviour": {"addresses": ["10.0.0.77"]},
        },
        901: {"config": {"name": "heavy", "template": 1, "scsi0": "thin:2", "cores": 200}},
    },
}


@pytest.fixture(scope="session")
def homelab() -> Simulator:
    return Simulator(CLOUD)


async def test_a_template_becomes_a_vm_with_an_address(tell: Tell, era: Era) -> None:
    reply = await tell("provision_vm", name="fresh", template=900, wait_seconds=30, _era=era)
    assert not reply.is_error, reply.text
    assert reply.data["vmid"] == 100
    assert reply.data["addresses"] == ["10.0.0.77"]
    assert "note" not in reply.data
    assert reply.data["steps"] == ["cloned 900", "configured", "started"]


async def test_a_vm_that_cannot_start_is_named(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("provision_vm", name="fresh", template=901, wait_seconds=0)
    assert reply.is_error
    assert "VM 100 (fresh) is there (cloned 901, configured), but then: " in reply.text
    assert "delete it with delete_vm" in reply.text
    assert 100 in {row["vmid"] for row in simulator.request("GET", "/nodes/pve1/qemu")}
