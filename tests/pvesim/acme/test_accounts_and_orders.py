"""Accounts at an ACME service that the world lets nodes reach, and certificates from it."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.acme.rules import DIRECTORIES
from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from pvesim.storage.records import Download
from tests.pvesim.small_world import small_simulator

ACCOUNT = "/cluster/acme/account"
CERTIFICATE = "/nodes/pve1/certificates/acme/certificate"
DIRECTORY, STAGING = DIRECTORIES.values()


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    simulator.world.put(Download(DIRECTORY, 700))
    return simulator


def done(simulator: Simulator, verb: str, path: str, params: dict[str, Any] | None = None) -> str:
    """The exit status of a task."""
    upid = simulator.request(verb, path, params)
    simulator.clock.run_until_done(upid)
    status: str = simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")["exitstatus"]
    return status


def refused(simulator: Simulator, verb: str, path: str, params: dict[str, Any] | None = None) -> ApiError:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params)
    assert not before.diff(simulator.world)
    return caught.value


def issuers(simulator: Simulator) -> dict[str, dict[str, Any]]:
    return {row["filename"]: row for row in simulator.request("GET", "/nodes/pve1/certificates/info")}


def test_an_account_is_registered_changed_and_given_up(simulator: Simulator) -> None:
    terms = simulator.request("GET", "/cluster/acme/tos")
    assert terms == simulator.request("GET", "/cluster/acme/meta")["termsOfService"]
    assert done(simulator, "POST", ACCOUNT, {"contact": "a@x.org,b@x.org", "tos_url": terms}) == "OK"
    assert simulator.request("GET", ACCOUNT) == [{"name": "default"}]
    shown = simulator.request("GET", f"{ACCOUNT}/default")
    assert shown["account"]["contact"] == ["mailto:a@x.org", "mailto:b@x.org"]
    assert (shown["directory"], shown["tos"], shown["account"]["status"]) == (DIRECTORY, terms, "valid")
    taken = refused(simulator, "POST", ACCOUNT, {"contact": "c@x.org"})
    assert taken.errors == {"name": "ACME account config file 'default' already exists."}
    assert done(simulator, "PUT", f"{ACCOUNT}/default", {"contact": "c@x.org"}) == "OK"
    assert simulator.request("GET", f"{ACCOUNT}/default")["account"]["contact"] == ["mailto:c@x.org"]
    assert done(simulator, "PUT", f"{ACCOUNT}/default") == "OK"
    assert done(simulator, "DELETE", f"{ACCOUNT}/default") == "OK"
    assert simulator.request("GET", ACCOUNT) == []


def test_a_service_that_the_world_does_not_have(simulator: Simulator) -> None:
    reason = (
        f"GET to {STAGING} failed: 500 Can't connect to acme-staging-v02.api.letsencrypt.org:443 (No route to host)"
    )
    params = {"name": "test", "contact": "a@x.org", "directory": STAGING}
    assert done(simulator, "POST", ACCOUNT, params) == f"Registration failed: {reason}"
    assert simulator.request("GET", ACCOUNT) == []
    assert refused(simulator, "GET", "/cluster/acme/meta", {"directory": STAGING}).message == reason
    for verb in ("PUT", "DELETE"):
        error = refused(simulator, verb, f"{ACCOUNT}/none")
        assert error.message == "ACME account config file 'none' does not exist."


def test_a_certificate_is_ordered_renewed_and_revoked(simulator: Simulator) -> None:
    done(simulator, "POST", ACCOUNT, {"contact": "a@x.org"})
    simulator.request("POST", "/cluster/acme/plugins", {"id": "cloud", "type": "dns", "api": "cf"})
    config = {"acme": "domains=pve1.x.org", "acmedomain0": "www.x.org,plugin=cloud"}
    simulator.request("PUT", "/nodes/pve1/config", config)
    assert done(simulator, "POST", CERTIFICATE) == "OK"
    first = issuers(simulator)["pveproxy-ssl.pem"]
    assert first["san"] == ["pve1.x.org", "www.x.org"]
    assert first["notafter"] - first["notbefore"] == 90 * 86400
    assert refused(simulator, "POST", CERTIFICATE).errors == {
        "force": "Custom certificate exists but 'force' is not set."
    }
    assert refused(simulator, "PUT", CERTIFICATE).errors == {
        "force": "Certificate does not expire within the next 30 days, and 'force' is not set."
    }
    simulator.clock.advance(61 * 86400)
    assert done(simulator, "PUT", CERTIFICATE) == "OK"
    assert issuers(simulator)["pveproxy-ssl.pem"]["fingerprint"] != first["fingerprint"]
    assert done(simulator, "DELETE", CERTIFICATE) == "OK"
    assert "pveproxy-ssl.pem" not in issuers(simulator)


def test_what_an_order_needs(simulator: Simulator) -> None:
    missing = "ACME domain list in node configuration is missing!"
    for verb in ("POST", "DELETE"):
        error = refused(simulator, verb, CERTIFICATE)
        assert (error.status, error.message) == (400, missing)
    assert refused(simulator, "PUT", CERTIFICATE).message.startswith("No current (custom) certificate found")
    simulator.request("PUT", "/nodes/pve1/config", {"acme": "account=mine,domains=pve1.x.org"})
    assert done(simulator, "POST", CERTIFICATE) == "ACME account config file 'mine' does not exist."
    done(simulator, "POST", ACCOUNT, {"contact": "a@x.org", "name": "mine"})
    simulator.request("PUT", "/nodes/pve1/config", {"acmedomain1": "www.x.org,plugin=none"})
    assert done(simulator, "POST", CERTIFICATE) == "ACME plugin 'none' not defined"
    assert done(simulator, "DELETE", CERTIFICATE) == "No current (custom) certificate found"
