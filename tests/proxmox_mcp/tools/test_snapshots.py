import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

OPERATOR = "mcp@pve!operator"


def names(simulator: Simulator, path: str) -> set[str]:
    """The snapshots that PVE itself lists."""
    return {row["name"] for row in simulator.request("GET", f"/nodes/{path}/snapshot")} - {"current"}


async def test_snapshots_are_listed_as_a_tree(tell: Tell, era: Era) -> None:
    reply = await tell("list_snapshots", vmid=105, _access="read", _era=era)
    assert [(row["name"], row["depth"]) for row in reply.data["snapshots"]] == [
        ("clean", 0),
        ("with-app", 1),
        ("experiment", 1),
    ]
    assert reply.data["total"] == 3
    assert "tree:\n  clean\n    with-app\n    experiment" in reply.text
    assert len(reply.requests) == 2


async def test_a_guest_without_snapshots(tell: Tell) -> None:
    reply = await tell("list_snapshots", vmid=200)
    assert (reply.data["total"], reply.data["snapshots"]) == (0, [])


@pytest.mark.parametrize(("vmid", "path"), [(105, "pve2/qemu/105"), (100, "pve1/qemu/100"), (200, "pve1/lxc/200")])
async def test_a_snapshot_is_taken(tell: Tell, simulator: Simulator, vmid: int, path: str, era: Era) -> None:
    reply = await tell(
        "create_snapshot", vmid=vmid, name="now", description="d", wait_seconds=60, _user=OPERATOR, _era=era
    )
    assert not reply.is_error, reply.text
    assert (reply.data["state"], reply.data["exit_status"], reply.data["vmid"]) == ("ok", "OK", vmid)
    assert "now" in names(simulator, path)


async def test_a_snapshot_with_memory(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("create_snapshot", vmid=100, name="live", memory=True, wait_seconds=600)
    assert reply.data["state"] == "ok", reply.text
    rows = (await tell("list_snapshots", vmid=100)).data["snapshots"]
    assert next(row for row in rows if row["name"] == "live")["vmstate"] is True


async def test_a_rollback_goes_back_and_starts_when_told(tell: Tell, simulator: Simulator) -> None:
    simulator.request("PUT", "/nodes/pve2/qemu/105/config", {"cores": 7})
    reply = await tell("rollback_snapshot", vmid=105, name="clean", start=True, wait_seconds=60)
    assert reply.data["state"] == "ok", reply.text
    assert simulator.request("GET", "/nodes/pve2/qemu/105/config")["cores"] == 2
    listed = await tell("list_snapshots", vmid=105)
    assert next(row["name"] for row in listed.data["snapshots"] if row.get("current")) == "clean"
    assert "  clean <- the guest is here" in listed.text


async def test_a_snapshot_is_deleted_and_its_children_move_up(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("delete_snapshot", vmid=105, name="clean", wait_seconds=60)
    assert reply.data["state"] == "ok", reply.text
    assert names(simulator, "pve2/qemu/105") == {"with-app", "experiment"}
    assert {row["depth"] for row in (await tell("list_snapshots", vmid=105)).data["snapshots"]} == {0}


async def test_a_description_is_changed(tell: Tell) -> None:
    reply = await tell("update_snapshot", vmid=203, name="before-upgrade", description="new words", _user=OPERATOR)
    assert (reply.data["before"], reply.data["after"]) == ("", "new words")
    listed = await tell("list_snapshots", vmid=203)
    assert listed.data["snapshots"][0]["description"] == "new words"


async def test_who_does_not_wait_gets_a_task_to_follow(tell: Tell) -> None:
    reply = await tell("create_snapshot", vmid=105, name="now")
    assert (reply.data["state"], reply.data["note"]) == (
        "running",
        "The task still runs: follow it with wait_for_task.",
    )
    assert (await tell("wait_for_task", upid=reply.data["upid"])).data["state"] == "ok"


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("list_snapshots", {"vmid": 999}, "There is no guest 999; nearest: "),
        ("list_snapshots", {"vmid": 105, "node": "pve1"}, "Guest 105 is on node pve2, not on pve1."),
        ("create_snapshot", {"vmid": 105, "name": "clean"}, "VM 105 (staging) has a snapshot clean already."),
        ("create_snapshot", {"vmid": 105, "name": "1st"}, "name: "),
        ("create_snapshot", {"vmid": 200, "name": "now", "memory": True}, "memory is for VMs only"),
        ("rollback_snapshot", {"vmid": 105, "name": "nope"}, "has no snapshot nope; it has: clean, with-app, "),
        ("rollback_snapshot", {"vmid": 200, "name": "nope"}, "Container 200 (dns) has no snapshot nope, and no other"),
        ("delete_snapshot", {"vmid": 105, "name": "nope"}, "Call list_snapshots for the tree of them."),
        ("update_snapshot", {"vmid": 105, "name": "nope", "description": ""}, "has no snapshot nope"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_done(
    tell: Tell, tool: str, arguments: dict[str, object], says: str
) -> None:
    reply = await tell(tool, **arguments)
    assert reply.is_error
    assert says in reply.text
    assert all(request.startswith("GET ") for request in reply.requests)


@pytest.mark.parametrize("tool", ["create_snapshot", "rollback_snapshot", "delete_snapshot"])
async def test_who_may_not_is_told_what_is_missing(tell: Tell, tool: str) -> None:
    arguments = {"name": "fresh" if tool == "create_snapshot" else "clean"}
    reply = await tell(tool, vmid=105, _user="mcp@pve!auditor", **arguments)
    assert reply.is_error
    assert "VM.Snapshot" in reply.text


async def test_a_guest_that_is_held_says_so(tell: Tell) -> None:
    reply = await tell("create_snapshot", vmid=106, name="now", wait_seconds=60)
    assert reply.is_error
    assert "VM is locked (backup)" in reply.text
    assert "get_cluster_tasks" in reply.text


@pytest.mark.parametrize(("tool", "level"), [("rollback_snapshot", "operate"), ("create_snapshot", "read")])
async def test_the_access_level_decides(tell: Tell, tool: str, level: str) -> None:
    reply = await tell(tool, vmid=105, name="clean", _access=level)
    assert f"{tool} is not available at access level {level}" in reply.text
