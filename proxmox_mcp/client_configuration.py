"""What to paste into an MCP client so that it starts this server.

Source: the clients' own formats: `mcpServers` (Claude Desktop, Cursor), `claude mcp add` (Claude Code), and `servers`
with `inputs` (VS Code).
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGE_COMMAND = ("uvx", "proxmoxapi-mcp")
"""Runs the published package, without installing it."""

REAL_CLUSTER = {
    "PROXMOX_HOST": "pve1.example.com",
    "PROXMOX_USER": "mcp@pve",
    "PROXMOX_TOKEN_NAME": "assistant",
    "PROXMOX_TOKEN_VALUE": "the token's secret",
}
"""The settings that a real cluster needs, with values to be replaced."""


def checkout_command() -> tuple[str, ...]:
    """The command that runs the server of this Python environment, whatever the working directory is."""
    script = Path(sys.executable).with_name("proxmox-mcp")
    if script.is_file():
        return (str(script),)
    return (sys.executable, "-m", "proxmox_mcp")


def mcp_servers(command: Sequence[str], arguments: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """The JSON that Claude Desktop, Cursor and most other clients read."""
    return _json({"mcpServers": {"proxmox": _server(command, arguments, environment)}})


def claude_code(command: Sequence[str], arguments: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """The command line that adds the server to Claude Code."""
    variables = [part for name, value in (environment or {}).items() for part in ("--env", f"{name}={value}")]
    return shlex.join(["claude", "mcp", "add", "proxmox", *variables, "--", *command, *arguments])


def vs_code(command: Sequence[str], arguments: Sequence[str], environment: dict[str, str]) -> str:
    """The `.vscode/mcp.json` of VS Code, which asks for the secret and keeps it itself."""
    asked = {"type": "promptString", "id": "proxmox-token", "description": "Proxmox VE API token", "password": True}
    variables = {**environment, "PROXMOX_TOKEN_VALUE": "${input:proxmox-token}"}
    return _json(
        {"inputs": [asked], "servers": {"proxmox": {"type": "stdio", **_server(command, arguments, variables)}}}
    )


def _server(command: Sequence[str], arguments: Sequence[str], environment: dict[str, str] | None) -> dict[str, Any]:
    server: dict[str, Any] = {"command": command[0], "args": [*command[1:], *arguments]}
    return {**server, "env": environment} if environment else server


def _json(value: dict[str, Any]) -> str:
    """Indented, with short lists on one line."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    for arguments in [server["args"] for key in ("mcpServers", "servers") for server in value.get(key, {}).values()]:
        indented = json.dumps(arguments, indent=2).replace("\n", "\n      ")
        text = text.replace(indented, json.dumps(arguments))
    return text
