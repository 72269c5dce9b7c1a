from typing import Any

import pytest

from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

AUDITOR = "mcp@pve!auditor"


async def test_nodes_are_listed_with_their_load(tell: Tell, era: Era) -> None:
    reply = await tell("get_nodes", _era=era, _access="read", _user=AUDITOR)
    nodes = {node["node"]: node for node in reply.data["nodes"]}
    assert list(nodes) == ["pve1", "pve2", "pve3"]
    assert (nodes["pve1"]["status"], nodes["pve1"]["maxcpu"], nodes["pve3"]["maxmem"]) == ("online", 16, 32 * 1024**3)
    assert "maxdisk" not in nodes["pve1"]
    assert "pve3\tonline" in reply.text
    assert "32 GiB" in reply.text
    assert reply.requests == ["GET /nodes"]


async def test_nodes_can_be_filtered_and_shown_in_full(tell: Tell) -> None:
    assert (await tell("get_nodes", status="offline")).data == {"total": 0, "nodes": []}
    reply = await tell("get_nodes", status="online", detail="full", limit=1)
    assert reply.data["nodes"][0]["maxdisk"] == 94 * 1024**3
    assert reply.data["next_cursor"]


@pytest.mark.parametrize(
    ("filters", "vmids"),
    [
        ({}, [100, 101, 102, 103, 104, 105, 106, 900]),
        ({"node": "pve2"}, [101, 104, 105]),
        ({"status": "stopped"}, [105, 106, 900]),
        ({"name": "E"}, [100, 103, 900]),
        ({"tag": "web"}, [100, 105]),
        ({"pool": "lab"}, [105, 106]),
        ({"pool": "lab", "tag": "web", "node": "pve2", "status": "stopped"}, [105]),
    ],
)
async def test_vms_are_filtered_by_one_request(tell: Tell, filters: dict[str, Any], vmids: list[int]) -> None:
    reply = await tell("get_vms", **filters)
    assert [vm["vmid"] for vm in reply.data["vms"]] == vmids
    assert reply.data["total"] == len(vmids)
    assert reply.requests == ["GET /cluster/resources"]


@pytest.mark.parametrize(
    ("tool", "rows"), [("get_vms", "vms"), ("get_lxc_containers", "containers"), ("find_guests", "guests")]
)
async def test_a_node_that_there_is_not_is_no_empty_list(
    tell: Tell, simulator: Simulator, tool: str, rows: str
) -> None:
    reply = await tell(tool, node="pve9")
    assert reply.text == "There is no node pve9; there are: pve1, pve2, pve3. Name one of them."
    assert (await tell(tool, node="pve3", tag="nonesuch")).data[rows] == []
    simulator.faults.cause(node_offline="pve3")
    assert (await tell(tool, node="pve3", tag="nonesuch")).data[rows] == []


@pytest.mark.parametrize(
    ("tool", "filters", "note"),
    [
        ("get_vms", {"pool": "labs"}, "No guest has the pool labs; there are: lab, production."),
        ("find_guests", {"tag": "prud"}, "No guest has the tag prud; there are: db, desktop, infra, "),
        ("get_lxc_containers", {"tag": "db"}, None),
        ("get_vms", {"name": "nobody"}, None),
        ("find_guests", {"pool": "lab", "status": "running"}, None),
    ],
)
async def test_a_label_that_no_guest_has_is_told(
    tell: Tell, tool: str, filters: dict[str, Any], note: str | None
) -> None:
    reply = await tell(tool, **filters)
    assert reply.data["total"] == 0
    assert reply.data.get("note", "").startswith(note) if note else "note" not in reply.data
    assert reply.requests == ["GET /cluster/resources"]


async def test_a_row_says_what_is_special_about_a_guest(tell: Tell) -> None:
    rows = {vm["vmid"]: vm for vm in (await tell("get_vms")).data["vms"]}
    assert rows[106]["lock"] == "backup"
    assert rows[900]["template"] is True
    assert rows[102]["hastate"] == "started"
    assert rows[101]["pool"] == "production"
    assert not {"cpu", "mem", "uptime", "netin"} & set(rows[105])
    full = (await tell("get_vms", detail="full", tag="infra")).data["vms"]
    assert full[0]["netin"] > 0


async def test_containers_have_a_list_of_their_own(tell: Tell, era: Era) -> None:
    reply = await tell("get_lxc_containers", _era=era, status="running")
    assert [guest["vmid"] for guest in reply.data["containers"]] == [200, 201, 203]
    assert reply.requests == ["GET /cluster/resources"]
    assert "dns\tpve1\trunning" in reply.text


async def test_lists_come_in_pages(tell: Tell) -> None:
    first = await tell("get_lxc_containers", limit=3)
    second = await tell("get_lxc_containers", limit=3, cursor=first.data["next_cursor"])
    seen = [guest["vmid"] for reply in (first, second) for guest in reply.data["containers"]]
    assert seen == [200, 201, 202, 203, 910]
    assert "next_cursor" not in second.data
    refused = await tell("get_lxc_containers", cursor="page 2")
    assert refused.is_error
    assert "next_cursor of the page before" in refused.text


async def test_guests_that_the_user_may_not_see_are_not_listed(tell: Tell) -> None:
    assert [vm["vmid"] for vm in (await tell("get_vms", _user="alice@pve")).data["vms"]] == [100, 101, 105, 106]


async def test_a_state_that_does_not_exist_is_refused(tell: Tell) -> None:
    reply = await tell("get_lxc_containers", status="paused")
    assert reply.is_error
    assert "status: should be 'running' or 'stopped'" in reply.text


async def test_the_cluster_tells_its_members_and_quorum(tell: Tell, era: Era) -> None:
    reply = await tell("get_cluster_status", _era=era)
    assert {key: reply.data[key] for key in ("name", "quorate", "online", "total")} == {
        "name": "homelab",
        "quorate": True,
        "online": 3,
        "total": 3,
    }
    assert reply.data["nodes"][0] == {"node": "pve1", "online": True, "ip": "10.10.10.11", "nodeid": 1, "local": True}
    assert "quorate: yes" in reply.text
    assert reply.requests == ["GET /cluster/status"]


async def test_without_the_privilege_the_cluster_is_not_told(tell: Tell) -> None:
    reply = await tell("get_cluster_status", _user="alice@pve")
    assert reply.is_error
    assert "privilege Sys.Audit on path / is missing" in reply.text


@pytest.mark.parametrize("simulator", [Simulator(None)], ids=["one node"])
async def test_a_lone_node_is_in_no_cluster(tell: Tell) -> None:
    data = (await tell("get_cluster_status")).data
    assert (data["total"], data["online"], "name" in data, "quorate" in data) == (1, 1, False, False)


@pytest.mark.parametrize(
    "simulator",
    [Simulator({"cluster": {"name": "c"}, "nodes": {"a": {}, "b": {"online": False}}, "vms": {100: {"node": "b"}}})],
    ids=["half a cluster"],
)
async def test_what_is_offline_is_shown_as_such(tell: Tell) -> None:
    assert (await tell("get_nodes", status="offline")).data["nodes"] == [{"node": "b", "status": "offline"}]
    assert (await tell("get_vms")).data["vms"] == [{"vmid": 100, "node": "b", "status": "unknown"}]
    status = (await tell("get_cluster_status")).data
    assert (status["quorate"], status["online"]) == (False, 1)


@pytest.mark.parametrize("simulator", [Simulator({"fleet": {"nodes": 8, "vms": 300, "containers": 60}})], ids=["fleet"])
async def test_a_large_cluster_costs_no_more_requests(tell: Tell) -> None:
    reply = await tell("get_vms", limit=50)
    assert (reply.data["total"], len(reply.data["vms"])) == (300, 50)
    assert reply.requests == ["GET /cluster/resources"]
