"""Aliases, IP sets, security groups and references."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.engine import Simulator
from tests.pvesim.access.stage import refusal

CLUSTER = "/cluster/firewall"
VM = "/nodes/pve1/qemu/100/firewall"
PLACES = (CLUSTER, VM, "/nodes/pve1/lxc/200/firewall")
MODIFIED = (500, "detected modified configuration - file changed by other user? Try again.")


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


# -- aliases -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_an_alias_is_made_shown_changed_and_removed(simulator: Simulator, place: str) -> None:
    path = f"{place}/aliases"
    simulator.request("POST", path, {"name": "lan", "cidr": "10.0.0.0/24", "comment": "c"})
    digest = "9c901c131d22b273811905be894ea9220609ee31"  # recorded
    alias = {"name": "lan", "cidr": "10.0.0.0/24", "comment": "c", "ipversion": 4}
    assert simulator.request("GET", path) == [{**alias, "digest": digest}]
    assert simulator.request("GET", f"{path}/LAN") == alias
    simulator.request("PUT", f"{path}/lan", {"cidr": "fd00::1/128", "digest": digest})
    assert simulator.request("GET", f"{path}/lan") == {"name": "lan", "cidr": "fd00::1", "ipversion": 6}
    simulator.request("PUT", f"{path}/lan", {"cidr": "10.0.0.1/32", "rename": "Host"})
    assert [entry["name"] for entry in simulator.request("GET", path)] == ["Host"]
    simulator.request("DELETE", f"{path}/host")
    simulator.request("DELETE", f"{path}/host")
    assert simulator.request("GET", path) == []


@pytest.mark.parametrize(
    ("verb", "path", "params", "expected"),
    [
        ("POST", "", {"name": "LAN", "cidr": "10.0.0.1"}, (400, {"name": "alias 'LAN' already exists"})),
        ("GET", "/none", {}, (400, {"name": "no such alias"})),
        ("PUT", "/none", {"cidr": "10.0.0.1"}, (400, {"name": "no such alias"})),
        ("PUT", "/lan", {"cidr": "10.0.0.1", "rename": "wan"}, (400, {"name": "alias 'wan' already exists"})),
        ("PUT", "/lan", {"cidr": "10.0.0.1", "digest": "0" * 40}, MODIFIED),
        ("DELETE", "/lan", {"digest": "0" * 40}, MODIFIED),
    ],
)
def test_what_cannot_be_done_with_aliases(
    simulator: Simulator, verb: str, path: str, params: dict[str, str], expected: Any
) -> None:
    for name in ("lan", "wan"):
        simulator.request("POST", f"{CLUSTER}/aliases", {"name": name, "cidr": "10.0.0.0/24"})
    before = simulator.world.fork()
    assert refusal(simulator, verb, f"{CLUSTER}/aliases{path}", params) == expected
    assert before.diff(simulator.world) == []


# -- IP sets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_a_set_is_made_filled_emptied_and_removed(simulator: Simulator, place: str) -> None:
    path = f"{place}/ipset"
    simulator.request("POST", path, {"name": "block", "comment": "bad ones"})
    ((listed),) = simulator.request("GET", path)
    assert (listed["name"], listed["comment"]) == ("block", "bad ones")
    simulator.request("POST", f"{path}/block", {"cidr": "1.2.3.4"})
    recorded = {"cidr": "1.2.3.4", "digest": "cf70dabeb1791eb8381cd3f13bd883ad2d413e5d"}
    assert simulator.request("GET", f"{path}/block") == [recorded]
    assert simulator.request("GET", f"{path}/block/1.2.3.4") == recorded
    simulator.request("POST", f"{path}/block", {"cidr": "1.2.0.0/16", "nomatch": 1, "comment": "net"})
    assert [entry["cidr"] for entry in simulator.request("GET", f"{path}/block")] == ["1.2.0.0/16", "1.2.3.4"]
    net = f"{path}/block/1.2.0.0%2F16"
    assert simulator.request("GET", net)["nomatch"] == 1
    simulator.request("PUT", net, {"comment": "other"})
    assert {"nomatch"} & set(simulator.request("GET", net)) == set()
    for _ in range(2):
        simulator.request("DELETE", net)
    assert refusal(simulator, "DELETE", f"{path}/block") == (500, "IPSet 'block' is not empty")
    simulator.request("DELETE", f"{path}/block", {"force": 1})
    assert simulator.request("GET", path) == []


def test_a_set_can_be_renamed_with_its_entries(simulator: Simulator) -> None:
    path = f"{CLUSTER}/ipset"
    simulator.request("POST", path, {"name": "old", "comment": "kept"})
    simulator.request("POST", f"{path}/old", {"cidr": "1.2.3.4"})
    digest = simulator.request("GET", path)[0]["digest"]
    rename = {"name": "new", "rename": "old"}
    assert refusal(simulator, "POST", path, {**rename, "digest": "0" * 40}) == MODIFIED
    simulator.request("POST", path, {**rename, "digest": digest})
    ((listed),) = simulator.request("GET", path)
    assert (listed["name"], listed["comment"]) == ("new", "kept")
    assert len(simulator.request("GET", f"{path}/new")) == 1


@pytest.mark.parametrize(
    ("verb", "path", "params", "expected"),
    [
        ("POST", "", {"name": "block"}, (400, {"name": "IPSet 'block' already exists"})),
        ("POST", "", {"name": "x1", "rename": "none"}, (400, {"name": "IPSet 'none' does not exist"})),
        ("POST", "", {"name": "block", "rename": "other"}, (400, {"name": "IPSet 'block' does already exist"})),
        ("GET", "/none", {}, (500, "no such IPSet 'none'")),
        ("POST", "/none", {"cidr": "1.1.1.1"}, (500, "no such IPSet 'none'")),
        ("DELETE", "/none", {}, (500, "no such IPSet 'none'")),
        ("POST", "/block", {"cidr": "1.2.3.4"}, (400, {"cidr": "address '1.2.3.4' already exists"})),
        (
            "POST",
            "/block",
            {"cidr": "0.0.0.0/0"},
            (400, {"cidr": "a zero prefix is not allowed in ipset entries"}),
        ),
        ("POST", "/block", {"cidr": "nolan"}, (500, "no such alias 'nolan'")),
        ("GET", "/block/1.1.1.1", {}, (400, {"cidr": "no such address"})),
        ("PUT", "/block/1.1.1.1", {}, (400, {"cidr": "no such address"})),
        ("PUT", "/block/1.2.3.4", {"digest": "0" * 40}, MODIFIED),
        ("DELETE", "/block/1.2.3.4", {"digest": "0" * 40}, MODIFIED),
    ],
)
def test_what_cannot_be_done_with_sets(
    simulator: Simulator, verb: str, path: str, params: dict[str, str], expected: Any
) -> None:
    for name in ("block", "other"):
        simulator.request("POST", f"{CLUSTER}/ipset", {"name": name})
    simulator.request("POST", f"{CLUSTER}/ipset/block", {"cidr": "1.2.3.4/32"})
    assert refusal(simulator, verb, f"{CLUSTER}/ipset{path}", params) == expected


def test_an_alias_of_the_cluster_serves_in_a_guests_set(simulator: Simulator) -> None:
    simulator.request("POST", f"{CLUSTER}/aliases", {"name": "lan", "cidr": "10.0.0.0/24"})
    simulator.request("POST", f"{VM}/ipset", {"name": "mine"})
    simulator.request("POST", f"{VM}/ipset/mine", {"cidr": "lan"})
    assert simulator.request("GET", f"{VM}/ipset/mine/lan")["cidr"] == "lan"


# -- security groups -----------------------------------------------------------------------------------------------


def test_a_group_is_made_renamed_and_removed_when_it_is_empty(simulator: Simulator) -> None:
    path = f"{CLUSTER}/groups"
    simulator.request("POST", path, {"group": "web"})
    recorded = {"group": "web", "digest": "5129f2881e92cd703a082774a927365df1fc6fa3"}
    assert simulator.request("GET", path) == [recorded]
    simulator.request("POST", f"{path}/web", {"type": "in", "action": "ACCEPT", "macro": "HTTP"})
    assert refusal(simulator, "DELETE", f"{path}/web") == (500, "Security group 'web' is not empty")
    rename = {"group": "www", "rename": "web", "comment": "c", "digest": recorded["digest"]}
    simulator.request("POST", path, rename)
    assert refusal(simulator, "POST", path, rename) == MODIFIED
    ((listed),) = simulator.request("GET", path)
    assert (listed["group"], listed["comment"]) == ("www", "c")
    assert len(simulator.request("GET", f"{path}/www")) == 1
    simulator.request("DELETE", f"{path}/www/0")
    simulator.request("DELETE", f"{path}/www")
    assert simulator.request("GET", path) == []


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"group": "web"}, "Security group 'web' already exists"),
        ({"group": "new", "rename": "none"}, "Security group 'none' does not exist"),
        ({"group": "web", "rename": "db"}, "Security group 'web' does already exist"),
    ],
)
def test_what_cannot_be_done_with_groups(simulator: Simulator, params: dict[str, str], text: str) -> None:
    for name in ("web", "db"):
        simulator.request("POST", f"{CLUSTER}/groups", {"group": name})
    assert refusal(simulator, "POST", f"{CLUSTER}/groups", params) == (400, {"group": text})


# -- references ----------------------------------------------------------------------------------------------------


def test_references_are_what_a_rule_of_the_place_may_name(simulator: Simulator) -> None:
    simulator.request("POST", f"{CLUSTER}/aliases", {"name": "lan", "cidr": "10.0.0.0/24", "comment": "c"})
    simulator.request("POST", f"{CLUSTER}/ipset", {"name": "block"})
    simulator.request("POST", f"{VM}/aliases", {"name": "own", "cidr": "10.0.0.1"})
    simulator.request("POST", f"{VM}/ipset", {"name": "mine"})
    cluster = [
        {"type": "ipset", "name": "block", "ref": "+dc/block", "scope": "dc"},
        {"type": "alias", "name": "lan", "ref": "dc/lan", "scope": "dc", "comment": "c"},
    ]
    assert simulator.request("GET", f"{CLUSTER}/refs") == cluster
    listed = simulator.request("GET", f"{VM}/refs")
    assert [entry["ref"] for entry in listed] == ["+dc/block", "dc/lan", "+guest/mine", "guest/own"]
    only = simulator.request("GET", f"{VM}/refs", {"type": "alias"})
    assert only == [entry for entry in listed if entry["type"] == "alias"]
    for entry in listed:
        simulator.request("POST", f"{VM}/rules", {"type": "in", "action": "ACCEPT", "source": entry["ref"]})
