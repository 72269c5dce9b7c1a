import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

TOOLS = ["get_node_status", "get_node_services", "get_node_time", "get_node_network"]


async def test_a_nodes_state(tell: Tell, era: Era) -> None:
    reply = await tell("get_node_status", node="pve3", _era=era)
    assert (reply.data["maxmem"], reply.data["maxcpu"], len(reply.data["loadavg"])) == (32 * 1024**3, 16, 3)
    assert reply.data["pveversion"].startswith("pve-manager/")
    assert "cpuinfo" not in reply.data
    assert "maxmem: 32 GiB" in reply.text
    assert reply.requests == ["GET /nodes/pve3/status"]


async def test_a_nodes_state_in_full(tell: Tell) -> None:
    data = (await tell("get_node_status", node="pve1", detail="full")).data
    assert data["cpuinfo"]["model"] == "AMD Ryzen 7 5825U with Radeon Graphics"
    assert data["boot_mode"] == "efi"
    assert data["ksm_shared"] == 0


async def test_services_and_those_that_are_dead(tell: Tell) -> None:
    everything = (await tell("get_node_services", node="pve3")).data
    states = {service["service"]: service["state"] for service in everything["services"]}
    assert (states["pveproxy"], states["postfix"]) == ("running", "dead")
    dead = await tell("get_node_services", node="pve3", state="dead", detail="full")
    postfix = next(service for service in dead.data["services"] if service["service"] == "postfix")
    assert (postfix["unit_state"], "desc" in postfix) == ("disabled", True)
    assert all(service["state"] == "dead" for service in dead.data["services"])
    assert dead.requests == ["GET /nodes/pve3/services"]


async def test_services_come_in_pages(tell: Tell) -> None:
    first = (await tell("get_node_services", node="pve1", limit=2)).data
    second = (await tell("get_node_services", node="pve1", limit=500, cursor=first["next_cursor"])).data
    names = [service["service"] for service in first["services"] + second["services"]]
    assert names == sorted(names)
    assert len(names) == first["total"]


@pytest.mark.parametrize("simulator", [Simulator({"nodes": {"n": {"timezone": "Europe/Vienna"}}})], ids=["Vienna"])
async def test_a_nodes_clock(tell: Tell) -> None:
    reply = await tell("get_node_time", node="n")
    assert reply.data == {
        "node": "n",
        "time": 1767225600,
        "localtime": "2026-01-01 01:00:00",
        "timezone": "Europe/Vienna",
    }
    assert "time: 2026-01-01T00:00:00Z" in reply.text


async def test_network_interfaces(tell: Tell, era: Era) -> None:
    reply = await tell("get_node_network", node="pve1", type="bridge", _era=era)
    [bridge] = reply.data["interfaces"]
    assert bridge == {
        "iface": "vmbr0",
        "type": "bridge",
        "active": True,
        "autostart": True,
        "cidr": "10.10.10.11/24",
        "gateway": "10.10.10.1",
        "bridge_ports": "eno1",
    }
    assert reply.requests == ["GET /nodes/pve1/network"]
    full = (await tell("get_node_network", node="pve1", type="bridge", detail="full")).data["interfaces"][0]
    assert full["options"]["bridge_stp"] == "off"


VLANS = {
    "eno1": {"type": "eth"},
    "bond0": {"type": "bond", "slaves": "eno1", "bond_mode": "active-backup", "mtu": 9000, "comments": "to the rack\n"},
    "eno1.7": {"type": "vlan", "vlan-id": 7, "vlan-raw-device": "eno1"},
}


@pytest.mark.parametrize("simulator", [Simulator({"nodes": {"n": {"network": VLANS}}})], ids=["bond and VLAN"])
async def test_bonds_and_vlans(tell: Tell) -> None:
    found = {entry["iface"]: entry for entry in (await tell("get_node_network", node="n")).data["interfaces"]}
    assert (found["bond0"]["slaves"], found["bond0"]["mtu"], found["bond0"]["comments"]) == (
        "eno1",
        "9000",
        "to the rack",
    )
    assert found["eno1.7"]["vlan"] == "7 on eno1"


@pytest.mark.parametrize("tool", TOOLS)
async def test_an_unknown_node_is_answered_with_advice(tell: Tell, tool: str) -> None:
    reply = await tell(tool, node="pve9")
    assert reply.is_error
    assert reply.text == "There is no node pve9 that this cluster can reach. Call get_nodes for the names."


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    "simulator",
    [Simulator({"cluster": {"name": "c"}, "nodes": {"a": {}, "b": {}, "c": {"online": False}}})],
    ids=["one is off"],
)
async def test_a_node_that_is_off_is_told(tell: Tell, tool: str) -> None:
    reply = await tell(tool, node="c")
    assert reply.is_error
    assert reply.text.startswith("Node c gives no answer: No route to host (status 595).")


@pytest.mark.parametrize("tool", ["get_node_status", "get_node_services", "get_node_time"])
async def test_without_the_privilege_nothing_is_told(tell: Tell, tool: str) -> None:
    reply = await tell(tool, node="pve1", _user="alice@pve")
    assert reply.is_error
    assert "privilege Sys.Audit on path /nodes/pve1 is missing" in reply.text


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_node_must_be_named(tell: Tell, tool: str) -> None:
    assert "node: is required" in (await tell(tool)).text
