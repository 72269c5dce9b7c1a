"""An approval that was given is used for something else, twice, too late, or on a guest that has changed since."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from proxmox_mcp.safety.approval import Approvals
from tests.proxmox_mcp.redteam.conftest import YES, Lab, text_of

pytestmark = pytest.mark.anyio


async def approved(lab: Lab, attacker: Any, tool: str, **arguments: Any) -> None:
    """A person approves, at the command line, of a call that was refused for that."""
    await attacker.refused(tool, "needs a person's approval", **arguments)
    [request] = [request for request in lab.approvals.listed() if request.state == "pending"]
    assert lab.approvals.decide(request.code, True) is not None


async def test_an_approval_lets_the_call_through_once(lab: Lab) -> None:
    async with lab.client() as attacker:
        await approved(lab, attacker, "manage_vm", vmid=101, action="stop")
        await attacker.done("manage_vm", vmid=101, action="stop", wait_seconds=5)
        await attacker.done("manage_vm", vmid=101, action="start", wait_seconds=5)
        await attacker.refused("manage_vm", "needs a person's approval", vmid=101, action="stop")


OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "another guest": ("manage_vm", {"vmid": 100, "action": "stop"}),
    "another action": ("manage_vm", {"vmid": 101, "action": "reset"}),
    "another tool": ("delete_vm", {"vmid": 105}),
    "more than was approved": ("manage_vm", {"vmid": 101, "action": "shutdown", "force": True}),
    "a raw request": ("call_api", {"method": "POST", "path": "/nodes/pve2/qemu/101/status/stop"}),
    "a raw request for another": ("call_api", {"method": "POST", "path": "/nodes/pve1/qemu/100/status/stop"}),
    "a raw deletion": ("call_api", {"method": "DELETE", "path": "/nodes/pve2/qemu/101"}),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
async def test_an_approval_is_for_one_act(lab: Lab, other: tuple[str, dict[str, Any]]) -> None:
    tool, arguments = other
    async with lab.client() as attacker:
        await approved(lab, attacker, "manage_vm", vmid=101, action="stop")
        await attacker.refused(tool, "needs a person's approval", **arguments)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "its configuration": lambda api: api.nodes("pve2").qemu(105).config.put(memory=3072),
    "its name": lambda api: api.nodes("pve2").qemu(105).config.put(name="web"),
    "its disks": lambda api: api.nodes("pve2").qemu(105).config.put(scsi1="local-lvm:4"),
    "its tags": lambda api: api.nodes("pve2").qemu(105).config.put(tags="prod"),
    "a new snapshot": lambda api: api.nodes("pve2").qemu(105).snapshot.post(snapname="precious"),
    "it was started": lambda api: api.nodes("pve2").qemu(105).status.start.post(),
    "its protection": lambda api: api.nodes("pve2").qemu(105).config.put(protection=1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_an_approval_is_for_one_state(lab: Lab, change: Callable[[Any], Any]) -> None:
    async with lab.client() as attacker:
        await approved(lab, attacker, "delete_vm", vmid=105)
        change(lab.api())
        for task in lab.api().cluster.tasks.get():
            lab.api().nodes(task["node"]).tasks(task["upid"]).status.get()
        text = await attacker.refused("delete_vm", vmid=105)
        assert "has changed since" in text or "is running" in text or "protect" in text


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_what_changes_while_the_person_reads_is_seen(lab: Lab, era: Any) -> None:
    async def slow(context: Any, params: Any) -> Any:
        if not lab.api().nodes("pve2").qemu(105).config.get().get("description", "").startswith("changed"):
            lab.api().nodes("pve2").qemu(105).config.put(description="changed meanwhile")
            seen.append(len(lab.writes))
        return await YES(context, params)

    seen: list[int] = []
    async with lab.client(answer=slow, era=era) as attacker:
        result = await attacker.call("delete_vm", vmid=105)
        if era == "legacy":
            assert result.is_error
            assert "was changed after its state was shown" in text_of(result)
            assert len(lab.writes) == seen[0]
        else:
            # The client is asked anew, about the state that is.
            assert len(seen) == 1


async def test_an_approval_expires(lab: Lab) -> None:
    async with lab.client() as attacker:
        await approved(lab, attacker, "delete_vm", vmid=105)
        # As it would be found an hour later.
        late = Approvals(lab.state, 600, now=lambda: 1e12)
        assert late.listed() == []
    async with lab.client(approval_minutes=0.001) as attacker:
        lab.approvals.decide(lab.approvals.listed()[0].code, True)
        await attacker.refused("manage_vm", vmid=101, action="stop")
        # It has expired by now, or is about to.
        before = Approvals(lab.state, 600, now=lambda: time.time() - 30)
        [made] = [one for one in before.listed() if one.tool == "manage_vm"]
        assert made.until - made.made < 1


async def test_an_approval_dated_in_the_future_is_forged(lab: Lab) -> None:
    async with lab.client() as attacker:
        await approved(lab, attacker, "delete_vm", vmid=105)
        assert Approvals(lab.state, 600, now=lambda: 1.0).listed() == []


@pytest.mark.parametrize("other", [{"user": "mcp@pve"}, {"cluster": "another"}], ids=["user", "cluster"])
async def test_an_approval_is_for_one_user_and_one_cluster(lab: Lab, other: dict[str, Any]) -> None:
    async with lab.client() as attacker:
        await approved(lab, attacker, "manage_vm", vmid=101, action="stop")
    async with lab.client(**other) as attacker:
        await attacker.refused("manage_vm", "needs a person's approval", vmid=101, action="stop")


async def test_a_denial_is_not_asked_away(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", vmid=105)
        lab.approvals.decide(lab.approvals.listed()[0].code, False)
        for _ in range(3):
            await attacker.refused("delete_vm", "has denied this", vmid=105)
        lab.api().nodes("pve2").qemu(105).config.put(memory=3072)
        await attacker.refused("delete_vm", "has denied this", vmid=105)
        assert [request.state for request in lab.approvals.listed()] == ["denied"]


async def test_a_denial_is_not_taken_back_by_an_approval(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", vmid=105)
        [request] = lab.approvals.listed()
        lab.approvals.decide(request.code, False)
        assert lab.approvals.decide(request.code, True) is None


@pytest.mark.parametrize("code", ["", "*", "AAAA-AAAA", "%", "../x", "0", "null"])
async def test_a_guessed_code_is_none(lab: Lab, code: str) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", vmid=105)
    assert lab.approvals.decide(code, True) is None
    assert lab.approvals.find(code) is None


async def test_a_code_says_nothing_to_a_tool(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", vmid=105)
        code = lab.approvals.listed()[0].code
        for name in ("code", "confirm", "approval"):
            result = await attacker.client.call_tool("delete_vm", {"vmid": 105, name: code})
            assert result.is_error
            assert code not in text_of(result)
    assert lab.writes == []


async def test_a_person_is_not_worn_out_by_requests(lab: Lab) -> None:
    api = lab.api()
    async with lab.client() as attacker:
        for number in range(20):
            await attacker.refused(
                "call_api", method="PUT", path="/cluster/options", params={"description": str(number)}
            )
        await attacker.refused("delete_vm", "wait for a person's approval already", vmid=105)
    assert len(lab.approvals.listed()) == 20
    assert api.nodes("pve2").qemu(105).config.get()["name"] == "staging"


async def test_the_same_call_again_makes_no_second_request(lab: Lab) -> None:
    async with lab.client() as attacker:
        for wait in (0, 5, 10):
            await attacker.refused("delete_vm", vmid=105, wait_seconds=wait)
    assert len(lab.approvals.listed()) == 1


async def test_an_approval_is_for_what_the_person_was_shown(lab: Lab) -> None:
    """Not only what stands in the guest's own configuration."""
    api = lab.api()
    node = api.nodes("pve2")
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", "needs a person's approval", vmid=105, purge=True)
        (request,) = lab.approvals.listed()
        lab.approvals.decide(request.code, True)
        api.cluster.backup.post(schedule="daily", storage="nas", vmid="105")
        await attacker.refused("delete_vm", "the guest has changed since", vmid=105, purge=True)
        (request,) = lab.approvals.listed()
        assert any("backup job" in fact for fact in request.facts)
        lab.approvals.decide(request.code, True)
        api.cluster.ha.resources.post(sid="vm:105", state="stopped")
        await attacker.refused("delete_vm", "the guest has changed since", vmid=105, purge=True)
    assert node.qemu(105).config.get()


async def test_time_alone_voids_no_approval(lab: Lab) -> None:
    """Ages are shown, and grow."""
    async with lab.client() as attacker:
        await attacker.refused("manage_vm", "needs a person's approval", vmid=100, action="stop")
        (request,) = lab.approvals.listed()
        assert any(" hours old, " in fact for fact in request.facts)
        lab.approvals.decide(request.code, True)
        lab.simulator.clock.advance(3600)
        await attacker.done("manage_vm", vmid=100, action="stop")
