"""What a test sees of a cluster, and how it tells what it sees."""

from __future__ import annotations

import pytest

from pvesim import ApiError, Simulator
from pvesim.testing import Absent, Cluster


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(Simulator("homelab"))


def test_guests_are_as_they_are_now(cluster: Cluster) -> None:
    web = cluster.guest(100)
    assert web.is_running
    assert (web.name, web.kind, web.node, web.tags) == ("web", "qemu", "pve1", ["prod", "web"])
    assert repr(web) == "<guest 100: web, running on pve1>"
    upid = cluster.api.nodes("pve1").qemu(100).status.stop.post()
    cluster.clock.run_until_done(upid)
    assert web.is_stopped
    assert not web.is_running


def test_states_are_told_apart(cluster: Cluster) -> None:
    assert cluster.guest(104).is_paused
    assert not cluster.guest(104).is_running
    assert cluster.guest(106).lock == "backup"
    assert cluster.guest(900).is_template
    assert cluster.guest(105).snapshots == ["clean", "with-app", "experiment"]
    assert cluster.guest(101).pending == {"memory": "12288"}
    assert "locked (backup)" in repr(cluster.guest(106))


def test_a_guest_that_is_not_there_says_which_are(cluster: Cluster) -> None:
    nobody = cluster.guest(999)
    assert not nobody.exists
    assert repr(nobody) == "<guest 999: not there>"
    with pytest.raises(Absent, match=r"no guest 999 \(there are: 100, 101"):
        _ = nobody.is_running


def test_nodes_and_volumes(cluster: Cluster) -> None:
    assert [node.is_online for node in cluster.nodes] == [True, True, True]
    assert 100 in cluster.node("pve1").guests
    assert cluster.volumes("local-lvm:vm-101-*") == ["local-lvm:vm-101-disk-0", "local-lvm:vm-101-disk-1"]


def test_only_tasks_of_the_test_count(cluster: Cluster) -> None:
    assert len(cluster.tasks) == 0
    assert len(cluster.tasks.history()) == 8
    cluster.api.nodes("pve2").qemu(105).status.start.post()
    assert len(cluster.tasks.running) == 1
    cluster.clock.advance("1m")
    assert not cluster.tasks.failed
    assert cluster.tasks.of("qmstart", 105).only().exitstatus == "OK"
    assert not cluster.tasks.of("qmstart", 100)


def test_failed_tasks_tell_why(cluster: Cluster) -> None:
    cluster.api.nodes("pve1").qemu(103).status.shutdown.post(timeout=5)
    cluster.clock.advance("5m")
    assert "qmshutdown 103 on pve1 by root@pam: VM quit/powerdown failed" in repr(cluster.tasks.failed)
    with pytest.raises(Absent, match="expected one, 0 found"):
        cluster.tasks.succeeded.only()


def test_requests_are_matched(cluster: Cluster) -> None:
    auditor = cluster.connect("mcp@pve!auditor")
    auditor.nodes("pve1").qemu(100).config.get()
    with pytest.raises(Exception, match="403"):
        auditor.nodes("pve1").qemu(100).status.stop.post()
    assert cluster.requests.matching("GET", "/nodes/*/qemu/100/config").only().user == "mcp@pve!auditor"
    assert cluster.requests.refused.only().status == 403
    assert [request.verb for request in cluster.requests.writes] == ["POST"]
    assert not cluster.requests.matching(user="root@pam")
    assert len(cluster.requests.matching("GET")) == 1
    cluster.requests.clear()
    assert len(cluster.requests) == 0


def test_a_direct_request_is_not_logged_and_raises(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match="does not exist"):
        cluster.request("GET", "/nodes/pve1/qemu/999/config")
    assert len(cluster.requests) == 0


def test_time_stands_still_when_frozen(cluster: Cluster) -> None:
    cluster.clock.freeze()
    upid = cluster.api.nodes("pve2").qemu(105).status.start.post()
    before = cluster.clock.now
    for _ in range(3):
        assert cluster.api.nodes("pve2").tasks(upid).status.get()["status"] == "running"
    assert cluster.clock.now == before
    cluster.clock.unfreeze()
    cluster.clock.run_until_done(upid)
    assert cluster.clock.now > before
    with pytest.raises(ValueError, match="a duration is"):
        cluster.clock.advance("soon")


def test_checkpoints(cluster: Cluster) -> None:
    cluster.checkpoint("before")
    cluster.api.nodes("pve2").qemu(105).delete()
    cluster.clock.advance(60)
    assert not cluster.guest(105).exists
    cluster.restore("before")
    assert cluster.guest(105).exists
