from typing import Any

import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio


async def test_the_rules_of_the_cluster_and_that_they_act(tell: Tell, era: Era) -> None:
    reply = await tell("get_cluster_firewall_rules", _era=era)
    assert reply.data["active"] is True
    assert (reply.data["policy_in"], reply.data["policy_out"]) == ("DROP", "ACCEPT")
    assert reply.data["rules"][0] == {
        "pos": 0, "enable": True, "type": "in", "action": "ACCEPT", "macro": "SSH", "source": "+management",
        "comment": "administrators",
    }  # fmt: skip
    assert "options" not in reply.data
    assert "+management" in reply.text


async def test_rules_of_a_firewall_that_is_off_do_not_act_anywhere(tell: Tell, simulator: Simulator) -> None:
    simulator.request("PUT", "/cluster/firewall/options", {"enable": 0})
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_cluster_firewall_rules", {}),
        ("get_node_firewall_rules", {"node": "pve1"}),
        ("get_vm_firewall_rules", {"vmid": 100}),
        ("get_lxc_firewall_rules", {"vmid": 200}),
    ]
    for tool, arguments in calls:
        reply = await tell(tool, **arguments)
        assert reply.data["active"] is False, tool
        assert reply.data["reasons"] == ["the firewall of the cluster is off (enable=0)"], tool


async def test_the_cluster_s_rules_need_a_privilege(tell: Tell) -> None:
    reply = await tell("get_cluster_firewall_rules", _user="alice@pve")
    assert reply.is_error
    assert "privilege Sys.Audit on path / is missing" in reply.text


async def test_rules_come_in_pages_in_their_order(tell: Tell) -> None:
    first = await tell("get_cluster_firewall_rules", limit=2)
    second = await tell("get_cluster_firewall_rules", limit=2, cursor=first.data["next_cursor"])
    assert [rule["pos"] for rule in first.data["rules"] + second.data["rules"]] == [0, 1, 2]
    assert first.data["total"] == second.data["total"] == 3


async def test_the_rules_of_a_node_with_the_policies_that_hold_there(tell: Tell, era: Era) -> None:
    reply = await tell("get_node_firewall_rules", node="pve1", _era=era)
    assert reply.data["active"] is True
    assert reply.data["policy_in"] == "DROP"
    assert [rule["dport"] for rule in reply.data["rules"]] == ["161"]


async def test_a_node_s_own_switch(tell: Tell, simulator: Simulator) -> None:
    simulator.request("PUT", "/nodes/pve1/firewall/options", {"enable": 0})
    reply = await tell("get_node_firewall_rules", node="pve1")
    assert reply.data["active"] is False
    assert reply.data["reasons"] == ["the firewall of node pve1 is off (enable=0)"]


async def test_a_node_that_is_not_there(tell: Tell) -> None:
    reply = await tell("get_node_firewall_rules", node="pve9")
    assert reply.is_error
    assert "There is no node pve9" in reply.text


async def test_the_rules_of_a_vm(tell: Tell, era: Era) -> None:
    reply = await tell("get_vm_firewall_rules", vmid=100, detail="full", _era=era)
    assert reply.data["active"] is True
    assert [(rule["type"], rule["action"], rule["enable"]) for rule in reply.data["rules"]] == [
        ("group", "webserver", True),
        ("in", "ACCEPT", False),
    ]
    assert reply.data["options"] == {"enable": 1, "policy_in": "DROP"}


async def test_a_vm_whose_card_the_firewall_does_not_see(tell: Tell) -> None:
    reply = await tell("get_vm_firewall_rules", vmid=103)
    assert reply.data["active"] is False
    assert reply.data["reasons"] == [
        "the firewall of guest 103 is off (enable=0)",
        "without firewall=1, and so not filtered: net0",
    ]
    assert reply.data["policy_in"] == "DROP"
    assert reply.data["rules"] == []


class TestAGuestOfWhichTheFirewallSeesOneCardOfTwo:
    @pytest.fixture
    def simulator(self) -> Simulator:
        cards = {"net0": "virtio,bridge=vmbr0,firewall=1", "net1": "virtio,bridge=vmbr0"}
        return Simulator(
            {
                "nodes": {"pve1": {}},
                "vms": {100: {"config": cards}, 101: {}},
                "firewall": {
                    "cluster": {"options": {"enable": 1}},
                    "guests": {100: {"options": {"enable": 1, "policy_in": "REJECT"}}, 101: {"options": {"enable": 1}}},
                },
            }
        )

    async def test_rules_act_on_the_other(self, tell: Tell) -> None:
        reply = await tell("get_vm_firewall_rules", vmid=100)
        assert reply.data["active"] is True
        assert reply.data["reasons"] == ["without firewall=1, and so not filtered: net1"]
        assert reply.data["policy_in"] == "REJECT"

    async def test_without_a_card_there_is_nothing_to_act_on(self, tell: Tell) -> None:
        reply = await tell("get_vm_firewall_rules", vmid=101)
        assert reply.data["active"] is False
        assert reply.data["reasons"] == ["the guest has no network card"]


async def test_who_may_not_see_the_cluster_s_switch_is_told_so(tell: Tell) -> None:
    reply = await tell("get_vm_firewall_rules", vmid=100, _user="alice@pve")
    assert not reply.is_error
    assert "active" not in reply.data
    assert "needs Sys.Audit on /" in reply.data["reasons"][0]


async def test_the_rules_of_a_container(tell: Tell, era: Era) -> None:
    reply = await tell("get_lxc_firewall_rules", vmid=200, _era=era)
    assert reply.data["active"] is True
    assert [rule["macro"] for rule in reply.data["rules"]] == ["DNS"]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("get_vm_firewall_rules", {"vmid": 999}, "There is no guest 999; nearest: 910 (alpine-template)"),
        ("get_vm_firewall_rules", {"vmid": 200}, "Guest 200 is a container, not a VM."),
        ("get_vm_firewall_rules", {"vmid": 100, "node": "pve2"}, "Guest 100 is on node pve1, not on pve2."),
        ("get_lxc_firewall_rules", {"vmid": 100}, "Guest 100 is a VM, not a container."),
        ("get_lxc_firewall_rules", {"vmid": 299}, "There is no guest 299; nearest: 203 (git)"),
    ],
)
async def test_a_guest_that_is_not_there(tell: Tell, tool: str, arguments: dict[str, Any], says: str) -> None:
    reply = await tell(tool, **arguments)
    assert reply.is_error
    assert says in reply.text
