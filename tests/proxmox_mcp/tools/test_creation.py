from typing import Any

import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

TEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM/F0RUfARhMDDbvnOUCHgtfqiLM+1gq4qHRd0gNyC9f me@here"


def config(simulator: Simulator, data: dict[str, Any], kind: str) -> dict[str, Any]:
    """What PVE itself holds of a guest that a result names."""
    found: dict[str, Any] = simulator.request("GET", f"/nodes/{data['node']}/{kind}/{data['vmid']}/config")
    return found


async def test_a_vm_is_made_with_a_name_alone(tell: Tell, simulator: Simulator, era: Era) -> None:
    reply = await tell("create_vm", name="fresh", wait_seconds=60, _era=era)
    assert not reply.is_error, reply.text
    assert (reply.data["vmid"], reply.data["state"], reply.data["storage"]) == (107, "ok", "local-lvm")
    made = config(simulator, reply.data, "qemu")
    assert (made["name"], made["cores"], made["memory"], made["ostype"]) == ("fresh", 2, "2048", "l26")
    assert "size=32G" in made["scsi0"]
    assert made["net0"].endswith("bridge=vmbr0,firewall=1")
    assert "ide2" not in made


async def test_a_vm_with_cloud_init_is_made_in_one_call(tell: Tell, simulator: Simulator) -> None:
    cloud = {"user": "ops", "password": "a-secret-word", "ssh_keys": KEY, "ip": "10.0.0.5/24", "gateway": "10.0.0.1"}
    reply = await tell("create_vm", name="cloudy", vmid=400, node="pve2", start=True, wait_seconds=60, **cloud)
    assert not reply.is_error, reply.text
    assert "a-secret-word" not in reply.text
    made = config(simulator, reply.data, "qemu")
    assert made["ide2"] == "local-lvm:vm-400-cloudinit,media=cdrom"
    assert (made["ciuser"], made["ipconfig0"]) == ("ops", "ip=10.0.0.5/24,gw=10.0.0.1")
    assert "ssh-ed25519%20AAAA" in made["sshkeys"]
    assert simulator.request("GET", "/nodes/pve2/qemu/400/status/current")["status"] == "running"


async def test_a_windows_vm_gets_what_windows_wants(tell: Tell, simulator: Simulator) -> None:
    reply = await tell(
        "create_vm", name="desk", ostype="win11", iso="nas:iso/virtio-win-0.1.271.iso", options={"cores": 6},
        wait_seconds=60,
    )  # fmt: skip
    assert not reply.is_error, reply.text
    made = config(simulator, reply.data, "qemu")
    assert (made["bios"], made["machine"], made["cores"]) == ("ovmf", "q35", 6)
    assert {"efidisk0", "tpmstate0", "sata0"} <= set(made)
    assert made["ide2"].startswith("nas:iso/virtio-win")


async def test_a_container_is_made_of_a_template(tell: Tell, simulator: Simulator, era: Era) -> None:
    reply = await tell(
        "create_lxc", hostname="box", template=TEMPLATE, node="pve1", password="five-words", ssh_keys=KEY, start=True,
        wait_seconds=60, _era=era,
    )  # fmt: skip
    assert not reply.is_error, reply.text
    made = config(simulator, reply.data, "lxc")
    assert (made["hostname"], made["memory"], made["unprivileged"], made["features"]) == ("box", 512, 1, "nesting=1")
    assert "size=8G" in made["rootfs"]
    assert "ip=dhcp" in made["net0"]


@pytest.mark.parametrize(
    ("tool", "vmid", "kind", "full"),
    [("clone_vm", 900, "qemu", False), ("clone_vm", 105, "qemu", True), ("clone_lxc", 910, "lxc", False)],
)
async def test_a_guest_is_cloned(
    tell: Tell, simulator: Simulator, tool: str, vmid: int, kind: str, full: bool, era: Era
) -> None:
    reply = await tell(tool, vmid=vmid, name="copy", wait_seconds=600, _era=era)
    assert not reply.is_error, reply.text
    assert (reply.data["source"], reply.data["vmid"], reply.data["full"]) == (vmid, 107, full)
    assert config(simulator, reply.data, kind)["name" if kind == "qemu" else "hostname"] == "copy"


async def test_a_template_is_copied_in_full_when_told(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("clone_vm", vmid=900, newid=300, full=True, wait_seconds=600)
    assert reply.data["full"] is True, reply.text
    assert "base-900" not in config(simulator, reply.data, "qemu")["scsi0"]


@pytest.mark.parametrize(("tool", "vmid", "path"), [("delete_vm", 105, "pve2/qemu"), ("delete_lxc", 202, "pve2/lxc")])
async def test_a_guest_is_deleted_when_it_is_approved(
    tell: Tell, simulator: Simulator, tool: str, vmid: int, path: str, era: Era
) -> None:
    reply = await tell(tool, vmid=vmid, purge=True, wait_seconds=60, _era=era)
    assert (reply.data["state"], reply.data["vmid"]) == ("ok", vmid), reply.text
    assert vmid not in {row["vmid"] for row in simulator.request("GET", f"/nodes/{path}")}


async def test_a_guest_is_not_deleted_when_nobody_can_be_asked(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("delete_vm", vmid=105, _approves=False)
    assert reply.is_error
    assert "approv" in reply.text
    assert all(request.startswith("GET ") for request in reply.requests)


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("create_vm", {"name": "x", "vmid": 100}, "vmid: VM 100 already exists"),
        ("create_vm", {"name": "x", "node": "pve1", "storage": "nowhere"}, "storage 'nowhere' does not exist|nowhere"),
        ("create_vm", {"name": "x", "storage": "backup-usb"}, "No node that is online reaches backup-usb."),
        ("create_vm", {"name": "x", "ip": "10.0.0.5"}, "ip '10.0.0.5' is no address with its prefix."),
        ("create_vm", {"name": "x", "ip": "dhcp", "gateway": "10.0.0.1"}, "With dhcp, a gateway says nothing."),
        ("create_vm", {"name": "x", "gateway": "10.0.0.1"}, "A gateway needs an address of the VM's own."),
        ("create_vm", {"name": "x", "iso": "no-volume"}, "'no-volume' is no volume's id."),
        ("create_vm", {"name": "x", "iso": "nas:iso/a.iso", "image": "nas:b.qcow2"}, "not both"),
        ("create_vm", {"name": "no good"}, "name: "),
        ("create_vm", {"name": "x", "options": {"colour": 1}}, "colour: "),
        ("create_lxc", {"hostname": "x", "template": "local:vztmpl/none.tar.zst", "node": "pve1", "wait_seconds": 60},
         "none.tar.zst"),
        ("clone_vm", {"vmid": 999}, "There is no guest 999"),
        ("clone_vm", {"vmid": 200}, "Guest 200 is a container, not a VM."),
        ("clone_vm", {"vmid": 100, "full": False}, "VM 100 (web) is no template"),
        ("clone_vm", {"vmid": 900, "full": False, "storage": "nas"}, "Leave storage out, or set full."),
        ("clone_vm", {"vmid": 100, "newid": 101}, "vmid: VM 101 already exists"),
        ("clone_vm", {"vmid": 100, "target": "pve2"}, "Clone it on its own node and move the clone"),
        ("clone_lxc", {"vmid": 200}, "Clone one of its snapshots"),
        ("delete_vm", {"vmid": 100}, "VM 100 (web) is running, so it cannot be deleted. Shut it down first"),
        ("delete_vm", {"vmid": 105, "node": "pve1"}, "Guest 105 is on node pve2, not on pve1."),
        ("delete_vm", {"vmid": 106, "wait_seconds": 60}, "VM is locked (backup)"),
        ("delete_lxc", {"vmid": 200}, "Container 200 (dns) is running"),
    ],
)  # fmt: skip
async def test_what_cannot_be(tell: Tell, tool: str, arguments: dict[str, Any], says: str) -> None:
    reply = await tell(tool, **arguments)
    assert reply.is_error
    assert any(part in reply.text for part in says.split("|")), reply.text


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("create_vm", {"name": "x"}, "Not permitted"),
        ("create_lxc", {"hostname": "x", "template": TEMPLATE, "node": "pve1"}, "Not permitted"),
        ("clone_vm", {"vmid": 900}, "VM.Clone on path /vms/900"),
        ("delete_vm", {"vmid": 105}, "VM.Allocate on path /vms/105"),
    ],
)
async def test_who_may_not_is_told(tell: Tell, tool: str, arguments: dict[str, Any], says: str) -> None:
    reply = await tell(tool, _user="mcp@pve!auditor", **arguments)
    assert reply.is_error
    assert says in reply.text


async def test_a_protected_guest_says_what_guards_it(tell: Tell, simulator: Simulator) -> None:
    simulator.request("PUT", "/nodes/pve2/qemu/105/config", {"protection": 1})
    reply = await tell("delete_vm", vmid=105)
    assert reply.is_error
    assert "sets protection=0 first" in reply.text
