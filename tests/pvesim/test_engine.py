"""The way of a request through the engine: PVE's order of checks, tickets, CSRF tokens, API tokens, moments."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvesim.access.login import capabilities, make_csrf_token, make_ticket
from pvesim.access.rules import Identity
from pvesim.core.errors import ApiError, NotModelled
from pvesim.core.log import LogEntry
from pvesim.engine import KEPT_REQUESTS, Simulator
from pvesim.nodes.records import Node
from pvesim.routing import modelled
from pvesim.wire import FORM_TYPE, WireRequest, WireResponse
from tests.pvesim.small_world import small_simulator

HOUR = 3600.0


@pytest.fixture
def simulator() -> Simulator:
    return small_simulator()


def ask(
    simulator: Simulator, verb: str, path: str, params: Mapping[str, Any] | None = None, /, **headers: str
) -> WireResponse:
    """A request over the wire; underscores in header names stand for hyphens."""
    text = urlencode(params or {})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if verb in ("POST", "PUT"):
        named["content-type"] = FORM_TYPE
        return simulator.handle(WireRequest(verb, f"/api2/json{path}", headers=named, body=text.encode()))
    return simulator.handle(WireRequest(verb, f"/api2/json{path}", text, named))


def by_ticket(simulator: Simulator, userid: str = "root@pam", *, csrf: bool = True) -> dict[str, str]:
    """The headers of a user who has just logged in."""
    headers = {"cookie": f"PVEAuthCookie={quote(make_ticket(simulator.world, userid))}"}
    return {**headers, "csrfpreventiontoken": make_csrf_token(simulator.world, userid)} if csrf else headers


def outcome(response: WireResponse) -> tuple[int, str]:
    return response.status, response.reason


# -- the order of checks -------------------------------------------------------------------------------------------

UNKNOWN_NODE = "hostname lookup 'nope' failed - failed to get address info for: nope: Name or service not known"
BAD = {"timeout": "soon"}


@pytest.mark.parametrize(
    ("who", "verb", "path", "params", "expected"),
    [
        # Each request fails at its step and at every later one that it can fail at.
        (None, "POST", "/nodes/nope/nosuch", BAD, (401, "No ticket")),
        ("alice@pve", "POST", "/nodes/nope/nosuch", BAD, (501, "Method 'POST /nodes/nope/nosuch' not implemented")),
        (
            "alice@pve",
            "POST",
            "/nodes/nope/qemu/999/status/stop",
            BAD,
            (403, "Permission check failed (/vms/999, VM.PowerMgmt)"),
        ),
        ("root@pam", "POST", "/nodes/nope/qemu/999/status/stop", BAD, (500, UNKNOWN_NODE)),
        ("root@pam", "POST", "/nodes/pve1/qemu/999/status/stop", BAD, (400, "Parameter verification failed.")),
        (
            "root@pam",
            "PUT",
            "/access/users/ghost@pve",
            {"comment": "x"},
            (500, "update user failed: no such user ('ghost@pve')"),
        ),
        ("root@pam", "GET", "/access/users", {}, (200, "OK")),
    ],
)
def test_the_first_check_that_fails_is_the_answer(
    simulator: Simulator, who: str | None, verb: str, path: str, params: dict[str, str], expected: tuple[int, str]
) -> None:
    headers = by_ticket(simulator, who) if who else {}
    assert outcome(ask(simulator, verb, path, params, **headers)) == expected


def test_the_format_is_looked_at_after_the_login_and_the_body_after_that(simulator: Simulator) -> None:
    xml = WireRequest("POST", "/api2/xml/access/users", headers={"content-type": "text/plain"}, body=b"x")
    assert simulator.handle(xml).reason == "No ticket"
    known = replace(xml, headers={**xml.headers, **by_ticket(simulator)})
    assert simulator.handle(known).reason == "no formatter for uri /access/users, xml"
    assert simulator.handle(replace(known, path="/api2/json/access/users")).status == 506


def test_an_offline_node_answers_nothing_and_before_parameters_are_looked_at(simulator: Simulator) -> None:
    world = simulator.world
    world.put(replace(world.rows(Node)["pve2"], online=False))
    world.put(Node("pve3", nodeid=3, started=world.now))
    headers = by_ticket(simulator)
    response = ask(simulator, "GET", "/nodes/pve2/tasks", {"limit": "x"}, **headers)
    assert (*outcome(response), response.body) == (595, "No route to host", b"")
    assert ask(simulator, "GET", "/nodes/pve1/tasks", {"limit": "x"}, **headers).status == 400


def test_without_quorum_nothing_is_written(simulator: Simulator) -> None:
    world = simulator.world
    world.put(replace(world.rows(Node)["pve2"], online=False))
    headers = by_ticket(simulator)
    refused = ask(simulator, "POST", "/access/groups", {"groupid": "ops"}, **headers)
    assert outcome(refused) == (500, "cluster not ready - no quorum?")
    assert ask(simulator, "GET", "/access/groups", **headers).status == 200
    assert ask(simulator, "POST", "/access/groups", {"groupid": "-!"}, **headers).status == 400


def test_localhost_is_the_node_that_is_asked(simulator: Simulator) -> None:
    assert simulator.request("GET", "/nodes/localhost/firewall/rules") == []


def test_a_refused_request_changes_nothing(simulator: Simulator) -> None:
    before = simulator.world.fork()
    headers = by_ticket(simulator)
    params = {"userid": "new@pve", "groups": "none"}  # the user would be made before its group is looked for
    assert ask(simulator, "POST", "/access/users", params, **headers).status == 500
    assert before.diff(simulator.world) == []


def test_a_method_without_a_model_says_so_after_every_check(simulator: Simulator) -> None:
    assert ("POST", "/nodes/{node}/qemu/{vmid}/dbus-vmstate") not in set(modelled())
    path = "/nodes/pve1/qemu/100/dbus-vmstate"
    for user, params, status in (("alice@pve", {"action": "start"}, 403), ("root@pam", {"action": "x"}, 400)):
        with pytest.raises(ApiError) as refused:
            simulator.request("POST", path, params, user=user)
        assert refused.value.status == status
    with pytest.raises(NotModelled, match=r"is not modelled by pvesim$"):
        simulator.request("POST", path, {"action": "start"})


# -- tickets -------------------------------------------------------------------------------------------------------


def test_a_ticket_lives_for_two_hours_of_virtual_time(simulator: Simulator) -> None:
    headers = by_ticket(simulator)
    simulator.clock.advance(2 * HOUR - 1)
    assert ask(simulator, "GET", "/version", **headers).status == 200
    simulator.clock.advance(1)
    response = ask(simulator, "GET", "/version", **headers)
    assert (*outcome(response), response.body) == (401, "Authentication failed!", b"")


def test_a_ticket_serves_as_the_password_for_the_next(simulator: Simulator) -> None:
    old = make_ticket(simulator.world, "alice@pve")
    simulator.clock.advance(HOUR)
    login = {"username": "alice@pve", "password": old}
    answer = orjson.loads(ask(simulator, "POST", "/access/ticket", login).body)["data"]
    assert answer["ticket"] != old
    simulator.clock.advance(1.5 * HOUR)
    cookie = f"PVEAuthCookie={quote(answer['ticket'])}"
    assert ask(simulator, "GET", "/version", cookie=cookie).status == 200
    assert outcome(ask(simulator, "POST", "/access/ticket", login)) == (401, "authentication failure")
    others = {**login, "username": "audit@pve", "password": answer["ticket"]}
    assert outcome(ask(simulator, "POST", "/access/ticket", others)) == (401, "authentication failure")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.characters(codec="ascii", categories=("L", "N")))
def test_a_ticket_with_another_character_is_no_ticket(place: int, character: str) -> None:
    simulator = SHARED
    ticket = make_ticket(simulator.world, "root@pam")
    place %= len(ticket)
    changed = ticket[:place] + character + ticket[place + 1 :]
    expected = 200 if changed == ticket else 401
    assert ask(simulator, "GET", "/version", cookie=f"PVEAuthCookie={quote(changed)}").status == expected


SHARED = small_simulator()


@pytest.mark.parametrize("ticket", ["", "foo", "PVE:root@pam:12345678::garbage", "PVE:root@pam:zzz::", "::", "PVE:::"])
def test_what_is_no_ticket_is_refused(simulator: Simulator, ticket: str) -> None:
    response = ask(simulator, "GET", "/version", cookie=f"other=1; PVEAuthCookie={ticket}")
    assert outcome(response) == (401, "Authentication failed!")
    assert response.delay > 0


def test_the_cookie_may_be_percent_encoded_or_raw_and_stand_among_others(simulator: Simulator) -> None:
    ticket = make_ticket(simulator.world, "root@pam")
    for cookie in (f"PVEAuthCookie={ticket}", f"a=b; PVEAuthCookie={quote(ticket, safe='')} ;c=d"):
        assert ask(simulator, "GET", "/version", cookie=cookie).status == 200


@pytest.mark.parametrize("change", [{"enable": 0}, {"expire": 1}])
def test_a_user_that_is_disabled_or_has_expired_is_out_at_once(simulator: Simulator, change: dict[str, int]) -> None:
    headers = by_ticket(simulator, "alice@pve")
    simulator.request("PUT", "/access/users/alice@pve", change)
    assert ask(simulator, "GET", "/version", **headers).status == 401
    simulator.request("PUT", "/access/users/alice@pve", {"enable": 1, "expire": 0})
    assert ask(simulator, "GET", "/version", **headers).status == 200
    simulator.request("DELETE", "/access/users/alice@pve")
    assert ask(simulator, "GET", "/version", **headers).status == 401


@pytest.mark.parametrize(
    "login",
    [
        {"username": "root@pam", "password": "wrong"},
        {"username": "root", "password": "pvesim-root"},
        {"username": "root@nope", "password": "pvesim-root"},
        {"username": "ghost@pve", "password": "x"},
        {"username": "alice@pve", "password": ""},
        {"username": "root@pam!full", "password": "pvesim-root"},
    ],
)
def test_every_failed_login_looks_the_same(simulator: Simulator, login: dict[str, str]) -> None:
    response = ask(simulator, "POST", "/access/ticket", login)
    assert outcome(response) == (401, "authentication failure")
    assert orjson.loads(response.body) == {"data": None, "message": "authentication failure\n"}
    assert response.delay > 0


def test_a_login_tells_what_one_may_and_to_auditors_the_clusters_name(simulator: Simulator) -> None:
    for user, named in (("alice@pve", False), ("audit@pve", True)):
        simulator.request("PUT", "/access/password", {"userid": user, "password": "a-password"})
        login = {"username": user.partition("@")[0], "realm": "pve", "password": "a-password"}
        answer = orjson.loads(ask(simulator, "POST", "/access/ticket", login).body)["data"]
        assert answer["username"] == user
        assert ("clustername" in answer) is named
        assert answer["cap"]["dc"] == ({"SDN.Audit": 1, "Sys.Audit": 1} if named else {})


def test_a_login_may_ask_for_privileges_in_place_of_a_ticket(simulator: Simulator) -> None:
    simulator.request("PUT", "/access/password", {"userid": "audit@pve", "password": "a-password"})
    login = {"username": "audit@pve", "password": "a-password", "path": "/vms/100", "privs": "VM.Audit"}
    answer = orjson.loads(ask(simulator, "POST", "/access/ticket", login).body)["data"]
    assert "ticket" not in answer
    assert answer["username"] == "audit@pve"
    refused = ask(simulator, "POST", "/access/ticket", {**login, "privs": "VM.Audit,VM.PowerMgmt"})
    assert outcome(refused) == (401, "authentication failure")


def test_the_cluster_log_tells_of_logins_and_new_passwords(simulator: Simulator) -> None:
    simulator.request("PUT", "/access/password", {"userid": "alice@pve", "password": "a-password"})
    ask(simulator, "POST", "/access/ticket", {"username": "alice@pve", "password": "a-password"})
    ask(simulator, "POST", "/access/ticket", {"username": "alice@pve", "password": "wrong"})
    lines = [entry.msg for entry in simulator.world.rows(LogEntry).values()]
    assert lines == ["changed password for user 'alice@pve'", "successful auth for user 'alice@pve'"]


def test_capabilities_of_a_pool_count_for_guests_and_storages_and_root_alone_not_below(simulator: Simulator) -> None:
    def give(path: str, role: str, **more: Any) -> None:
        simulator.request("PUT", "/access/acl", {"path": path, "users": "alice@pve", "roles": role, **more})

    give("/pool/prod", "PVEAuditor")
    parts = capabilities(simulator.world, Identity("alice@pve"))
    assert parts["vms"] == {"VM.Audit": 1, "VM.GuestAgent.Audit": 1}
    assert parts["storage"] == {"Datastore.Audit": 1}
    assert parts["nodes"] == {}
    give("/", "PVEAuditor", propagate=0)
    parts = capabilities(simulator.world, Identity("alice@pve"))
    assert parts["dc"] == {"SDN.Audit": 1, "Sys.Audit": 1}
    assert parts["nodes"] == {}


# -- CSRF tokens and API tokens ------------------------------------------------------------------------------------


def test_a_write_by_ticket_takes_the_users_own_fresh_csrf_token(simulator: Simulator) -> None:
    params = {"groupid": "ops"}
    ticket = by_ticket(simulator, csrf=False)
    stale = make_csrf_token(simulator.world, "root@pam")
    refusal = (401, "Permission denied - invalid csrf token")
    assert outcome(ask(simulator, "POST", "/access/groups", params, **ticket)) == refusal
    of_another = make_csrf_token(simulator.world, "alice@pve")
    for token in (of_another, stale[:-1] + ("a" if stale[-1] != "a" else "b"), "x", ":"):
        headers = {**ticket, "csrfpreventiontoken": token}
        assert outcome(ask(simulator, "POST", "/access/groups", params, **headers)) == refusal
    simulator.clock.advance(2 * HOUR)
    headers = {**by_ticket(simulator, csrf=False), "csrfpreventiontoken": stale}
    assert outcome(ask(simulator, "POST", "/access/groups", params, **headers)) == refusal
    assert simulator.request("GET", "/access/groups") == []
    assert ask(simulator, "POST", "/access/groups", params, **by_ticket(simulator)).status == 200


def test_a_read_takes_none_and_neither_does_a_token(simulator: Simulator) -> None:
    assert ask(simulator, "GET", "/access/users", **by_ticket(simulator, csrf=False)).status == 200
    secret = simulator.request("POST", "/access/users/root@pam/token/ci", {"privsep": 0})["value"]
    authorization = f"PVEAPIToken=root@pam!ci={secret}"
    response = ask(simulator, "POST", "/access/groups", {"groupid": "ops"}, authorization=authorization)
    assert response.status == 200


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("PVEAPIToken=garbage", "Authentication failed!"),
        ("PVEAPIToken=root@pam!ci=wrong", "Authentication failed!"),
        ("PVEAPIToken=root@pam!ci=w\u00e4rong", "Authentication failed!"),
        ("PVEAPIToken=root@pam!none=00000000-0000-0000-0000-000000000000", "Authentication failed!"),
        ("Bearer abcdef", "No ticket"),
        ("Basic cm9vdDpyb290", "No ticket"),
    ],
)
def test_other_authorizations_are_refused(simulator: Simulator, authorization: str, reason: str) -> None:
    simulator.request("POST", "/access/users/root@pam/token/ci")
    assert outcome(ask(simulator, "GET", "/version", authorization=authorization)) == (401, reason)


def test_what_is_open_to_the_world_takes_no_credentials_and_minds_no_bad_ones(simulator: Simulator) -> None:
    assert ask(simulator, "GET", "/access/domains").status == 200
    assert ask(simulator, "GET", "/access/domains", cookie="PVEAuthCookie=garbage").status == 200
    assert ask(simulator, "GET", "/access/ticket").body == b'{"data":null}'


# -- moments, and the request log ----------------------------------------------------------------------------------


def test_a_fork_goes_its_own_way(simulator: Simulator) -> None:
    other = simulator.fork()
    other.request("POST", "/access/groups", {"groupid": "ops"})
    assert simulator.request("GET", "/access/groups") == []
    other.reset()
    assert other.request("GET", "/access/groups") == []


def test_a_checkpoint_can_be_gone_back_to(simulator: Simulator) -> None:
    simulator.request("POST", "/access/groups", {"groupid": "one"})
    simulator.checkpoint("one")
    simulator.request("POST", "/access/groups", {"groupid": "two"})
    simulator.clock.advance(100)
    later = simulator.clock.now
    simulator.restore("one")
    assert [group["groupid"] for group in simulator.request("GET", "/access/groups")] == ["one"]
    assert simulator.clock.now == later - 100
    assert simulator.checkpoints == ["one"]
    with pytest.raises(KeyError):
        simulator.restore("none")
    simulator.reset()
    assert simulator.request("GET", "/access/groups") == []


def test_the_request_log_keeps_who_asked_what_and_how_it_ended(simulator: Simulator) -> None:
    ask(simulator, "GET", "/version")
    ask(simulator, "GET", "/version", **by_ticket(simulator, "alice@pve"))
    kept = [(record.verb, record.path, record.user, record.status) for record in simulator.requests]
    assert kept == [("GET", "/api2/json/version", None, 401), ("GET", "/api2/json/version", "alice@pve", 200)]
    for _ in range(KEPT_REQUESTS):
        ask(simulator, "GET", "/access/ticket")
    assert len(simulator.requests) == KEPT_REQUESTS


def test_the_same_requests_give_the_same_bytes() -> None:
    def play() -> list[bytes]:
        simulator = small_simulator()
        headers = by_ticket(simulator)
        answers = [ask(simulator, "POST", "/access/users/root@pam/token/ci", **headers).body]
        answers += [ask(simulator, "GET", path, **headers).body for path in ("/access/users", "/access/roles")]
        return [*answers, ask(simulator, "POST", "/access/ticket", {"username": "root@pam", "password": "x"}).body]

    assert play() == play()


def test_many_threads_may_ask_at_once(simulator: Simulator) -> None:
    headers = by_ticket(simulator)
    statuses: list[int] = []

    def create(number: int) -> None:
        statuses.append(ask(simulator, "POST", "/access/groups", {"groupid": f"g{number % 20}"}, **headers).status)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 20 + [500] * 20
    assert len(simulator.request("GET", "/access/groups")) == 20
