"""Subnets, the addresses in use, and the firewall of a virtual network."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import small_simulator

VNETS = "/cluster/sdn/vnets"
SUBNETS, IPS = f"{VNETS}/v1/subnets", f"{VNETS}/v1/ips"
FIREWALL = f"{VNETS}/v1/firewall"
ONE = f"{SUBNETS}/z1-10.0.0.0-24"
STATUS = "/cluster/sdn/ipams/pve/status"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    simulator.request("POST", "/cluster/sdn/zones", {"type": "simple", "zone": "z1", "ipam": "pve"})
    simulator.request("POST", VNETS, {"vnet": "v1", "zone": "z1"})
    given = {"type": "subnet", "subnet": "10.0.0.0/24", "gateway": "10.0.0.1", "snat": 1}
    ranges = ["start-address=10.0.0.10,end-address=10.0.0.20"]
    simulator.request("POST", SUBNETS, {**given, "dhcp-range": ranges})
    return simulator


def refusal(simulator: Simulator, verb: str, path: str, params: dict[str, Any]) -> str:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert not before.diff(simulator.world)
    return caught.value.message


def test_a_subnet_is_named_by_zone_and_range(simulator: Simulator) -> None:
    shown = simulator.request("GET", ONE)
    assert shown == {
        "cidr": "10.0.0.0/24", "dhcp-range": [{"start-address": "10.0.0.10", "end-address": "10.0.0.20"}],
        "digest": shown["digest"], "gateway": "10.0.0.1", "id": "z1-10.0.0.0-24", "mask": "24", "network": "10.0.0.0",
        "snat": 1, "subnet": "z1-10.0.0.0-24", "type": "subnet", "vnet": "v1", "zone": "z1",
    }  # fmt: skip
    simulator.request("PUT", ONE, {"delete": "snat,dhcp-range", "gateway": "10.0.0.2"})
    shown = simulator.request("GET", SUBNETS)[0]
    assert (shown["gateway"], "snat" in shown, shown["dhcp-range"]) == ("10.0.0.2", False, [])


def test_rolling_back_restores_ranges(simulator: Simulator) -> None:
    simulator.request("PUT", "/cluster/sdn")
    before = simulator.request("GET", ONE)
    simulator.request("DELETE", ONE)
    simulator.request("POST", "/cluster/sdn/rollback")
    assert simulator.request("GET", ONE) == before


@pytest.mark.parametrize(
    ("verb", "path", "params", "message"),
    [
        ("POST", SUBNETS, {"type": "subnet", "subnet": "10.0.0.0/24"},
         "create sdn subnet object failed: sdn subnet object ID 'z1-10.0.0.0-24' already defined"),
        ("POST", SUBNETS, {"type": "subnet", "subnet": "10.1.0.0/24", "gateway": "10.2.0.1"},
         "create sdn subnet object failed: 400 Parameter verification failed.\n"
         "gateway: 10.2.0.1 is not in subnet 10.1.0.0/24"),
        ("PUT", f"{SUBNETS}/z1-10.9.0.0-24", {"snat": 1},
         "update sdn subnet object failed: sdn subnet 'z1-10.9.0.0-24' does not exist"),
        ("GET", f"{SUBNETS}/nonsense", {}, "sdn subnet 'nonsense' does not exist"),
        ("GET", f"{VNETS}/v9/subnets", {}, "sdn vnet 'v9' does not exist"),
        ("DELETE", f"{VNETS}/v1", {},
         "delete sdn vnet object failed: 400 Parameter verification failed.\n"
         "vnet: Can't delete vnet if subnets exists"),
        ("PUT", f"{VNETS}/v1", {"vlanaware": 1},
         "update sdn vnet object failed: 400 Parameter verification failed.\n"
         "vlanaware: vlanaware vnet is not compatible with subnets"),
        ("POST", IPS, {"zone": "z1", "ip": "10.0.0.1"}, "IP '10.0.0.1' already exist"),
        ("POST", IPS, {"zone": "z1", "ip": "10.9.0.1"}, "can't find any subnet for ip 10.9.0.1"),
        ("DELETE", IPS, {"zone": "z1", "ip": "10.0.0.9"}, "IP '10.0.0.9' does not exist in IPAM DB"),
        ("POST", SUBNETS, {"type": "subnet", "subnet": "10.0.0.1/24"}, "Parameter verification failed."),
    ],
)  # fmt: skip
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], message: str
) -> None:
    assert refusal(simulator, verb, path, params) == message


def test_addresses_come_and_go(simulator: Simulator) -> None:
    gateway = {
        "gateway": 1,
        "hostname": "v1-gw",
        "ip": "10.0.0.1",
        "subnet": "z1-10.0.0.0-24",
        "vnet": "v1",
        "zone": "z1",
    }
    assert simulator.request("GET", STATUS) == [gateway]
    simulator.request("POST", IPS, {"zone": "z1", "ip": "10.0.0.5", "mac": "bc:24:11:00:00:01"})
    simulator.request("PUT", IPS, {"zone": "z1", "ip": "10.0.0.6", "mac": "BC:24:11:00:00:01", "vmid": 100})
    rows = simulator.request("GET", STATUS)
    assert [(row["ip"], row.get("mac"), row.get("vmid")) for row in rows] == [
        ("10.0.0.1", None, None),
        ("10.0.0.6", "BC:24:11:00:00:01", 100),
    ]
    assert refusal(simulator, "DELETE", ONE, {}) == (
        "delete sdn subnet object failed: cannot delete subnet 'z1-10.0.0.0-24', not empty"
    )
    simulator.request("DELETE", IPS, {"zone": "z1", "ip": "10.0.0.6"})
    simulator.request("DELETE", ONE)
    assert simulator.request("GET", STATUS) == []
    assert refusal(simulator, "GET", "/cluster/sdn/ipams/other/status", {}) == "Currently only PVE IPAM is supported!"


def test_a_vnet_has_a_firewall_for_what_it_forwards(simulator: Simulator) -> None:
    rule = {"type": "forward", "action": "ACCEPT", "proto": "tcp", "dport": "443", "enable": 1}
    simulator.request("POST", f"{FIREWALL}/rules", rule)
    shown = simulator.request("GET", f"{FIREWALL}/rules")[0]
    assert (shown["type"], shown["dport"], shown["pos"]) == ("forward", "443", 0)
    simulator.request("PUT", f"{FIREWALL}/rules/0", {"comment": "web"})
    assert simulator.request("GET", f"{FIREWALL}/rules/0")["comment"] == "web"
    simulator.request("DELETE", f"{FIREWALL}/rules/0")
    assert simulator.request("GET", f"{FIREWALL}/rules") == []
    simulator.request("PUT", f"{FIREWALL}/options", {"enable": 1, "policy_forward": "DROP"})
    assert simulator.request("GET", f"{FIREWALL}/options")["policy_forward"] == "DROP"


@pytest.mark.parametrize(
    ("rule", "errors"),
    [
        ({"type": "in", "action": "ACCEPT"}, {"type": "unknown rule type 'in'"}),
        ({"action": "ACCEPT"}, {"type": "property is missing and it is not optional"}),
    ],
)
def test_a_vnet_has_no_rules_for_what_ends_in_it(
    simulator: Simulator, rule: dict[str, Any], errors: dict[str, str]
) -> None:
    with pytest.raises(ApiError) as caught:
        simulator.request("POST", f"{FIREWALL}/rules", rule)
    assert (caught.value.status, caught.value.errors) == (400, errors)
