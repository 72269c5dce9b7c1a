from typing import Any

import pytest

from proxmox_mcp.tools.storage import spaces
from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

TIB = 1024**4


async def test_a_shared_storage_is_one_and_a_local_one_is_many(tell: Tell, era: Era) -> None:
    reply = await tell("get_storage", _era=era)
    found = [(space["storage"], space["nodes"]) for space in reply.data["storages"]]
    assert found == [
        ("backup-usb", ["pve3"]),
        *[(name, [node]) for name in ("local", "local-lvm") for node in ("pve1", "pve2", "pve3")],
        ("nas", ["pve1", "pve2", "pve3"]),
    ]
    nas = reply.data["storages"][-1]
    assert (nas["shared"], nas["total"], nas["status"], nas["type"]) == (True, 8 * TIB, "available", "nfs")
    assert nas["used_fraction"] == pytest.approx(nas["used"] / nas["total"])
    assert "unavailable_on" not in nas
    assert "8 TiB" in reply.text
    assert reply.requests == ["GET /cluster/resources"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"node": "pve3"}, ["backup-usb", "local", "local-lvm", "nas"]),
        ({"content": "rootdir"}, ["local-lvm", "local-lvm", "local-lvm"]),
        ({"content": "backup", "node": "pve1"}, ["local", "nas"]),
    ],
)
async def test_storages_are_filtered(tell: Tell, filters: dict[str, Any], names: list[str]) -> None:
    reply = await tell("get_storage", **filters)
    assert [space["storage"] for space in reply.data["storages"]] == names


@pytest.mark.parametrize("tool", ["get_storage", "get_storage_list"])
async def test_a_node_that_there_is_not_has_no_storages(tell: Tell, tool: str) -> None:
    assert (await tell(tool, node="pve9")).text == (
        "There is no node pve9; there are: pve1, pve2, pve3. Name one of them."
    )


async def test_a_storage_that_does_not_work_has_no_figures(tell: Tell) -> None:
    usb = (await tell("get_storage")).data["storages"][0]
    assert usb["status"] == "unknown"
    assert not {"used", "total", "used_fraction"} & set(usb)


def test_a_shared_storage_names_the_nodes_where_it_fails() -> None:
    place = {"storage": "nas", "shared": 1, "plugintype": "nfs", "content": "iso"}
    [space] = spaces(
        [
            {**place, "node": "b", "status": "unknown"},
            {**place, "node": "a", "status": "available", "disk": 1, "maxdisk": 4},
        ]
    )
    assert (space.status, space.unavailable_on, space.nodes, space.used_fraction) == (
        "available",
        ["b"],
        ["a", "b"],
        0.25,
    )


async def test_definitions_say_where_the_data_lies(tell: Tell) -> None:
    reply = await tell("get_storage_list")
    found = {entry["storage"]: entry for entry in reply.data["storages"]}
    assert found["nas"] == {
        "storage": "nas",
        "type": "nfs",
        "content": ["backup", "images", "iso", "vztmpl"],
        "source": "10.10.10.20:/tank/proxmox",
        "shared": True,
        "prune_backups": "keep-daily=7,keep-weekly=4",
    }
    assert found["local-lvm"]["source"] == "pve/data"
    assert found["backup-usb"]["nodes"] == ["pve3"]
    assert reply.requests == ["GET /storage"]


async def test_definitions_are_filtered_by_what_a_node_may_use(tell: Tell) -> None:
    reply = await tell("get_storage_list", node="pve1", content="backup", detail="full")
    assert [entry["storage"] for entry in reply.data["storages"]] == ["local", "nas"]
    assert reply.data["storages"][0]["options"] == {"path": "/var/lib/vz"}


async def test_the_content_of_a_shared_storage_needs_no_node(tell: Tell, era: Era) -> None:
    reply = await tell("get_storage_content", storage="nas", content="backup", vmid=101, _era=era)
    assert (reply.data["total"], reply.data["node"]) == (2, "pve1")
    kept, newest = reply.data["volumes"]
    assert (kept["protected"], kept["notes"]) == (True, "before the upgrade to PostgreSQL 17")
    assert (newest["vmid"], newest["format"], newest["notes"]) == (101, "vma.zst", "db")
    assert "18.4 GiB" in reply.text
    assert reply.requests == ["GET /cluster/resources", "GET /nodes/pve1/storage/nas/content"]


async def test_the_content_seen_by_a_node_costs_one_request(tell: Tell) -> None:
    reply = await tell("get_storage_content", storage="local-lvm", node="pve2", limit=2)
    assert len(reply.data["volumes"]) == 2
    assert reply.data["total"] > 2
    assert reply.requests == ["GET /nodes/pve2/storage/local-lvm/content"]


async def test_a_local_storage_that_is_on_one_node_only_is_found_there(tell: Tell) -> None:
    reply = await tell("get_storage_content", storage="backup-usb")
    assert reply.is_error
    assert reply.requests == ["GET /cluster/resources", "GET /nodes/pve3/storage/backup-usb/content"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"storage": "local"},
            "Storage local is local: it holds something else on each of pve1, pve2, pve3. Call again with one as node.",
        ),
        ({"storage": "tape"}, "there are: backup-usb, local, local-lvm, nas."),
        ({"storage": "tape", "node": "pve1"}, "There is no storage tape. Call get_storage for the names."),
        ({"storage": "nas", "node": "pve9"}, "There is no node pve9"),
        ({"storage": "nas", "content": "films"}, "content: should be 'images'"),
        ({"storage": "../etc"}, "storage: "),
    ],
)
async def test_what_cannot_be_listed_is_answered_with_advice(tell: Tell, arguments: dict[str, Any], says: str) -> None:
    reply = await tell("get_storage_content", **arguments)
    assert reply.is_error
    assert says in reply.text


async def test_without_the_privilege_no_content_is_told(tell: Tell) -> None:
    unseen = await tell("get_storage_content", storage="local-lvm", node="pve1", _user="alice@pve")
    assert "Not permitted" in unseen.text
    assert (await tell("get_storage", _user="alice@pve")).data["storages"] == []


PBS = {
    "type": "pbs",
    "config": {
        "server": "pbs.example.test",
        "datastore": "main",
        "username": "pve@pbs",
        "password": "geheim-geheim",
        "content": "backup",
        "fingerprint": ":".join(["ab"] * 32),
    },
}
OFF = {"type": "dir", "config": {"path": "/mnt/old", "content": "iso", "disable": 1}}


@pytest.mark.parametrize("simulator", [Simulator({"storages": {"pbs": PBS, "old": OFF}})], ids=["pbs"])
async def test_secrets_of_a_definition_stay_hidden_and_disabled_ones_are_listed(tell: Tell) -> None:
    reply = await tell("get_storage_list", detail="full")
    found = {entry["storage"]: entry for entry in reply.data["storages"]}
    assert found["pbs"]["source"] == "pbs.example.test:main"
    assert found["old"]["disable"] is True
    assert "geheim" not in reply.text
    assert "geheim" not in str(reply.data)
