"""Firewall rules, at every level by the same code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.engine import Simulator
from tests.pvesim.access.stage import refusal

CLUSTER, NODE, VM, CT = PLACES = (
    "/cluster/firewall",
    "/nodes/pve1/firewall",
    "/nodes/pve1/qemu/100/firewall",
    "/nodes/pve1/lxc/200/firewall",
)
GROUP = f"{CLUSTER}/groups/web"
SSH = {"type": "in", "action": "ACCEPT", "proto": "tcp", "dport": "22", "source": "10.0.0.0/8", "enable": 1}
ACCEPT = {"type": "in", "action": "ACCEPT"}


@pytest.fixture
def simulator() -> Simulator:
    """With a security group, an alias and an IP set of the cluster, and others of VM 100."""
    made = Simulator()
    made.request("POST", f"{CLUSTER}/groups", {"group": "web"})
    made.request("POST", f"{CLUSTER}/aliases", {"name": "Lan", "cidr": "10.0.0.0/24"})
    made.request("POST", f"{CLUSTER}/aliases", {"name": "six", "cidr": "fd00::/8"})
    made.request("POST", f"{CLUSTER}/ipset", {"name": "block"})
    made.request("POST", f"{VM}/aliases", {"name": "own", "cidr": "192.0.2.1"})
    made.request("POST", f"{VM}/ipset", {"name": "ownset"})
    return made


def rules_of(simulator: Simulator, place: str = CLUSTER) -> list[dict[str, Any]]:
    path = place if place == GROUP else f"{place}/rules"
    listed: list[dict[str, Any]] = simulator.request("GET", path)
    return listed


def add(simulator: Simulator, rule: dict[str, Any], place: str = CLUSTER) -> None:
    simulator.request("POST", place if place == GROUP else f"{place}/rules", rule)


# -- reading and writing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_the_newest_rule_is_first_and_all_have_the_digest_of_a_genuine_node(simulator: Simulator, place: str) -> None:
    add(simulator, {**SSH, "comment": "ssh"}, place)
    add(simulator, {"type": "out", "action": "DROP", "macro": "HTTP", "pos": 1}, place)
    digest = "70b9232b5715c0074472d9067b9d3760239b24d5"  # recorded
    first = {"type": "out", "action": "DROP", "macro": "HTTP", "enable": 0, "digest": digest}
    second = {**SSH, "comment": "ssh", "ipversion": 4, "digest": digest}
    assert rules_of(simulator, place) == [{**first, "pos": 0}, {**second, "pos": 1}]
    assert simulator.request("GET", f"{place}/rules/1") == {**second, "pos": "1"}
    assert all(rules_of(simulator, other) == [] for other in PLACES if other != place)


def test_a_security_group_has_rules_too(simulator: Simulator) -> None:
    add(simulator, SSH, GROUP)
    simulator.request("PUT", f"{GROUP}/0", {"comment": "x"})
    assert simulator.request("GET", f"{GROUP}/0")["comment"] == "x"
    simulator.request("DELETE", f"{GROUP}/0")
    assert rules_of(simulator, GROUP) == []
    assert refusal(simulator, "GET", f"{CLUSTER}/groups/none") == (500, "no such security group 'none'")
    assert refusal(simulator, "POST", f"{CLUSTER}/groups/none", ACCEPT) == (500, "no such security group 'none'")


def test_an_update_changes_what_is_given_and_deletes_what_is_named(simulator: Simulator) -> None:
    add(simulator, {**SSH, "comment": "ssh", "log": "info"})
    simulator.request("PUT", f"{CLUSTER}/rules/0", {"dport": "2222", "comment": "", "delete": "log,enable"})
    (rule,) = rules_of(simulator)
    assert (rule["dport"], rule["enable"]) == ("2222", 0)
    assert not {"comment", "log"} & set(rule)


@pytest.mark.parametrize(
    ("position", "target", "order"),
    [(0, 0, "abcd"), (0, 2, "bacd"), (0, 9, "bcda"), (3, 0, "dabc"), (2, 1, "acbd"), (1, 2, "abcd")],
)
def test_a_move_puts_a_rule_before_another(simulator: Simulator, position: int, target: int, order: str) -> None:
    for name in "dcba":
        add(simulator, {**ACCEPT, "comment": name})
    simulator.request("PUT", f"{CLUSTER}/rules/{position}", {"moveto": target, "comment": "not changed by a move"})
    expected = list(order)
    if position == target:
        expected[position] = "not changed by a move"
    assert [rule["comment"] for rule in rules_of(simulator)] == expected


@pytest.mark.parametrize("verb", ["PUT", "DELETE"])
def test_a_digest_keeps_from_overwriting_what_was_not_seen(simulator: Simulator, verb: str) -> None:
    add(simulator, SSH)
    seen = rules_of(simulator)[0]["digest"]
    add(simulator, ACCEPT)
    text = "detected modified configuration - file changed by other user? Try again."
    assert refusal(simulator, verb, f"{CLUSTER}/rules/0", {"digest": seen}) == (500, text)
    assert refusal(simulator, verb, f"{CLUSTER}/rules/9", {"digest": seen}) == (500, text)
    simulator.request(verb, f"{CLUSTER}/rules/0", {"digest": rules_of(simulator)[0]["digest"]})


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
def test_there_is_no_rule_behind_the_last(simulator: Simulator, verb: str) -> None:
    add(simulator, SSH)
    assert refusal(simulator, verb, f"{CLUSTER}/rules/1") == (500, "no rule at position 1")


@pytest.mark.parametrize("place", [VM, CT])
def test_a_guest_that_does_not_exist_may_have_rules(simulator: Simulator, place: str) -> None:
    unknown = place.replace("100", "999").replace("200", "999")
    assert rules_of(simulator, unknown) == []
    add(simulator, ACCEPT, unknown)
    assert len(rules_of(simulator, unknown)) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "move", "delete"]), st.integers(0, 5), st.integers(0, 6)), max_size=25)
)
def test_positions_are_those_of_a_plain_list(steps: list[tuple[str, int, int]]) -> None:
    simulator, expected = Simulator(), list[str]()
    for number, (what, position, target) in enumerate(steps):
        if what == "add":
            add(simulator, {**ACCEPT, "comment": str(number)})
            expected.insert(0, str(number))
            continue
        verb, params = ("DELETE", {}) if what == "delete" else ("PUT", {"moveto": target})
        if position >= len(expected):
            text = f"no rule at position {position}"
            assert refusal(simulator, verb, f"{CLUSTER}/rules/{position}", params) == (500, text)
            continue
        simulator.request(verb, f"{CLUSTER}/rules/{position}", params)
        # A rule moves before the one that stood at the target, or to the end.
        before = expected[target] if target < len(expected) else None
        moved = expected.pop(position)
        if what == "move":
            place = position if before == moved else len(expected) if before is None else expected.index(before)
            expected.insert(place, moved)
    assert [rule["comment"] for rule in rules_of(simulator)] == expected


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"action": "NOSUCH"}, "action", "unknown action 'NOSUCH'"),
        ({"macro": "Nope"}, "macro", "unknown macro 'Nope'"),
        ({"macro": "HTTP", "proto": "udp"}, "proto", "parameter 'proto' already define in macro (value = 'tcp')"),
        (
            {"macro": "HTTP", "proto": "tcp", "dport": "81"},
            "dport",
            "parameter 'dport' already define in macro (value = '80')",
        ),
        ({"dport": "80"}, "proto", "missing property - 'dport' requires this property"),
        ({"sport": "80"}, "proto", "missing property - 'sport' requires this property"),
        ({"dport": "80", "proto": "gre"}, "dport", "protocol 'gre' does not support ports"),
        ({"sport": "80", "proto": "icmp"}, "sport", "protocol 'icmp' does not support ports"),
        ({"icmp-type": "echo-request"}, "proto", "missing property - 'icmp-type' requires this property"),
        (
            {"icmp-type": "no-route", "proto": "icmp"},
            "icmp-type",
            "invalid icmp-type 'no-route' for proto 'icmp'",
        ),
        (
            {"icmp-type": "echo-request", "proto": "icmp", "dport": "echo-reply"},
            "icmp-type",
            "'icmp-type' cannot be specified together with 'dport'",
        ),
        ({"source": "nolan"}, "source", "no such alias 'nolan'"),
        ({"dest": "+noset"}, "dest", "no such ipset 'noset'"),
        ({"source": "10.0.0.1", "dest": "fd00::1"}, "dest", "detected mixed ipv4/ipv6 addresses in rule"),
        ({"source": "six", "proto": "icmp"}, "source", "detected mixed ipv4/ipv6 addresses in rule"),
        (
            {"source": "10.0.0.300"},
            "source",
            "invalid format - invalid IP address: Invalid quad in IP address 10.0.0.300 - 300\n",
        ),
        ({"type": "up"}, "type", "value 'up' does not have a value in the enumeration 'in, out, forward, group'"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused_with_its_first_fault(
    simulator: Simulator, change: dict[str, str], field: str, text: str
) -> None:
    expected = 400, {field: text}
    assert refusal(simulator, "POST", f"{CLUSTER}/rules", {**ACCEPT, **change}) == expected
    add(simulator, ACCEPT)
    assert refusal(simulator, "PUT", f"{CLUSTER}/rules/0", change) == expected
    assert len(rules_of(simulator)) == 1


@pytest.mark.parametrize(
    ("names", "text"),
    [("nothing", "no such property ('nothing')"), ("log,action", "unable to delete required property 'action'")],
)
def test_what_cannot_be_deleted(simulator: Simulator, names: str, text: str) -> None:
    add(simulator, {**ACCEPT, "log": "info"})
    assert refusal(simulator, "PUT", f"{CLUSTER}/rules/0", {"delete": names}) == (400, {"delete": text})
    assert rules_of(simulator)[0]["log"] == "info"


@pytest.mark.parametrize(
    ("place", "rule", "field"),
    [
        (GROUP, {"type": "group", "action": "web"}, "type"),
        (GROUP, {**ACCEPT, "iface": "eth0"}, "type"),
        (VM, {**ACCEPT, "iface": "eth0"}, "iface"),
        (CT, {**ACCEPT, "iface": "eth0"}, "iface"),
        (VM, {"type": "forward", "action": "DROP"}, "type"),
        (NODE, {**ACCEPT, "source": "own"}, "source"),
        (CLUSTER, {**ACCEPT, "dest": "+ownset"}, "dest"),
    ],
)
def test_what_only_other_places_take(simulator: Simulator, place: str, rule: dict[str, str], field: str) -> None:
    path = place if place == GROUP else f"{place}/rules"
    status, errors = refusal(simulator, "POST", path, rule)
    assert (status, list(errors)) == (400, [field])


# -- what is taken -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "rule", "shown"),
    [
        (CLUSTER, {**ACCEPT, "macro": "ssh"}, {"macro": "SSH"}),
        (CLUSTER, {**ACCEPT, "macro": "HTTP", "proto": "tcp", "dport": "80"}, {"macro": "HTTP", "dport": "80"}),
        (CLUSTER, {"type": "group", "action": "not-there"}, {"type": "group", "action": "not-there"}),
        (CLUSTER, {"type": "forward", "action": "DROP", "iface": "vmbr0"}, {"type": "forward"}),
        (CLUSTER, {**ACCEPT, "source": "LAN"}, {"source": "LAN", "ipversion": 4}),
        (CLUSTER, {**ACCEPT, "source": "dc/six"}, {"ipversion": 6}),
        (CLUSTER, {**ACCEPT, "dest": "+block"}, {"dest": "+block"}),
        (VM, {**ACCEPT, "source": "guest/own", "dest": "+dc/block"}, {"ipversion": 4}),
        (VM, {**ACCEPT, "source": "+ownset", "iface": "net0"}, {"iface": "net0"}),
        (CLUSTER, {**ACCEPT, "proto": "icmpv6", "icmp-type": "no-route"}, {"ipversion": 6}),
        (CLUSTER, {**ACCEPT, "proto": "icmp", "icmp-type": "8"}, {"ipversion": 4}),
        (CLUSTER, {**ACCEPT, "proto": "icmp", "dport": "echo-request"}, {"dport": "echo-request"}),
        (CLUSTER, {**ACCEPT, "source": "10.0.0.1-10.0.0.9"}, {"ipversion": 4}),
        (CLUSTER, {**ACCEPT, "enable": 5}, {"enable": 1}),
        (CLUSTER, {**ACCEPT, "comment": "  one \n two"}, {"comment": "one"}),
    ],
)
def test_a_rule_that_makes_sense_is_shown_as_it_is_kept(
    simulator: Simulator, place: str, rule: dict[str, Any], shown: dict[str, Any]
) -> None:
    add(simulator, rule, place)
    listed = rules_of(simulator, place)[0]
    assert {name: listed.get(name) for name in shown} == shown
    assert "errors" not in listed


def test_a_rule_whose_alias_has_gone_says_so_and_can_be_repaired(simulator: Simulator) -> None:
    add(simulator, {**ACCEPT, "source": "lan"})
    before = rules_of(simulator)[0]["digest"]
    simulator.request("DELETE", f"{CLUSTER}/aliases/lan")
    (rule,) = rules_of(simulator)
    assert rule["errors"] == {"source": "no such alias 'lan'"}
    assert "ipversion" not in rule
    assert rule["digest"] != before
    assert refusal(simulator, "PUT", f"{CLUSTER}/rules/0", {"comment": "x"})[0] == 400
    simulator.request("PUT", f"{CLUSTER}/rules/0", {"delete": "source", "digest": rule["digest"]})
    assert "errors" not in rules_of(simulator)[0]


# -- who may -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "needed"),
    [
        (CLUSTER, ("/, Sys.Audit", "/, Sys.Modify")),
        (NODE, ("/nodes/pve1, Sys.Audit", "/nodes/pve1, Sys.Modify")),
        (VM, ("/vms/100, VM.Audit", "/vms/100, VM.Config.Network")),
        (CT, ("/vms/200, VM.Audit", "/vms/200, VM.Config.Network")),
    ],
)
def test_looking_and_changing_take_their_privileges(simulator: Simulator, place: str, needed: tuple[str, str]) -> None:
    simulator.request("POST", "/access/users", {"userid": "alice@pve"})
    for verb, privilege in zip(("GET", "POST"), needed, strict=True):
        expected = 403, f"Permission check failed ({privilege})"
        assert (
            refusal(simulator, verb, f"{place}/rules", ACCEPT if verb == "POST" else {}, user="alice@pve") == expected
        )
