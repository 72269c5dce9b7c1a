from typing import Any

import pytest

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.tools.backing_up import kind_of
from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio


async def test_a_guest_on_a_node_that_is_off(tell: Tell, simulator: Simulator) -> None:
    simulator.faults.cause(node_offline="pve3")
    reply = await tell("create_backup", vmid=102)
    assert reply.text == "Node pve3 is offline. Use another node meanwhile; get_nodes lists them."


OPERATOR = "mcp@pve!operator"
OF_WEB = "nas:backup/vzdump-qemu-100-2026_03_14-02_02_53.vma.zst"
OF_DNS = "nas:backup/vzdump-lxc-200-2026_03_14-02_11_53.tar.zst"


def backups_of(simulator: Simulator, vmid: int) -> set[str]:
    """What PVE itself lists on the shared storage."""
    rows = simulator.request("GET", "/nodes/pve1/storage/nas/content", {"content": "backup", "vmid": vmid})
    return {row["volid"] for row in rows}


@pytest.mark.parametrize("vmid", [100, 200])
async def test_a_guest_is_backed_up_and_older_backups_stay(
    tell: Tell, simulator: Simulator, vmid: int, era: Era
) -> None:
    before = backups_of(simulator, vmid)
    reply = await tell("create_backup", vmid=vmid, notes="before\nthe change", wait_seconds=600, _era=era)
    assert not reply.is_error, reply.text
    [made] = backups_of(simulator, vmid) - before
    assert before < backups_of(simulator, vmid)
    assert (reply.data["volid"], reply.data["storage"], reply.data["state"]) == (made, "nas", "ok")
    listed = await tell("list_backups", vmid=vmid, limit=1)
    assert listed.data["backups"][0]["notes"] == "before\nthe change"


async def test_a_protected_backup_on_a_storage_of_choice(tell: Tell) -> None:
    reply = await tell("create_backup", vmid=105, storage="local", protected=True, wait_seconds=600, _access="operate")
    assert reply.data["volid"].startswith("local:backup/vzdump-qemu-105-"), reply.text
    listed = await tell("list_backups", vmid=105, storage="local", node="pve2")
    assert listed.data["backups"][0]["protected"] is True


async def test_a_backup_that_stops_the_guest_is_asked_for(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("create_backup", vmid=100, mode="stop", _approves=False)
    assert reply.is_error
    assert all(request.startswith("GET ") for request in reply.requests)
    assert simulator.request("GET", "/nodes/pve1/qemu/100/status/current")["status"] == "running"


async def test_a_backup_that_fails_says_why(tell: Tell) -> None:
    reply = await tell("create_backup", vmid=106, wait_seconds=600)
    assert reply.is_error
    assert "VM is locked (backup)" in reply.text
    assert "wait for that task" in reply.text


@pytest.mark.parametrize(
    ("volid", "kind", "tool"), [(OF_WEB, "qemu", "get_vm_info"), (OF_DNS, "lxc", "get_lxc_container_info")]
)
async def test_a_guest_is_restored_beside_the_old_one(
    tell: Tell, simulator: Simulator, volid: str, kind: str, tool: str, era: Era
) -> None:
    reply = await tell("restore_backup", volid=volid, node="pve2", name="back", wait_seconds=600, _era=era)
    assert not reply.is_error, reply.text
    assert (reply.data["vmid"], reply.data["node"], reply.data["replaced"]) == (107, "pve2", False)
    config = simulator.request("GET", f"/nodes/pve2/{kind}/107/config")
    assert config["name" if kind == "qemu" else "hostname"] == "back"
    old = 100 if kind == "qemu" else 200
    assert config["net0"] != simulator.request("GET", f"/nodes/pve1/{kind}/{old}/config")["net0"]


async def test_a_stopped_guest_is_replaced_when_it_is_approved(tell: Tell, simulator: Simulator) -> None:
    running = await tell("restore_backup", volid=OF_WEB, vmid=100, overwrite=True)
    assert "VM 100 (web) is running, so it cannot be replaced." in running.text
    await tell("manage_vm", vmid=100, action="stop", wait_seconds=60)
    unasked = await tell("restore_backup", volid=OF_WEB, vmid=100, overwrite=True, _approves=False)
    assert unasked.is_error
    assert all(request.startswith("GET ") for request in unasked.requests)
    reply = await tell("restore_backup", volid=OF_WEB, vmid=100, overwrite=True, wait_seconds=600)
    assert (reply.data.get("state"), reply.data.get("replaced")) == ("ok", True), reply.text


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("create_backup", {"vmid": 999}, "There is no guest 999"),
        ("create_backup", {"vmid": 100, "node": "pve2"}, "Guest 100 is on node pve1, not on pve2."),
        ("create_backup", {"vmid": 100, "storage": "local-lvm", "wait_seconds": 60}, "local-lvm"),
        ("restore_backup", {"volid": OF_WEB, "vmid": 101}, "There is a guest 101 already."),
        ("restore_backup", {"volid": OF_WEB, "overwrite": True}, "overwrite replaces a guest, and none is named."),
        ("restore_backup", {"volid": OF_WEB, "vmid": 200, "overwrite": True}, "Guest 200 is a container, not a VM."),
        ("restore_backup", {"volid": "nas:iso/x.iso"}, "is no backup's volume id."),
        ("restore_backup", {"volid": "nas:backup/../../etc/shadow"}, "is no volume's id."),
        ("restore_backup", {"volid": "nas:backup/vzdump-qemu-9-x.vma", "wait_seconds": 60}, "does not exist"),
    ],
)
async def test_what_cannot_be(tell: Tell, tool: str, arguments: dict[str, Any], says: str) -> None:
    reply = await tell(tool, **arguments)
    assert reply.is_error
    assert says in reply.text


async def test_who_may_not_is_told(tell: Tell) -> None:
    backup = await tell("create_backup", vmid=100, storage="nas", _user="mcp@pve!auditor")
    assert backup.is_error
    assert "Datastore.AllocateSpace on path /storage/nas" in backup.text
    restore = await tell("restore_backup", volid=OF_WEB, node="pve1", _user="mcp@pve!auditor")
    assert restore.is_error
    assert "Not permitted" in restore.text


@pytest.mark.parametrize(
    ("volid", "kind"),
    [
        (OF_WEB, "qemu"),
        (OF_DNS, "lxc"),
        ("pbs:backup/vm/100/2026-11-23T05:00:00Z", "qemu"),
        ("pbs:backup/ct/200/2026-11-23T05:00:00Z", "lxc"),
    ],
)
def test_the_kind_of_guest_stands_in_the_volume_id(volid: str, kind: str) -> None:
    assert kind_of(volid) == kind


def test_what_is_no_backup_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        kind_of("local:vztmpl/debian.tar.zst")
