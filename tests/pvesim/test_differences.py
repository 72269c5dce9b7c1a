"""What changed between two moments, as it is told."""

from __future__ import annotations

import orjson
import pytest

from pvesim import Simulator


@pytest.fixture
def homelab() -> Simulator:
    return Simulator("homelab")


def test_nothing_changed(homelab: Simulator) -> None:
    found = homelab.diff()
    assert not found
    assert str(found) == "From start to now (0 s):\n  nothing changed"


def test_a_change_of_configuration_names_its_fields(homelab: Simulator) -> None:
    homelab.request("PUT", "/nodes/pve2/qemu/105/config", {"memory": "4096", "description": "new", "delete": "tags"})
    (change,) = [change for change in homelab.diff().changes if change.kind == "Guest"]
    assert (change.what, change.name, change.key) == ("changed", "VM 105 (staging)", 105)
    words = change.words()
    assert "config.memory: 2048 → 4096" in words
    assert "config.tags removed (was test;web)" in words
    assert "config.description: A copy of web to try things on. → new" in words


def test_a_task_is_told_by_what_it_came_to(homelab: Simulator) -> None:
    homelab.request("POST", "/nodes/pve2/qemu/105/status/start")
    assert "task qmstart 105 on pve2 by root@pam: running" in homelab.diff().words()
    homelab.clock.advance(30)
    found = homelab.diff()
    assert found.seconds == 30
    assert "task qmstart 105 on pve2 by root@pam: OK" in found.words()
    (line,) = [line for line in found.words() if line.startswith("VM 105 (staging)")]
    assert line.startswith("VM 105 (staging) changed: status: stopped → running")
    assert "started set to 20" in line
    homelab.request("POST", "/nodes/pve1/qemu/100/status/stop")
    homelab.clock.advance(30)
    (line,) = [line for line in homelab.diff().words() if line.startswith("VM 100 (web)")]
    assert "started removed (was 20" in line


def test_what_is_made_and_removed(homelab: Simulator) -> None:
    homelab.checkpoint("before")
    homelab.request("DELETE", "/nodes/pve2/qemu/105")
    homelab.request("POST", "/pools", {"poolid": "new"})
    homelab.clock.advance(30)
    words = homelab.diff("before").words()
    assert "VM 105 (staging) removed" in words
    assert "volume local-lvm:vm-105-disk-0 on pve2 removed" in words
    assert "pool new made" in words
    backwards = homelab.diff("now", "before").words()
    assert "VM 105 (staging) made" in backwards
    assert "pool new removed" in backwards


def test_a_new_snapshot_is_a_field(homelab: Simulator) -> None:
    homelab.request("POST", "/nodes/pve2/qemu/105/snapshot", {"snapname": "today"})
    homelab.clock.advance(30)
    guest = next(change for change in homelab.diff().changes if change.kind == "Guest")
    assert "snapshots.today" in [field.field for field in guest.fields]


def test_secrets_are_not_told(homelab: Simulator) -> None:
    homelab.request("PUT", "/access/password", {"userid": "alice@pve", "password": "entirely-new"})
    homelab.request("PUT", "/nodes/pve1/qemu/105/config".replace("pve1", "pve2"), {"cipassword": "another-secret"})
    found = homelab.diff()
    told = str(found) + orjson.dumps(found.to_json()).decode()
    assert "user alice@pve changed: password: (secret) → (another secret)" in found.words()
    assert "another-secret" not in told
    assert "$5$" not in told


def test_the_data_is_plain(homelab: Simulator) -> None:
    homelab.request("POST", "/nodes/pve2/qemu/105/snapshot", {"snapname": "today"})
    homelab.request("PUT", "/access/acl", {"path": "/vms", "roles": "PVEAuditor", "users": "alice@pve"})
    homelab.clock.advance(30)
    data = homelab.diff().to_json()
    assert orjson.loads(orjson.dumps(data)) == data
    assert data["before"] == "start"
    assert all(change["words"] for change in data["changes"])


def test_an_unknown_moment(homelab: Simulator) -> None:
    with pytest.raises(KeyError, match="never"):
        homelab.diff("never")
