"""Notification targets and matchers."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import give, small_simulator

PLACE = "/cluster/notifications"
GOTIFY = f"{PLACE}/endpoints/gotify"
MATCHERS = f"{PLACE}/matchers"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    simulator.request("POST", GOTIFY, {"name": "phone", "server": "https://gotify", "token": "secret"})
    return simulator


def test_every_cluster_has_two(simulator: Simulator) -> None:
    targets = {row["name"]: row for row in simulator.request("GET", f"{PLACE}/targets")}
    assert targets["mail-to-root"] == {
        "comment": "Send mails to root@pam's email address",
        "name": "mail-to-root",
        "origin": "builtin",
        "type": "sendmail",
    }
    assert targets["phone"] == {"name": "phone", "origin": "user-created", "type": "gotify"}
    matcher = simulator.request("GET", MATCHERS)[0]
    assert (matcher["name"], matcher["target"], matcher["origin"]) == ("default-matcher", ["mail-to-root"], "builtin")


def test_a_built_in_one_comes_back_as_it_was(simulator: Simulator) -> None:
    mail = f"{PLACE}/endpoints/sendmail/mail-to-root"
    simulator.request("PUT", mail, {"comment": "changed", "mailto": ["ops@example.test"]})
    assert simulator.request("GET", mail)["mailto"] == ["ops@example.test"]
    assert simulator.request("GET", f"{PLACE}/endpoints/sendmail")[0]["origin"] == "modified-builtin"
    simulator.request("DELETE", mail)
    assert simulator.request("GET", f"{PLACE}/endpoints/sendmail")[0]["origin"] == "builtin"
    assert "mailto" not in simulator.request("GET", mail)


def test_secrets_are_not_shown(simulator: Simulator) -> None:
    shown = simulator.request("GET", f"{GOTIFY}/phone")
    assert shown == {"digest": shown["digest"], "name": "phone", "server": "https://gotify"}
    hook = {"name": "hook", "method": "post", "url": "https://hook", "secret": ["name=key,value=c2VjcmV0"]}
    simulator.request("POST", f"{PLACE}/endpoints/webhook", hook)
    assert simulator.request("GET", f"{PLACE}/endpoints/webhook/hook")["secret"] == ["name=key"]
    mail = {"name": "relay", "server": "smtp", "from-address": "a@b.test", "mailto": ["c@d.test"], "password": "x"}
    simulator.request("POST", f"{PLACE}/endpoints/smtp", mail)
    assert "password" not in simulator.request("GET", f"{PLACE}/endpoints/smtp")[0]


def test_a_target_in_use_stays(simulator: Simulator) -> None:
    simulator.request("POST", MATCHERS, {"name": "all", "target": ["phone"], "match-severity": ["error"]})
    with pytest.raises(ApiError) as caught:
        simulator.request("DELETE", f"{GOTIFY}/phone")
    assert (caught.value.status, caught.value.message) == (400, "cannot delete 'phone', referenced by: all")
    simulator.request("PUT", f"{MATCHERS}/all", {"delete": ["target"], "mode": "any"})
    assert simulator.request("GET", f"{MATCHERS}/all")["mode"] == "any"
    simulator.request("DELETE", f"{GOTIFY}/phone")
    simulator.request("DELETE", f"{MATCHERS}/all")
    assert simulator.request("GET", GOTIFY) == []


@pytest.mark.parametrize(
    ("verb", "path", "params", "status", "message"),
    [
        ("POST", GOTIFY, {"name": "mail-to-root", "server": "s", "token": "t"}, 400,
         "Cannot create 'mail-to-root', an entity with the same name already exists"),
        ("POST", MATCHERS, {"name": "phone"}, 400,
         "Cannot create 'phone', an entity with the same name already exists"),
        ("POST", MATCHERS, {"name": "m1", "target": ["nobody"]}, 404, "endpoint 'nobody' does not exist"),
        ("GET", f"{GOTIFY}/nobody", {}, 404, "gotify endpoint 'nobody' not found"),
        ("GET", f"{PLACE}/endpoints/smtp/phone", {}, 404, "smtp endpoint 'phone' not found"),
        ("DELETE", f"{MATCHERS}/nobody", {}, 404, "matcher 'nobody' not found"),
        ("POST", f"{PLACE}/targets/nobody/test", {}, 404, "endpoint 'nobody' does not exist"),
        ("PUT", f"{GOTIFY}/phone", {"server": "other", "digest": "1" * 40}, 400,
         "detected modified configuration - file changed by other user? Try again."),
        ("POST", f"{PLACE}/endpoints/sendmail", {"name": "nowhere"}, 400,
         "must at least provide one recipient, either in mailto or in mailto-user"),
    ],
)  # fmt: skip
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, path: str, params: dict[str, Any], status: int, message: str
) -> None:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert (caught.value.status, caught.value.message) == (status, message)
    assert not before.diff(simulator.world)


def test_a_test_is_seen_in_the_log(simulator: Simulator) -> None:
    simulator.request("POST", f"{PLACE}/targets/phone/test")
    assert simulator.request("GET", "/cluster/log")[0]["msg"] == "notified via target `phone`"


def test_fields_and_values_to_match(simulator: Simulator) -> None:
    assert {"name": "hostname"} in simulator.request("GET", f"{PLACE}/matcher-fields")
    values = simulator.request("GET", f"{PLACE}/matcher-field-values")
    assert {row["value"] for row in values if row["field"] == "hostname"} == {"pve1", "pve2"}


def test_rights(simulator: Simulator) -> None:
    with pytest.raises(ApiError) as caught:
        simulator.request("GET", f"{PLACE}/targets", user="alice@pve")
    assert caught.value.status == 403
    give(simulator.world, "alice@pve", "/mapping/notifications", "PVEMappingUser")
    assert simulator.request("GET", f"{PLACE}/targets", user="alice@pve")
