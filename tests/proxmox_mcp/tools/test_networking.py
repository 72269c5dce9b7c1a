"""Interfaces of nodes, and virtual networks: what is not said to change stays as it is."""

from typing import Any

import pytest
from mcp import Client
from mcp.types import ElicitResult

from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.api_twins import ApiCall, twin_of
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from proxmox_mcp.tools.networking import KEPT
from pvesim import Simulator
from pvesim.contract import Contract
from tests.proxmox_mcp.tools.conftest import Tell
from tests.proxmox_mcp.tools.matrix import DECLARED

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


@pytest.fixture
def lab(simulator: Simulator) -> Simulator:
    simulator.request("POST", "/cluster/sdn/zones", {"zone": "lab", "type": "vlan", "bridge": "vmbr0"})
    simulator.request("POST", "/cluster/sdn/vnets", {"vnet": "vlab", "zone": "lab", "tag": 30})
    return simulator


@pytest.mark.parametrize("cidr", ["10.7.0.0/24", "fd00:7::/64", "10.7.0.9/32"])
async def test_a_subnet_comes_and_goes(tell: Tell, lab: Simulator, cidr: str) -> None:
    made = await tell("create_sdn_subnet", vnet="vlab", cidr=cidr)
    assert (made.data["what"], made.data["done"]) == (f"subnet {cidr} of vnet vlab", "created"), made.text
    assert [row["cidr"] for row in lab.request("GET", "/cluster/sdn/vnets/vlab/subnets")] == [cidr]
    gone = await tell("delete_sdn_subnet", vnet="vlab", cidr=cidr)
    assert gone.data["done"] == "deleted", gone.text
    assert lab.request("GET", "/cluster/sdn/vnets/vlab/subnets") == []


async def test_a_zone_that_gives_out_addresses_needs_no_note(tell: Tell, simulator: Simulator) -> None:
    simulator.request("POST", "/cluster/sdn/zones", {"zone": "lab", "type": "simple", "dhcp": "dnsmasq"})
    simulator.request("POST", "/cluster/sdn/vnets", {"vnet": "vlab", "zone": "lab"})
    made = await tell("create_sdn_subnet", vnet="vlab", cidr="10.7.0.0/24", dhcp_ranges=["10.7.0.5-10.7.0.9"])
    assert made.data["note"] == "It comes into force with apply_sdn."
    [subnet] = simulator.request("GET", "/cluster/sdn/vnets/vlab/subnets")
    assert subnet["dhcp-range"] == [{"start-address": "10.7.0.5", "end-address": "10.7.0.9"}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gateway": "somewhere"}, "gateway: 'somewhere' does not appear to be an IPv4 or IPv6 address."),
        ({"gateway": "fd00::1"}, "gateway: fd00::1 is not in 10.7.0.0/24."),
        ({"dhcp_ranges": ["10.7.0.5-10.7.0.300"]}, "dhcp_ranges: '10.7.0.300' does not appear to be"),
        ({"dhcp_ranges": ["10.7.0.5"]}, "dhcp_ranges.0: "),
    ],
)
async def test_addresses_that_are_none_are_refused(
    tell: Tell, lab: Simulator, given: dict[str, Any], said: str
) -> None:
    reply = await tell("create_sdn_subnet", vnet="vlab", cidr="10.7.0.0/24", **given)
    assert reply.is_error
    assert said in reply.text
    assert lab.request("GET", "/cluster/sdn/vnets/vlab/subnets") == []


async def test_to_a_single_address_the_gateway_is_elsewhere(tell: Tell, lab: Simulator) -> None:
    reply = await tell("create_sdn_subnet", vnet="vlab", cidr="10.7.0.9/32", gateway="10.8.0.1")
    assert not reply.is_error, reply.text


async def test_what_will_be_unset_is_not_shown_as_a_value(tell: Tell, lab: Simulator) -> None:
    await tell("create_sdn_subnet", vnet="vlab", cidr="10.7.0.0/24", gateway="10.7.0.1", snat=True)
    await tell("apply_sdn")
    path = "/cluster/sdn/vnets/vlab/subnets/lab-10.7.0.0-24"
    lab.request("PUT", path, {"delete": "gateway,snat"})
    subnet = (await tell("get_sdn")).data["parts"][-1]
    assert subnet == {"kind": "subnet", "name": "10.7.0.0/24", "zone": "lab", "vnet": "vlab", "state": "changed"}


async def test_a_digest_among_the_options_is_no_way_round_the_one_that_was_read(tell: Tell, lab: Simulator) -> None:
    reply = await tell("update_sdn", kind="vnet", name="vlab", options={"alias": "x", "digest": "0" * 40})
    assert [change["key"] for change in reply.data["changes"]] == ["alias"]


@pytest.mark.parametrize(
    ("method", "path", "params", "named"),
    [
        ("POST", "/cluster/sdn/vnets/vlab/subnets", {"type": "subnet", "subnet": "10.7.0.0/24"}, "create_sdn_subnet"),
        ("DELETE", "/cluster/sdn/vnets/vlab/subnets/lab-10.7.0.0-24", {}, "delete_sdn_subnet"),
        ("PUT", "/cluster/sdn/zones/lab", {"mtu": 1400}, "update_sdn"),
        ("PUT", "/cluster/sdn/vnets/vlab", {"alias": "x"}, "update_sdn"),
    ],
)
def test_a_raw_request_is_known_by_the_named_tool(method: str, path: str, params: dict[str, Any], named: str) -> None:
    twin, tool = twin_of(ApiCall(method, path, params)), DECLARED[named]
    assert (twin.tools, twin.risk) == ((named,), tool.risk)


async def test_what_is_applied_is_what_was_shown_of_subnets_too(lab: Simulator) -> None:
    """Changed once more, a new subnet is still new."""
    lab.request("POST", "/cluster/sdn/vnets/vlab/subnets", {"type": "subnet", "subnet": "10.7.0.0/24"})
    shown: list[str] = []

    async def approve_once(context: Any, params: Any) -> ElicitResult:
        shown.append(params.message)
        lab.request("PUT", "/cluster/sdn/vnets/vlab/subnets/lab-10.7.0.0-24", {"gateway": "10.7.0.1"})
        return ElicitResult(action="accept" if len(shown) == 1 else "decline", content={"approve": True})

    settings = Settings(access="admin", tools=("apply_sdn",))
    server = build_server(settings, Pve(settings, connect=lab.connect))
    async with Client(server, elicitation_callback=approve_once) as it:
        result = await it.call_tool("apply_sdn", {})
    assert "subnet 10.7.0.0/24: new" in shown[0]
    assert result.is_error
    assert lab.request("GET", "/cluster/sdn/vnets", {"running": 1}) == []
