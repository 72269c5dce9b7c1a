"""What has a name: made, changed, read and removed, each kind by the same steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from tests.pvesim.small_world import small_simulator

ENDPOINTS = "/cluster/notifications/endpoints"
MAIL = {"name": "one", "mailto": ["a@example.test"]}
RELAY = {**MAIL, "server": "smtp.example.test", "from-address": "b@example.test"}
PLACES = ("/cluster/firewall", "/nodes/pve1/firewall", "/nodes/pve1/qemu/100/firewall", "/nodes/pve1/lxc/200/firewall")


@pytest.fixture
def simulator() -> Simulator:
    return small_simulator()


@pytest.mark.parametrize(
    ("place", "made", "changes", "key"),
    [
        (f"{ENDPOINTS}/sendmail", MAIL, {"comment": "x"}, "name"),
        (f"{ENDPOINTS}/smtp", RELAY, {"port": 2525}, "name"),
        (f"{ENDPOINTS}/webhook", {"name": "one", "method": "post", "url": "https://hook"}, {"comment": "x"}, "name"),
        (f"{ENDPOINTS}/gotify", {"name": "one", "server": "https://g", "token": "t"}, {"comment": "x"}, "name"),
        ("/cluster/sdn/dns", {"dns": "one", "type": "powerdns", "url": "http://n", "key": "k"}, {"ttl": 60}, "dns"),
        (
            "/cluster/sdn/controllers",
            {"controller": "one", "type": "evpn", "asn": 65000, "peers": "10.0.0.1"},
            {"asn": 65001},
            "controller",
        ),
        (
            "/cluster/mapping/usb",
            {"id": "one", "map": ["node=pve1,id=abcd:0001"]},
            {"map": ["node=pve2,id=abcd:0002"]},
            "id",
        ),
        ("/cluster/mapping/dir", {"id": "one", "map": ["node=pve1,path=/srv"]}, {"description": "x"}, "id"),
    ],
)
def test_named_things(
    simulator: Simulator, place: str, made: dict[str, Any], changes: dict[str, Any], key: str
) -> None:
    simulator.request("POST", place, made)
    with pytest.raises(ApiError, match="already"):
        simulator.request("POST", place, made)
    simulator.request("PUT", f"{place}/one", changes)
    shown = simulator.request("GET", f"{place}/one")
    assert {name: shown[name] for name in changes} == changes
    assert "one" in [row[key] for row in simulator.request("GET", place)]
    simulator.request("DELETE", f"{place}/one")
    assert "one" not in [row[key] for row in simulator.request("GET", place)]
    with pytest.raises(ApiError):
        simulator.request("GET", f"{place}/one")


@pytest.mark.parametrize("place", PLACES)
def test_firewall_rules(simulator: Simulator, place: str) -> None:
    rules = f"{place}/rules"
    for comment in ("first", "second"):
        simulator.request("POST", rules, {"type": "in", "action": "ACCEPT", "comment": comment})
    simulator.request("PUT", f"{rules}/0", {"comment": "changed", "enable": 1})
    assert [row["comment"] for row in simulator.request("GET", rules)] == ["changed", "first"]
    simulator.request("PUT", f"{rules}/0", {"moveto": 2})
    assert [row["comment"] for row in simulator.request("GET", rules)] == ["first", "changed"]
    simulator.request("DELETE", f"{rules}/0")
    assert [(row["pos"], row["comment"]) for row in simulator.request("GET", rules)] == [(0, "changed")]
    with pytest.raises(ApiError):
        simulator.request("DELETE", f"{rules}/1")


def test_what_rules_of_containers_can_refer_to(simulator: Simulator) -> None:
    simulator.request("POST", "/nodes/pve1/lxc/200/firewall/aliases", {"name": "own", "cidr": "10.0.0.7"})
    rows = simulator.request("GET", "/nodes/pve1/lxc/200/firewall/refs", {"type": "alias"})
    assert [(row["name"], row["scope"], row["ref"]) for row in rows] == [("own", "guest", "guest/own")]


def test_snapshots_of_containers(simulator: Simulator) -> None:
    guest = simulator.world.rows(Guest)[200]  # without a volume that could not be snapshotted
    simulator.world.put(replace(guest, config={"hostname": "ct1", "memory": 128}))
    place = "/nodes/pve1/lxc/200/snapshot"
    simulator.clock.run_until_done(simulator.request("POST", place, {"snapname": "before"}))
    simulator.request("PUT", f"{place}/before/config", {"description": "the old days"})
    assert simulator.request("GET", f"{place}/before/config")["description"].strip() == "the old days"
    rows = {row["name"]: row for row in simulator.request("GET", place)}
    assert rows["before"]["description"].strip() == "the old days"
    simulator.clock.run_until_done(simulator.request("DELETE", f"{place}/before"))
    assert [row["name"] for row in simulator.request("GET", place)] == ["current"]


def test_consoles_of_containers(simulator: Simulator) -> None:
    assert simulator.request("POST", "/nodes/pve1/lxc/200/vncproxy")["ticket"].startswith("PVEVNC:")
    assert simulator.request("POST", "/nodes/pve1/lxc/200/spiceproxy")["title"] == "CT 200 - ct1"


def test_what_nodes_and_clusters_say_of_themselves(simulator: Simulator) -> None:
    flags = simulator.request("GET", "/nodes/pve1/capabilities/qemu/cpu-flags")
    assert "aes" in [flag["name"] for flag in flags]
    assert simulator.request("GET", "/nodes/pve1/capabilities/qemu/migration") == {"has-dbus-vmstate": 1}
    assert {row["class"] for row in simulator.request("GET", "/nodes/pve1/hardware/usb")} == {9}
    assert simulator.request("GET", "/cluster/config/apiversion") == 1


@pytest.mark.parametrize(
    ("verb", "path", "params"),
    [
        ("GET", "", {}),
        ("POST", "", {"group": "old", "nodes": "pve1"}),
        ("GET", "/old", {}),
        ("PUT", "/old", {"comment": "x"}),
        ("DELETE", "/old", {}),
    ],
)
def test_groups_of_ha_are_gone(simulator: Simulator, verb: str, path: str, params: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="ha groups have been migrated to rules"):
        simulator.request(verb, f"/cluster/ha/groups{path}", params)
