from typing import Any

import pytest

from proxmox_mcp.tools.guests import readable_config, snapshot_rows
from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

VM_TOOLS = ["get_vm_info", "get_vm_status"]
CONTAINER_TOOLS = ["get_lxc_container_info", "get_lxc_status"]


async def test_all_about_a_vm_in_one_answer(tell: Tell, era: Era) -> None:
    reply = await tell("get_vm_info", vmid=100, _era=era, _access="read", _user="mcp@pve!auditor")
    data = reply.data
    assert (data["node"], data["name"], data["status"], data["cpus"]) == ("pve1", "web", "running", 2)
    assert data["config"]["memory"] == "4096"
    assert data["config"]["scsi0"].startswith("local-lvm:vm-100-disk-0")
    assert not {"digest", "vmgenid", "smbios1", "meta"} & set(data["config"])
    [snapshot] = data["snapshots"]
    assert (snapshot["name"], snapshot["description"]) == ("before-tls", "before the certificates were renewed")
    assert "config.cores: 2" in reply.text
    assert "before-tls" in reply.text
    paths = ["GET /cluster/resources", *(f"GET /nodes/pve1/qemu/100/{part}" for part in _PARTS)]
    assert reply.requests == paths


_PARTS = ("status/current", "pending", "snapshot")


async def test_all_about_a_container_in_one_answer(tell: Tell, era: Era) -> None:
    reply = await tell("get_lxc_container_info", vmid=203, node="pve2", _era=era)
    assert (reply.data["name"], reply.data["config"]["rootfs"]) == ("git", "local-lvm:vm-203-disk-0,size=24G")
    assert [snapshot["name"] for snapshot in reply.data["snapshots"]] == ["before-upgrade"]
    assert reply.requests == [f"GET /nodes/pve2/lxc/203/{part}" for part in _PARTS]


async def test_what_waits_for_the_next_start_is_told_apart(tell: Tell) -> None:
    reply = await tell("get_vm_info", vmid=101)
    assert (reply.data["config"]["memory"], reply.data["pending"]) == ("8192", {"memory": "12288"})
    assert "pending.memory: 12288" in reply.text


PENDING = {"vms": {100: {"state": "running", "config": {"memory": 512, "balloon": 256}, "pending": {"balloon": None}}}}


@pytest.mark.parametrize("simulator", [Simulator(PENDING)], ids=["pending removal"])
async def test_what_the_next_start_takes_away_is_told(tell: Tell) -> None:
    data = (await tell("get_vm_info", vmid=100)).data
    assert (data["pending_delete"], "pending" in data) == (["balloon"], False)


async def test_full_detail_has_the_digest_and_the_counters(tell: Tell) -> None:
    data = (await tell("get_vm_info", vmid=100, detail="full")).data
    assert len(data["config"]["digest"]) == 40
    assert data["netout"] > 0
    assert data["tags"] == ["prod", "web"]


async def test_a_branch_of_snapshots(tell: Tell) -> None:
    rows = (await tell("get_vm_info", vmid=105)).data["snapshots"]
    assert [(row["name"], row.get("parent")) for row in rows] == [
        ("clean", None),
        ("with-app", "clean"),
        ("experiment", "clean"),
    ]


def test_the_snapshot_that_the_present_goes_back_to_is_marked() -> None:
    here = {"name": "current", "description": "You are here!", "parent": "one", "running": 1}
    rows = snapshot_rows([here, {"name": "two", "snaptime": 9, "vmstate": 1}, {"name": "one", "snaptime": 5}])
    assert [(row.name, row.current, row.vmstate) for row in rows] == [("one", True, None), ("two", None, True)]


def test_secrets_of_a_configuration_stay_hidden() -> None:
    config = {
        "cipassword": "geheim",
        "args": "-object secret,id=s,password=geheim",
        "env": "DB_PASSWORD=geheim\0MODE=geheim",
        "cores": 2,
        "sshkeys": "ssh-ed25519%20AAAA",
    }
    shown = readable_config(config, "full")
    assert "geheim" not in str(shown)
    assert (shown["cores"], shown["sshkeys"]) == (2, "[hidden]")
    assert shown["env"] == "DB_PASSWORD=[hidden] MODE=[hidden]"


@pytest.mark.parametrize("simulator", [Simulator({"vms": {100: {"config": {"cipassword": "geheim"}}}})], ids=["cloud"])
async def test_a_cloud_init_password_is_not_told(tell: Tell) -> None:
    reply = await tell("get_vm_info", vmid=100, detail="full")
    assert reply.data["config"]["cipassword"] == "[hidden]"
    assert "geheim" not in reply.text


async def test_the_state_of_a_vm(tell: Tell, era: Era) -> None:
    reply = await tell("get_vm_status", vmid=104, _era=era)
    assert (reply.data["status"], reply.data["qmpstatus"], reply.data["maxmem"]) == ("running", "paused", 8 * 1024**3)
    assert "maxmem: 8 GiB" in reply.text


async def test_the_state_of_a_container(tell: Tell, era: Era) -> None:
    data = (await tell("get_lxc_status", vmid=200, detail="full", _era=era)).data
    assert (data["status"], data["maxswap"], data["maxdisk"]) == ("running", 256 * 1024**2, 4 * 1024**3)


async def test_what_does_not_run_has_no_load(tell: Tell) -> None:
    data = (await tell("get_lxc_status", vmid=202)).data
    assert data == {
        "vmid": 202,
        "node": "pve2",
        "name": "sandbox",
        "status": "stopped",
        "cpus": 1.0,
        "maxmem": 512 * 1024**2,
    }


async def test_a_lock_and_high_availability_are_told(tell: Tell) -> None:
    assert (await tell("get_vm_status", vmid=106)).data["lock"] == "backup"
    assert (await tell("get_vm_status", vmid=102)).data["ha"]["managed"] == 1
    assert "ha" not in (await tell("get_vm_status", vmid=100)).data


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        *[
            (tool, arguments, says)
            for tool in VM_TOOLS
            for arguments, says in [
                ({"vmid": 999}, "There is no guest 999; nearest: 910 (alpine-template)"),
                ({"vmid": 999, "node": "pve1"}, "There is no guest 999; nearest: 910 (alpine-template)"),
                ({"vmid": 101, "node": "pve1"}, "Guest 101 is on node pve2, not on pve1. Call again with node=pve2"),
                ({"vmid": 200}, "Guest 200 is a container, not a VM. Use the tool for containers."),
                ({"vmid": 100, "node": "pve9"}, "There is no node pve9"),
            ]
        ],
        *[
            (tool, arguments, says)
            for tool in CONTAINER_TOOLS
            for arguments, says in [
                ({"vmid": 204}, "There is no guest 204; nearest: 203 (git), 202 (sandbox)"),
                ({"vmid": 201, "node": "pve1"}, "Guest 201 is on node pve3, not on pve1."),
                ({"vmid": 100, "node": "pve1"}, "Guest 100 is a VM, not a container. Use the tool for VMs."),
            ]
        ],
    ],
)
async def test_a_guest_that_is_not_there_is_answered_with_advice(
    tell: Tell, tool: str, arguments: dict[str, Any], says: str
) -> None:
    reply = await tell(tool, **arguments)
    assert reply.is_error
    assert says in reply.text


@pytest.mark.parametrize("tool", VM_TOOLS)
async def test_without_the_privilege_nothing_is_told(tell: Tell, tool: str) -> None:
    reply = await tell(tool, vmid=103, node="pve1", _user="alice@pve")
    assert reply.is_error
    assert "privilege VM.Audit on path /vms/103 is missing" in reply.text
