"""The network configuration of a node: pending changes, the difference, apply and revert."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from pvesim.nodes.network import changes
from pvesim.wire import WireRequest
from tests.pvesim.small_world import give

NETWORK = "/nodes/pve1/network"
BRIDGE = {"iface": "vmbr9", "type": "bridge", "cidr": "10.99.0.1/24", "autostart": 1}


@pytest.fixture
def simulator() -> Simulator:
    return Simulator("single-node")


def names(simulator: Simulator, **params: str) -> list[str]:
    return sorted(row["iface"] for row in simulator.request("GET", NETWORK, params))


def test_the_list_of_a_fresh_node(simulator: Simulator) -> None:
    assert names(simulator) == ["eno1", "vmbr0"]
    shown = simulator.request("GET", f"{NETWORK}/vmbr0")
    assert shown == {
        "active": 1, "address": "10.10.10.11", "autostart": 1, "bridge_fd": "0", "bridge_ports": "eno1",
        "bridge_stp": "off", "cidr": "10.10.10.11/24", "families": ["inet"], "gateway": "10.10.10.1",
        "method": "static", "method6": "manual", "netmask": "24", "priority": 4, "type": "bridge",
    }  # fmt: skip


def test_a_new_bridge_waits_for_apply(simulator: Simulator) -> None:
    assert simulator.request("POST", NETWORK, BRIDGE) is None
    assert simulator.request("GET", f"{NETWORK}/vmbr9") == {
        "address": "10.99.0.1", "autostart": 1, "bridge_fd": "0", "bridge_ports": "", "bridge_stp": "off",
        "cidr": "10.99.0.1/24", "families": ["inet"], "method": "static", "method6": "manual", "netmask": "24",
        "priority": 5, "type": "bridge",
    }  # fmt: skip
    difference = changes(simulator.world, "pve1")
    added = [line for line in difference.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert added == [
        "+auto vmbr9", "+iface vmbr9 inet static", "+\taddress 10.99.0.1/24", "+\tbridge-ports none",
        "+\tbridge-stp off", "+\tbridge-fd 0", "+",
    ]  # fmt: skip
    assert not [line for line in difference.splitlines() if line.startswith("-") and not line.startswith("---")]
    upid = simulator.request("PUT", NETWORK)
    assert ":srvreload:networking:" in upid
    simulator.clock.run_until_done(upid)
    assert simulator.request("GET", f"{NETWORK}/vmbr9")["active"] == 1
    assert changes(simulator.world, "pve1") == ""


def test_changes_stand_beside_the_data(simulator: Simulator) -> None:
    secret = simulator.request("POST", "/access/users/root@pam/token/test", {"privsep": 0})["value"]
    headers = {"authorization": f"PVEAPIToken=root@pam!test={secret}"}
    request = WireRequest("GET", f"/api2/json{NETWORK}", headers=headers)
    assert "changes" not in json.loads(simulator.handle(request).body)
    simulator.request("POST", NETWORK, BRIDGE)
    assert "vmbr9" in json.loads(simulator.handle(request).body)["changes"]


def test_revert_forgets(simulator: Simulator) -> None:
    simulator.request("POST", NETWORK, BRIDGE)
    simulator.request("DELETE", NETWORK)
    assert names(simulator) == ["eno1", "vmbr0"]
    simulator.request("DELETE", NETWORK)


def test_deleting_what_was_added_leaves_no_change(simulator: Simulator) -> None:
    simulator.request("POST", NETWORK, BRIDGE)
    simulator.request("DELETE", f"{NETWORK}/vmbr9")
    assert changes(simulator.world, "pve1") == ""


def test_a_card_stays_when_its_settings_go(simulator: Simulator) -> None:
    simulator.request("DELETE", f"{NETWORK}/eno1")
    assert names(simulator) == ["eno1", "vmbr0"]
    simulator.request("DELETE", f"{NETWORK}/vmbr0")
    assert names(simulator) == ["eno1"]


def test_what_is_not_started_by_itself_stays_down(simulator: Simulator) -> None:
    simulator.request("POST", NETWORK, {"iface": "vmbr8", "type": "bridge"})
    simulator.clock.run_until_done(simulator.request("PUT", NETWORK))
    shown = simulator.request("GET", f"{NETWORK}/vmbr8")
    assert "active" not in shown
    assert (shown["method"], "autostart" in shown) == ("manual", False)


def test_update_changes_and_deletes(simulator: Simulator) -> None:
    update = {"type": "bridge", "cidr": "10.10.10.12/16", "comments": "moved", "delete": "gateway"}
    simulator.request("PUT", f"{NETWORK}/vmbr0", update)
    shown = simulator.request("GET", f"{NETWORK}/vmbr0")
    assert (shown["address"], shown["netmask"], shown["bridge_ports"]) == ("10.10.10.12", "16", "eno1")
    assert shown["comments"] == "moved\n"
    assert "gateway" not in shown
    simulator.request("PUT", f"{NETWORK}/vmbr0", {"type": "bridge", "delete": "cidr"})
    shown = simulator.request("GET", f"{NETWORK}/vmbr0")
    assert (shown["method"], "address" in shown, "netmask" in shown) == ("manual", False, False)


def test_a_vlan_by_its_name(simulator: Simulator) -> None:
    simulator.request("POST", NETWORK, {"iface": "vmbr0.5", "type": "vlan", "mtu": 1400})
    shown = simulator.request("GET", f"{NETWORK}/vmbr0.5")
    assert (shown["vlan-raw-device"], shown["vlan-id"], shown["mtu"]) == ("vmbr0", "5", "1400")


def test_an_address_and_a_mask_make_a_network(simulator: Simulator) -> None:
    given = {"iface": "vmbr7", "type": "bridge", "address": "10.97.0.1", "netmask": "255.255.0.0"}
    simulator.request("POST", NETWORK, {**given, "cidr6": "fd00::1/64"})
    shown = simulator.request("GET", f"{NETWORK}/vmbr7")
    assert (shown["cidr"], shown["netmask"], shown["families"]) == ("10.97.0.1/16", "16", ["inet", "inet6"])
    assert (shown["address6"], shown["netmask6"], shown["method6"]) == ("fd00::1", "64", "static")
    assert "+iface vmbr7 inet6 static" in changes(simulator.world, "pve1")


@pytest.mark.parametrize(
    ("verb", "path", "params", "errors"),
    [
        ("POST", NETWORK, {"iface": "vmbr0", "type": "bridge"}, {"iface": "interface already exists"}),
        ("POST", NETWORK, {**BRIDGE, "gateway": "10.99.0.254"},
         {"gateway": "Default gateway already exists on interface 'vmbr0'."}),
        ("GET", f"{NETWORK}/vmbr77", {}, {"iface": "interface does not exist"}),
        ("DELETE", f"{NETWORK}/vmbr77", {}, {"iface": "interface does not exist"}),
        ("PUT", f"{NETWORK}/vmbr77", {"type": "bridge"}, {"iface": "interface does not exist"}),
        ("POST", NETWORK, {"iface": "vlan7", "type": "vlan", "vlan-raw-device": "eno9", "vlan-id": 7},
         {"vlan-raw-device": "interface 'eno9' does not exist"}),
    ],
)  # fmt: skip
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], errors: dict[str, str]
) -> None:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert (caught.value.status, caught.value.errors) == (400, errors)
    assert not before.diff(simulator.world)


def test_filters(simulator: Simulator) -> None:
    assert names(simulator, type="eth") == ["eno1"]
    assert names(simulator, type="any_bridge") == names(simulator, type="bridge") == ["vmbr0"]
    assert names(simulator, type="bond") == []


def test_bridges_that_one_may_use(simulator: Simulator) -> None:
    simulator.request("POST", "/access/users", {"userid": "alice@pve"})
    assert simulator.request("GET", NETWORK, {"type": "any_bridge"}, user="alice@pve") == []
    give(simulator.world, "alice@pve", "/sdn/zones/localnetwork/vmbr0", "PVESDNUser")
    rows = simulator.request("GET", NETWORK, {"type": "any_bridge"}, user="alice@pve")
    assert [row["iface"] for row in rows] == ["vmbr0"]
