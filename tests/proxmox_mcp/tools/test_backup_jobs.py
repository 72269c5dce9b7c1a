"""Running a backup job by hand: every guest of it, wherever it is."""

from typing import Any

import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Tell

pytestmark = pytest.mark.anyio


def job(simulator: Simulator, **params: Any) -> None:
    simulator.request("POST", "/cluster/backup", {"id": "nightly", "schedule": "02:00", "storage": "nas", **params})


def backed_up(simulator: Simulator) -> set[int]:
    """The guests that have a backup of today, which is the one just made."""
    rows = simulator.request("GET", "/nodes/pve1/storage/nas/content", {"content": "backup"})
    return {row["vmid"] for row in rows if "2026_03_14-09" in row["volid"]}


@pytest.mark.parametrize(
    ("params", "nodes", "vmids"),
    [
        ({"all": 1, "exclude": "106"}, ["pve1", "pve2", "pve3"], {100, 101, 102, 103, 104, 105, 200, 201, 202, 203}),
        ({"vmid": "105,200"}, ["pve1", "pve2"], {105, 200}),
        ({"pool": "production"}, ["pve1", "pve2"], {100, 101, 203}),
        ({"all": 1, "node": "pve2"}, ["pve2"], {101, 104, 105, 202, 203}),
        ({"vmid": "102"}, ["pve3"], {102}),
    ],
)
async def test_a_job_is_run_on_every_node_that_has_guests_of_it(
    tell: Tell, simulator: Simulator, params: dict[str, Any], nodes: list[str], vmids: set[int]
) -> None:
    job(simulator, **params)
    reply = await tell("run_backup_job", job_id="nightly", wait_seconds=3600)
    assert not reply.is_error, reply.text
    tasks = [reply.data, *reply.data.get("others", [])]
    assert [task["node"] for task in tasks] == nodes
    assert {task["state"] for task in tasks} == {"ok"}
    assert backed_up(simulator) - {900, 910} == vmids
    asked = [request for request in reply.requests if request.startswith("POST")]
    assert asked == [f"POST /nodes/{node}/vzdump" for node in nodes]


async def test_one_node_can_be_named(tell: Tell, simulator: Simulator) -> None:
    job(simulator, all=1)
    reply = await tell("run_backup_job", job_id="nightly", node="pve2", wait_seconds=3600)
    assert (reply.data["node"], "others" in reply.data) == ("pve2", False)


async def test_what_fails_on_one_node_is_told_with_the_tasks_of_the_others(tell: Tell, simulator: Simulator) -> None:
    job(simulator, vmid="106,200,105")
    reply = await tell("run_backup_job", job_id="nightly", wait_seconds=3600)
    assert reply.is_error
    assert "job errors: Backup of VM 106 failed - VM is locked (backup)" in reply.text
    assert "its other tasks: UPID:pve1:" in reply.text
    assert backed_up(simulator) == {105, 200}


async def test_guests_of_a_node_that_is_off_are_named(tell: Tell, simulator: Simulator) -> None:
    job(simulator, vmid="102,200")
    simulator.faults.cause(node_offline="pve3")
    reply = await tell("run_backup_job", job_id="nightly", wait_seconds=3600)
    assert reply.data["note"] == "Not backed up, for their node is not online: 102 on pve3."
    job_of_102 = {"id": "other", "schedule": "02:00", "storage": "nas", "vmid": "102"}
    simulator.request("POST", "/cluster/backup", job_of_102)
    reply = await tell("run_backup_job", job_id="other")
    assert reply.text == (
        "No guest of backup job other is on a node that is online: 102 on pve3. get_nodes lists the nodes."
    )


async def test_a_job_without_guests_does_nothing(tell: Tell, simulator: Simulator) -> None:
    job(simulator, vmid="4711")
    reply = await tell("run_backup_job", job_id="nightly")
    assert reply.text.startswith(
        "Backup job nightly is for no guest that there is and that the configured user may see."
    )
    assert not any(request.startswith("POST") for request in reply.requests)


async def test_what_one_node_refuses_does_not_hide_what_another_does(tell: Tell, simulator: Simulator) -> None:
    job(simulator, vmid="200,105")
    simulator.faults.add("broken", method="POST", path="/nodes/pve2/vzdump", error={"status": 500, "message": "no way"})
    reply = await tell("run_backup_job", job_id="nightly")
    assert reply.is_error
    assert "The job runs on pve1 (UPID:pve1:" in reply.text
    assert "but not on pve2: PVE answers POST /nodes/pve2/vzdump with 500: no way." in reply.text
