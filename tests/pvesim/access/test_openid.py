"""OpenID, where no provider has to be asked."""

from __future__ import annotations

import pytest

from pvesim.core.errors import Failure, NotModelled, Unauthorized
from pvesim.engine import Simulator
from pvesim.routing import modelled
from tests.pvesim.small_world import small_simulator

URL = "/access/openid/auth-url"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    provider = {"realm": "sso", "type": "openid", "issuer-url": "https://sso.example.test", "client-id": "pve"}
    simulator.request("POST", "/access/domains", provider)
    return simulator


@pytest.mark.parametrize(
    ("realm", "message"),
    [("none", "authentication domain 'none' does not exist"), ("pam", "wrong realm type (pam != openid)")],
)
def test_another_realm_is_refused(simulator: Simulator, realm: str, message: str) -> None:
    with pytest.raises(Failure) as refused:
        simulator.request("POST", URL, {"realm": realm, "redirect-url": "https://pve1"}, user="")
    assert refused.value.message == message


def test_a_provider_is_not_modelled(simulator: Simulator) -> None:
    with pytest.raises(NotModelled, match=r"^OpenID providers are not modelled by pvesim$"):
        simulator.request("POST", URL, {"realm": "sso", "redirect-url": "https://pve1"}, user="")
    assert ("POST", URL) not in set(modelled())


def test_nobody_comes_back_from_one(simulator: Simulator) -> None:
    params = {"code": "c", "state": "s", "redirect-url": "https://pve1"}
    with pytest.raises(Unauthorized, match=r"^authentication failure$"):
        simulator.request("POST", "/access/openid/login", params, user="")
