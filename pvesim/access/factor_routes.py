"""`/access/tfa`: the second factors of users."""

from __future__ import annotations

from typing import Any

from pvesim.access import second_factors, users
from pvesim.access.login import password_matches
from pvesim.routing import Call, route

_USER = "/access/tfa/{userid}"
_ENTRY = "/access/tfa/{userid}/{id}"
Rows = list[dict[str, Any]]


def _check(call: Call) -> str:
    """The user whose factors are changed, after the checks that all changes share."""
    userid: str = call.params["userid"]
    second_factors.check_right(call.world, call.identity, userid, call.params.get("password"), password_matches)
    return userid


@route("GET", "/access/tfa")
def list_all_factors(call: Call) -> Rows:
    return second_factors.list_all(call.world, call.identity)


@route("GET", _USER)
def list_factors(call: Call) -> Rows:
    userid = users.existing_user(call.world, call.params["userid"]).userid
    return [second_factors.show(factor) for factor in second_factors.factors_of(call.world, userid)]


@route("POST", _USER)
def add_factor(call: Call) -> dict[str, Any]:
    return second_factors.add(call.world, _check(call), call.params)


@route("GET", _ENTRY)
def read_factor(call: Call) -> dict[str, Any]:
    return second_factors.show(second_factors.find_factor(call.world, call.params["userid"], call.params["id"]))


@route("PUT", _ENTRY)
def update_factor(call: Call) -> None:
    params = call.params
    second_factors.update(call.world, _check(call), params["id"], params.get("description"), params.get("enable"))


@route("DELETE", _ENTRY)
def delete_factor(call: Call) -> None:
    second_factors.delete(call.world, _check(call), call.params["id"])


@route("GET", "/access/users/{userid}/tfa")
def factor_types(call: Call) -> dict[str, Any]:
    userid = users.existing_user(call.world, call.params["userid"]).userid
    return second_factors.types_of(call.world, userid, bool(call.params.get("multiple")))


@route("PUT", "/access/users/{userid}/unlock-tfa")
def unlock_factors(call: Call) -> int:
    userid = users.existing_user(call.world, call.params["userid"]).userid
    return int(second_factors.unlock(call.world, userid))
