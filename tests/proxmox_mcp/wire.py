"""The server as a client meets it on the wire: JSON-RPC messages of either era, over stdio and over HTTP.

with over_stdio(folder) as channel:
    answer = channel.request("tools/list")     # what stands under "result", or under "error"
"""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings

from proxmox_mcp.server import ProxmoxServer

Era = Literal["legacy", "modern"]

VERSIONS: dict[Era, str] = {"legacy": "2025-11-25", "modern": "2026-07-28"}
WHO = {"name": "wire", "version": "1"}
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId"}


def envelope(**capabilities: Any) -> dict[str, Any]:
    """What every request since 2026-07-28 carries."""
    prefix = "io.modelcontextprotocol/"
    return {
        f"{prefix}protocolVersion": VERSIONS["modern"],
        f"{prefix}clientInfo": WHO,
        f"{prefix}clientCapabilities": capabilities,
    }


class Channel(ABC):
    """A connection of one era, by which requests are sent as they are given.

    Attributes:
        early: the error of a request before hands were shaken, where that is done.
    """

    def __init__(self, era: Era) -> None:
        self.era = era
        self.early: dict[str, Any] | None = None
        self._numbers = itertools.count(1)

    def begin(self) -> None:
        """Shake hands, where that is done."""
        if self.era == "legacy":
            early = self.exchange(self.message("tools/list"))
            self.early = early["error"]
            self.request("initialize", protocolVersion=VERSIONS["legacy"], capabilities={}, clientInfo=WHO)
            self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a request: what stands under `result`, or under `error`."""
        message = self.message(method, **params)
        answer = self.exchange(message)
        assert answer["id"] == message["id"]
        told: dict[str, Any] = answer["error"] if "error" in answer else answer["result"]
        return told

    def message(self, method: str, **params: Any) -> dict[str, Any]:
        """A request of this era."""
        if self.era == "modern":
            params = {"_meta": envelope(), **params}
        return {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}

    @abstractmethod
    def send(self, message: dict[str, Any] | str) -> None:
        """Send what is not answered."""

    @abstractmethod
    def exchange(self, message: dict[str, Any] | str) -> dict[str, Any]:
        """Send a request, or what should be one, and wait for its answer."""


class Stdio(Channel):
    """Lines to and from a process."""

    def __init__(self, era: Era, process: subprocess.Popen[str]) -> None:
        super().__init__(era)
        self._process = process

    def send(self, message: dict[str, Any] | str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text_of(message) + "\n")
        self._process.stdin.flush()

    def exchange(self, message: dict[str, Any] | str) -> dict[str, Any]:
        self.send(message)
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


class Http(Channel):
    """Requests to an address; in the older era in a session."""

    def __init__(self, era: Era, address: str, client: httpx.Client) -> None:
        super().__init__(era)
        self._address = address
        self._client = client
        self._session: dict[str, str] = {}

    def headers(self, message: dict[str, Any] | str) -> dict[str, str]:
        """The headers of a message, as the protocol wants them."""
        known = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if self.era == "legacy" and isinstance(message, dict) and message["method"] == "initialize":
            return known
        known = {**known, "MCP-Protocol-Version": VERSIONS[self.era], **self._session}
        if self.era == "legacy" or isinstance(message, str):
            return known
        named = message.get("params", {}).get(_NAMED.get(message["method"], ""))
        # What is no ASCII cannot be said in a header.
        safe = isinstance(named, str) and named.isascii() and named.isprintable()
        return {**known, "Mcp-Method": message["method"], **({"Mcp-Name": named} if safe else {})}

    def send(self, message: dict[str, Any] | str) -> None:
        self._client.post(self._address, content=text_of(message), headers=self.headers(message))

    def exchange(self, message: dict[str, Any] | str) -> dict[str, Any]:
        response = self._client.post(self._address, content=text_of(message), headers=self.headers(message))
        if "mcp-session-id" in response.headers:
            self._session = {"Mcp-Session-Id": response.headers["mcp-session-id"]}
        return answer_of(response)


def text_of(message: dict[str, Any] | str) -> str:
    """A message as it is sent."""
    return message if isinstance(message, str) else json.dumps(message)


def answer_of(response: httpx.Response) -> dict[str, Any]:
    """The message that a response ends with, whether it is one or a stream of them."""
    if response.headers["content-type"].startswith("text/event-stream"):
        lines = [line for line in response.text.splitlines() if line.startswith("data: {")]
        answer: dict[str, Any] = json.loads(lines[-1].removeprefix("data: "))
    else:
        answer = response.json()
    return answer


@contextmanager
def over_stdio(era: Era, folder: Path) -> Iterator[Stdio]:
    """A channel to a process of its own on the home lab."""
    served = [sys.executable, "-m", "proxmox_mcp", "serve", "--simulate", "homelab"]
    command = [*served, "--access", "admin", "--state-dir", str(folder / "state")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        channel = Stdio(era, process)
        channel.begin()
        yield channel
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


@contextmanager
def serving(server: ProxmoxServer) -> Iterator[str]:
    """The address of a server over HTTP, in a thread of this process; only its own host and origin are let in."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        security = TransportSecuritySettings(
            enable_dns_rebinding_protection=True, allowed_hosts=[host], allowed_origins=[f"http://{host}"]
        )
        app = server.streamable_http_app(transport_security=security)
        web = uvicorn.Server(uvicorn.Config(app, http="h11", log_level="warning", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://{host}/mcp"
        finally:
            web.should_exit = True
            thread.join()


@contextmanager
def over_http(era: Era, address: str) -> Iterator[Http]:
    """A channel to an address."""
    with httpx.Client(timeout=30) as client:
        channel = Http(era, address, client)
        channel.begin()
        yield channel
