import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio


async def test_the_log_is_read_newest_first(tell: Tell, era: Era) -> None:
    reply = await tell("get_cluster_log", limit=500, _era=era)
    entries = reply.data["entries"]
    assert reply.requests == ["GET /cluster/log"]
    assert [entry["time"] for entry in entries] == sorted((entry["time"] for entry in entries), reverse=True)
    failed = next(entry for entry in entries if "qmshutdown" in entry["msg"] and entry["msg"].startswith("end task"))
    assert failed["level"] == "err"
    assert failed["msg"].endswith("VM quit/powerdown failed - got timeout")
    assert failed["msg"] in reply.text
    assert "more" not in reply.data


async def test_a_log_that_is_longer_than_the_limit_says_so(tell: Tell) -> None:
    reply = await tell("get_cluster_log", limit=3)
    assert len(reply.data["entries"]) == 3
    assert reply.data["more"] is True


@pytest.mark.parametrize("since", ["2h", "2026-03-14T07:26:53Z", "2026-03-14T07:26:53", "1773473213", 1773473213])
async def test_the_log_since_an_age_or_a_time(tell: Tell, since: str | int) -> None:
    reply = await tell("get_cluster_log", since=since)
    assert [entry["user"] for entry in reply.data["entries"]] == ["alice@pve", "alice@pve"]


async def test_a_time_that_is_none_is_refused_without_asking_pve(tell: Tell) -> None:
    reply = await tell("get_cluster_log", since="yesterday")
    assert reply.is_error
    assert reply.text == (
        "since 'yesterday' is neither an age nor a time. Write 30m, 2h or 7d, or a time as 2026-11-23T05:00Z."
    )
    assert reply.requests == []


async def test_without_the_right_to_see_all_the_log_shows_one_s_own(tell: Tell) -> None:
    reply = await tell("get_cluster_log", _user="alice@pve")
    assert {entry["user"] for entry in reply.data["entries"]} == {"alice@pve"}


async def test_high_availability_with_a_guest(tell: Tell, era: Era) -> None:
    reply = await tell("get_cluster_ha_status", _era=era)
    assert reply.requests == ["GET /cluster/ha/status/current"]
    assert reply.data["quorate"] is True
    assert reply.data["master"] in {"pve1", "pve2", "pve3"}
    assert [node["node"] for node in reply.data["nodes"]] == ["pve1", "pve2", "pve3"]
    [guest] = reply.data["guests"]
    assert (guest["sid"], guest["node"], guest["state"]) == ("vm:102", "pve3", "started")
    assert "vm:102" in reply.text


class TestALoneNode:
    @pytest.fixture
    def simulator(self) -> Simulator:
        return Simulator("single-node")

    async def test_it_has_no_high_availability(self, tell: Tell) -> None:
        reply = await tell("get_cluster_ha_status")
        assert reply.data["quorate"] is True
        assert reply.data["guests"] == []
        assert "master" not in reply.data
        assert "guests: none" in reply.text


async def test_high_availability_needs_a_privilege(tell: Tell) -> None:
    reply = await tell("get_cluster_ha_status", _user="alice@pve")
    assert reply.is_error
    assert "privilege Sys.Audit on path / is missing" in reply.text


async def test_an_age_is_counted_by_this_machine_s_clock_where_the_cluster_s_may_not_be_read(tell: Tell) -> None:
    reply = await tell("get_cluster_log", _user="alice@pve", since="1h")
    assert not reply.is_error
    assert reply.data["entries"] == [], "to this machine the home lab's day is long gone"
    assert reply.requests == ["GET /nodes/localhost/time", "GET /cluster/log"]
