"""Authentication realms."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.engine import Simulator
from tests.pvesim.access.stage import refusal

REALMS = "/access/domains"
LDAP = {"realm": "corp", "type": "ldap", "server1": "ldap.example.test", "base_dn": "dc=x", "user_attr": "uid"}


def _realms(simulator: Simulator) -> dict[str, Any]:
    return {realm.pop("realm"): realm for realm in simulator.request("GET", REALMS)}


def test_a_fresh_node_has_two() -> None:
    assert _realms(Simulator()) == {
        "pam": {"type": "pam", "comment": "Linux PAM standard authentication"},
        "pve": {"type": "pve", "comment": "Proxmox VE authentication server"},
    }


def test_a_directory_is_made_shown_changed_and_removed() -> None:
    simulator = Simulator()
    simulator.request("POST", REALMS, {**LDAP, "comment": "Office", "password": "bind-secret", "verify": 1})
    shown = simulator.request("GET", f"{REALMS}/corp")
    digest = shown.pop("digest")
    assert len(digest) == 40
    given = {name: value for name, value in LDAP.items() if name != "realm"}
    assert shown == {**given, "comment": "Office", "verify": 1}
    simulator.request("PUT", f"{REALMS}/corp", {"port": 389, "delete": "comment", "digest": digest})
    changed = simulator.request("GET", f"{REALMS}/corp")
    assert "comment" not in changed
    assert changed["port"] == 389
    assert changed["digest"] != digest
    simulator.request("DELETE", f"{REALMS}/corp")
    assert set(_realms(simulator)) == {"pam", "pve"}


def test_there_is_one_default() -> None:
    simulator = Simulator()
    simulator.request("POST", REALMS, {**LDAP, "default": 1})
    assert _realms(simulator)["corp"]["default"] == 1
    simulator.request("PUT", f"{REALMS}/pve", {"default": 1})
    assert {name for name, realm in _realms(simulator).items() if "default" in realm} == {"pve"}


def test_a_built_in_one_comes_back() -> None:
    simulator = Simulator()
    simulator.request("PUT", f"{REALMS}/pam", {"comment": "changed"})
    simulator.request("DELETE", f"{REALMS}/pam")
    assert _realms(simulator)["pam"] == {"type": "pam", "comment": "Linux PAM standard authentication"}


@pytest.mark.parametrize(
    ("verb", "path", "params", "text"),
    [
        ("POST", "", {**LDAP, "realm": "pve"}, "add auth server failed: domain 'pve' already exists"),
        ("POST", "", {"realm": "two", "type": "pam"}, "add auth server failed: unable to create builtin type 'pam'"),
        (
            "POST",
            "",
            {"realm": "corp", "type": "ldap", "server1": "x.test", "base_dn": "dc=x"},
            "add auth server failed: missing value for required option 'user_attr'",
        ),
        ("POST", "", {**LDAP, "domain": "x"}, "add auth server failed: unexpected property 'domain'"),
        ("GET", "/none", {}, "domain 'none' does not exist"),
        ("PUT", "/none", {"comment": "x"}, "update auth server failed: domain 'none' does not exist"),
        (
            "PUT",
            "/pam",
            {"comment": "x", "digest": "0" * 40},
            "update auth server failed: detected modified configuration - file changed by other user? Try again.",
        ),
        ("DELETE", "/none", {}, "delete auth server failed: domain 'none' does not exist"),
    ],
)
def test_what_cannot_be_done_says_why(verb: str, path: str, params: Any, text: str) -> None:
    assert refusal(Simulator(), verb, REALMS + path, params) == (500, text)
