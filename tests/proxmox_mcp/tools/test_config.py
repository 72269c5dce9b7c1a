import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM/F0RUfARhMDDbvnOUCHgtfqiLM+1gq4qHRd0gNyC9f me@here"
TOOLS = [("update_vm_config", 105, "pve2/qemu/105"), ("update_lxc_config", 202, "pve2/lxc/202")]


@pytest.mark.parametrize(("tool", "vmid", "path"), TOOLS)
async def test_options_of_a_stopped_guest_change_at_once(
    tell: Tell, simulator: Simulator, tool: str, vmid: int, path: str, era: Era
) -> None:
    reply = await tell(tool, vmid=vmid, options={"cores": 3, "onboot": True}, delete=["tags"], _era=era)
    assert not reply.is_error, reply.text
    changes = {change["key"]: change for change in reply.data["changes"]}
    assert changes["cores"]["new"] == 3
    assert changes["cores"]["old"] in {1, 2}
    assert "pending" not in changes["cores"]
    assert "new" not in changes["tags"]
    config = simulator.request("GET", f"/nodes/{path}/config")
    assert (config["cores"], config["onboot"], config.get("tags")) == (3, 1, None)
    assert reply.data["applied"] is True
    assert reply.data["digest"] == config["digest"]


async def test_what_a_running_vm_cannot_take_waits_for_its_start(tell: Tell) -> None:
    reply = await tell("update_vm_config", vmid=100, options={"memory": 6144, "description": "new"})
    changes = {change["key"]: change for change in reply.data["changes"]}
    assert changes["memory"] == {"key": "memory", "old": "4096", "new": "6144", "pending": True}
    assert changes["description"] == {"key": "description", "old": "Public web server.", "new": "new"}
    assert "memory\t4096\t6144\tyes" in reply.text


async def test_a_preview_changes_nothing_and_its_digest_holds(tell: Tell, simulator: Simulator) -> None:
    shown = await tell("update_vm_config", vmid=105, options={"cores": 4}, preview=True)
    assert shown.data["applied"] is False
    assert shown.data["changes"] == [{"key": "cores", "old": 2, "new": 4}]
    assert all(request.startswith("GET ") for request in shown.requests)
    simulator.request("PUT", "/nodes/pve2/qemu/105/config", {"memory": 1024})
    late = await tell("update_vm_config", vmid=105, options={"cores": 4}, digest=shown.data["digest"])
    assert late.is_error
    assert "The configuration was changed by someone else meanwhile" in late.text
    assert simulator.request("GET", "/nodes/pve2/qemu/105/config")["cores"] == 2
    again = await tell("update_vm_config", vmid=105, options={"cores": 4}, preview=True, digest=shown.data["digest"])
    assert "changed by someone else since the preview" in again.data["note"]


async def test_secrets_are_shown_neither_old_nor_new(tell: Tell) -> None:
    options = {"cipassword": "a-new-password", "ciuser": "admin", "sshkeys": KEY}
    reply = await tell("update_vm_config", vmid=105, options=options)
    assert not reply.is_error, reply.text
    assert "a-new-password" not in reply.text
    changes = {change["key"]: change for change in reply.data["changes"]}
    assert changes["cipassword"]["new"] == "[hidden]"
    assert changes["sshkeys"]["new"] == "[hidden]"


async def test_a_disk_that_is_unset_is_kept(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("update_vm_config", vmid=105, delete=["scsi0"])
    assert not reply.is_error, reply.text
    assert "vm-105-disk-0" in simulator.request("GET", "/nodes/pve2/qemu/105/config")["unused0"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"vmid": 105}, "There is nothing to change."),
        ({"vmid": 105, "options": {"skiplock": 1}}, "'skiplock' is no option of a guest."),
        ({"vmid": 105, "options": {"cores": 1}, "delete": ["cores"]}, "cores: to be set and to be unset at once."),
        ({"vmid": 105, "delete": ["unused0"]}, "would destroy the disk. That is what delete_disk is for."),
        ({"vmid": 105, "options": {"colour": "red"}}, "colour: "),
        ({"vmid": 105, "options": {"cores": 0}}, "cores: "),
        ({"vmid": 999, "options": {"cores": 1}}, "There is no guest 999"),
        ({"vmid": 200, "options": {"cores": 1}}, "Guest 200 is a container, not a VM."),
        ({"vmid": 105, "node": "pve1", "options": {"cores": 1}}, "Guest 105 is on node pve2"),
        ({"vmid": 106, "options": {"cores": 1}}, "VM is locked (backup)"),
    ],
)
async def test_what_cannot_be_changed(tell: Tell, arguments: dict[str, object], says: str) -> None:
    reply = await tell("update_vm_config", **arguments)
    assert reply.is_error
    assert says in reply.text


@pytest.mark.parametrize(("tool", "vmid", "path"), TOOLS)
async def test_who_may_not_is_told_what_is_missing(tell: Tell, tool: str, vmid: int, path: str) -> None:
    reply = await tell(tool, vmid=vmid, options={"cores": 2}, _user="mcp@pve!auditor")
    assert reply.is_error
    assert "VM.Config.CPU" in reply.text


async def test_it_takes_the_highest_access_level(tell: Tell) -> None:
    reply = await tell("update_vm_config", vmid=105, options={"cores": 2}, _access="operate")
    assert "update_vm_config is not available at access level operate" in reply.text
