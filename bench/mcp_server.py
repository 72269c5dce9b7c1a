"""The MCP server: how soon it lists its tools, what it weighs, what a tool adds to the PVE call it makes."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

from mcp.types import CallToolResult, TextContent

from bench.figures import Figure, at_most, child, resident_mib

ROUNDS = 9
# A cluster that is not there: the server dials nothing before its first tool call.
SETTINGS = {
    "PROXMOX_HOST": "127.0.0.1",
    "PROXMOX_USER": "root@pam",
    "PROXMOX_TOKEN_NAME": "bench",
    "PROXMOX_TOKEN_VALUE": "00000000-0000-0000-0000-000000000000",
}


def figures() -> list[Figure]:
    """All figures of the MCP server."""
    ours, floor = _alternately(["-m", "proxmox_mcp", "serve"], ["-m", "bench.bare_server"])
    rows = [
        at_most("start to tools/list over stdio", ours[0] * 1000, 150, "ms", floor[0] * 1000),
        at_most("resident after tools/list", ours[1], 20, "MiB", floor[1]),
    ]
    rows += [
        at_most(f"python -m {command} --help", _help_seconds(command) * 1000, 300, "ms")
        for command in ("proxmox_mcp", "pvesim.cli")
    ]
    return [*rows, *asyncio.run(_tool_overhead())]


def _alternately(*commands: list[str]) -> list[tuple[float, float]]:
    """Median seconds and MiB of each command; the rounds take turns, so that a busy moment hits all alike."""
    for command in commands:
        _start(command)  # compiles the modules
    samples: list[list[tuple[float, float]]] = [[] for _ in commands]
    for _ in range(ROUNDS):
        for command, taken in zip(commands, samples, strict=True):
            taken.append(_start(command))
    return [(statistics.median(x[0] for x in taken), statistics.median(x[1] for x in taken)) for taken in samples]


def _start(command: list[str]) -> tuple[float, float]:
    begin = time.perf_counter()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with child(*command, variables=SETTINGS, **pipes) as process:
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"}}
        _ask(process, 1, "initialize", client)
        _send(process, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        _ask(process, 2, "tools/list", {})
        return time.perf_counter() - begin, resident_mib(process)


def _send(process: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def _ask(process: subprocess.Popen[bytes], number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    _send(process, {"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if message.get("id") == number:
            return dict(message["result"])
    raise RuntimeError("the server ended before it answered")


def _help_seconds(module: str) -> float:
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        with child("-m", module, "--help", stdout=subprocess.DEVNULL) as process:
            process.wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


CALLS = 300


async def _tool_overhead() -> list[Figure]:
    """What a tool adds, in memory, to the proxmoxer call that it makes.

    The SDK's client checks every answer against the tool's output schema, which takes longer the longer the list; what
    that costs is measured with a bare server that answers the same, and is part of the second floor.
    """
    from mcp import Client

    from proxmox_mcp import Pve, Settings, build_server
    from pvesim import Simulator

    simulator = Simulator("homelab")
    api = simulator.connect()
    guest = api.cluster.resources.get(type="vm")[0]
    status = api.nodes(guest["node"])(guest["id"]).status.current
    settings = Settings(host="pvesim.invalid", user="root@pam", password="unused")
    server = build_server(settings, Pve(settings, connect=simulator.connect))
    async with Client(server) as client:
        one = f"get_{'vm' if guest['type'] == 'qemu' else 'lxc'}_status"
        single = await _call_ms(client, one, {"vmid": guest["vmid"]})
        many = await _call_ms(client, "get_vms", {})
        bare = await _bare_ms(client)
    one_floor = _direct_ms(lambda: status.get())
    many_floor = _direct_ms(lambda: api.cluster.resources.get(type="vm"))
    return [
        at_most(f"{one} in memory (floor: proxmoxer's call)", single, 1, "ms", one_floor),
        at_most("get_vms in memory (floor: proxmoxer's call + bare SDK)", many, 1, "ms", many_floor + bare),
    ]


async def _bare_ms(client: Any) -> float:
    """What a bare SDK server takes to give the client the answer of `get_vms`."""
    from mcp import Client
    from mcp.server import MCPServer

    answer = await client.call_tool("get_vms", {})
    text = [TextContent(type="text", text=answer.content[0].text)]
    result = CallToolResult(content=text, structured_content=answer.structured_content)
    tool = next(tool for tool in (await client.list_tools()).tools if tool.name == "get_vms")
    server = MCPServer("bare", version="0")

    async def get_vms() -> CallToolResult:
        return result

    server.add_tool(get_vms)
    registered = server._tool_manager.get_tool("get_vms")
    registered.fn_metadata.output_schema = tool.output_schema
    async with Client(server) as bare:
        return await _call_ms(bare, "get_vms", {})


async def _call_ms(client: Any, name: str, arguments: dict[str, Any]) -> float:
    times = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        result = await client.call_tool(name, arguments)
        times.append(time.perf_counter() - begin)
        assert not result.is_error, result.content
    return statistics.median(times) * 1000


def _direct_ms(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        ask()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000
