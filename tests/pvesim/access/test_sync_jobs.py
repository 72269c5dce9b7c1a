"""Scheduled synchronisation of realms."""

from __future__ import annotations

from typing import Any

import pytest

from pvesim.core.errors import ApiError
from pvesim.engine import Simulator
from tests.pvesim.small_world import small_simulator

JOBS = "/cluster/jobs/realm-sync"


@pytest.fixture
def simulator() -> Simulator:
    simulator = small_simulator()
    realm = {"realm": "corp", "type": "ldap", "server1": "ldap.corp", "base_dn": "dc=corp", "user_attr": "uid"}
    simulator.request("POST", "/access/domains", realm)
    simulator.request("POST", f"{JOBS}/nightly", {"realm": "corp", "schedule": "02:00", "scope": "users"})
    return simulator


def test_what_is_written_is_read(simulator: Simulator) -> None:
    row = simulator.request("GET", JOBS)[0]
    assert row == {"enabled": 1, "id": "nightly", "next-run": row["next-run"], "realm": "corp", "schedule": "02:00",
                   "scope": "users"}  # fmt: skip
    assert row["next-run"] % 86400 == 7200
    change = {"schedule": "03:00", "enabled": 0, "delete": "scope"}
    simulator.request("PUT", f"{JOBS}/nightly", change)
    shown = simulator.request("GET", f"{JOBS}/nightly")
    assert (shown["schedule"], shown["enabled"], "scope" in shown) == ("03:00", 0, False)
    assert "next-run" not in simulator.request("GET", JOBS)[0]
    simulator.request("DELETE", f"{JOBS}/nightly")
    assert simulator.request("GET", JOBS) == []


def test_a_run_finds_no_directory(simulator: Simulator) -> None:
    due = simulator.request("GET", JOBS)[0]["next-run"]
    simulator.clock.advance(due - simulator.clock.now + 60)
    row = simulator.request("GET", JOBS)[0]
    assert (row["last-run"], row["next-run"]) == (due, due + 86400)
    task = next(task for task in simulator.request("GET", "/cluster/tasks") if task["type"] == "auth-realm-sync")
    assert (task["id"], task["status"]) == ("corp", "unable to connect to ldap.corp: No route to host")


@pytest.mark.parametrize(
    ("verb", "id", "params", "status", "message"),
    [
        ("POST", "nightly", {"realm": "corp", "schedule": "1:00"}, 500, "Job 'nightly' already exists"),
        ("POST", "j2", {"realm": "other", "schedule": "1:00"}, 500,
         "400 Parameter verification failed.\nrealm: No such realm 'other'"),
        ("POST", "j2", {"realm": "pve", "schedule": "1:00"}, 500,
         "400 Parameter verification failed.\nrealm: Cannot sync realm of type 'pve'"),
        ("PUT", "j2", {"schedule": "1:00"}, 500, "no such realm-sync job"),
        ("DELETE", "j2", {}, 500, "400 Parameter verification failed.\nid: No such job 'j2'"),
        ("GET", "j2", {}, 400, "Parameter verification failed."),
    ],
)  # fmt: skip
def test_refusals_change_nothing(
    simulator: Simulator, verb: str, id: str, params: dict[str, Any], status: int, message: str
) -> None:
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, f"{JOBS}/{id}", params)
    assert (caught.value.status, caught.value.message) == (status, message)
    assert not before.diff(simulator.world)


SYNC = "/access/domains/corp/sync"


@pytest.mark.parametrize(("extra", "type"), [({}, "auth-realm-sync"), ({"dry-run": 1}, "auth-realm-sync-test")])
def test_a_sync_at_once_finds_no_directory_either(simulator: Simulator, extra: dict[str, Any], type: str) -> None:
    upid = simulator.request("POST", SYNC, {"scope": "both", **extra})
    assert upid.split(":")[5:7] == [type, "corp"]
    simulator.clock.run_until_done(upid)
    status = simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")
    assert status["exitstatus"] == "unable to connect to ldap.corp: No route to host"


def test_a_sync_needs_a_directory_and_a_scope(simulator: Simulator) -> None:
    with pytest.raises(ApiError) as refused:
        simulator.request("POST", SYNC)
    missing = "Not passed as parameter and not defined in realm default sync options."
    assert refused.value.errors == {"scope": missing}
    simulator.request("PUT", "/access/domains/corp", {"sync-defaults-options": "scope=users"})
    assert simulator.request("POST", SYNC).startswith("UPID:")
    with pytest.raises(ApiError, match=r"^Cannot sync realm type 'pam'! Only LDAP/AD realms can be synced\.$"):
        simulator.request("POST", "/access/domains/pam/sync", {"scope": "users"})
    with pytest.raises(ApiError) as refused:
        simulator.request("POST", "/access/domains/none/sync", {"scope": "users"})
    assert refused.value.errors == {"realm": "Realm does not exist."}
