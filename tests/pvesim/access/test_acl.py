"""The access control list: changing it, seeing it, and what it gives."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.acl import forget_path, normal_path
from pvesim.access.rules import Identity, effective
from pvesim.engine import Simulator
from pvesim.pools.records import Pool
from tests.pvesim.access.stage import give, held, people, refusal

ACL = "/access/acl"


def test_an_entry_is_shown_as_it_was_made() -> None:
    simulator = people()
    give(simulator, "bob@pve", "vms/100/", "PVEVMUser,PVETemplateUser", groups="ops", propagate=0)
    assert simulator.request("GET", ACL) == [
        {"path": "/vms/100", "type": type, "ugid": ugid, "roleid": role, "propagate": 0}
        for type, ugid in (("group", "ops"), ("user", "bob@pve"))
        for role in ("PVETemplateUser", "PVEVMUser")
    ]


def test_giving_again_changes_the_propagation_and_delete_takes_away() -> None:
    simulator = people()
    give(simulator, "bob@pve", "/vms", "PVEVMUser", propagate=0)
    give(simulator, "bob@pve", "/vms", "PVEVMUser")
    assert [entry["propagate"] for entry in simulator.request("GET", ACL)] == [1]
    give(simulator, "bob@pve", "/vms", "PVEVMUser", delete=1)
    assert simulator.request("GET", ACL) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"roles": "NoRole"}, (500, "ACL update failed: role 'NoRole' does not exist")),
        ({"users": "ghost@pve"}, (500, "ACL update failed: user 'ghost@pve' does not exist")),
        ({"groups": "none"}, (500, "ACL update failed: group 'none' does not exist")),
        ({"tokens": "alice@pve!nope"}, (500, "ACL update failed: no such token 'nope' for user 'alice@pve'")),
        ({"path": "/foo/bar"}, (400, {"path": "invalid ACL path '/foo/bar'"})),
        ({"path": "/vms/web 1"}, (400, {"path": "invalid ACL path '/vms/web 1'"})),
        (
            {"users": ""},
            (400, dict.fromkeys(("users", "groups", "tokens"), "either 'users', 'groups' or 'tokens' is required.")),
        ),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(change: Any, expected: tuple[int, Any]) -> None:
    simulator = people()
    params = {"path": "/vms/100", "users": "alice@pve", "roles": "PVEVMUser", **change}
    assert refusal(simulator, "PUT", ACL, params) == expected
    assert simulator.request("GET", ACL) == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/access/groups/ops",
        "/access/realm/pve",
        "/mapping/pci/gpu",
        "/nodes/pve1",
        "/pool/a/b/c",
        "/sdn/zones/z/v/100",
        "/storage/local",
        "/vms/100",
    ],
)
def test_these_paths_take_entries(path: str) -> None:
    simulator = people()
    give(simulator, "bob@pve", path, "PVEAuditor")
    assert [entry["path"] for entry in simulator.request("GET", ACL)] == [path]


@pytest.mark.parametrize(
    "path", ["/access/users", "/nodes/pve1/qemu", "/pool/a/b/c/d", "/vms/99", "/vms/web", "/storage/local/x"]
)
def test_these_do_not(path: str) -> None:
    params = {"path": path, "users": "bob@pve", "roles": "PVEAuditor"}
    assert refusal(people(), "PUT", ACL, params) == (400, {"path": f"invalid ACL path '{path}'"})


def test_a_path_of_any_form_may_be_deleted() -> None:
    give(people(), "bob@pve", "/foo/bar", "PVEAuditor", delete=1)


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("", None),
        ("/", "/"),
        ("vms/100", "/vms/100"),
        ("//vms//100/", "/vms/100"),
        ("/vms/1 0", None),
        ("/v\u00e4", None),
    ],
)
def test_paths_are_normalised(given: str, normal: str | None) -> None:
    assert normal_path(given) == normal


# -- who may give what ---------------------------------------------------------------------------------------------


def test_whoever_may_not_modify_permissions_gives_only_what_they_have() -> None:
    simulator = people()
    simulator.request("POST", "/access/roles", {"roleid": "Owner", "privs": "VM.Allocate,VM.Audit"})
    give(simulator, "bob@pve", "/vms/100", "Owner", propagate=0)

    def give_as_bob(**change: Any) -> Any:
        params = {"path": "/vms/100", "users": "alice@pve", "roles": "Owner", "propagate": 0, **change}
        return refusal(simulator, "PUT", ACL, params, user="bob@pve")

    prefix = "ACL update failed: 400 Parameter verification failed.\nrole: Cannot"
    assert give_as_bob(roles="PVEVMUser") == (
        500,
        f"{prefix} add role 'PVEVMUser' - requires 'Permissions.Modify' or superset of privileges.",
    )
    assert give_as_bob(propagate=1) == (
        500,
        f"{prefix} add role 'Owner' with propagation - requires 'Permissions.Modify' "
        "or propagated superset of privileges.",
    )
    assert give_as_bob(roles="NoAccess", delete=1) == (
        500,
        f"{prefix} remove role 'NoAccess' - requires 'Permissions.Modify'",
    )
    assert give_as_bob(path="/vms/101") == (
        403,
        "Permission check failed (/vms/101, Permissions.Modify|VM.Allocate)",
    )
    params = {"path": "/vms/100", "users": "alice@pve", "roles": "Owner", "propagate": 0}
    simulator.request("PUT", ACL, params, user="bob@pve")
    assert held(simulator, "alice@pve", "/vms/100") == {"VM.Allocate": 0, "VM.Audit": 0}


def test_one_sees_the_entries_one_could_change() -> None:
    simulator = people()
    give(simulator, "alice@pve", "/vms/100", "PVEVMUser")
    give(simulator, "alice@pve", "/storage/local", "PVEDatastoreAdmin")
    give(simulator, "bob@pve", "/vms/100", "PVEVMAdmin")

    def paths(user: str) -> list[str]:
        return [entry["path"] for entry in simulator.request("GET", ACL, user=user)]

    assert paths("root@pam") == ["/storage/local", "/vms/100", "/vms/100"]
    assert paths("bob@pve") == ["/vms/100", "/vms/100"]
    assert paths("alice@pve") == ["/storage/local"]


def test_the_entries_of_a_destroyed_guest_can_be_forgotten() -> None:
    simulator = people()
    give(simulator, "bob@pve", "/vms/100", "PVEVMUser")
    give(simulator, "bob@pve", "/vms/101", "PVEVMUser")
    forget_path(simulator.world, "/vms/100")
    assert [entry["path"] for entry in simulator.request("GET", ACL)] == ["/vms/101"]


# -- what it gives -------------------------------------------------------------------------------------------------


def test_permissions_list_the_paths_that_matter() -> None:
    simulator = people()
    assert simulator.request("GET", "/access/permissions", user="bob@pve") == {}
    give(simulator, "bob@pve", "/vms/100", "PVETemplateUser")
    give(simulator, "bob@pve", "/access/realm/pve", "PVEUserAdmin", propagate=0)
    give(simulator, "bob@pve", "/access", "PVEAuditor", propagate=0)
    simulator.world.put(Pool("prod", vmids=(200,), storages=("local",)))
    give(simulator, "bob@pve", "/pool/prod", "PVETemplateUser", propagate=0)
    own = {"VM.Audit": 1, "VM.Clone": 1}
    not_below = dict.fromkeys(own, 0)
    assert simulator.request("GET", "/access/permissions", user="bob@pve") == {
        "/access": dict.fromkeys(simulator.request("GET", "/access/roles/PVEAuditor"), 0),
        "/access/realm/pve": dict.fromkeys(simulator.request("GET", "/access/roles/PVEUserAdmin"), 0),
        "/pool/prod": not_below,
        "/storage/local": not_below,
        "/vms/100": own,
        "/vms/200": not_below,
    }


def test_one_path_is_answered_even_without_privileges() -> None:
    simulator = people()
    assert simulator.request("GET", "/access/permissions", {"path": "vms/1/"}, user="bob@pve") == {"vms/1/": {}}


def test_a_path_may_be_as_deep_as_a_client_likes() -> None:
    simulator = people()
    give(simulator, "bob@pve", "/vms", "PVETemplateUser")
    path = "/vms" + "/x" * 3000
    assert simulator.request("GET", "/access/permissions", {"path": path}, user="bob@pve") == {
        path: {"VM.Audit": 1, "VM.Clone": 1}
    }


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvesim.access.rules._REMEMBERED", 3)
    simulator = people()
    give(simulator, "bob@pve", "/vms/100", "PVETemplateUser")
    for vmid in (*range(100, 110), 100):
        assert bool(effective(simulator.world, Identity("bob@pve"), f"/vms/{vmid}")) is (vmid == 100)


def test_others_permissions_take_an_audit_privilege_but_ones_own_tokens_do_not() -> None:
    simulator = people()
    simulator.request("POST", "/access/users/bob@pve/token/ci")
    ask = ("GET", "/access/permissions")
    assert refusal(simulator, *ask, {"userid": "alice@pve"}, user="bob@pve") == (
        403,
        "Permission check failed (/access, Sys.Audit)",
    )
    assert simulator.request(*ask, {"userid": "bob@pve!ci"}, user="bob@pve") == {}
    assert refusal(simulator, *ask, {"userid": "bob@pve"}, user="bob@pve!ci")[0] == 403
    give(simulator, "bob@pve", "/access", "PVEAuditor")
    assert simulator.request(*ask, {"userid": "alice@pve"}, user="bob@pve") == {}


def test_no_access_in_a_pool_is_not_trumped() -> None:
    simulator = people()
    simulator.world.put(Pool("prod", vmids=(100,)))
    give(simulator, "bob@pve", "/vms", "PVEVMUser")
    assert held(simulator, "bob@pve", "/vms/100")
    give(simulator, "bob@pve", "/pool/prod", "NoAccess")
    assert held(simulator, "bob@pve", "/vms/100") == {}
    assert held(simulator, "bob@pve", "/vms/101")


def test_answers_are_in_the_same_order_in_every_process() -> None:
    names = list(effective(Simulator().world, Identity("root@pam"), "/"))
    assert names == sorted(names)
