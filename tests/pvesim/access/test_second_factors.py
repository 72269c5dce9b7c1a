"""Second factors: entries, and logging in with them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlencode

import pytest

from pvesim.access.login import set_password
from pvesim.access.totp import Totp
from pvesim.core.errors import ApiError, Unauthorized
from pvesim.engine import Simulator
from pvesim.wire import WireRequest
from tests.pvesim.small_world import small_simulator

SECRET = b"12345678901234567890"
URI = "otpauth://totp/PVE:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
ALICE = "/access/tfa/alice@pve"
PASSWORD = "alice-pw-123"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    set_password(simulator.world, "alice@pve", PASSWORD)
    set_password(simulator.world, "audit@pve", "audit-pw-123")
    return simulator


def code(simulator: Simulator) -> str:
    totp = Totp(SECRET)
    return totp.code(totp.step(simulator.world.now))


def add_totp(simulator: Simulator) -> str:
    params = {"type": "totp", "totp": URI, "value": code(simulator), "description": "phone"}
    id: str = simulator.request("POST", ALICE, params)["id"]
    simulator.clock.advance(30)  # the next code
    return id


def log_in(simulator: Simulator, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = simulator.request("POST", "/access/ticket", {"username": "alice@pve", **params}, user="")
    return answer


def test_what_is_written_is_read(simulator: Simulator) -> None:
    now = int(simulator.world.now)
    id = add_totp(simulator)
    entry = {"id": id, "type": "totp", "description": "phone", "created": now}
    assert simulator.request("GET", ALICE) == [entry]
    assert simulator.request("GET", f"{ALICE}/{id}") == entry
    assert simulator.request("GET", "/access/tfa") == [{"userid": "alice@pve", "entries": [entry]}]
    assert simulator.request("GET", "/access/users/alice@pve")["keys"] == "x"
    assert simulator.request("GET", "/access/users/alice@pve/tfa", {"multiple": 1}) == {"types": ["totp"]}
    assert simulator.request("GET", "/access/users/alice@pve/tfa") == {"user": "oath"}
    simulator.request("PUT", f"{ALICE}/{id}", {"description": "old phone", "enable": 0})
    assert simulator.request("GET", f"{ALICE}/{id}") == {**entry, "description": "old phone", "enable": 0}
    assert simulator.request("GET", "/access/users/alice@pve/tfa", {"multiple": 1}) == {"types": []}
    simulator.request("DELETE", f"{ALICE}/{id}")
    assert simulator.request("GET", ALICE) == []
    assert "keys" not in simulator.request("GET", "/access/users/alice@pve")


def test_who_sees_whose(simulator: Simulator) -> None:
    add_totp(simulator)
    assert [row["userid"] for row in simulator.request("GET", "/access/tfa", user="audit@pve")] == ["alice@pve"]
    assert [row["userid"] for row in simulator.request("GET", "/access/tfa", user="alice@pve")] == ["alice@pve"]
    simulator.request("POST", "/access/users", {"userid": "bob@pve"})
    assert simulator.request("GET", "/access/tfa", user="bob@pve") == []


def test_recovery_keys_are_shown_once(simulator: Simulator) -> None:
    answer = simulator.request("POST", ALICE, {"type": "recovery"})
    assert answer["id"] == "recovery"
    assert len(set(answer["recovery"])) == 10
    assert all(len(key) == 19 for key in answer["recovery"])
    shown = simulator.request("GET", f"{ALICE}/recovery")
    assert (shown["id"], shown["type"], "recovery" in shown) == ("recovery", "recovery", False)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"type": "totp", "totp": URI, "value": "000000", "description": "d"}, "failed to verify TOTP challenge"),
        ({"type": "totp", "totp": URI, "description": "d"}, "'totp' type requires both 'totp' and 'value' parameters"),
        ({"type": "totp", "totp": URI, "value": "1"}, "'description' is required for new entries"),
        ({"type": "totp", "challenge": "x"}, "'challenge' parameter is invalid for 'totp' entries"),
        ({"type": "recovery", "value": "1"}, "generating recovery tokens does not allow additional parameters"),
        ({"type": "webauthn", "description": "d"}, "no webauthn configuration available"),
        ({"type": "u2f", "totp": "x"}, "'totp' parameter is invalid for 'u2f' entries"),
        ({"type": "yubico", "value": "x"}, "no yubico otp configuration available for realm pve"),
    ],
)
def test_what_cannot_be_added_is_refused(simulator: Simulator, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as refused:
        simulator.request("POST", ALICE, params)
    assert refused.value.message == message
    assert simulator.request("GET", ALICE) == []


def test_recovery_keys_are_made_once(simulator: Simulator) -> None:
    simulator.request("POST", ALICE, {"type": "recovery"})
    with pytest.raises(ApiError, match=r"^user already has recovery keys$"):
        simulator.request("POST", ALICE, {"type": "recovery"})


@pytest.mark.parametrize(
    ("verb", "status", "message"),
    [("GET", 404, "No such tfa entry 'none'"), ("PUT", 500, "no such entry"), ("DELETE", 500, "no such entry")],
)
def test_an_unknown_entry(simulator: Simulator, verb: str, status: int, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        simulator.request(verb, f"{ALICE}/none")
    assert (refused.value.status, refused.value.message) == (status, message)


def test_users_confirm_with_their_password(simulator: Simulator) -> None:
    with pytest.raises(ApiError) as refused:
        simulator.request("POST", ALICE, {"type": "recovery"}, user="alice@pve")
    assert refused.value.errors == {"password": "password is required to modify TFA data"}
    with pytest.raises(ApiError, match=r"^invalid credentials$"):
        simulator.request("POST", ALICE, {"type": "recovery", "password": "wrong-one"}, user="alice@pve")
    answer = simulator.request("POST", ALICE, {"type": "recovery", "password": PASSWORD}, user="alice@pve")
    assert len(answer["recovery"]) == 10


def test_a_login_asks_for_the_code(simulator: Simulator) -> None:
    add_totp(simulator)
    first = log_in(simulator, password=PASSWORD)
    assert (first["NeedTFA"], "cap" in first, "clustername" in first) == (1, False, False)
    assert json.loads(unquote(first["ticket"].split(":")[1]).removeprefix("!tfa!")) == {"totp": True}
    second = log_in(simulator, **{"password": f"totp:{code(simulator)}", "tfa-challenge": first["ticket"]})
    assert "NeedTFA" not in second
    assert second["ticket"].startswith("PVE:alice@pve:")


def test_an_open_challenge_is_no_ticket(simulator: Simulator) -> None:
    add_totp(simulator)
    ticket = log_in(simulator, password=PASSWORD)["ticket"]
    answer = simulator.handle(WireRequest("GET", "/api2/json/version", headers={"cookie": f"PVEAuthCookie={ticket}"}))
    assert answer.status == 401


def test_a_code_is_good_once(simulator: Simulator) -> None:
    add_totp(simulator)
    first = log_in(simulator, password=PASSWORD)["ticket"]
    response = {"password": f"totp:{code(simulator)}", "tfa-challenge": first}
    log_in(simulator, **response)
    with pytest.raises(Unauthorized, match=r"^authentication failure$"):
        log_in(simulator, **response)


@pytest.mark.parametrize("password", ["totp:000000", "000000", PASSWORD, "recovery:0000-0000-0000-0000"])
def test_a_wrong_answer_is_refused(simulator: Simulator, password: str) -> None:
    add_totp(simulator)
    first = log_in(simulator, password=PASSWORD)["ticket"]
    with pytest.raises(Unauthorized, match=r"^authentication failure$"):
        log_in(simulator, **{"password": password, "tfa-challenge": first})


def test_a_challenge_is_one_user_s_and_for_a_time(simulator: Simulator) -> None:
    add_totp(simulator)
    first = log_in(simulator, password=PASSWORD)["ticket"]
    answer = f"totp:{code(simulator)}"
    with pytest.raises(Unauthorized):
        log_in(simulator, **{"username": "audit@pve", "password": answer, "tfa-challenge": first})
    simulator.clock.advance(7300)
    with pytest.raises(Unauthorized):
        log_in(simulator, **{"password": f"totp:{code(simulator)}", "tfa-challenge": first})


def test_a_recovery_key_is_used_up(simulator: Simulator) -> None:
    keys = simulator.request("POST", ALICE, {"type": "recovery"})["recovery"]
    first = log_in(simulator, password=PASSWORD)["ticket"]
    assert json.loads(unquote(first.split(":")[1])[5:]) == {"recovery": list(range(10))}
    response = {"password": f"recovery:{keys[3]}", "tfa-challenge": first}
    log_in(simulator, **response)
    with pytest.raises(Unauthorized):
        log_in(simulator, **response)
    again = log_in(simulator, password=PASSWORD)["ticket"]
    assert json.loads(unquote(again.split(":")[1])[5:])["recovery"] == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_a_code_may_come_with_the_password(simulator: Simulator) -> None:
    add_totp(simulator)
    with pytest.raises(Unauthorized):
        log_in(simulator, password=PASSWORD, otp="000000")
    assert "NeedTFA" not in log_in(simulator, password=PASSWORD, otp=code(simulator))


def test_a_disabled_factor_is_not_asked_for(simulator: Simulator) -> None:
    id = add_totp(simulator)
    simulator.request("PUT", f"{ALICE}/{id}", {"enable": 0})
    assert "NeedTFA" not in log_in(simulator, password=PASSWORD)


def test_a_user_s_factors_go_with_the_user(simulator: Simulator) -> None:
    add_totp(simulator)
    simulator.request("DELETE", "/access/users/alice@pve")
    assert simulator.request("GET", "/access/tfa") == []


def test_a_form_carries_the_challenge_over_the_wire(simulator: Simulator) -> None:
    add_totp(simulator)

    def post(**params: str) -> dict[str, Any]:
        body = urlencode({"username": "alice@pve", **params}).encode()
        answer: dict[str, Any] = json.loads(simulator.handle(WireRequest("POST", "/api2/json/access/ticket",
                                                                         body=body)).body)["data"]  # fmt: skip
        return answer

    ticket = post(password=PASSWORD)["ticket"]
    assert "CSRFPreventionToken" in post(**{"password": f"totp:{code(simulator)}", "tfa-challenge": ticket})


def wrong(simulator: Simulator, answer: str, times: int) -> None:
    first = log_in(simulator, password=PASSWORD)["ticket"]
    for _ in range(times):
        with pytest.raises(Unauthorized):
            log_in(simulator, **{"password": answer, "tfa-challenge": first})


def test_wrong_codes_lock_codes_until_a_recovery_key_is_used(simulator: Simulator) -> None:
    add_totp(simulator)
    keys = simulator.request("POST", ALICE, {"type": "recovery"})["recovery"]
    wrong(simulator, "totp:000000", 8)
    assert simulator.request("GET", "/access/tfa")[0]["totp-locked"] == 1
    first = log_in(simulator, password=PASSWORD)["ticket"]
    assert "totp" not in json.loads(unquote(first.split(":")[1])[5:])
    with pytest.raises(Unauthorized):
        log_in(simulator, **{"password": f"totp:{code(simulator)}", "tfa-challenge": first})
    log_in(simulator, **{"password": f"recovery:{keys[0]}", "tfa-challenge": first})
    assert "totp-locked" not in simulator.request("GET", "/access/tfa")[0]


def test_too_many_wrong_answers_lock_all_for_an_hour(simulator: Simulator) -> None:
    keys = simulator.request("POST", ALICE, {"type": "recovery"})["recovery"]
    wrong(simulator, "recovery:0000-0000-0000-0000", 100)
    until = simulator.request("GET", "/access/tfa")[0]["tfa-locked-until"]
    assert until == int(simulator.world.now) + 3600
    wrong(simulator, f"recovery:{keys[0]}", 1)
    simulator.clock.advance(3601)
    first = log_in(simulator, password=PASSWORD)["ticket"]
    log_in(simulator, **{"password": f"recovery:{keys[0]}", "tfa-challenge": first})
    assert "tfa-locked-until" not in simulator.request("GET", "/access/tfa")[0]


def test_an_administrator_unlocks(simulator: Simulator) -> None:
    add_totp(simulator)
    unlock = "/access/users/alice@pve/unlock-tfa"
    assert simulator.request("PUT", unlock) == 0
    wrong(simulator, "totp:000000", 8)
    assert simulator.request("PUT", unlock) == 1
    assert "NeedTFA" not in log_in(simulator, password=PASSWORD, otp=code(simulator))
