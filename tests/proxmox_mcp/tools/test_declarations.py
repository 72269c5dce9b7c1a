"""What a model reads about the tools before it calls one."""

import json
import re

import pytest
from mcp import Client

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Access, Settings
from proxmox_mcp.tooling import Declaration
from proxmox_mcp.tools import TOOLSETS

DECLARED = [tool for toolset in TOOLSETS for tool in toolset.declarations]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("access", "toolsets", "most_bytes"), [("read", None, 18_000), ("admin", None, 36_000), ("admin", ("all",), 88_000)]
)
async def test_the_list_of_tools_costs_a_model_little(
    access: Access, toolsets: tuple[str, ...] | None, most_bytes: int
) -> None:
    settings = Settings(access=access, toolsets=toolsets)
    async with Client(build_server(settings, Pve(settings))) as client:
        tools = (await client.list_tools()).tools
    read = [{"name": tool.name, "description": tool.description, "input_schema": tool.input_schema} for tool in tools]
    assert len(json.dumps(read, separators=(",", ":"), ensure_ascii=False).encode()) <= most_bytes


def test_names_are_given_once() -> None:
    names = [tool.name for tool in DECLARED]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("tool", DECLARED, ids=lambda tool: str(tool.name))
def test_a_description_is_short(tool: Declaration) -> None:
    text = tool.description
    sentences = re.findall(r"[^.]+\.(?:\s|$)", text)
    assert 1 <= len(sentences) <= 2, text
    assert len(text) <= 240, text
