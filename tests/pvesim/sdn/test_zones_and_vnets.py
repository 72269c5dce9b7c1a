"""Zones and virtual networks: writes, refusals, and what is pending until it is applied."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import give, small_simulator

ZONES, VNETS = "/cluster/sdn/zones", "/cluster/sdn/vnets"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    simulator.request("POST", ZONES, {"type": "simple", "zone": "z1", "ipam": "pve"})
    simulator.request("POST", ZONES, {"type": "vlan", "zone": "vl", "bridge": "vmbr0"})
    simulator.request("POST", VNETS, {"vnet": "v1", "zone": "z1", "alias": "first net"})
    return simulator


def apply(simulator: Simulator) -> str:
    upid: str = simulator.request("PUT", "/cluster/sdn")
    simulator.clock.run_until_done(upid)
    simulator.clock.advance(5)
    return upid


def test_what_is_written_is_read(simulator: Simulator) -> None:
    zone = simulator.request("GET", f"{ZONES}/z1")
    digest = zone.pop("digest")
    assert zone == {"ipam": "pve", "type": "simple", "zone": "z1"}
    assert [row["zone"] for row in simulator.request("GET", ZONES, {"type": "vlan"})] == ["vl"]
    simulator.request("PUT", f"{ZONES}/z1", {"mtu": 1400, "nodes": "pve1", "digest": digest})
    assert simulator.request("GET", f"{ZONES}/z1")["nodes"] == "pve1"
    simulator.request("PUT", f"{ZONES}/z1", {"delete": "nodes,mtu"})
    assert "mtu" not in simulator.request("GET", f"{ZONES}/z1")
    vnet = simulator.request("GET", VNETS)[0]
    assert vnet == {"alias": "first net", "digest": vnet["digest"], "type": "vnet", "vnet": "v1", "zone": "z1"}


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", ZONES, {"type": "simple", "zone": "z1"},
     "create sdn zone object failed: sdn zone object ID 'z1' already defined"),
    ("POST", ZONES, {"type": "vlan", "zone": "z2"}, "missing value for required option 'bridge'"),
    ("POST", ZONES, {"type": "simple", "zone": "z2", "bridge": "vmbr0"}, "unexpected property 'bridge'"),
    ("POST", ZONES, {"type": "simple", "zone": "z2", "ipam": "no"},
     "create sdn zone object failed: 400 Parameter verification failed.\nipam: no not existing"),
    ("POST", ZONES, {"type": "evpn", "zone": "z2", "controller": "c", "vrf-vxlan": 5},
     "create sdn zone object failed: 400 Parameter verification failed.\ncontroller: c don't exist"),
    ("PUT", f"{ZONES}/z1", {"mtu": 1400, "digest": "0" * 40},
     "update sdn zone object failed: detected modified configuration - file changed by other user? Try again."),
    ("PUT", f"{ZONES}/z9", {"mtu": 1400}, "update sdn zone object failed: sdn 'z9' does not exist"),
    ("GET", f"{ZONES}/z9", {}, "sdn 'z9' does not exist"),
    ("DELETE", f"{ZONES}/z1", {}, "delete sdn zone object failed: zone z1 is used by vnet v1"),
    ("POST", VNETS, {"vnet": "v1", "zone": "z1"},
     "create sdn vnet object failed: sdn vnet object ID 'v1' already defined"),
    ("POST", VNETS, {"vnet": "v2", "zone": "z9"}, "create sdn vnet object failed: cannot lookup undefined type!"),
    ("POST", VNETS, {"vnet": "v2", "zone": "z1", "tag": 5},
     "create sdn vnet object failed: 400 Parameter verification failed.\ntag: vlan tag is not allowed on simple zone"),
    ("POST", VNETS, {"vnet": "v2", "zone": "vl"},
     "create sdn vnet object failed: 400 Parameter verification failed.\ntag: missing vlan tag"),
    ("POST", VNETS, {"vnet": "v2", "zone": "vl", "tag": 4097},
     "create sdn vnet object failed: 400 Parameter verification failed.\ntag: vlan tag max value is 4096"),
    ("GET", f"{VNETS}/v9", {}, "sdn vnet 'v9' does not exist"),
    ("DELETE", f"{VNETS}/v9", {}, "sdn vnet 'v9' does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "path", "params", "message"), REFUSED)
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], message: str
) -> None:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert (caught.value.status, caught.value.message) == (500, message)
    assert not before.diff(simulator.world)


def test_a_tag_is_used_once_on_a_bridge(simulator: Simulator) -> None:
    simulator.request("POST", ZONES, {"type": "vlan", "zone": "vl2", "bridge": "vmbr0"})
    simulator.request("POST", ZONES, {"type": "vlan", "zone": "vl3", "bridge": "vmbr1"})
    simulator.request("POST", VNETS, {"vnet": "v2", "zone": "vl", "tag": 7})
    simulator.request("POST", VNETS, {"vnet": "v3", "zone": "vl3", "tag": 7})
    with pytest.raises(ApiError, match="create sdn vnet object failed: 400"):
        simulator.request("POST", VNETS, {"vnet": "v4", "zone": "vl2", "tag": 7})


def test_changes_are_pending_until_they_are_applied(simulator: Simulator) -> None:
    assert simulator.request("GET", VNETS, {"running": 1}) == []
    new = simulator.request("GET", f"{VNETS}/v1", {"pending": 1})
    assert (new["state"], new["pending"]["zone"], "zone" in new) == ("new", "z1", False)
    apply(simulator)
    assert "state" not in simulator.request("GET", f"{VNETS}/v1", {"pending": 1})
    simulator.request("PUT", f"{VNETS}/v1", {"isolate-ports": 1, "delete": "alias"})
    changed = simulator.request("GET", f"{VNETS}/v1", {"pending": 1})
    assert (changed["state"], changed["alias"]) == ("changed", "first net")
    assert changed["pending"] == {"alias": "deleted", "isolate-ports": 1}
    simulator.request("DELETE", f"{VNETS}/v1")
    assert simulator.request("GET", f"{VNETS}/v1", {"pending": 1})["state"] == "deleted"
    assert simulator.request("GET", f"{VNETS}/v1", {"running": 1})["alias"] == "first net"
    simulator.request("POST", "/cluster/sdn/rollback")
    assert simulator.request("GET", f"{VNETS}/v1")["alias"] == "first net"


def test_apply_reloads_every_node(simulator: Simulator) -> None:
    before = simulator.request("GET", "/nodes/pve2/sdn/zones")
    upid = apply(simulator)
    log = [line["t"] for line in simulator.request("GET", f"/nodes/pve1/tasks/{upid}/log")]
    assert log == ["pve1: reloading network config", "pve2: reloading network config", "TASK OK"]
    reloads = [task for task in simulator.request("GET", "/cluster/tasks") if task["type"] == "srvreload"]
    assert sorted((task["node"], task["id"], task["status"]) for task in reloads) == [
        ("pve1", "networking", "OK"),
        ("pve2", "networking", "OK"),
    ]
    assert before == []
    zones = simulator.request("GET", "/nodes/pve2/sdn/zones")
    assert zones == [{"status": "available", "zone": "vl"}, {"status": "available", "zone": "z1"}]


def test_between_commit_and_reload_zones_are_pending(simulator: Simulator) -> None:
    simulator.request("PUT", "/cluster/sdn")
    assert {row["status"] for row in simulator.request("GET", "/nodes/pve1/sdn/zones")} == {"pending"}


def test_a_vnet_is_a_bridge_of_the_nodes_of_its_zone(simulator: Simulator) -> None:
    simulator.request("PUT", f"{ZONES}/z1", {"nodes": "pve1"})
    apply(simulator)

    def bridges(node: str) -> list[str]:
        return [row["iface"] for row in simulator.request("GET", f"/nodes/{node}/network", {"type": "any_bridge"})]

    assert ("v1" in bridges("pve1"), "v1" in bridges("pve2")) == (True, False)
    simulator.request("PUT", "/nodes/pve1/qemu/101/config", {"net0": "virtio,bridge=v1"})
    upid = simulator.request("POST", "/nodes/pve1/qemu/101/status/start")
    simulator.clock.run_until_done(upid)
    assert simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")["exitstatus"] == "OK"
    ports = simulator.request("GET", "/nodes/pve1/sdn/zones/z1/bridges")[0]["ports"]
    assert ports == [{"index": "net0", "name": "tap101i0", "vmid": 101}]
    assert simulator.request("GET", "/nodes/pve1/sdn/zones/z1/content") == [{"status": "available", "vnet": "v1"}]


def test_resources_show_the_zones_that_run(simulator: Simulator) -> None:
    apply(simulator)
    rows = [row for row in simulator.request("GET", "/cluster/resources") if row["type"] == "network"]
    assert {row["id"] for row in rows} >= {
        "network/pve1/zone/z1",
        "network/pve2/zone/vl",
        "network/pve1/zone/localnetwork",
    }
    assert {row["zone-type"] for row in rows if row["network"] == "z1"} == {"simple"}


def test_who_may_see_which(simulator: Simulator) -> None:
    give(simulator.world, "alice@pve", "/sdn/zones/z1/v1", "PVESDNUser")
    assert [row["vnet"] for row in simulator.request("GET", VNETS, user="alice@pve")] == ["v1"]
    assert simulator.request("GET", ZONES, user="alice@pve") == []
    with pytest.raises(ApiError) as caught:
        simulator.request("DELETE", f"{VNETS}/v1", user="alice@pve")
    assert (caught.value.status, caught.value.message) == (
        403,
        "Permission check failed (/sdn/zones/z1/v1, SDN.Allocate)",
    )


def test_a_lock_asks_for_its_token(simulator: Simulator) -> None:
    with pytest.raises(ApiError) as caught:
        simulator.request("POST", "/cluster/sdn/lock")
    assert caught.value.message == "could not acquire lock for SDN config: configuration has pending changes"
    token = simulator.request("POST", "/cluster/sdn/lock", {"allow-pending": 1})
    with pytest.raises(ApiError, match="update sdn zone object failed: invalid lock token provided!"):
        simulator.request("PUT", f"{ZONES}/z1", {"mtu": 1400})
    simulator.request("PUT", f"{ZONES}/z1", {"mtu": 1400, "lock-token": token})
    simulator.request("PUT", "/cluster/sdn", {"lock-token": token})
    simulator.request("PUT", f"{ZONES}/z1", {"mtu": 1300})
    token = simulator.request("POST", "/cluster/sdn/lock", {"allow-pending": 1})
    with pytest.raises(ApiError):
        simulator.request("DELETE", "/cluster/sdn/lock", {"lock-token": "other"})
    simulator.request("DELETE", "/cluster/sdn/lock", {"lock-token": token})


def test_the_difference_that_an_apply_would_make(simulator: Simulator) -> None:
    shown = simulator.request("GET", "/cluster/sdn/dry-run", {"node": "pve1"})["interfaces-diff"]
    assert "+iface v1\n" in shown
    assert "+\talias first net\n" in shown
    apply(simulator)
    assert simulator.request("GET", "/cluster/sdn/dry-run", {"node": "pve1"})["interfaces-diff"] == ""


def test_the_nodes_own_bridges_are_a_zone_of_their_own() -> None:
    simulator = Simulator("single-node")
    rows = simulator.request("GET", "/nodes/pve1/sdn/zones/localnetwork/bridges")
    assert [(row["name"], row["vlan_filtering"]) for row in rows] == [("vmbr0", "0")]
    assert simulator.request("GET", "/nodes/pve1/sdn/zones") == []


def test_what_an_evpn_zone_routes(simulator: Simulator) -> None:
    simulator.request("POST", "/cluster/sdn/controllers", {"controller": "ev1", "type": "evpn", "asn": 65000})
    simulator.request("POST", ZONES, {"type": "evpn", "zone": "ez", "controller": "ev1", "vrf-vxlan": 9, "ipam": "pve"})
    simulator.request("POST", VNETS, {"vnet": "e1", "zone": "ez", "tag": 500})
    subnet = {"type": "subnet", "subnet": "10.7.0.0/24", "gateway": "10.7.0.1"}
    simulator.request("POST", f"{VNETS}/e1/subnets", subnet)
    address = {"zone": "ez", "ip": "10.7.0.5", "mac": "BC:24:11:00:00:64", "vmid": 100}
    simulator.request("PUT", f"{VNETS}/e1/ips", address)
    apply(simulator)
    routes = simulator.request("GET", "/nodes/pve2/sdn/zones/ez/ip-vrf")
    assert routes == [{"ip": "10.7.0.0/24", "metric": 0, "nexthops": ["e1"], "protocol": "kernel"}]
    seen = simulator.request("GET", "/nodes/pve2/sdn/vnets/e1/mac-vrf")
    assert seen == [{"ip": "10.7.0.5", "mac": "BC:24:11:00:00:64", "nexthop": "10.0.0.1"}]
    assert simulator.request("GET", "/nodes/pve1/sdn/vnets/e1/mac-vrf") == []
    with pytest.raises(ApiError, match="sdn 'none' does not exist"):
        simulator.request("GET", "/nodes/pve1/sdn/zones/none/ip-vrf")
