import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Reply, Tell

pytestmark = pytest.mark.anyio


def told(reply: Reply) -> list[str]:
    assert not reply.is_error, reply.text
    return [f"{row['severity']}: {row['what']}" for row in reply.data["problems"]]


@pytest.mark.parametrize(
    ("arguments", "vmids"),
    [
        ({"text": "WEB"}, [100, 105]),
        ({"text": "910"}, [910]),
        ({"tag": "prod", "kind": "lxc"}, [203]),
        ({"pool": "lab", "status": "stopped"}, [105, 106, 202]),
        ({"status": "paused"}, [104]),
        ({"template": True}, [900, 910]),
        ({"node": "pve3", "text": "m"}, [102, 201]),
        ({"text": "nobody"}, []),
    ],
)
async def test_guests_are_found_with_one_request(tell: Tell, arguments: dict[str, object], vmids: list[int]) -> None:
    reply = await tell("find_guests", **arguments)
    assert [row["vmid"] for row in reply.data["guests"]] == vmids
    assert reply.requests == ["GET /cluster/resources"]


@pytest.mark.parametrize(
    ("ip", "vmid", "by"), [("10.10.10.100", 100, "the guest itself"), ("10.10.10.53", 200, "configuration")]
)
async def test_guests_are_found_by_address(tell: Tell, ip: str, vmid: int, by: str, era: Era) -> None:
    reply = await tell("find_guests", ip=ip, _era=era)
    assert [(row["vmid"], row["by"]) for row in reply.data["guests"]] == [(vmid, by)]
    # Those that cannot tell are named: the guest that is looked for could be one of them.
    assert any(line.startswith("103: ") for line in reply.data["unread"])


async def test_an_address_that_is_none_is_refused(tell: Tell) -> None:
    assert "'10.10.10' is no IP address." in (await tell("find_guests", ip="10.10.10")).text


async def test_what_is_wrong_with_a_guest(tell: Tell) -> None:
    assert "warning: It is locked (backup)" in told(await tell("diagnose_guest", vmid=106))
    assert "warning: It is paused" in told(await tell("diagnose_guest", vmid=104))
    legacy = told(await tell("diagnose_guest", vmid=103))
    assert {"warning: A task failed: qmshutdown", "warning: It has no backup"} <= set(legacy)
    database = told(await tell("diagnose_guest", vmid=101))
    assert "notice: Changes wait for its next start" in database
    staging = told(await tell("diagnose_guest", vmid=105))
    assert "notice: Guest 105 has an old snapshot clean" in staging


async def test_a_guest_that_is_well(tell: Tell) -> None:
    reply = await tell("diagnose_guest", vmid=100)
    assert reply.data["healthy"] is True
    assert reply.data["subject"] == "VM 100 (web) on pve1"


async def test_a_guest_that_is_not_there(tell: Tell) -> None:
    assert "There is no guest 999" in (await tell("diagnose_guest", vmid=999)).text


async def test_what_is_wrong_with_the_cluster_the_worst_first(tell: Tell, era: Era) -> None:
    reply = await tell("diagnose_cluster", _access="read", _era=era)
    problems = told(reply)
    assert "warning: Storage backup-usb on pve3 does not work" in problems
    assert "warning: Guest 106 is locked" in problems
    assert "warning: A task failed in the last day: vzdump of 106 on pve3" in problems
    assert any("guests have no backup" in problem for problem in problems)
    assert [problem.partition(":")[0] for problem in problems] == sorted(
        (problem.partition(":")[0] for problem in problems), key=["critical", "warning", "notice"].index
    )
    assert reply.data["healthy"] is False


async def test_old_snapshots_are_looked_for_when_told(tell: Tell) -> None:
    problems = told(await tell("diagnose_cluster", snapshot_days=20))
    assert "notice: Guest 100 has an old snapshot before-tls" in problems
    assert "notice: Guest 203 has an old snapshot before-upgrade" not in problems


DOWN = {
    "nodes": {"pve1": {}, "pve2": {}, "pve3": {"online": False}},
    "storages": {
        "tight": {"type": "dir", "config": {"path": "/t", "content": "images"}, "size": "100G", "used": "97G"}
    },
}


@pytest.mark.parametrize("simulator", [Simulator(DOWN)], ids=["down"])
async def test_nodes_that_are_off_and_storages_that_are_full_come_first(tell: Tell) -> None:
    problems = told(await tell("diagnose_cluster"))
    assert "critical: Node pve3 is offline" in problems
    assert "critical: Storage tight on pve1 is full" in problems


async def test_what_may_not_be_read_is_said(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("diagnose_cluster", _user="alice@pve")
    assert reply.data["unread"]
