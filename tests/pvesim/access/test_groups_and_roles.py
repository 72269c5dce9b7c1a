"""Groups and roles."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.records import AclEntry
from pvesim.engine import Simulator
from tests.pvesim.access.stage import give, held, people, refusal


def test_a_group_is_made_shown_changed_and_removed() -> None:
    simulator = people()
    simulator.request("POST", "/access/groups", {"groupid": "dev", "comment": "Developers"})
    assert simulator.request("GET", "/access/groups") == [
        {"groupid": "dev", "users": "", "comment": "Developers"},
        {"groupid": "ops", "users": "alice@pve"},
    ]
    assert simulator.request("GET", "/access/groups/dev") == {"members": [], "comment": "Developers"}
    simulator.request("PUT", "/access/groups/dev", {"comment": ""})
    assert simulator.request("GET", "/access/groups/dev") == {"members": []}
    simulator.request("DELETE", "/access/groups/dev")
    assert [group["groupid"] for group in simulator.request("GET", "/access/groups")] == ["ops"]


def test_deleting_a_group_removes_its_acl_entries_and_keeps_its_members() -> None:
    simulator = people()
    give(simulator, "", "/vms", "PVEVMUser", groups="ops")
    assert held(simulator, "alice@pve", "/vms/100")
    simulator.request("DELETE", "/access/groups/ops")
    assert not simulator.world.rows(AclEntry)
    assert simulator.request("GET", "/access/users/alice@pve")["groups"] == []


@pytest.mark.parametrize(
    ("verb", "path", "params", "text"),
    [
        ("POST", "/groups", {"groupid": "ops"}, "create group failed: group 'ops' already exists"),
        ("GET", "/groups/none", {}, "group 'none' does not exist"),
        ("PUT", "/groups/none", {"comment": "x"}, "update group failed: group 'none' does not exist"),
        ("DELETE", "/groups/none", {}, "delete group failed: group 'none' does not exist"),
        ("POST", "/roles", {"roleid": "NoAccess"}, "create role failed: role 'NoAccess' already exists"),
        ("GET", "/roles/none", {}, "role 'none' does not exist"),
        ("PUT", "/roles/none", {"privs": ""}, "update role failed: role 'none' does not exist"),
        ("PUT", "/roles/PVEAdmin", {"privs": ""}, "auto-generated role 'PVEAdmin' cannot be modified"),
        ("DELETE", "/roles/NoAccess", {}, "auto-generated role 'NoAccess' cannot be deleted"),
        ("DELETE", "/roles/none", {}, "delete role failed: role 'none' does not exist"),
    ],
)
def test_what_cannot_be_done_says_why(verb: str, path: str, params: Any, text: str) -> None:
    assert refusal(people(), verb, f"/access{path}", params) == (500, text)


def test_groups_are_shown_to_those_who_may_see_them() -> None:
    simulator = people()
    simulator.request("POST", "/access/groups", {"groupid": "dev"})
    assert simulator.request("GET", "/access/groups", user="bob@pve") == []
    give(simulator, "bob@pve", "/access/groups/dev", "PVEUserAdmin")
    assert [group["groupid"] for group in simulator.request("GET", "/access/groups", user="bob@pve")] == ["dev"]


def test_a_fresh_node_has_the_seventeen_built_in_roles() -> None:
    roles = Simulator().request("GET", "/access/roles")
    assert len(roles) == 17
    assert all(role["special"] == 1 for role in roles)
    assert {"roleid": "PVETemplateUser", "privs": "VM.Audit,VM.Clone", "special": 1} in roles


def test_a_role_is_made_shown_changed_and_removed() -> None:
    simulator = Simulator()
    simulator.request("POST", "/access/roles", {"roleid": "Oper", "privs": "VM.PowerMgmt,VM.Audit"})
    assert {"roleid": "Oper", "privs": "VM.Audit,VM.PowerMgmt", "special": 0} in simulator.request(
        "GET", "/access/roles"
    )
    simulator.request("PUT", "/access/roles/Oper", {"privs": "VM.Console", "append": 1})
    assert simulator.request("GET", "/access/roles/Oper") == {"VM.Audit": 1, "VM.Console": 1, "VM.PowerMgmt": 1}
    simulator.request("PUT", "/access/roles/Oper", {"privs": "VM.Console"})
    assert simulator.request("GET", "/access/roles/Oper") == {"VM.Console": 1}
    simulator.request("PUT", "/access/roles/Oper")
    assert simulator.request("GET", "/access/roles/Oper") == {}
    simulator.request("DELETE", "/access/roles/Oper")
    assert refusal(simulator, "GET", "/access/roles/Oper")[0] == 500


@pytest.mark.parametrize("roleid", ["PVEMine", "pveMine"])
def test_the_names_of_pve_are_reserved(roleid: str) -> None:
    expected = {"roleid": "cannot use role ID starting with the (case-insensitive) 'PVE' namespace"}
    assert refusal(Simulator(), "POST", "/access/roles", {"roleid": roleid}) == (400, expected)


def test_deleting_a_role_leaves_entries_that_give_nothing() -> None:
    simulator = people()
    simulator.request("POST", "/access/roles", {"roleid": "Oper", "privs": "VM.Audit"})
    give(simulator, "bob@pve", "/vms", "Oper")
    assert held(simulator, "bob@pve", "/vms/100") == {"VM.Audit": 1}
    simulator.request("DELETE", "/access/roles/Oper")
    assert held(simulator, "bob@pve", "/vms/100") == {}
    assert [entry["roleid"] for entry in simulator.request("GET", "/access/acl")] == ["Oper"]
