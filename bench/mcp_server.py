"""The MCP server: how soon it lists its tools, what it weighs, what a tool adds to the PVE call it makes."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
from typing import Any

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
    return [*rows, _tool_overhead()]


def _alternately(*commands: list[str]) -> list[tuple[float, float]]:
    """Median seconds and MiB of each command; the rounds take turns, so that a busy moment hits all alike."""
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


def _tool_overhead() -> Figure:
    return asyncio.run(_measure_tool())


async def _measure_tool(calls: int = 300) -> Figure:
    from mcp import Client

    from proxmox_mcp import Pve, Settings, build_server
    from pvesim import Simulator

    simulator = Simulator("homelab")
    api = simulator.connect()
    direct = []
    for _ in range(calls):
        begin = time.perf_counter()
        api.cluster.resources.get(type="vm")
        direct.append(time.perf_counter() - begin)
    settings = Settings(host="pvesim.invalid", user="root@pam", password="unused")
    server = build_server(settings, Pve(settings, connect=simulator.connect))
    through = []
    async with Client(server) as client:
        for _ in range(calls):
            begin = time.perf_counter()
            await client.call_tool("get_vms", {})
            through.append(time.perf_counter() - begin)
    floor, value = statistics.median(direct) * 1000, statistics.median(through) * 1000
    return at_most("get_vms in memory (floor: the same call by proxmoxer)", value, 1, "ms", floor)
