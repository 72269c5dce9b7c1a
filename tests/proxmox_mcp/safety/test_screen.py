"""A guest that the policy denies is out of sight by every door: tools, raw requests, resources, completions."""

import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextResourceContents

from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.screen import guests_in
from proxmox_mcp.server import ProxmoxServer, build_server
from proxmox_mcp.settings import Settings
from proxmox_mcp.tooling import Declaration, Risk
from proxmox_mcp.tools import TOOLSETS
from pvesim import Simulator
from tests.proxmox_mcp.redteam.conftest import YES

pytestmark = pytest.mark.anyio

# Guest 101 under a name, with notes and labels, that nothing else has; and what it did.
WORD = "quokka"
RULES = {
    "guests": "guests = [101]",
    "tags": f'tags = ["{WORD}"]',
    "pools": 'pools = ["burrow"]',
    "said so": 'guests = [101]\nrisks = ["read"]',
}
READS = [
    tool
    for toolset in TOOLSETS
    for tool in toolset.declarations
    if tool.risk is Risk.READ and tool.name not in {"search_api", "describe_api"}
]
# What a call needs beside the guest, to have something to show.
_GIVEN: dict[str, Any] = {
    "node": "pve2", "storage": "nas", "vmid": 101, "who": "root@pam", "privilege": "VM.Audit", "path": "/vms/101",
}  # fmt: skip


@pytest.fixture(scope="module")
def zoo() -> Simulator:
    simulator = Simulator("homelab")
    simulator.request("POST", "/pools", {"poolid": "burrow"})
    simulator.request("PUT", "/pools", {"poolid": "burrow", "vms": "101", "allow-move": "1"})
    change = {"name": WORD, "tags": WORD, "description": f"The {WORD} is at home here."}
    simulator.request("PUT", "/nodes/pve2/qemu/101/config", change)
    for path, params in (
        ("/nodes/pve2/qemu/101/snapshot", {"snapname": WORD}),
        ("/nodes/pve2/vzdump", {"vmid": "101", "storage": "nas", "notes-template": WORD, "remove": "0"}),
    ):
        simulator.clock.run_until_done(simulator.request("POST", path, params))
    simulator.request(
        "POST",
        "/cluster/backup",
        {"vmid": "101", "storage": "nas", "schedule": "daily", "id": "of-101", "comment": WORD},
    )
    simulator.request("POST", "/cluster/ha/resources", {"sid": "vm:101", "comment": WORD})
    rule = {"rule": "apart", "type": "node-affinity", "resources": "vm:101", "nodes": "pve2", "comment": WORD}
    simulator.request("POST", "/cluster/ha/rules", rule)
    simulator.request("PUT", "/access/acl", {"path": "/vms/101", "users": "alice@pve", "roles": "PVEAuditor"})
    return simulator


def server(simulator: Simulator, folder: Path, rule: str, effect: str = "deny", **options: Any) -> ProxmoxServer:
    policy = folder / "policy.toml"
    policy.write_text(f'[[rules]]\neffect = "{effect}"\n{rule}\n' if rule else "", encoding="utf-8")
    given = {"policy": policy, "state_dir": folder / "state", "toolsets": ("all",), "retries": 0, **options}
    settings = Settings(**given)
    return build_server(settings, Pve(settings, simulator.connect, cluster="lab", user="root@pam"))


def arguments(tool: Declaration, *, named: bool) -> dict[str, Any]:
    """What a call is made with: with the guest, or as far as can be without it."""
    parameters = list(inspect.signature(tool.function).parameters.values())[1:]
    needed = {one.name for one in parameters if one.default is one.empty}
    extra = {"detail", "snapshot_days"} & {one.name for one in parameters}
    more = {"vmid"} & {one.name for one in parameters} if named else set()
    given = {**_GIVEN, "detail": "full", "snapshot_days": 1, "upid": "UPID", "phrase": WORD}
    return {name: given[name] for name in needed | extra | more}


def betrays(text: str) -> bool:
    """Whether a text says anything of the guest beyond that its id is denied."""
    return WORD in text or "-101-" in text or ":101:" in text or "/101" in text


@pytest.fixture(params=RULES)
async def client(request: pytest.FixtureRequest, zoo: Simulator, tmp_path: Path) -> AsyncIterator[Client]:
    async with Client(server(zoo.fork(), tmp_path, RULES[request.param])) as client:
        yield client


def upids(simulator: Simulator) -> list[str]:
    return [task["upid"] for task in simulator.request("GET", "/cluster/tasks") if ":101:" in task["upid"]]


async def test_no_tool_that_looks_tells_of_it(client: Client, zoo: Simulator) -> None:
    for tool in READS:
        asked = [arguments(tool, named=named) for named in (False, True)]
        if "upid" in asked[0]:
            asked = [{"upid": upid} for upid in upids(zoo)]
        for given in asked:
            result = await client.call_tool(tool.name, given)
            said = f"{result.content} {result.structured_content}"
            told = said.replace(str(given.get("upid")), "").replace(str(given.get("path")), "")
            assert not betrays(told), (tool.name, given, said)


async def test_without_a_rule_they_would(zoo: Simulator, tmp_path: Path) -> None:
    """So that the test above does not pass for want of anything to tell."""
    telling = set()
    async with Client(server(zoo.fork(), tmp_path, "")) as client:
        for tool in READS:
            given = arguments(tool, named=False)
            result = await client.call_tool(tool.name, {"upid": upids(zoo)[0]} if "upid" in given else given)
            if betrays(str(result.content)):
                telling.add(tool.name)
    assert telling >= {
        "find_guests", "get_vms", "get_vm_info", "list_backups", "get_backup_status", "get_cluster_tasks",
        "get_task_log", "get_cluster_log", "get_storage_content", "list_backup_jobs", "get_ha_setup",
        "diagnose_guest", "list_snapshots", "list_acl", "preview_prune",
    }  # fmt: skip


PATHS = (
    "/nodes/pve2/qemu/101/config",
    "/nodes/pve2/qemu",
    "/nodes/pve2/tasks",
    "/nodes/pve2/storage/nas/content",
    "/cluster/resources",
    "/cluster/tasks",
    "/cluster/log",
    "/cluster/backup",
    "/cluster/backup/of-101",
    "/cluster/backup/of-101/included_volumes",
    "/cluster/ha/rules",
    "/cluster/ha/rules/apart",
    "/nodes/pve2/report",
    "/cluster/backup-info/not-backed-up",
    "/cluster/ha/resources",
    "/cluster/ha/status/current",
    "/cluster/metrics/export",
    "/access/acl",
    "/pools/burrow",
)


async def test_no_raw_request_tells_of_it(client: Client) -> None:
    for path in PATHS:
        result = await client.call_tool("call_api", {"path": path, "limit": 1000})
        said = f"{result.content} {result.structured_content}".replace(path, "")
        assert not betrays(said), (path, said)


async def test_no_resource_tells_of_it(client: Client, zoo: Simulator) -> None:
    for uri in ("pve://guest/101", *(f"pve://task/{upid}" for upid in upids(zoo))):
        with pytest.raises(MCPError, match="operator's policy forbids"):
            await client.read_resource(uri)
    [content] = (await client.read_resource("pve://cluster")).contents
    assert isinstance(content, TextResourceContents)
    assert not betrays(content.text)
    assert "withheld: 1 guest, by the operator's policy" in content.text


async def test_no_completion_tells_of_it(client: Client) -> None:
    async def offered(name: str, ref: Any, **others: str) -> list[str]:
        return list((await client.complete(ref, {"name": name, "value": ""}, others or None)).completion.values)

    back = PromptReference(name="roll_back_guest")
    assert "101" not in await offered("vmid", back)
    assert "100" in await offered("vmid", back)
    assert await offered("snapshot", back, vmid="101") == []
    assert await offered("snapshot", back, vmid="100") == ["before-tls"]
    tasks = await offered("upid", ResourceTemplateReference(uri="pve://task/{upid}"))
    assert tasks
    assert not [upid for upid in tasks if ":101:" in upid]


async def test_it_is_said_that_something_is_left_out(client: Client) -> None:
    result = await client.call_tool("find_guests", {})
    assert (result.structured_content or {})["withheld"] == "1 guest, by the operator's policy"
    unconcerned = await client.call_tool("get_node_time", {"node": "pve1"})
    assert "withheld" not in (unconcerned.structured_content or {})


async def test_other_guests_are_shown_as_ever(client: Client, zoo: Simulator) -> None:
    result = await client.call_tool("find_guests", {})
    shown = {row["vmid"] for row in (result.structured_content or {})["guests"]}
    assert shown == {record["vmid"] for record in zoo.request("GET", "/cluster/resources", {"type": "vm"})} - {101}
    assert not (await client.call_tool("get_vm_info", {"vmid": 100})).is_error


async def test_an_id_that_is_near_says_no_name(client: Client) -> None:
    result = await client.call_tool("get_vm_info", {"vmid": 108})
    assert "There is no guest 108" in str(result.content)
    assert not betrays(str(result.content))


async def test_what_is_asked_about_is_shown_where_it_was_asked_for_alone(zoo: Simulator, tmp_path: Path) -> None:
    rule = 'guests = [101]\nrisks = ["read"]'
    async with Client(server(zoo.fork(), tmp_path, rule, "ask"), elicitation_callback=YES) as client:
        assert not betrays(str((await client.call_tool("find_guests", {})).content))
        assert betrays(str((await client.call_tool("get_vm_info", {"vmid": 101})).content))


@pytest.mark.parametrize(
    ("rule", "effect"), [('tools = ["delete_vm"]\nguests = [101]', "deny"), ("guests = [101]", "ask")]
)
async def test_a_rule_on_writes_hides_nothing(zoo: Simulator, tmp_path: Path, rule: str, effect: str) -> None:
    async with Client(server(zoo.fork(), tmp_path, rule, effect)) as client:
        assert betrays(str((await client.call_tool("find_guests", {})).content))
        assert betrays(str((await client.call_tool("get_vm_info", {"vmid": 101})).content))


async def test_a_rule_on_a_tool_is_on_that_tool(zoo: Simulator, tmp_path: Path) -> None:
    async with Client(server(zoo.fork(), tmp_path, 'tools = ["get_vms"]\nguests = [101]')) as client:
        assert not betrays(str((await client.call_tool("get_vms", {})).content))
        assert betrays(str((await client.call_tool("find_guests", {})).content))


@pytest.mark.parametrize(("rule", "path"), [('nodes = ["pve2"]', "/nodes/pve2/status"), ('storages = ["nas"]', "")])
async def test_nodes_and_storages_that_are_denied_are_not_looked_into(
    zoo: Simulator, tmp_path: Path, rule: str, path: str
) -> None:
    path = path or "/nodes/pve1/storage/nas/content"
    simulator = zoo.fork()
    async with Client(server(simulator, tmp_path, rule)) as client:
        assert (await client.call_tool("call_api", {"path": path})).is_error
        simulator.requests.clear()
        for tool in ("list_backups", "diagnose_cluster", "get_backup_status"):
            await client.call_tool(tool, {})
    word = "/nodes/pve2/" if "nodes" in rule else "/storage/nas/"
    assert not [one.path for one in simulator.requests if word in one.path]


async def test_writes_that_go_by_what_they_read_do_not_show_it(zoo: Simulator, tmp_path: Path) -> None:
    rule = 'guests = [101]\nrisks = ["read"]'
    simulator = zoo.fork()
    async with Client(server(simulator, tmp_path, rule, access="admin", approval="command")) as client:
        given = {"vmid": 101, "options": {"onboot": 0}}
        result = await client.call_tool("update_vm_config", given)
    assert result.is_error
    assert not betrays(str(result.content))


@pytest.mark.parametrize(
    ("answer", "guests"),
    [
        ([{"vmid": 100}, {"vmid": "101"}], {100, 101}),
        ({"members": [{"vmid": 100}]}, {100}),
        ([{"id": 100, "type": "qemu", "children": [{"id": "scsi0"}]}], {100}),
        ([{"id": "lxc/200", "metric": "cpu"}], {200}),
        ([{"sid": "ct:200"}], {200}),
        ([{"n": 1, "t": "INFO: Starting Backup of VM 100 (qemu)"}], {100}),
        (["Nov 23 pve1 pvedaemon: starting UPID:pve1:0000022A:00089A36:6B03C403:qmstart:100:root@pam:"], {100}),
        ({"/vms/100": {"VM.Audit": 1}}, {100}),
        ([{"volid": "nas:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst"}], {100}),
        ({"cores": 100, "name": "web-100"}, set()),
        (None, set()),
    ],
)
def test_guests_are_found_in_answers(answer: Any, guests: set[int]) -> None:
    assert guests_in(answer) == guests


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("delete_vm", {"vmid": 108}),
        ("manage_vm", {"vmid": 108, "action": "stop"}),
        ("rollback_snapshot", {"vmid": 108, "name": "x"}),
        ("execute_vm_command", {"vmid": 108, "command": "id"}),
        ("manage_node_service", {"node": "pve2", "service": "nginx", "action": "stop"}),
    ],
)
async def test_what_is_shown_before_a_call_tells_nothing_of_it(
    zoo: Simulator, tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    rule = 'guests = [101]\nrisks = ["read"]'
    async with Client(server(zoo.fork(), tmp_path, rule, access="admin", approval="command")) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert not betrays(str(result.content))
