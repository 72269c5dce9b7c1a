"""ACME as far as nobody has to be asked."""

from __future__ import annotations

import base64

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import small_simulator

PLUGINS = "/cluster/acme/plugins"


@pytest.fixture
def simulator() -> Simulator:
    return small_simulator()


def test_plugins_are_kept(simulator: Simulator) -> None:
    data = base64.b64encode(b"CF_Token=abc").decode()
    simulator.request("POST", PLUGINS, {"id": "cloud", "type": "dns", "api": "cf", "data": data})
    assert simulator.request("GET", f"{PLUGINS}/cloud")["data"] == "CF_Token=abc"
    assert [row["plugin"] for row in simulator.request("GET", PLUGINS)] == ["standalone", "cloud"]
    simulator.request("PUT", f"{PLUGINS}/cloud", {"validation-delay": 5, "delete": "data"})
    shown = simulator.request("GET", PLUGINS, {"type": "dns"})[0]
    assert (shown["validation-delay"], "data" in shown) == (5, False)
    simulator.request("DELETE", f"{PLUGINS}/cloud")
    assert [row["plugin"] for row in simulator.request("GET", PLUGINS)] == ["standalone"]


@pytest.mark.parametrize(
    ("verb", "path", "params", "message"),
    [
        ("POST", PLUGINS, {"id": "standalone", "type": "standalone"}, "ACME plugin ID 'standalone' already exists"),
        ("POST", PLUGINS, {"id": "dd", "type": "dns"}, "missing value for required option 'api'"),
        ("GET", f"{PLUGINS}/other", {}, "ACME plugin 'other' not defined"),
        ("GET", "/cluster/acme/account/default", {}, "ACME account config file 'default' does not exist."),
    ],
)
def test_refusals(simulator: Simulator, verb: str, path: str, params: dict[str, str], message: str) -> None:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert caught.value.message == message
    assert not before.diff(simulator.world)


def test_what_there_is_to_choose_from(simulator: Simulator) -> None:
    assert simulator.request("GET", "/cluster/acme/account") == []
    assert {"id": "cf", "name": "cf", "schema": {}, "type": "dns"} in simulator.request(
        "GET", "/cluster/acme/challenge-schema"
    )
    assert simulator.request("GET", "/cluster/acme/directories")[0]["url"].startswith("https://acme-v02.")
