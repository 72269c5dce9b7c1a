"""Resources are allowed, and recorded, as the tools are that show the same."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import TextResourceContents

from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.server import ProxmoxServer, build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator("homelab")


def server(simulator: Simulator, folder: Path, rule: str = "", **options: Any) -> ProxmoxServer:
    policy = folder / "policy.toml"
    policy.write_text(rule, encoding="utf-8")
    settings = Settings(policy=policy, state_dir=folder / "state", retries=0, **options)
    return build_server(settings, Pve(settings, simulator.connect, cluster="lab", user="root@pam"))


def rule(effect: str, what: str) -> str:
    return f'[[rules]]\neffect = "{effect}"\n{what}\n'


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("pve://guest/100", 'guests = [100]\nrisks = ["read"]'),
        ("pve://guest/100", 'tools = ["get_vm_info"]'),
        ("pve://guest/100", 'tags = ["web"]\nrisks = ["read"]'),
        ("pve://guest/200", 'tools = ["get_lxc_container_info"]'),
        ("pve://cluster", 'tools = ["get_cluster_status"]'),
        ("pve://cluster", 'tools = ["get_nodes"]'),
        ("pve://cluster", 'tools = ["get_vms"]'),
        ("pve://cluster", 'tools = ["get_lxc_containers"]'),
        ("pve://task/{upid}", 'tools = ["get_task_status"]'),
    ],
)
@pytest.mark.parametrize("effect", ["deny", "ask"])
async def test_a_rule_on_the_tool_is_one_on_the_resource(
    simulator: Simulator, tmp_path: Path, uri: str, what: str, effect: str
) -> None:
    uri = uri.format(upid=simulator.request("GET", "/cluster/tasks")[0]["upid"])
    async with Client(server(simulator, tmp_path, rule(effect, what))) as client:
        with pytest.raises(MCPError, match="operator's policy"):
            await client.read_resource(uri)
        other = "pve://guest/101" if uri == "pve://cluster" else "pve://cluster"
        assert (await client.read_resource(other)).contents
    [record] = Audit(tmp_path / "state").records()
    assert record["event"] == "refused"
    assert record["client"].startswith("mcp ")


async def test_reads_are_recorded_when_all_is(simulator: Simulator, tmp_path: Path) -> None:
    async with Client(server(simulator, tmp_path, audit="all")) as client:
        for uri in ("pve://cluster", "pve://guest/100"):
            [content] = (await client.read_resource(uri)).contents
            assert isinstance(content, TextResourceContents)
    records = list(Audit(tmp_path / "state").records())
    begun = [record["tool"] for record in records if record["event"] == "begin"]
    assert begun == ["get_cluster_status", "get_nodes", "get_vms", "get_lxc_containers", "get_vm_info"]
    assert [record["result"] for record in records if record["event"] == "end"] == ["ok"] * 5
    assert {record["client"] for record in records if record["event"] == "begin"} != {"unknown"}
