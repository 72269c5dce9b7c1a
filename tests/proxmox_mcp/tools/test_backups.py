import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

HOUR = 3600
USB = "backup-usb on pve3: it is not active there"


async def test_backups_of_all_storages_newest_first(tell: Tell, era: Era) -> None:
    reply = await tell("list_backups", _era=era)
    rows = reply.data["backups"]
    assert reply.data["total"] == len(rows) == 9
    assert [row["ctime"] for row in rows] == sorted((row["ctime"] for row in rows), reverse=True)
    assert rows[0] == {
        "volid": "nas:backup/vzdump-lxc-200-2026_03_14-02_11_53.tar.zst", "vmid": 200, "kind": "lxc", "storage": "nas",
        "ctime": 1773454313, "age": 7 * HOUR + 15 * 60, "size": 410 << 20, "notes": "dns", "protected": False,
    }  # fmt: skip
    [local] = [row for row in rows if row["storage"] == "local"]
    assert local["node"] == "pve1"
    assert reply.data["unread"] == [USB]
    assert "7h15m" in reply.text


async def test_a_storage_is_read_once_whatever_the_number_of_guests(tell: Tell) -> None:
    reply = await tell("list_backups")
    assert sorted(reply.requests) == [
        "GET /cluster/resources",
        "GET /nodes/localhost/time",
        "GET /nodes/pve1/storage/local/content",
        "GET /nodes/pve1/storage/nas/content",
        "GET /nodes/pve2/storage/local/content",
        "GET /nodes/pve3/storage/local/content",
    ]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"vmid": 100}, 4),
        ({"vmid": 100, "storage": "nas"}, 3),
        ({"storage": "local"}, 1),
        ({"storage": "local", "node": "pve2"}, 0),
        ({"node": "pve2"}, 8),
        ({"vmid": 105}, 0),
        ({"vmid": 150}, 1),
    ],
)
async def test_backups_are_filtered(tell: Tell, filters: dict[str, object], count: int) -> None:
    reply = await tell("list_backups", **filters)
    assert reply.data["total"] == count


async def test_a_protected_backup_is_shown_as_such(tell: Tell) -> None:
    reply = await tell("list_backups", vmid=101)
    assert [(row["notes"], row["protected"]) for row in reply.data["backups"]] == [
        ("db", False),
        ("before the upgrade to PostgreSQL 17", True),
    ]


async def test_backups_come_in_pages(tell: Tell) -> None:
    whole = await tell("list_backups")
    first = await tell("list_backups", limit=4)
    second = await tell("list_backups", limit=100, cursor=first.data["next_cursor"])
    assert first.data["backups"] + second.data["backups"] == whole.data["backups"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"storage": "local-lvm"}, "There is no storage local-lvm that takes backups, or none that the user may see."),
        ({"storage": "backup-usb", "node": "pve1"}, "There is no storage backup-usb that takes backups on node pve1"),
        ({"storage": "backup-usb"}, "unable to activate storage 'backup-usb'"),
        ({"node": "pve9"}, "There is no node pve9; there are: pve1, pve2, pve3."),
    ],
)
async def test_a_storage_that_cannot_be_read(tell: Tell, arguments: dict[str, object], says: str) -> None:
    reply = await tell("list_backups", **arguments)
    assert reply.is_error
    assert says in reply.text


async def test_who_may_see_no_storage_is_told_so(tell: Tell) -> None:
    reply = await tell("list_backups", _user="alice@pve", storage="local")
    assert reply.is_error
    assert "none that the user may see" in reply.text


async def test_where_backups_can_go(tell: Tell, era: Era) -> None:
    reply = await tell("get_backup_storage_locations", _era=era)
    assert reply.requests == ["GET /cluster/resources"]
    rows = {(row["storage"], *row["nodes"]): row for row in reply.data["storages"]}
    assert set(rows) == {
        ("local", "pve1"), ("local", "pve2"), ("local", "pve3"),
        ("nas", "pve1", "pve2", "pve3"), ("backup-usb", "pve3"),
    }  # fmt: skip
    nas = rows["nas", "pve1", "pve2", "pve3"]
    assert nas["shared"] is True
    assert nas["total"] == 8 << 40
    assert nas["available"] == nas["total"] - nas["used"]
    assert rows["backup-usb", "pve3"]["status"] != "available"


async def test_where_backups_of_a_node_can_go(tell: Tell) -> None:
    reply = await tell("get_backup_storage_locations", node="pve2")
    assert [row["storage"] for row in reply.data["storages"]] == ["local", "nas"]


async def test_storages_that_may_not_be_seen_are_not_listed(tell: Tell) -> None:
    reply = await tell("get_backup_storage_locations", _user="alice@pve")
    assert [row["storage"] for row in reply.data["storages"]] == []


async def test_how_backups_stand(tell: Tell, era: Era) -> None:
    reply = await tell("get_backup_status", _era=era)
    guests = reply.data["guests"]
    assert reply.data["total"] == len(guests) == 13
    assert reply.data["guests_without_backup"] == 9
    assert [guest["vmid"] for guest in guests if guest["backups"] == 0] == [102, 103, 104, 105, 106, 201, 202, 900, 910]
    assert [(guest["vmid"], guest["backups"]) for guest in guests[9:]] == [(203, 1), (100, 4), (101, 2), (200, 1)]
    assert guests[-1]["age"] == 7 * HOUR + 15 * 60
    assert reply.data["running"] == []
    assert [(task["id"], task["state"]) for task in reply.data["recent"]] == [("106", "failed"), ("101", "ok")]
    assert reply.data["unread"] == [USB]
    assert not [request for request in reply.requests if "/qemu" in request or "/lxc" in request]


async def test_how_backups_of_one_node_s_guests_stand(tell: Tell) -> None:
    reply = await tell("get_backup_status", node="pve3", limit=2)
    assert [guest["vmid"] for guest in reply.data["guests"]] == [102, 106]
    assert reply.data["total"] == 3
    rest = await tell("get_backup_status", node="pve3", cursor=reply.data["next_cursor"])
    assert [guest["vmid"] for guest in rest.data["guests"]] == [201]


async def test_how_backups_stand_for_who_may_see_only_some_guests(tell: Tell) -> None:
    reply = await tell("get_backup_status", _user="alice@pve")
    assert {guest["vmid"] for guest in reply.data["guests"]} == {100, 101, 203, 105, 106, 202}


async def test_an_expired_token_is_told_plainly(tell: Tell) -> None:
    reply = await tell("get_backup_status", _user="mcp@pve!expired")
    assert reply.is_error
    assert "PVE does not accept the login" in reply.text


class TestANodeThatIsOffline:
    @pytest.fixture
    def simulator(self) -> Simulator:
        shared = {"type": "nfs", "config": {"server": "192.0.2.1", "export": "/x", "content": "backup"}, "size": "1T"}
        local = {"type": "dir", "config": {"path": "/var/lib/vz", "content": ["backup", "images"]}}
        return Simulator(
            {
                "nodes": {"pve1": {"online": False}, "pve2": {}},
                "vms": {100: {"node": "pve2"}},
                "storages": {"nas": {**shared, "backups": [{"guest": 100}]}, "local": local},
            }
        )

    async def test_shared_storage_is_read_through_another_node(self, tell: Tell) -> None:
        reply = await tell("list_backups")
        assert [row["storage"] for row in reply.data["backups"]] == ["nas"]
        assert reply.data["unread"] == ["local on pve1: it is not active there"]
        assert not [request for request in reply.requests if "pve1" in request]
