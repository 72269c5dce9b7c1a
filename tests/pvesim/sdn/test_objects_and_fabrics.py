"""Controllers, address managers, name servers; fabrics with their nodes."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import small_simulator

SDN = "/cluster/sdn"
FABRIC, NODE = f"{SDN}/fabrics/fabric", f"{SDN}/fabrics/node"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    simulator.request("POST", FABRIC, {"id": "f1", "protocol": "openfabric", "ip_prefix": "10.9.0.0/24"})
    for number in (1, 2):
        part = {"node_id": f"pve{number}", "protocol": "openfabric", "ip": f"10.9.0.{number}"}
        simulator.request("POST", f"{NODE}/f1", {**part, "interfaces": ["name=eno1"]})
    return simulator


def refusal(simulator: Simulator, verb: str, path: str, params: dict[str, Any]) -> str:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert not before.diff(simulator.world)
    return caught.value.message


def test_pve_is_always_an_address_manager(simulator: Simulator) -> None:
    assert [row["ipam"] for row in simulator.request("GET", f"{SDN}/ipams")] == ["pve"]
    assert simulator.request("GET", f"{SDN}/ipams/pve")["type"] == "pve"
    box = {"ipam": "box", "type": "netbox", "url": "https://box", "token": "t"}
    simulator.request("POST", f"{SDN}/ipams", box)
    simulator.request("PUT", f"{SDN}/ipams/box", {"url": "https://other"})
    assert simulator.request("GET", f"{SDN}/ipams/box")["url"] == "https://other"
    assert [row["ipam"] for row in simulator.request("GET", f"{SDN}/ipams", {"type": "netbox"})] == ["box"]
    simulator.request("DELETE", f"{SDN}/ipams/pve")
    simulator.request("DELETE", f"{SDN}/ipams/box")
    assert [row["ipam"] for row in simulator.request("GET", f"{SDN}/ipams")] == ["pve"]


def test_a_name_server_in_use_stays(simulator: Simulator) -> None:
    simulator.request("POST", f"{SDN}/dns", {"dns": "ns1", "type": "powerdns", "url": "http://ns", "key": "k"})
    zone = {"type": "simple", "zone": "z1", "dns": "ns1", "dnszone": "example.test"}
    simulator.request("POST", f"{SDN}/zones", zone)
    assert refusal(simulator, "DELETE", f"{SDN}/dns/ns1", {}) == (
        "delete sdn dns object failed: dns ns1 is used by zone z1"
    )
    simulator.request("DELETE", f"{SDN}/zones/z1")
    simulator.request("DELETE", f"{SDN}/dns/ns1")
    assert simulator.request("GET", f"{SDN}/dns") == []


def test_an_evpn_zone_needs_its_controller(simulator: Simulator) -> None:
    simulator.request(
        "POST", f"{SDN}/controllers", {"controller": "ev1", "type": "evpn", "asn": 65000, "peers": "10.0.0.1"}
    )
    simulator.request("POST", f"{SDN}/zones", {"type": "evpn", "zone": "ez", "controller": "ev1", "vrf-vxlan": 100})
    assert simulator.request("GET", f"{SDN}/zones/ez")["mac"].startswith("BC:24:11:")
    assert refusal(simulator, "POST", f"{SDN}/controllers", {"controller": "ev2", "type": "evpn", "asn": 1}) == (
        "create sdn controller object failed: only 1 global evpn controller can be defined"
    )
    assert refusal(simulator, "POST", f"{SDN}/controllers", {"controller": "b1", "type": "bgp", "asn": 1}) == (
        "missing value for required option 'node'"
    )
    assert simulator.request("GET", f"{SDN}/controllers/ev1", {"pending": 1})["state"] == "new"
    simulator.request("PUT", f"{SDN}/controllers/ev1", {"asn": 65001})
    assert simulator.request("GET", f"{SDN}/controllers")[0]["asn"] == 65001


def test_a_fabric_with_its_nodes(simulator: Simulator) -> None:
    everything = simulator.request("GET", f"{SDN}/fabrics/all")
    assert [row["id"] for row in everything["fabrics"]] == ["f1"]
    assert [(row["node_id"], row["interfaces"]) for row in everything["nodes"]] == [
        ("pve1", ["name=eno1"]),
        ("pve2", ["name=eno1"]),
    ]
    simulator.request("PUT", f"{FABRIC}/f1", {"protocol": "openfabric", "hello_interval": 5})
    assert simulator.request("GET", f"{FABRIC}/f1")["hello_interval"] == 5
    simulator.request("PUT", f"{NODE}/f1/pve2", {"protocol": "openfabric", "ip": "10.9.0.9"})
    assert simulator.request("GET", f"{NODE}/f1/pve2")["ip"] == "10.9.0.9"
    simulator.request("DELETE", f"{NODE}/f1/pve2")
    assert [row["node_id"] for row in simulator.request("GET", f"{NODE}/f1")] == ["pve1"]
    simulator.request("DELETE", f"{FABRIC}/f1")
    assert simulator.request("GET", NODE) == simulator.request("GET", FABRIC) == []


@pytest.mark.parametrize(
    ("verb", "path", "params", "message"),
    [
        ("POST", FABRIC, {"id": "f1", "protocol": "ospf", "area": "0"},
         "adding fabric failed: fabric 'f1' already exists in config"),
        ("POST", FABRIC, {"id": "f2", "protocol": "openfabric"},
         "adding fabric failed: fabric 'f2' has neither an IPv4 nor an IPv6 prefix"),
        ("GET", f"{FABRIC}/f9", {}, "fabric 'f9' does not exist in configuration"),
        ("GET", f"{NODE}/f1/pve9", {}, "node 'pve9' does not exist in fabric 'f1'"),
        ("PUT", f"{NODE}/f1/pve1", {"protocol": "openfabric", "ip": "10.8.0.1"},
         "updating node failed: node IP 10.8.0.1 is outside the IP prefix 10.9.0.0/24 of the fabric"),
        ("PUT", f"{NODE}/f1/pve1", {"protocol": "openfabric", "ip": "10.9.0.2"},
         "updating node failed: IP 10.9.0.2 is already used by another node of the fabric"),
        ("PUT", f"{FABRIC}/f1", {"protocol": "ospf", "area": "0"},
         "updating fabric failed: protocol is 'openfabric' and cannot be changed to 'ospf'"),
    ],
)  # fmt: skip
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], message: str
) -> None:
    assert refusal(simulator, verb, path, params) == message


def test_nodes_see_each_other_once_the_fabric_runs(simulator: Simulator) -> None:
    local = "/nodes/pve1/sdn/fabrics/f1"
    assert refusal(simulator, "GET", f"{local}/neighbors", {}) == "fabric 'f1' does not exist in configuration"
    simulator.clock.run_until_done(simulator.request("PUT", SDN))
    neighbors = simulator.request("GET", f"{local}/neighbors")
    assert [(row["neighbor"], row["status"]) for row in neighbors] == [("pve2", "Up")]
    assert simulator.request("GET", f"{local}/routes") == [{"route": "10.9.0.2/32", "via": ["10.0.0.2"]}]
    assert [row["name"] for row in simulator.request("GET", f"{local}/interfaces")] == ["eno1"]
