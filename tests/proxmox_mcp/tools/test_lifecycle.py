from dataclasses import replace
from typing import Any

import pytest

from pvesim import Simulator
from pvesim.guests.records import Guest
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

OPERATOR = "mcp@pve!operator"


def state(simulator: Simulator, path: str) -> str:
    """What PVE itself says of a guest."""
    record = simulator.request("GET", f"/nodes/{path}/status/current")
    return str(record.get("qmpstatus") or record["status"])


@pytest.mark.parametrize(
    ("vmid", "action", "before", "after"),
    [
        (105, "start", "stopped", "running"),
        (100, "stop", "running", "stopped"),
        (100, "shutdown", "running", "stopped"),
        (100, "reboot", "running", "running"),
        (100, "reset", "running", "running"),
        (100, "suspend", "running", "paused"),
        (104, "resume", "paused", "running"),
        (104, "stop", "paused", "stopped"),
    ],
)
async def test_a_vm_does_as_it_is_told(
    tell: Tell, simulator: Simulator, vmid: int, action: str, before: str, after: str
) -> None:
    reply = await tell("manage_vm", vmid=vmid, action=action, wait_seconds=60, _access="operate", _user=OPERATOR)
    assert not reply.is_error, reply.text
    data = reply.data
    assert (data["state"], data["exit_status"], data["log_tail"][-1]) == ("ok", "OK", "TASK OK")
    assert (data["vmid"], data["action"], data["before"], data["after"]) == (vmid, action, before, after)
    assert f"before: {before}\nafter: {after}" in reply.text
    assert state(simulator, f"{data['node']}/qemu/{vmid}") == after


@pytest.mark.parametrize(
    ("vmid", "action", "after"),
    [(202, "start", "running"), (200, "stop", "stopped"), (200, "shutdown", "stopped"), (200, "reboot", "running")],
)
async def test_a_container_does_as_it_is_told(
    tell: Tell, simulator: Simulator, vmid: int, action: str, after: str
) -> None:
    reply = await tell("manage_lxc_container", vmid=vmid, action=action, wait_seconds=60, _user=OPERATOR)
    assert not reply.is_error, reply.text
    assert (reply.data["state"], reply.data["after"]) == ("ok", after)
    assert state(simulator, f"{reply.data['node']}/lxc/{vmid}") == after


async def test_who_waits_hears_of_the_progress(tell: Tell, era: Era) -> None:
    reply = await tell("manage_vm", vmid=100, node="pve1", action="shutdown", wait_seconds=60, _era=era)
    assert reply.progress[0].startswith("qmshutdown 100 on pve1: running")
    assert reply.progress[-1].startswith("qmshutdown 100 on pve1: ok")


async def test_who_does_not_wait_gets_a_task_to_follow(tell: Tell, era: Era) -> None:
    reply = await tell("manage_vm", vmid=105, action="start", _era=era)
    assert reply.data["state"] == "running"
    assert reply.data["upid"].startswith("UPID:pve2:")
    assert "after" not in reply.data
    assert reply.data["note"] == "The task still runs: follow it with wait_for_task."
    assert reply.progress == []
    followed = await tell("wait_for_task", upid=reply.data["upid"], wait_seconds=60)
    assert followed.data["state"] == "ok"


async def test_a_guest_that_ignores_a_shutdown_is_explained(tell: Tell, simulator: Simulator, era: Era) -> None:
    reply = await tell("manage_vm", vmid=103, action="shutdown", timeout_seconds=5, wait_seconds=60, _era=era)
    assert reply.is_error
    assert "qmshutdown 103 on pve1: VM quit/powerdown failed - got timeout." in reply.text
    assert "force=true or action stop" in reply.text
    assert "UPID:pve1:" in reply.text
    assert state(simulator, "pve1/qemu/103") == "running"


async def test_force_ends_a_guest_that_ignores_a_shutdown(tell: Tell) -> None:
    reply = await tell("manage_vm", vmid=103, action="shutdown", timeout_seconds=5, force=True, wait_seconds=60)
    assert (reply.data["state"], reply.data["after"]) == ("ok", "stopped")
    assert "VM still running - terminating now with SIGTERM" in reply.data["log_tail"]


DEAF = {"containers": {200: {"state": "running", "behaviour": {"acpi": False}}}}


@pytest.mark.parametrize("simulator", [Simulator(DEAF)], ids=["deaf"])
async def test_a_container_that_ignores_a_shutdown_is_explained_and_forced(tell: Tell) -> None:
    wait = {"timeout_seconds": 5, "wait_seconds": 60}
    reply = await tell("manage_lxc_container", vmid=200, action="shutdown", **wait)
    assert "lxc-stop -n 200 --nokill --timeout 5" in reply.text
    assert "force=true or action stop" in reply.text
    assert (await tell("manage_lxc_container", vmid=200, action="shutdown", force=True, **wait)).data[
        "after"
    ] == "stopped"


async def test_stop_with_force_breaks_off_a_shutdown_that_waits(tell: Tell, simulator: Simulator) -> None:
    simulator.request("POST", "/nodes/pve1/qemu/103/status/shutdown", {"timeout": 600})
    reply = await tell("manage_vm", vmid=103, action="stop", force=True, wait_seconds=60)
    assert (reply.data["state"], reply.data["after"]) == ("ok", "stopped")


@pytest.mark.parametrize(
    ("vmid", "action", "says"),
    [
        (100, "start", "VM 100 (web) is running already. Nothing is left to do; reboot restarts it."),
        (104, "start", "VM 104 (win11) is paused, which means that it was started. Let it go on with action resume."),
        (105, "stop", "VM 105 (staging) is stopped already."),
        (105, "shutdown", "VM 105 (staging) is stopped already."),
        (105, "reboot", "is stopped, so it cannot be restarted. Start it with action start."),
        (105, "reset", "is stopped, so it cannot be reset. Start it with action start."),
        (105, "suspend", "is stopped, so it cannot be suspended."),
        (105, "resume", "is stopped, not paused. Start it with action start."),
        (104, "suspend", "is paused already."),
        (104, "shutdown", "is paused, so it cannot heed a shutdown."),
        (104, "reboot", "is paused, so it cannot heed a reboot."),
        (100, "resume", "VM 100 (web) is running, not paused."),
        (
            900,
            "start",
            "is a template, so it cannot be run. Clone it, and start the clone.",
        ),
    ],
)
async def test_what_makes_no_sense_for_a_vm_is_refused_before_anything_is_asked(
    tell: Tell, vmid: int, action: str, says: str
) -> None:
    reply = await tell("manage_vm", vmid=vmid, action=action)
    assert reply.is_error
    assert says in reply.text
    assert all(request.startswith("GET ") for request in reply.requests)


@pytest.mark.parametrize(
    ("vmid", "action", "says"),
    [
        (200, "start", "Container 200 (dns) is running already."),
        (202, "stop", "Container 202 (sandbox) is stopped already."),
        (202, "reboot", "is stopped, so it cannot be restarted."),
        (200, "resume", "is running, not paused."),
        (910, "start", "Container 910 (alpine-template) is a template"),
    ],
)
async def test_what_makes_no_sense_for_a_container_is_refused(tell: Tell, vmid: int, action: str, says: str) -> None:
    reply = await tell("manage_lxc_container", vmid=vmid, action=action)
    assert reply.is_error
    assert says in reply.text


@pytest.mark.parametrize("action", ["suspend", "resume"])
async def test_a_node_that_cannot_suspend_containers_is_explained(tell: Tell, action: str) -> None:
    vmid = 201 if action == "suspend" else 202
    reply = await tell("manage_lxc_container", vmid=vmid, action=action, wait_seconds=60)
    assert reply.is_error
    assert f"command 'lxc-checkpoint -n {vmid}" in reply.text
    assert "Shut the container down instead." in reply.text


async def test_a_locked_vm_is_explained(tell: Tell) -> None:
    reply = await tell("manage_vm", vmid=106, action="start", wait_seconds=60)
    assert reply.is_error
    assert "VM is locked (backup)." in reply.text
    assert "Look with get_cluster_tasks" in reply.text


async def test_under_high_availability_its_manager_is_asked(tell: Tell) -> None:
    reply = await tell("manage_vm", vmid=102, action="stop", wait_seconds=60)
    assert reply.data["upid"].split(":")[5] == "hastop"
    assert "high availability" in reply.data["note"]
    assert reply.data["before"] == "running"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"vmid": 100, "action": "reset", "force": True}, "force says nothing about reset."),
        ({"vmid": 100, "action": "stop", "timeout_seconds": 5}, "timeout_seconds says nothing about stop."),
        ({"vmid": 100, "action": "explode"}, "action: should be 'start', 'stop'"),
        ({"vmid": 999, "action": "start"}, "There is no guest 999; nearest:"),
        ({"vmid": 999, "action": "start", "node": "pve1"}, "There is no guest 999; nearest:"),
        ({"vmid": 101, "action": "stop", "node": "pve1"}, "Guest 101 is on node pve2, not on pve1."),
        ({"vmid": 200, "action": "stop"}, "Guest 200 is a container, not a VM."),
    ],
)
async def test_a_wrong_call_changes_nothing(tell: Tell, arguments: dict[str, Any], says: str) -> None:
    reply = await tell("manage_vm", **arguments)
    assert reply.is_error
    assert says in reply.text
    assert all(request.startswith("GET ") for request in reply.requests)


async def test_a_container_cannot_be_reset(tell: Tell) -> None:
    reply = await tell("manage_lxc_container", vmid=200, action="reset")
    assert "action: should be 'start', 'stop', 'reboot', 'shutdown', 'suspend' or 'resume'" in reply.text


async def test_without_the_privilege_nothing_is_done(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("manage_vm", vmid=100, action="stop", _user="mcp@pve!auditor")
    assert reply.is_error
    assert "privilege VM.PowerMgmt on path /vms/100 is missing" in reply.text
    assert "a token with privilege separation needs its own grant" in reply.text
    assert state(simulator, "pve1/qemu/100") == "running"


@pytest.mark.parametrize("tool", ["manage_vm", "manage_lxc_container"])
async def test_at_access_level_read_there_is_no_such_tool(tell: Tell, tool: str) -> None:
    reply = await tell(tool, vmid=100, action="stop", _access="read")
    assert reply.is_error
    assert f"{tool} is not available at access level read" in reply.text
    assert reply.requests == []


LOST = {
    "cluster": {"name": "c"},
    "nodes": {"a": {}, "b": {"online": False}, "c": {"online": False}},
    "vms": {100: {"node": "a"}, 101: {"node": "b"}},
}


@pytest.mark.parametrize("simulator", [Simulator(LOST)], ids=["no quorum"])
async def test_without_quorum_nothing_is_started(tell: Tell) -> None:
    reply = await tell("manage_vm", vmid=100, action="start", wait_seconds=60)
    assert reply.is_error
    assert "has no quorum, so it takes no changes" in reply.text
    assert "Node b gives no answer" in (await tell("manage_vm", vmid=101, action="start")).text


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (
            {"net0": "virtio=BC:24:11:00:00:01,bridge=vmbr77"},
            ["start failed: QEMU exited with code 1.", "bridge 'vmbr77' does not exist", "The log says why"],
        ),
        ({"cores": 128}, ["MAX 16 vcpus allowed per VM on this node.", "Give the VM fewer cores"]),
    ],
)
async def test_a_start_that_fails_tells_the_reason_from_the_log(
    tell: Tell, simulator: Simulator, change: dict[str, Any], texts: list[str]
) -> None:
    guest = simulator.world.rows(Guest)[105]
    simulator.world.put(replace(guest, config={**guest.config, **change}))
    reply = await tell("manage_vm", vmid=105, action="start", wait_seconds=60)
    assert reply.is_error
    for text in texts:
        assert text in reply.text
