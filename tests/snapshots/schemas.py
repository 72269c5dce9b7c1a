"""What a model reads of every tool, one tool a line: `python tests/snapshots/schemas.py` writes it, a test compares.

So a change of what models see is seen in review. It writes the schemas that the package keeps, too.
"""

import json
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from proxmox_mcp.pve import Pve
from proxmox_mcp.schemas import made_schema, name_of, write_schemas
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from proxmox_mcp.tooling import arguments_of, result_of
from proxmox_mcp.tools import TOOLSETS

FILE = Path(__file__).with_name("tools.jsonl")


def made_schemas() -> dict[str, dict[str, Any]]:
    """The schemas of the arguments and results of all tools, made from their declarations."""
    functions = [tool.function for toolset in TOOLSETS for tool in toolset.declarations]
    arguments = {name_of(function): made_schema(arguments_of(function)) for function in functions}
    results = {name_of(result): made_schema(result) for result in map(result_of, functions)}
    return arguments | results


async def schemas() -> str:
    """Name, description, annotations and schemas of all tools, sorted by name."""
    settings = Settings(access="admin", toolsets=("all",))
    async with Client(build_server(settings, Pve(settings))) as client:
        tools = (await client.list_tools()).tools
    lines = [
        json.dumps(tool.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=True, ensure_ascii=False)
        for tool in sorted(tools, key=lambda tool: tool.name)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_schemas(made_schemas())
    FILE.write_text(anyio.run(schemas), encoding="utf-8")
