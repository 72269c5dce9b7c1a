"""API tokens."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pvesim.access.login import verify_api_token
from pvesim.access.records import AclEntry
from pvesim.core.errors import Unauthorized
from pvesim.engine import Simulator
from tests.pvesim.access.stage import give, held, people, refusal

TOKENS = "/access/users/alice@pve/token"


def test_the_answer_shows_the_secret_once_and_repeats_what_was_given_as_text() -> None:
    simulator = people()
    answer = simulator.request("POST", f"{TOKENS}/ci", {"privsep": 0, "expire": 0, "comment": "for CI"})
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", answer.pop("value"))
    assert answer == {
        "full-tokenid": "alice@pve!ci",
        "info": {"privsep": "0", "expire": "0", "comment": "for CI"},
    }
    assert simulator.request("POST", f"{TOKENS}/plain")["info"] == {"privsep": 1}
    assert simulator.request("GET", TOKENS) == [
        {"tokenid": "ci", "privsep": 0, "expire": 0, "comment": "for CI"},
        {"tokenid": "plain", "privsep": 1, "expire": 0},
    ]
    assert simulator.request("GET", f"{TOKENS}/plain") == {"privsep": 1, "expire": 0}


def test_an_update_shows_the_token_as_it_is_now() -> None:
    simulator = people()
    simulator.request("POST", f"{TOKENS}/ci")
    assert simulator.request("PUT", f"{TOKENS}/ci", {"comment": "hi"}) == {"comment": "hi", "expire": 0, "privsep": 1}
    assert simulator.request("PUT", f"{TOKENS}/ci", {"privsep": 0})["comment"] == "hi"
    assert simulator.request("PUT", f"{TOKENS}/ci", {"delete": "comment"}) == {"expire": 0, "privsep": 0}


@pytest.mark.parametrize(
    ("verb", "path", "expected"),
    [
        ("POST", f"{TOKENS}/ci", (400, {"tokenid": "Token already exists."})),
        ("POST", "/access/users/ghost@pve/token/ci", (500, "no such user ('ghost@pve')")),
        ("GET", f"{TOKENS}/nope", (500, "no such token 'nope' for user 'alice@pve'")),
        ("PUT", f"{TOKENS}/nope", (500, "no such token 'nope' for user 'alice@pve'")),
        ("DELETE", f"{TOKENS}/nope", (500, "no such token 'nope' for user 'alice@pve'")),
        ("POST", f"{TOKENS}/1x", (400, {"tokenid": "value does not match the regex pattern"})),
    ],
)
def test_what_cannot_be_done_says_why(verb: str, path: str, expected: tuple[int, Any]) -> None:
    simulator = people()
    simulator.request("POST", f"{TOKENS}/ci")
    assert refusal(simulator, verb, path) == expected


def test_a_token_serves_until_it_expires_is_deleted_or_its_user_is_disabled() -> None:
    simulator = people()
    world = simulator.world
    end = int(world.now) + 60
    text = "alice@pve!ci=" + simulator.request("POST", f"{TOKENS}/ci", {"expire": end})["value"]
    assert verify_api_token(world, text).name == "alice@pve!ci"

    def refused() -> bool:
        try:
            verify_api_token(world, text)
        except Unauthorized:
            return True
        return False

    simulator.request("PUT", "/access/users/alice@pve", {"enable": 0})
    assert refused()
    simulator.request("PUT", "/access/users/alice@pve", {"enable": 1})
    assert not refused()
    simulator.clock.advance(60)
    assert refused()
    simulator.request("PUT", f"{TOKENS}/ci", {"expire": 0})
    assert not refused()
    simulator.request("DELETE", f"{TOKENS}/ci")
    assert refused()


def test_a_new_secret_kills_the_old_one_at_once() -> None:
    simulator = people()
    old = simulator.request("POST", f"{TOKENS}/ci")["value"]
    answer = simulator.request("PUT", f"{TOKENS}/ci", {"regenerate": 1, "comment": "new"})
    assert (answer["full-tokenid"], answer["comment"]) == ("alice@pve!ci", "new")
    assert answer["value"] != old
    assert verify_api_token(simulator.world, f"alice@pve!ci={answer['value']}").tokenid == "ci"
    with pytest.raises(Unauthorized):
        verify_api_token(simulator.world, f"alice@pve!ci={old}")
    assert "value" not in simulator.request("PUT", f"{TOKENS}/ci", {"regenerate": 0})


def test_deleting_a_token_removes_its_acl_entries() -> None:
    simulator = people()
    simulator.request("POST", f"{TOKENS}/ci")
    give(simulator, "", "/vms", "PVEVMUser", tokens="alice@pve!ci")
    simulator.request("DELETE", f"{TOKENS}/ci")
    assert not simulator.world.rows(AclEntry)


def test_a_separated_token_has_what_both_it_and_its_user_have() -> None:
    simulator = people()
    simulator.request("POST", f"{TOKENS}/ci")
    token = "alice@pve!ci"
    give(simulator, "alice@pve", "/vms", "PVETemplateUser")
    assert held(simulator, token, "/vms/100") == {}
    give(simulator, "", "/vms/100", "PVEVMUser", tokens=token)
    assert held(simulator, token, "/vms/100") == {"VM.Audit": 1}
    assert held(simulator, token, "/vms/101") == {}
    simulator.request("PUT", f"{TOKENS}/ci", {"privsep": 0})
    assert held(simulator, token, "/vms/101") == {"VM.Audit": 1, "VM.Clone": 1}


def test_a_token_of_root_is_not_root() -> None:
    simulator = Simulator()
    for name, privsep in (("full", 0), ("apart", 1)):
        simulator.request("POST", f"/access/users/root@pam/token/{name}", {"privsep": privsep})
    assert held(simulator, "root@pam!full", "/nodes") == held(simulator, "root@pam", "/nodes")
    assert held(simulator, "root@pam!apart", "/nodes") == {}
    expected = 403, "Permission check failed (user != root@pam)"
    assert refusal(simulator, "GET", "/cluster/backup-info", user="root@pam!full") == expected


def test_the_secret_depends_on_the_seed_alone() -> None:
    first, second, other = (
        Simulator(seed=seed).request("POST", "/access/users/root@pam/token/ci")["value"] for seed in (1, 1, 2)
    )
    assert first == second != other
