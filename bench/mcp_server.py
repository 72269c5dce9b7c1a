"""The MCP server: how soon it lists its tools, what it weighs, what a tool adds to the PVE call it makes."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.figures import Figure, at_most, child, resident_mib, untargeted

ROUNDS = 9
# A cluster that is not there: the server dials nothing before its first tool call.
SETTINGS = {
    "PROXMOX_HOST": "127.0.0.1",
    "PROXMOX_USER": "root@pam",
    "PROXMOX_TOKEN_NAME": "bench",
    "PROXMOX_TOKEN_VALUE": "00000000-0000-0000-0000-000000000000",
}


# The bounds of memory and of calls are the same for all tools there are; the start may take longer.
EVERYTHING = {"PROXMOX_ACCESS": "admin", "PROXMOX_TOOLSETS": "all"}


def figures() -> list[Figure]:
    """All figures of the MCP server."""
    serve = ["-m", "proxmox_mcp", "serve"]
    default, every, floor = _alternately((serve, {}), (serve, EVERYTHING), (["-m", "bench.bare_server"], {}))
    rows = [
        at_most("start to tools/list over stdio", default.start, 150, "ms", floor.start),
        at_most("resident after tools/list", default.resident, 20, "MiB", floor.resident),
        at_most("start to tools/list, every toolset", every.start, 250, "ms", floor.start),
        at_most("resident after tools/list, every toolset", every.resident, 20, "MiB", floor.resident),
        untargeted("tools/list asked for again, every toolset", every.again, "ms", floor.again),
    ]
    rows += [
        at_most(f"python -m {command} --help", _help_seconds(command) * 1000, 300, "ms")
        for command in ("proxmox_mcp", "pvesim.cli")
    ]
    return [*rows, *asyncio.run(_tool_overhead())]


class Started(NamedTuple):
    """One start of a server: until its tools are listed (ms), what it weighs then (MiB), a second list of them (ms)."""

    start: float
    resident: float
    again: float


def _alternately(*servers: tuple[list[str], dict[str, str]]) -> list[Started]:
    """The medians of each command with its variables; the rounds take turns, so that a busy moment hits all alike."""
    for command, variables in servers:
        _start(command, variables)  # compiles the modules
    samples: list[list[Started]] = [[] for _ in servers]
    for _ in range(ROUNDS):
        for (command, variables), taken in zip(servers, samples, strict=True):
            taken.append(_start(command, variables))
    return [Started(*map(statistics.median, zip(*taken, strict=True))) for taken in samples]


def _start(command: list[str], variables: dict[str, str]) -> Started:
    begin = time.perf_counter()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with child(*command, variables=SETTINGS | variables, **pipes) as process:
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"}}
        _ask(process, 1, "initialize", client)
        _send(process, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        _ask(process, 2, "tools/list", {})
        listed = time.perf_counter()
        resident = resident_mib(process)
        asked = time.perf_counter()
        _ask(process, 3, "tools/list", {})
        return Started((listed - begin) * 1000, resident, (time.perf_counter() - asked) * 1000)


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
    """What a tool adds, in memory, to the proxmoxer call that it makes; every toolset is there.

    What the SDK takes on both ends is part of it: its client checks every answer against the tool's output schema.
    """
    from mcp import Client

    from proxmox_mcp import Pve, Settings, build_server
    from pvesim import Simulator

    simulator = Simulator("homelab")
    api = simulator.connect()
    guest = api.cluster.resources.get(type="vm")[0]
    status = api.nodes(guest["node"])(guest["id"]).status.current
    one = f"get_{'vm' if guest['type'] == 'qemu' else 'lxc'}_status"
    settings = Settings(host="pvesim.invalid", user="root@pam", password="unused", access="admin", toolsets=("all",))
    async with Client(build_server(settings, Pve(settings, connect=simulator.connect))) as client:
        single = await _call_ms(client, one, {"vmid": guest["vmid"]}, lambda: status.get())
        many = await _call_ms(client, "get_vms", {}, lambda: api.cluster.resources.get(type="vm"))
    return [
        at_most(f"{one} in memory (floor: proxmoxer's call)", single[0], 1, "ms", single[1]),
        at_most("get_vms in memory (floor: proxmoxer's call)", many[0], 1, "ms", many[1]),
    ]


async def _call_ms(
    client: Any, name: str, arguments: dict[str, Any], direct: Callable[[], object]
) -> tuple[float, float]:
    """The median times of a tool's call and of the proxmoxer call it makes, in turns."""
    calls, floors = [], []
    for _ in range(CALLS):
        begin = time.perf_counter()
        result = await client.call_tool(name, arguments)
        called = time.perf_counter()
        direct()
        floors.append(time.perf_counter() - called)
        calls.append(called - begin)
        assert not result.is_error, result.content
    return statistics.median(calls) * 1000, statistics.median(floors) * 1000
