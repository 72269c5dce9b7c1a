"""Nodes that are woken: without a person's approval, for one that is off has nothing to lose."""

import pytest

from proxmox_mcp.safety.api_twins import ApiCall, twin_of
from proxmox_mcp.tooling import Risk
from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Tell

pytestmark = pytest.mark.anyio

MAC = "BC:24:11:00:00:03"
NODES = {"a": {}, "b": {}, "c": {"online": False, "config": {"wakeonlan": MAC}}, "d": {"online": False}, "e": {}}


@pytest.fixture
def simulator() -> Simulator:
    return Simulator({"cluster": {"name": "c"}, "nodes": NODES})


async def test_a_node_is_woken_with_nobody_asked(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("manage_node_power", node="c", action="wake", _access="operate", _approves=False)
    assert not reply.is_error, reply.text
    assert reply.data["note"].startswith(f"A packet was sent to {MAC}.")
    assert reply.requests == ["GET /nodes", "POST /nodes/c/wakeonlan"]
    states = [{row["node"]: row["status"] for row in simulator.request("GET", "/nodes")}["c"] for _ in range(2)]
    assert states[-1] == "online"


async def test_a_node_without_an_address_says_how_it_gets_one(tell: Tell) -> None:
    reply = await tell("manage_node_power", node="d", action="wake")
    assert reply.text == (
        "PVE answers POST /nodes/d/wakeonlan with 500: No wake on LAN MAC address defined for 'd'! The cluster was "
        "never told the address of its network card: while the node is on, an administrator sets it there with "
        "`pvenode config set --wakeonlan MAC`."
    )


async def test_waking_is_all_that_operate_allows(tell: Tell) -> None:
    reply = await tell("manage_node_power", node="a", action="shutdown", _access="operate")
    assert reply.is_error
    assert "has the risk destroy, which access level operate does not allow" in reply.text
    assert reply.requests == []


def test_the_raw_request_is_as_mild_as_it_is() -> None:
    asked = [ApiCall("POST", "/nodes/c/wakeonlan"), ApiCall("POST", "/nodes/c/status", {"command": "reboot"})]
    assert [twin_of(request).risk for request in asked] == [Risk.OPERATE, Risk.DESTROY]
    assert {twin_of(request).tools for request in asked} == {("manage_node_power",)}
