"""Interfaces of nodes: what is not said to change stays as it is."""

from typing import Any

import pytest

from proxmox_mcp.tools.networking import KEPT
from pvesim import Simulator
from pvesim.contract import Contract
from tests.proxmox_mcp.tools.conftest import Tell

pytestmark = pytest.mark.anyio


def make(simulator: Simulator, iface: str, **params: Any) -> dict[str, Any]:
    simulator.request("POST", "/nodes/pve1/network", {"iface": iface, **params})
    return read(simulator, iface)


def read(simulator: Simulator, iface: str) -> dict[str, Any]:
    record: dict[str, Any] = simulator.request("GET", f"/nodes/pve1/network/{iface}")
    return record


@pytest.mark.parametrize(
    ("iface", "params"),
    [
        ("vmbr5", {"type": "bridge", "bridge_ports": "eno1", "bridge_vlan_aware": 1, "bridge_vids": "2-40"}),
        ("vmbr6", {"type": "bridge", "cidr": "10.6.0.1/24", "cidr6": "fd00:6::1/64", "mtu": 9000}),
        ("bond0", {"type": "bond", "slaves": "eno1 eno2", "bond_mode": "802.3ad", "bond_xmit_hash_policy": "layer2+3"}),
        ("eno1.30", {"type": "vlan", "cidr": "10.30.0.1/24"}),
    ],
)
async def test_what_is_not_said_stays(tell: Tell, simulator: Simulator, iface: str, params: dict[str, Any]) -> None:
    before = make(simulator, iface, **params)
    reply = await tell("set_node_interface", node="pve1", iface=iface, comments="of the house")
    assert not reply.is_error, reply.text
    assert [change["key"] for change in reply.data["changes"]] == ["comments"]
    after = read(simulator, iface)
    assert {key: value for key, value in after.items() if key not in ("comments", "digest")} == {
        key: value for key, value in before.items() if key not in ("comments", "digest")
    }


def test_all_that_an_interface_can_have_is_kept() -> None:
    found = Contract.load().find("PUT", ["nodes", "pve1", "network", "vmbr0"])
    assert found is not None
    # Addresses and their masks are what cidr says, too.
    said_twice = {"address", "address6", "netmask", "netmask6"}
    assert set(found[0].parameters.schemas) - {"node", "iface", "type", "delete", "digest"} - said_twice == set(KEPT)


async def test_a_new_one_is_a_bridge_unless_told(tell: Tell, simulator: Simulator) -> None:
    reply = await tell("set_node_interface", node="pve1", iface="vmbr9")
    assert (reply.data["done"], read(simulator, "vmbr9")["type"]) == ("created", "bridge")


@pytest.mark.parametrize(
    ("tool", "arguments", "then"),
    [
        ("set_node_interface", {"node": "pve1", "iface": "vmbr9"}, "apply_node_network"),
        ("set_node_interface", {"node": "pve1", "iface": "vmbr0", "comments": "x"}, "apply_node_network"),
        ("create_sdn_zone", {"zone": "lab", "type": "simple"}, "apply_sdn"),
    ],
)
async def test_what_is_only_staged_says_what_applies_it(
    tell: Tell, tool: str, arguments: dict[str, Any], then: str
) -> None:
    assert (await tell(tool, **arguments)).data["note"] == f"It comes into force with {then}."
