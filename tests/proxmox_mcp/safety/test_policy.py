from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxmox_mcp.safety.intent import Intent
from proxmox_mcp.safety.policy import GuestFacts, Policy
from proxmox_mcp.tooling import Risk

WEB = GuestFacts(100, tags=frozenset({"prod", "web"}), pool="production", node="pve1", storages=frozenset({"ceph"}))
LAB = GuestFacts(105, tags=frozenset({"test"}), pool="lab", node="pve2", storages=frozenset({"local-lvm"}))
HIDDEN = GuestFacts(300, known=False)
FREE = GuestFacts(150)


def intent(*guests: GuestFacts, risk: Risk = Risk.DESTROY, tool: str = "delete_vm", **more: Any) -> Intent:
    named = frozenset(guest.vmid for guest in guests)
    return Intent((tool,), risk, **{"guests": named, "targets": named, **more})


def effect(policy: dict[str, Any], asked: Intent, *guests: GuestFacts, user: str = "mcp@pve!bot") -> str | None:
    return Policy.model_validate(policy).judge(asked, guests, user).effect


def rule(effect: str, **selectors: Any) -> dict[str, Any]:
    return {"effect": effect, **selectors}


@pytest.mark.parametrize(
    ("selectors", "matches"),
    [
        ({}, True),
        ({"tools": ["delete_vm"]}, True),
        ({"tools": ["delete_*", "x"]}, True),
        ({"tools": ["create_vm"]}, False),
        ({"risks": ["destroy"]}, True),
        ({"risks": ["operate", "change"]}, False),
        ({"guests": [100]}, True),
        ({"guests": ["90-110"]}, True),
        ({"guests": ["101-110", 99]}, False),
        ({"tags": ["prod"]}, True),
        ({"tags": ["PROD"]}, True),
        ({"tags": ["p*"]}, True),
        ({"tags": ["test"]}, False),
        ({"pools": ["production"]}, True),
        ({"pools": ["lab"]}, False),
        ({"nodes": ["pve1"]}, True),
        ({"nodes": ["pve2"]}, False),
        ({"storages": ["ceph"]}, True),
        ({"storages": ["local*"]}, False),
        ({"users": ["mcp@pve!*"]}, True),
        ({"users": ["root@pam"]}, False),
        ({"guests": [100], "tags": ["prod"], "tools": ["delete_vm"]}, True),
        ({"guests": [100], "tags": ["test"]}, False),
    ],
)
@pytest.mark.parametrize("what", ["deny", "ask", "allow"])
def test_a_rule_matches_when_all_that_it_names_does(what: str, selectors: dict[str, Any], matches: bool) -> None:
    assert effect({"rules": [rule(what, **selectors)]}, intent(WEB), WEB) == (what if matches else None)


@pytest.mark.parametrize(
    ("what", "selectors", "expected"),
    [
        ("deny", {"guests": [105]}, "deny"),
        ("ask", {"tags": ["test"]}, "ask"),
        ("allow", {"guests": [105]}, None),
        ("allow", {"tags": ["test"]}, None),
        ("allow", {"guests": [100, 105]}, "allow"),
        ("allow", {"pools": ["lab", "production"]}, "allow"),
        ("allow", {"nodes": ["pve2"]}, None),
        ("allow", {"nodes": ["pve*"]}, "allow"),
    ],
)
def test_one_is_enough_to_forbid_and_all_are_needed_to_allow(what: str, selectors: Any, expected: str | None) -> None:
    assert effect({"rules": [rule(what, **selectors)]}, intent(WEB, LAB), WEB, LAB) == expected


def test_a_raw_request_is_denied_by_either_name_and_allowed_by_both() -> None:
    asked = Intent(("call_api", "delete_vm"), Risk.DESTROY)
    assert effect({"rules": [rule("deny", tools=["delete_vm"])]}, asked) == "deny"
    assert effect({"rules": [rule("deny", tools=["call_api"])]}, asked) == "deny"
    assert effect({"rules": [rule("allow", tools=["delete_vm"])]}, asked) is None
    assert effect({"rules": [rule("allow", tools=["delete_vm", "call_api"])]}, asked) == "allow"


@given(st.permutations(["allow", "ask", "deny", "ask", "allow"]), st.integers(1, 5))
def test_the_order_of_rules_says_nothing(effects: list[str], count: int) -> None:
    chosen = effects[:count]
    strictest = next(one for one in ("deny", "ask", "allow") if one in chosen)
    assert effect({"rules": [rule(one) for one in chosen]}, intent(WEB), WEB) == strictest


@pytest.mark.parametrize("selectors", [{"tags": ["x"]}, {"pools": ["x"]}, {"nodes": ["x"]}, {"storages": ["x"]}])
def test_what_cannot_be_seen_counts_as_the_worst(selectors: dict[str, Any]) -> None:
    assert effect({"rules": [rule("deny", **selectors)]}, intent(HIDDEN), HIDDEN) == "deny"
    assert effect({"rules": [rule("allow", **selectors)]}, intent(HIDDEN), HIDDEN) is None
    assert effect({"rules": [rule("deny", **selectors)]}, intent(FREE), FREE) is None


def test_rules_are_on_reads_when_they_say_so() -> None:
    read = intent(WEB, risk=Risk.READ, tool="get_vm_info")
    assert effect({"default": "deny", "rules": [rule("deny")]}, read, WEB) is None
    assert effect({"rules": [rule("deny", tools=["get_vm_info"])]}, read, WEB) == "deny"
    assert effect({"rules": [rule("ask", risks=["read"], tags=["prod"])]}, read, WEB) == "ask"


@pytest.mark.parametrize(
    "selectors", [{"guests": [100]}, {"tags": ["prod"]}, {"pools": ["production"]}, {"nodes": ["pve1"]},
    {"storages": ["ceph"]}, {"guests": [100], "users": ["mcp@pve!*"]}]
)  # fmt: skip
def test_what_is_denied_by_its_name_is_out_of_sight(selectors: dict[str, Any]) -> None:
    read = intent(WEB, risk=Risk.READ, tool="get_vm_info")
    assert effect({"rules": [rule("deny", **selectors)]}, read, WEB) == "deny"
    assert effect({"rules": [rule("ask", **selectors)]}, read, WEB) is None
    assert effect({"rules": [rule("deny", risks=["change"], **selectors)]}, read, WEB) is None


@pytest.mark.parametrize("default", ["ask", "deny"])
def test_the_default_is_for_writes_that_no_rule_speaks_of(default: str) -> None:
    policy = {"default": default, "rules": [rule("ask", guests=[105])]}
    assert effect(policy, intent(WEB), WEB) == default
    assert effect(policy, intent(LAB), LAB) == "ask"
    assert effect(policy, intent(WEB, risk=Risk.READ), WEB) is None


@pytest.mark.parametrize("item", [100, "100", "90-104", "tag:prod", "tag:PROD", "pool:production", "pool:prod*"])
def test_a_protected_guest_is_out_of_reach(item: Any) -> None:
    policy = {"protected": [item], "rules": [rule("allow")]}
    assert effect(policy, intent(WEB), WEB) == "deny"
    assert effect(policy, intent(WEB, LAB, risk=Risk.CHANGE), WEB, LAB) == "deny"
    assert effect(policy, intent(WEB, risk=Risk.OPERATE, interrupts=True), WEB) == "deny"
    assert effect(policy, intent(WEB, risk=Risk.OPERATE), WEB) == "allow"
    assert effect(policy, intent(LAB), LAB) == "allow"


def test_labels_that_the_policy_goes_by_are_asked_about() -> None:
    relabels = intent(WEB, risk=Risk.CHANGE, relabels=frozenset({"tags"}))
    assert effect({"rules": [rule("allow", tags=["test"])]}, relabels, WEB) == "ask"
    assert effect({"protected": ["tag:x"]}, relabels, WEB) == "ask"
    assert effect({"rules": [rule("allow", pools=["lab"])]}, relabels, WEB) is None


def test_the_trace_tells_of_every_rule() -> None:
    policy = Policy.model_validate(
        {"rules": [rule("deny", guests=[105]), rule("ask", tags=["prod"], reason="It is live.")]}
    )
    verdict = policy.judge(intent(WEB), [WEB], "root@pam")
    assert verdict.trace == ("rule 1: deny: does not match: guests: 100", "rule 2: ask: matches")
    assert verdict.reason == "It is live."
