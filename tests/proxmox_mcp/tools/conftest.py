"""Tools as an MCP client sees them: the SDK's client, the server, an unmodified proxmoxer, and a simulated home lab."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.types import TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator

Era = Literal["auto", "legacy"]
AUDITOR = "mcp@pve!auditor"
NOBODY = "mcp@pve!expired"


@dataclass(frozen=True)
class Reply:
    """What a client gets of one call, and what the server asked PVE for it."""

    data: dict[str, Any]
    text: str
    is_error: bool
    requests: list[str]
    progress: list[tuple[float, float | None, str | None]]


Ask = Callable[..., Awaitable[Reply]]


@cache
def _homelab() -> Simulator:
    return Simulator("homelab")


@pytest.fixture
def simulator() -> Simulator:
    """A home lab of one's own."""
    return _homelab().fork()


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    """Both eras of the protocol."""
    era: Era = request.param
    return era


@pytest.fixture
def ask(simulator: Simulator) -> Ask:
    """`await ask("get_vms", status="running")`; `access`, `user` and `era` say how the client is connected."""

    async def ask(
        tool: str, /, *, as_user: str = "root@pam", access: str = "operate", era: Era = "auto", **arguments: Any
    ) -> Reply:
        progress: list[tuple[float, float | None, str | None]] = []

        async def note(done: float, total: float | None, text: str | None) -> None:
            progress.append((done, total, text))

        settings = Settings(access=access)  # type: ignore[arg-type]  # checked when it is made
        pve = Pve(settings, connect=lambda: simulator.connect(user=as_user))
        simulator.requests.clear()
        async with Client(build_server(settings, pve), mode=era) as client:
            result = await client.call_tool(tool, arguments, progress_callback=note)
        [content] = result.content
        assert isinstance(content, TextContent)
        asked = [f"{request.verb} {request.path.removeprefix('/api2/json')}" for request in simulator.requests]
        return Reply(result.structured_content or {}, content.text, bool(result.is_error), asked, progress)

    return ask
