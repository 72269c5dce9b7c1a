"""The tools on the home lab: a fresh copy of the cluster for every test, asked through the SDK's own client."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.types import CallToolResult, ElicitResult, TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Access, Settings
from proxmox_mcp.tools import TOOLSETS
from pvesim import Simulator

KNOWN = {tool.name for toolset in TOOLSETS for tool in toolset.declarations}

Era = Literal["auto", "legacy"]
Ask = Callable[..., Awaitable[CallToolResult]]


@pytest.fixture(scope="session")
def homelab() -> Simulator:
    return Simulator("homelab")


@pytest.fixture
def simulator(homelab: Simulator) -> Simulator:
    return homelab.fork()


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    era: Era = request.param
    return era


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a running task moves the simulated clock, so nobody has to wait between two looks."""
    monkeypatch.setattr("proxmox_mcp.tasks._FIRST_PAUSE", 0.0)


async def approve(context: Any, params: Any) -> ElicitResult:
    """The person at the client, who approves of everything."""
    return ElicitResult(action="accept", content={"approve": True})


@pytest.fixture
def ask(simulator: Simulator) -> Ask:
    """Call a tool: `await ask("get_vms", status="running")`; `_user`, `_access` and `_era` say as whom and how."""

    async def ask(
        tool: str,
        *,
        _user: str = "root@pam",
        _access: Access = "admin",
        _era: Era = "auto",
        _progress: Any = None,
        _approves: bool = True,
        **arguments: Any,
    ) -> CallToolResult:
        # A server with this one tool, whatever toolset it is of: each takes its time to build.
        who: dict[str, Any] = {
            "host": "pvesim.invalid",
            "user": "root@pam",
            "token_name": "t",
            "token_value": "not-asked-for",
        }
        settings = Settings(access=_access, retries=0, tools=(tool,) if tool in KNOWN else None, **who)
        server = build_server(settings, Pve(settings, connect=lambda: simulator.connect(_user)))
        async with Client(server, mode=_era, elicitation_callback=approve if _approves else None) as client:
            return await client.call_tool(tool, arguments, progress_callback=_progress)

    return ask


@dataclass(frozen=True)
class Reply:
    """What a client gets of one call, and what the server asked PVE for it."""

    data: dict[str, Any]
    text: str
    is_error: bool
    requests: list[str]
    progress: list[str]


Tell = Callable[..., Awaitable[Reply]]


@pytest.fixture
def tell(ask: Ask, simulator: Simulator) -> Tell:
    """As `ask`, but with all that is to be known of the call."""

    async def tell(tool: str, **arguments: Any) -> Reply:
        progress: list[str] = []

        async def note(done: float, total: float | None, message: str | None) -> None:
            progress.append(message or "")

        simulator.requests.clear()
        result = await ask(tool, _progress=note, **arguments)
        asked = [f"{request.verb} {request.path.removeprefix('/api2/json')}" for request in simulator.requests]
        return Reply(result.structured_content or {}, text_of(result), bool(result.is_error), asked, progress)

    return tell


def text_of(result: CallToolResult) -> str:
    """What a reader of the text sees."""
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text
