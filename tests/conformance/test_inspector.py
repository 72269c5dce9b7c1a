"""The MCP project's inspector, as a person uses it on the command line, over stdio and in both eras."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.running import INSPECTOR, run_node

PROGRAM = Path("@modelcontextprotocol/inspector/clients/launcher/build/index.js")
TOOL_SAYS_ERROR = 5  # the inspector's exit status

pytestmark = pytest.mark.parametrize("era", ["legacy", "modern"])


@pytest.fixture
def server(tmp_path: Path) -> list[str]:
    """The command of a server with all its tools, on a simulated cluster."""
    served = [sys.executable, "-m", "proxmox_mcp", "serve", "--simulate", "homelab"]
    return [*served, "--access", "admin", "--toolsets", "all", "--state-dir", str(tmp_path / "state")]


def inspect(home: Path, server: list[str], era: str, *arguments: str, ends_with: int = 0) -> tuple[Any, str]:
    """The result of one method, and what the inspector wrote to standard error."""
    options = ["--protocol-era", era, "--format", "json", "-q"]
    done = run_node(Path(INSPECTOR or ""), home, PROGRAM, "--cli", *server, *options, *arguments)
    assert done.returncode == ends_with, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)["result"], done.stderr


def test_the_tools_are_listed_and_their_schemas_are_portable(tmp_path: Path, server: list[str], era: str) -> None:
    result, errors = inspect(tmp_path, server, era, "--method", "tools/list", "--strict")
    sys.stdout.write(f"{era}: {len(result['tools'])} tools; {errors.strip().splitlines()[-1:]}\n")
    names = [tool["name"] for tool in result["tools"]]
    assert {"get_vms", "manage_vm", "delete_vm", "call_api"} <= set(names)
    assert not re.search(r"^[1-9]\d* (errors?|warnings?)\b", errors, re.MULTILINE), errors


def test_the_server_says_who_it_is(tmp_path: Path, server: list[str], era: str) -> None:
    result, _ = inspect(tmp_path, server, era, "--method", "initialize")
    assert result["serverInfo"]["name"] == "proxmox"
    assert result["protocolVersion"] == {"legacy": "2025-11-25", "modern": "2026-07-28"}[era]


def test_a_tool_is_called(tmp_path: Path, server: list[str], era: str) -> None:
    call = ("--method", "tools/call", "--tool-name", "get_vm_status", "--tool-arg", "vmid=100")
    result, _ = inspect(tmp_path, server, era, *call)
    assert result["structuredContent"]["name"] == "web"
    assert "status: running" in result["content"][0]["text"]


def test_a_refusal_is_seen_as_one(tmp_path: Path, server: list[str], era: str) -> None:
    call = ("--method", "tools/call", "--tool-name", "get_vm_status", "--tool-arg", "vmid=999")
    result, _ = inspect(tmp_path, server, era, *call, ends_with=TOOL_SAYS_ERROR)
    assert result["isError"]
    assert result["content"][0]["text"].startswith("There is no guest 999")


def test_a_resource_is_read(tmp_path: Path, server: list[str], era: str) -> None:
    result, _ = inspect(tmp_path, server, era, "--method", "resources/read", "--uri", "pve://guest/100")
    assert "name: web" in result["contents"][0]["text"]


def test_a_prompt_is_got(tmp_path: Path, server: list[str], era: str) -> None:
    prompt = ("--method", "prompts/get", "--prompt-name", "restore_guest", "--prompt-args", "vmid=100")
    result, _ = inspect(tmp_path, server, era, *prompt)
    assert "guest 100" in result["messages"][0]["content"]["text"]
