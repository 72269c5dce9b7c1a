"""Clients that cost little, so that what is measured is the server: plain sockets, many of them in one process."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_GONE = (500,)  # what PVE answers where another client was quicker: locked, running already, not running


@dataclass(frozen=True, slots=True)
class Result:
    """What many clients met: requests a second, the 99th percentile in seconds, answers that PVE would not give.

    `grown` is the server's memory in the end, in times of what it was after a quarter of the time.
    """

    per_second: float
    p99: float
    unexpected: int
    grown: float


def hammer(port: int, token: str, *, clients: int, seconds: float, memory: Callable[[], float]) -> Result:
    """Let so many keep-alive clients ask over TLS for so long: nine reads to one write each, with a pause between.

    `memory` is asked after a quarter of the time and in the end.
    """
    return asyncio.run(_hammer(port, token, clients, seconds, memory))


async def _hammer(port: int, token: str, clients: int, seconds: float, memory: Callable[[], float]) -> Result:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    times: list[float] = []
    unexpected: list[Any] = []
    limit = asyncio.Semaphore(32)  # as many at once as a server's listening queue holds easily
    connected = []
    for _ in range(clients):
        async with limit:
            connected.append(await asyncio.open_connection("127.0.0.1", port, ssl=context))
    guests = await _guests(*connected[0], token)
    end = time.monotonic() + seconds
    held: list[float] = []
    asyncio.get_running_loop().call_later(seconds / 4, lambda: held.append(memory()))
    await asyncio.gather(
        *(
            _client(*streams, token, guests, random.Random(number), end, times, unexpected)
            for number, streams in enumerate(connected)
        )
    )
    held.append(memory())
    for _, writer in connected:
        writer.close()
    times.sort()
    return Result(len(times) / seconds, times[int(len(times) * 0.99)], len(unexpected), held[1] / held[0])


async def _client(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    token: str,
    guests: list[tuple[str, str, int]],
    chance: random.Random,
    end: float,
    times: list[float],
    unexpected: list[Any],
) -> None:
    await asyncio.sleep(chance.random() * 2)
    # A connection keeps the room of the largest answer that it has sent: let each have had it from the beginning.
    await _ask(reader, writer, "GET", "/cluster/resources", token)
    while time.monotonic() < end:
        verb, path = _choice(chance, guests)
        begin = time.perf_counter()
        status, body = await _ask(reader, writer, verb, path, token)
        times.append(time.perf_counter() - begin)
        if status != 200 and not (verb == "POST" and status in _GONE):
            unexpected.append((verb, path, status, body[:200]))
        await asyncio.sleep(0.5 + chance.random() * 3)


def _choice(chance: random.Random, guests: list[tuple[str, str, int]]) -> tuple[str, str]:
    node, kind, vmid = chance.choice(guests)
    base = f"/nodes/{node}/{kind}/{vmid}"
    draw = chance.random()
    if draw < 0.1:
        return "POST", f"{base}/status/{chance.choice(('start', 'stop', 'shutdown'))}"
    if draw < 0.2:
        return "GET", "/cluster/resources"
    if draw < 0.3:
        return "GET", f"/nodes/{node}/tasks"
    return "GET", chance.choice((f"{base}/status/current", f"{base}/config", "/version", "/nodes", "/cluster/tasks"))


async def _guests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> list[tuple[str, str, int]]:
    _, body = await _ask(reader, writer, "GET", "/cluster/resources?type=vm", token)
    return [(row["node"], row["type"], row["vmid"]) for row in json.loads(body)["data"]]


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, verb: str, path: str, token: str
) -> tuple[int, bytes]:
    lines = f"Host: bench\r\nAuthorization: PVEAPIToken={token}\r\n"
    length = "Content-Length: 0\r\n" if verb == "POST" else ""
    writer.write(f"{verb} /api2/json{path} HTTP/1.1\r\n{lines}{length}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(size)


def connection(port: int) -> http.client.HTTPConnection:
    """One client over plain HTTP."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def post(client: http.client.HTTPConnection, path: str, form: str, token: str) -> int:
    """The status of a POST. Raises `OSError` when the server is gone."""
    headers = {"Authorization": f"PVEAPIToken={token}", "Content-Type": "application/x-www-form-urlencoded"}
    try:
        client.request("POST", f"/api2/json{path}", form, headers)
        answer = client.getresponse()
        answer.read()
    except http.client.HTTPException as error:
        raise ConnectionResetError(str(error)) from error
    return answer.status


def get(client: http.client.HTTPConnection, path: str, token: str) -> Any:
    """The data of a GET."""
    client.request("GET", f"/api2/json{path}", headers={"Authorization": f"PVEAPIToken={token}"})
    return json.loads(client.getresponse().read())["data"]
