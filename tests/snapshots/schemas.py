"""What a model reads of every tool, one tool a line: `python tests/snapshots/schemas.py` writes it, a test compares.

So a change of what models see is seen in review.
"""

import json
from pathlib import Path

import anyio
from mcp import Client

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings

FILE = Path(__file__).with_name("tools.jsonl")


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
    FILE.write_text(anyio.run(schemas), encoding="utf-8")
