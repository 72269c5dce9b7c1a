"""What lists cost: requests to PVE, whatever the size of the cluster."""

import pytest

from tests.proxmox_mcp.tools.conftest import Tell

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("tool", "arguments", "requests"),
    [
        ("find_guests", {}, ["GET /cluster/resources"]),
        ("list_users", {}, ["GET /access/users"]),
        ("list_roles", {}, ["GET /access/roles"]),
        ("list_acl", {}, ["GET /access/acl"]),
        ("list_backup_jobs", {}, ["GET /cluster/backup"]),
        ("list_unprotected_guests", {}, ["GET /cluster/backup-info/not-backed-up"]),
        ("list_pools", {}, ["GET /pools", "GET /cluster/resources"]),
        ("list_replication_jobs", {}, ["GET /cluster/replication"]),
        ("get_ha_setup", {}, ["GET /cluster/ha/resources", "GET /cluster/ha/rules"]),
        ("list_container_templates", {}, ["GET /nodes/localhost/aplinfo"]),
        ("list_node_updates", {"node": "pve1"}, ["GET /nodes/pve1/apt/update"]),
        ("preview_prune", {"storage": "nas", "node": "pve1"}, ["GET /nodes/pve1/storage/nas/prunebackups"]),
        ("get_metrics", {"node": "pve1"}, ["GET /nodes/pve1/rrddata"]),
        ("search_api", {"phrase": "list users"}, []),
    ],
)
async def test_a_list_costs_as_many_requests(
    tell: Tell, tool: str, arguments: dict[str, str], requests: list[str]
) -> None:
    reply = await tell(tool, **arguments)
    assert not reply.is_error, reply.text
    assert reply.requests == requests


async def test_a_load_is_summarised_never_dumped(tell: Tell) -> None:
    reply = await tell("get_metrics", vmid=100, timeframe="week")
    cpu = next(figure for figure in reply.data["figures"] if figure["figure"] == "cpu")
    assert 0 < cpu["min"] <= cpu["median"] <= cpu["max"] <= 1
    assert reply.data["samples"] > len(reply.data["figures"])
    assert len(reply.text) < 2_000


async def test_who_may_what_is_explained_with_the_entry_that_counts(tell: Tell) -> None:
    ask = {"who": "alice@pve", "privilege": "VM.PowerMgmt", "path": "/pool/production"}
    reply = await tell("explain_permission", **ask)
    assert reply.data["granted"] is True
    assert reply.data["because"] == ["alice@pve: on /pool/production, PowerUser of operators gives it"]
