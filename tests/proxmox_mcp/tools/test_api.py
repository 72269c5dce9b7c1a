from typing import Any

import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio


async def test_a_phrase_finds_methods_with_what_they_need(tell: Tell, era: Era) -> None:
    reply = await tell("search_api", phrase="migrate a vm", limit=3, _access="read", _era=era)
    first = reply.data["methods"][0]
    assert first == {
        "method": "POST",
        "path": "/nodes/{node}/qemu/{vmid}/migrate",
        "takes": "target",
        "needs": "VM.Migrate on /vms/{vmid}",
    }
    assert len(reply.data["methods"]) == 3
    assert reply.requests == []


async def test_a_method_is_described(tell: Tell) -> None:
    reply = await tell("describe_api", method="POST", path="/nodes/pve1/qemu/100/migrate", _access="read")
    assert reply.data["path"] == "/nodes/{node}/qemu/{vmid}/migrate"
    named = {parameter["name"]: parameter for parameter in reply.data["parameters"]}
    assert named["target"] == {"name": "target", "type": "pve-node", "required": True}
    assert named["migration_type"]["allowed"] == "secure, insecure"
    assert "needs: VM.Migrate on /vms/{vmid}" in reply.text


async def test_some_parameters_of_a_method(tell: Tell) -> None:
    reply = await tell("describe_api", method="PUT", path="/nodes/{node}/qemu/{vmid}/config", names="scsi")
    assert {parameter["name"] for parameter in reply.data["parameters"]} == {"scsi[n]", "scsihw"}


@pytest.mark.parametrize(
    ("path", "method", "needs"),
    [
        ("/version", "GET", "any user (more is checked by what is asked)"),
        ("/cluster/config", "POST", "root@pam only"),
        ("/access/ticket", "POST", "anyone"),
    ],
)
async def test_who_may_call_it_is_told_in_words(tell: Tell, path: str, method: str, needs: str) -> None:
    assert (await tell("describe_api", path=path, method=method)).data["needs"] == needs


async def test_a_read_is_called_at_every_level(tell: Tell, era: Era) -> None:
    reply = await tell("call_api", path="/cluster/resources", params={"type": "vm"}, limit=2, _access="read", _era=era)
    assert (reply.data["total"], len(reply.data["data"]), reply.data["truncated"]) == (13, 2, True)
    whole = await tell("call_api", path="/version", _access="read")
    assert whole.data["data"]["version"].startswith("9.")
    assert "truncated" not in whole.data


async def test_a_write_is_done_when_it_is_approved(tell: Tell, simulator: Simulator) -> None:
    params: dict[str, Any] = {"comment": "made by hand", "groupid": "fresh"}
    unasked = await tell("call_api", method="POST", path="/access/groups", params=params, _approves=False)
    assert unasked.is_error
    assert not any(request.startswith("POST") for request in unasked.requests)
    reply = await tell("call_api", method="POST", path="/access/groups", params=params)
    assert not reply.is_error, reply.text
    assert any(group["groupid"] == "fresh" for group in simulator.request("GET", "/access/groups"))


async def test_a_write_needs_as_much_approval_as_the_tool_that_does_the_same(tell: Tell) -> None:
    reply = await tell("call_api", method="POST", path="/pools", params={"poolid": "fresh"}, _approves=False)
    assert not reply.is_error, reply.text


async def test_a_task_is_followed(tell: Tell) -> None:
    reply = await tell("call_api", method="POST", path="/nodes/pve2/qemu/105/status/start", wait_seconds=60)
    assert reply.data["task"]["state"] == "ok"
    assert reply.data["task"]["upid"] == reply.data["data"]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("describe_api", {"path": "/nodes/pve1/qemu/100/migrat"}, "PVE's API has no path"),
        ("describe_api", {"path": "/nodes/{node}/qemu/{vmid}/migrate", "method": "PUT"}, "That path takes: GET, POST."),
        ("call_api", {"path": "/nodes/{node}/status"}, "still has placeholders"),
        ("call_api", {"path": "/nodes/../access"}, "is no path of the PVE API"),
        ("call_api", {"path": "/nodes/pve1/nothing"}, "Find it with search_api|Near it"),
        ("call_api", {"path": "/pools", "method": "POST", "params": {"poolid": {"a": 1}}}, "PVE takes texts, numbers"),
        ("call_api", {"path": "/cluster/resources", "params": {"type": "x"}}, "describe_api tells what GET"),
        ("call_api", {"path": "/nodes/pve1/qemu/999/config"}, "There is no guest 999"),
    ],
)
async def test_what_is_not_there_leads_on(tell: Tell, tool: str, arguments: dict[str, Any], says: str) -> None:
    reply = await tell(tool, **arguments)
    assert reply.is_error
    assert any(part in reply.text for part in says.split("|")), reply.text


async def test_a_write_needs_its_level(tell: Tell) -> None:
    reply = await tell("call_api", path="/pools", method="POST", params={"poolid": "x"}, _access="operate")
    assert "access level operate does not allow" in reply.text


async def test_an_answer_beyond_all_bounds_is_cut(tell: Tell, simulator: Simulator) -> None:
    simulator.request("PUT", "/nodes/pve1/qemu/100/config", {"description": "x" * 8000})
    for name in ("one", "two", "three"):
        simulator.request("POST", "/nodes/pve1/qemu/100/snapshot", {"snapname": name, "description": "y" * 8000})
        await tell("wait_for_task", upid=simulator.request("GET", "/cluster/tasks")[0]["upid"])
    reply = await tell("call_api", path="/nodes/pve1/qemu/100/snapshot")
    assert reply.data["truncated"] is True
    assert len(reply.text) < 30_000
