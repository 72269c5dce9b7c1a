"""Resources, prompts and completions, as a client sees them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import Implementation, PromptReference, ResourceTemplateReference, TextContent, TextResourceContents

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era

pytestmark = pytest.mark.anyio

ERAS: list[Era] = ["auto", "legacy"]


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator("homelab")


@asynccontextmanager
async def client_of(simulator: Simulator, era: Era = "auto", user: str = "root@pam") -> AsyncIterator[Client]:
    settings = Settings(tools=("get_nodes",), retries=0)
    server = build_server(settings, Pve(settings, connect=lambda: simulator.connect(user)))
    async with Client(server, mode=era) as client:
        yield client


async def read(client: Client, uri: str) -> str:
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


@pytest.mark.parametrize("era", ERAS)
async def test_the_cluster_and_guests_can_be_read(simulator: Simulator, era: Era) -> None:
    async with client_of(simulator, era) as client:
        listed = [str(resource.uri) for resource in (await client.list_resources()).resources]
        templates = (await client.list_resource_templates()).resource_templates
        cluster = await read(client, "pve://cluster")
        vm, container = await read(client, "pve://guest/100"), await read(client, "pve://guest/200")
    assert listed == ["pve://cluster"]
    assert [template.uri_template for template in templates] == ["pve://guest/{vmid}", "pve://task/{upid}"]
    assert "status.name: homelab" in cluster
    assert "100\tweb\tpve1\trunning" in cluster
    assert "name: web" in vm
    assert "config.hostname: dns" in container


async def test_a_task_can_be_read(simulator: Simulator) -> None:
    upid = simulator.request("GET", "/cluster/tasks")[0]["upid"]
    async with client_of(simulator) as client:
        assert f"upid: {upid}" in await read(client, f"pve://task/{upid}")


@pytest.mark.parametrize("uri", ["pve://guest/999", "pve://guest/web", "pve://task/nonsense"])
async def test_what_is_not_there_is_not_found(simulator: Simulator, uri: str) -> None:
    async with client_of(simulator) as client:
        with pytest.raises(MCPError) as caught:
            await read(client, uri)
    assert caught.value.error.code == -32602


async def test_a_guest_that_may_not_be_seen_is_not_found(simulator: Simulator) -> None:
    async with client_of(simulator, user="mcp@pve!expired") as client:
        with pytest.raises(MCPError):
            await read(client, "pve://guest/100")


@pytest.mark.parametrize("era", ERAS)
async def test_prompts_are_filled_in(simulator: Simulator, era: Era) -> None:
    async with client_of(simulator, era) as client:
        names = {prompt.name for prompt in (await client.list_prompts()).prompts}
        filled = await client.get_prompt("plan_node_maintenance", {"node": "pve2"})
    assert names == {"check_health", "plan_node_maintenance", "restore_guest", "set_up_token", "roll_back_guest"}
    content = filled.messages[0].content
    assert isinstance(content, TextContent)
    assert content.text.startswith("Plan the maintenance of node pve2.")


async def test_what_need_not_be_said_may_be(simulator: Simulator) -> None:
    async with client_of(simulator) as client:
        without = await client.get_prompt("restore_guest", {"vmid": "100"})
        onto = await client.get_prompt("restore_guest", {"vmid": "100", "storage": "nas"})
    texts = [prompt.messages[0].content.text for prompt in (without, onto)]  # type: ignore[union-attr]
    assert "onto storage" not in texts[0]
    assert "onto storage nas" in texts[1]


@pytest.mark.parametrize(
    ("name", "value", "others", "values"),
    [
        ("node", "pve", {}, ["pve1", "pve2", "pve3"]),
        ("node", "2", {}, ["pve2"]),
        ("vmid", "20", {}, ["200", "201", "202", "203"]),
        ("storage", "local", {}, ["local", "local-lvm"]),
        ("snapshot", "", {"vmid": "105"}, ["clean", "experiment", "with-app"]),
        ("snapshot", "", {}, []),
        ("snapshot", "", {"vmid": "999"}, []),
        ("snapshot", "", {"vmid": "9" * 5000}, []),
        ("purpose", "b", {}, []),
    ],
)
async def test_arguments_are_completed(
    simulator: Simulator, name: str, value: str, others: dict[str, str], values: list[str]
) -> None:
    async with client_of(simulator) as client:
        ref = PromptReference(name="roll_back_guest")
        found = await client.complete(ref, {"name": name, "value": value}, others or None)
    assert found.completion.values == values


@pytest.mark.parametrize("era", ERAS)
async def test_addresses_of_resources_are_completed(simulator: Simulator, era: Era) -> None:
    async with client_of(simulator, era) as client:
        ref = ResourceTemplateReference(uri="pve://guest/{vmid}")
        found = await client.complete(ref, {"name": "vmid", "value": "91"})
    assert found.completion.values == ["910"]


@pytest.mark.parametrize("era", ERAS)
async def test_what_is_read_and_completed_is_recorded_with_its_client(
    simulator: Simulator, era: Era, tmp_path: Path
) -> None:
    settings = Settings(retries=0, state_dir=tmp_path, audit="all")
    server = build_server(settings, Pve(settings, connect=simulator.connect))
    async with Client(server, mode=era, client_info=Implementation(name="desk", version="7")) as client:
        await read(client, "pve://guest/100")
        await client.complete(PromptReference(name="plan_node_maintenance"), {"name": "node", "value": ""})
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    recorded = {line["tool"]: line["client"] for line in lines if line["event"] == "begin"}
    assert recorded == {"get_vm_info": "desk 7", "get_nodes": "desk 7"}
