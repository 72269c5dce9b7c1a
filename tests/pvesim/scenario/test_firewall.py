"""The firewall at its levels."""

from __future__ import annotations

import pytest

from pvesim.firewall.records import Firewall
from tests.pvesim.scenario.places import build, problem

TEXT = """
vms: {100: {}}
firewall:
  cluster:
    options: {enable: 1, policy_in: DROP}
    aliases: {LAN: {cidr: 10.0.0.0/24, comment: c}}
    ipsets: {block: {comment: b, entries: [{cidr: 1.2.3.4, nomatch: true}, {cidr: 10.0.0.0/8}]}}
    rules:
      - {type: in, action: ACCEPT, macro: SSH, enable: 1}
      - {type: out, action: DROP}
  groups: {web: {comment: w, rules: [{type: in, action: ACCEPT, macro: HTTP}]}}
  nodes: {pve1: {rules: [{type: in, action: ACCEPT}]}}
  guests: {100: {options: {enable: 1}, rules: [{type: group, action: web}]}}
"""


def test_each_level_has_its_file() -> None:
    files = build(TEXT).rows(Firewall)
    assert list(files) == ["cluster", "group/web", "node/pve1", "guest/100"]
    cluster = files["cluster"]
    assert cluster.options == {"enable": 1, "policy_in": "DROP"}
    assert cluster.aliases == {"lan": {"name": "LAN", "cidr": "10.0.0.0/24", "comment": "c"}}
    assert cluster.ipsets["block"].entries == ({"cidr": "1.2.3.4", "nomatch": 1}, {"cidr": "10.0.0.0/8"})
    assert files["group/web"].comment == "w"


def test_rules_keep_their_order_and_are_off_unless_switched_on() -> None:
    rules = build(TEXT).rows(Firewall)["cluster"].rules
    assert [(rule["action"], rule["enable"]) for rule in rules] == [("ACCEPT", 1), ("DROP", 0)]


def test_nothing_written_is_no_file() -> None:
    assert not build("firewall: {cluster: {}}").rows(Firewall)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cluster: {rules: [{type: in}]}", "firewall.cluster.rules.0: PVE refuses it: action: property is missing"),
        ("cluster: {rules: [{type: in, action: DROP, pos: 2}]}", "a rule's position is its place in this list"),
        ("cluster: {options: {enable: maybe}}", "firewall.cluster.options.enable: PVE refuses it"),
        ("cluster: {ipsets: {b1: {entries: [{cidr: 1.2.3.4}, {cidr: 1.2.3.4}]}}}", "stands twice in this set"),
        ("cluster: {aliases: {lan: {cidr: x y}}}", "PVE refuses it"),
        ("nodes: {nope: {}}", "firewall.nodes.nope: no node 'nope'"),
        ("nodes: {pve1: {aliases: {lan: {cidr: 1.2.3.4}}}}", "a node has rules and options only"),
        ("guests: {300: {}}", "firewall.guests.300: no guest 300"),
        ("groups: {'w w': {}}", "firewall.groups.w w: PVE refuses it"),
    ],
)
def test_what_cannot_be(text: str, words: str) -> None:
    assert words in problem(f"firewall: {{{text}}}")
