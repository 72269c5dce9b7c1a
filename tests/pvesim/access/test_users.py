"""Users, their passwords, and who sees whom."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.access.login import password_matches
from pvesim.access.records import AclEntry, Token, User
from pvesim.engine import Simulator
from tests.pvesim.access.stage import give, people, refusal


def test_a_fresh_node_has_root_alone_and_root_has_no_expiry_until_something_is_written() -> None:
    simulator = Simulator()
    assert simulator.request("GET", "/access/users") == [{"userid": "root@pam", "enable": 1, "realm-type": "pam"}]
    simulator.request("POST", "/access/groups", {"groupid": "ops"})
    assert simulator.request("GET", "/access/users")[0]["expire"] == 0


def test_a_user_is_shown_with_what_was_given_and_nothing_empty() -> None:
    simulator = Simulator()
    given = {
        "userid": "carol@pve",
        "comment": "Carol",
        "email": "carol@example.test",
        "firstname": "Carol",
        "enable": 0,
    }
    assert simulator.request("POST", "/access/users", {**given, "lastname": ""}) is None
    assert simulator.request("GET", "/access/users/carol@pve") == {
        "comment": "Carol",
        "email": "carol@example.test",
        "firstname": "Carol",
        "enable": 0,
        "expire": 0,
        "groups": [],
        "tokens": None,
    }


def test_the_full_list_has_groups_as_text_and_tokens_as_a_list() -> None:
    simulator = people()
    simulator.request("POST", "/access/users/alice@pve/token/ci", {"comment": "x"})
    alice = simulator.request("GET", "/access/users", {"full": 1})[0]
    assert alice["groups"] == "ops"
    assert alice["tokens"] == [{"tokenid": "ci", "privsep": 1, "expire": 0, "comment": "x"}]
    assert simulator.request("GET", "/access/users/alice@pve")["tokens"] == {
        "ci": {"privsep": 1, "expire": 0, "comment": "x"}
    }


def test_a_user_of_an_unknown_realm_has_no_realm_type() -> None:
    simulator = Simulator()
    simulator.request("POST", "/access/users", {"userid": "bob@nope"})
    assert "realm-type" not in simulator.request("GET", "/access/users")[0]


@pytest.mark.parametrize(("enabled", "shown"), [(1, ["alice@pve", "root@pam"]), (0, ["bob@pve"])])
def test_the_list_can_be_of_enabled_or_of_disabled_users(enabled: int, shown: list[str]) -> None:
    simulator = people()
    simulator.request("PUT", "/access/users/bob@pve", {"enable": 0})
    assert [user["userid"] for user in simulator.request("GET", "/access/users", {"enabled": enabled})] == shown


@pytest.mark.parametrize(
    ("verb", "path", "params", "text"),
    [
        ("POST", "", {"userid": "alice@pve"}, "create user failed: user 'alice@pve' already exists"),
        ("POST", "", {"userid": "new@pve", "groups": "none"}, "create user failed: no such group 'none'"),
        (
            "POST",
            "",
            {"userid": "new@nope", "password": "long-enough"},
            "create user failed: auth domain 'nope' does not exist",
        ),
        (
            "POST",
            "",
            {"userid": "new@pam", "password": "long-enough"},
            "create user failed: change password failed: usermod: user 'new' does not exist",
        ),
        ("GET", "/ghost@pve", {}, "no such user ('ghost@pve')"),
        ("PUT", "/ghost@pve", {"comment": "x"}, "update user failed: no such user ('ghost@pve')"),
        ("PUT", "/alice@pve", {"groups": "nogroup"}, "update user failed: no such group 'nogroup'"),
        ("GET", "/ghost@pve/token", {}, "no such user ('ghost@pve')"),
        ("GET", "/ghost@pve/tfa", {}, "no such user ('ghost@pve')"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(verb: str, path: str, params: Any, text: str) -> None:
    simulator = people()
    before = simulator.world.fork()
    assert refusal(simulator, verb, f"/access/users{path}", params) == (500, text)
    assert before.diff(simulator.world) == []


def test_groups_replace_the_memberships_unless_appended() -> None:
    simulator = people()
    simulator.request("POST", "/access/groups", {"groupid": "dev"})

    def groups_after(**change: Any) -> list[str]:
        simulator.request("PUT", "/access/users/alice@pve", change)
        groups: list[str] = simulator.request("GET", "/access/users/alice@pve")["groups"]
        return groups

    assert groups_after(groups="dev", append=1) == ["dev", "ops"]
    assert groups_after(comment="no word about groups") == ["dev", "ops"]
    assert groups_after(groups="dev") == ["dev"]
    assert groups_after(groups="") == []


def test_deleting_a_user_takes_tokens_memberships_and_acl_entries_along() -> None:
    simulator = people()
    simulator.request("POST", "/access/users/alice@pve/token/ci")
    give(simulator, "alice@pve", "/vms", "PVEVMUser")
    give(simulator, "", "/vms", "PVEVMUser", tokens="alice@pve!ci")
    give(simulator, "bob@pve", "/vms", "PVEVMUser")
    assert simulator.request("DELETE", "/access/users/alice@pve") is None
    assert simulator.world.get(User, "alice@pve") is None
    assert not simulator.world.rows(Token)
    assert [entry.ugid for entry in simulator.world.rows(AclEntry).values()] == ["bob@pve"]
    assert simulator.request("GET", "/access/groups/ops")["members"] == []


def test_deleting_an_unknown_user_is_no_error_and_root_survives_its_deletion() -> None:
    simulator = people()
    simulator.request("DELETE", "/access/users/ghost@pve")
    simulator.request("PUT", "/access/users/root@pam", {"comment": "me"})
    simulator.request("DELETE", "/access/users/root@pam")
    assert simulator.request("GET", "/access/users/root@pam") == {
        "enable": 1,
        "expire": 0,
        "groups": [],
        "tokens": None,
    }
    assert simulator.request("POST", "/access/ticket", {"username": "root@pam", "password": "root-secret"})


# -- who sees whom -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "role", "shown"),
    [
        (None, None, ["bob@pve"]),
        ("/access/groups/ops", "PVEUserAdmin", ["alice@pve", "bob@pve"]),
        ("/access/groups", "PVEUserAdmin", ["alice@pve", "bob@pve", "root@pam"]),
        ("/", "PVEAuditor", ["alice@pve", "bob@pve", "root@pam"]),
    ],
)
def test_a_user_sees_itself_and_the_members_of_groups_it_may_see(path: str, role: str, shown: list[str]) -> None:
    simulator = people()
    if path:
        give(simulator, "bob@pve", path, role)
    assert [user["userid"] for user in simulator.request("GET", "/access/users", user="bob@pve")] == shown


def test_a_token_does_not_count_as_its_user() -> None:
    simulator = people()
    simulator.request("POST", "/access/users/bob@pve/token/ci", {"privsep": 0})
    assert simulator.request("GET", "/access/users", user="bob@pve!ci") == []
    assert refusal(simulator, "GET", "/access/users/bob@pve/token", user="bob@pve!ci")[0] == 403
    assert simulator.request("GET", "/access/users/bob@pve/token", user="bob@pve")


def test_creating_users_takes_the_realm_and_a_group() -> None:
    simulator = people()
    new = {"userid": "eve@pve", "groups": "ops"}
    expected = 403, "Permission check failed (/access/realm/pve, Realm.AllocateUser)"
    assert refusal(simulator, "POST", "/access/users", new, user="bob@pve") == expected
    give(simulator, "bob@pve", "/access/realm/pve", "PVEUserAdmin")
    expected = 403, "Permission check failed (/access/groups/ops, User.Modify)"
    assert refusal(simulator, "POST", "/access/users", new, user="bob@pve") == expected
    give(simulator, "bob@pve", "/access/groups/ops", "PVEUserAdmin")
    assert simulator.request("POST", "/access/users", new, user="bob@pve") is None


# -- passwords -----------------------------------------------------------------------------------------------------


def _logs_in(simulator: Simulator, userid: str, password: str) -> bool:
    return password_matches(simulator.world, userid, password)


def test_root_sets_any_password_without_its_own() -> None:
    simulator = people()
    simulator.request("PUT", "/access/password", {"userid": "bob@pve", "password": "new-secret"})
    assert _logs_in(simulator, "bob@pve", "new-secret")
    assert not _logs_in(simulator, "bob@pve", "bob-secret")


def test_a_user_confirms_a_new_password_with_the_old_one() -> None:
    simulator = people()
    change = {"userid": "bob@pve", "password": "new-secret"}
    expected: Any = {"confirmation-password": "password is required to modify user"}
    assert refusal(simulator, "PUT", "/access/password", change, user="bob@pve") == (400, expected)
    wrong = {**change, "confirmation-password": "not-it"}
    assert refusal(simulator, "PUT", "/access/password", wrong, user="bob@pve") == (500, "invalid credentials")
    assert not _logs_in(simulator, "bob@pve", "new-secret")
    simulator.request("PUT", "/access/password", {**change, "confirmation-password": "bob-secret"}, user="bob@pve")
    assert _logs_in(simulator, "bob@pve", "new-secret")


def test_an_administrator_of_users_confirms_with_its_own_and_never_changes_pam() -> None:
    simulator = people()
    give(simulator, "bob@pve", "/access", "PVEUserAdmin")
    change = {"password": "new-secret", "confirmation-password": "bob-secret"}
    simulator.request("PUT", "/access/password", {"userid": "alice@pve", **change}, user="bob@pve")
    assert _logs_in(simulator, "alice@pve", "new-secret")
    simulator.request("POST", "/access/users", {"userid": "sys@pam"})
    for userid in ("root@pam", "sys@pam"):
        status, text = refusal(simulator, "PUT", "/access/password", {"userid": userid, **change}, user="bob@pve")
        assert (status, text) == (403, "Permission check failed")
    assert _logs_in(simulator, "root@pam", "root-secret")


def test_passwords_are_not_for_tokens() -> None:
    simulator = people()
    simulator.request("POST", "/access/users/root@pam/token/ci", {"privsep": 0})
    change = {"userid": "bob@pve", "password": "new-secret"}
    status, text = refusal(simulator, "PUT", "/access/password", change, user="root@pam!ci")
    assert (status, text) == (
        403,
        "Permission check failed (URI '/access/password' not available with API token, need proper ticket.\n)",
    )


def test_a_directory_keeps_its_own_passwords() -> None:
    simulator = people()
    realm = {"realm": "corp", "type": "ldap", "server1": "ldap.example.test", "base_dn": "dc=x", "user_attr": "uid"}
    simulator.request("POST", "/access/domains", realm)
    simulator.request("POST", "/access/users", {"userid": "eve@corp"})
    expected = 500, "can't set password on auth type 'ldap'"
    assert refusal(simulator, "PUT", "/access/password", {"userid": "eve@corp", "password": "new-secret"}) == expected


def test_nobody_has_a_second_factor() -> None:
    simulator = people()
    assert simulator.request("GET", "/access/tfa") == []
    assert simulator.request("GET", "/access/tfa/alice@pve") == []
    assert simulator.request("GET", "/access/users/alice@pve/tfa") == {}
    assert simulator.request("GET", "/access/users/alice@pve/tfa", {"multiple": 1}) == {"types": []}
    assert simulator.request("PUT", "/access/users/alice@pve/unlock-tfa") == 0
