"""Attempts on the home lab: what a model, a client or a guest may try, and what must come of it: nothing."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.types import CallToolResult, ElicitResult, TextContent

from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.approval import Approvals
from proxmox_mcp.server import ProxmoxServer, build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator

Answerer = ElicitationFnT


def answering(action: Literal["accept", "decline", "cancel"], content: Any = None) -> Answerer:
    """A client that answers every question so."""

    async def answer(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action=action, content=content)

    return answer


class Noting:
    """A client that answers as another does, and keeps what it was asked."""

    def __init__(self, answer: Answerer) -> None:
        self._answer = answer
        self.asked: list[str] = []

    async def __call__(self, context: Any, params: Any) -> Any:
        self.asked.append(params.message)
        return await self._answer(context, params)


YES = answering("accept", {"approve": True})


class Lab:
    """A cluster, the servers on it, and what came of the attempts."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self.simulator = simulator
        self._before = simulator.fork()
        self.folder = folder
        self.state = folder / "state"
        self.told: list[str] = []
        """Everything that a client, and so a model, got to read."""

    @property
    def approvals(self) -> Approvals:
        return Approvals(self.state, 600)

    def settings(self, policy: str = "", **options: Any) -> Settings:
        given = {"access": "admin", "retries": 0, "state_dir": self.state, **options}
        if "tools" not in given and "toolsets" not in given:
            # Raw requests are there beside what is there by itself.
            given |= {"toolsets": ("default",), "tools": ("call_api",)}
        if policy:
            file = self.folder / "policy.toml"
            file.write_text(policy)
            given["policy"] = file
        return Settings(host="pvesim.invalid", user="root@pam", token_name="t", token_value="unused-secret", **given)

    def server(self, policy: str = "", user: str = "root@pam", cluster: str = "lab", **options: Any) -> ProxmoxServer:
        settings = self.settings(policy, **options)
        pve = Pve(settings, lambda: self.simulator.connect(user), cluster=cluster, user=user)
        return build_server(settings, pve)

    @asynccontextmanager
    async def client(
        self,
        policy: str = "",
        *,
        answer: Answerer | None = None,
        era: Literal["auto", "legacy"] = "auto",
        **options: Any,
    ) -> AsyncIterator["Attacker"]:
        server = self.server(policy, **options)
        async with Client(server, mode=era, elicitation_callback=answer) as client:
            self.simulator.requests.clear()
            yield Attacker(self, client)

    @property
    def writes(self) -> list[str]:
        """What was asked of PVE that changes something."""
        asked = [(one.verb, one.path.removeprefix("/api2/json")) for one in self.simulator.requests]
        return [f"{verb} {path}" for verb, path in asked if verb != "GET" and not path.startswith("/access/ticket")]

    def api(self) -> Any:
        return self.simulator.connect()

    def untouched(self) -> Any:
        """The cluster as it was before the first attempt."""
        return self._before.connect()


class Attacker:
    """What a model can do: call tools, and read what comes back."""

    def __init__(self, lab: Lab, client: Client) -> None:
        self.lab = lab
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        result = await self.client.call_tool(tool, arguments)
        self.lab.told.append(text_of(result) + str(result.structured_content))
        return result

    async def refused(self, tool: str, *says: str, **arguments: Any) -> str:
        """Call a tool; it must be refused, and nothing be changed."""
        before = list(self.lab.writes)
        result = await self.call(tool, **arguments)
        assert result.is_error, text_of(result)
        assert self.lab.writes == before
        text = text_of(result)
        for part in says:
            assert part in text
        return text

    async def done(self, tool: str, **arguments: Any) -> CallToolResult:
        result = await self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        return result


def text_of(result: CallToolResult) -> str:
    return "\n".join(content.text for content in result.content if isinstance(content, TextContent))


@pytest.fixture(scope="session")
def homelab() -> Simulator:
    return Simulator("homelab")


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxmox_mcp.tasks._FIRST_PAUSE", 0.0)


@pytest.fixture
def lab(homelab: Simulator, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(homelab.fork(), tmp_path)
    yield lab
    # Whatever was tried: no code of an approval ever stood in what a model could read.
    told = "\n".join(lab.told)
    codes = [request.code for request in lab.approvals.listed()] if lab.state.is_dir() else []
    assert not [code for code in codes if code in told or code.replace("-", "") in told]
