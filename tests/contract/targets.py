"""What a contract is proven on: something that is in a scenario's state and answers as PVE does.

A target is made for one test and thrown away after it. `simulated` decides whether steps that a scenario marks as
`simulated_only` are run there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcp.client.stdio import StdioServerParameters
from mcp.server import MCPServer
from proxmoxer import ProxmoxAPI

from proxmox_mcp.pve import Pve
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Access, Settings
from pvesim import Simulator
from pvesim.scenario import Scenario
from pvesim.scenario.base import DEFAULT_PASSWORD
from pvesim.scenario.steps import ContractStepModel
from pvesim.serve import Identity, SimServer, make_identity

ROOT = "root@pam"
UPLOADS = Path(__file__).with_name("uploads")
"""What the contracts may upload."""

Api = Callable[[str], Any]
"""Called with a path, as `proxmoxer.ProxmoxAPI` is."""


class Target(ABC):
    """A cluster in the state of a scenario.

    Attributes:
        patience: for how many seconds what it shows may lag behind.
        goes_on: whether the steps behind one that does not hold are run, too.
    """

    simulated = True
    patience = 0.0
    goes_on = False

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._to_close = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._to_close.close()

    def leaves_out(self, step: ContractStepModel) -> str | None:
        """Why a step cannot be run here; None if it can."""
        return None if self.simulated else step.simulated_only

    @abstractmethod
    def settings(self, user: str, access: Access) -> Settings:
        """What the MCP server is started with, to act as `user` (a user id, or a token's `user@realm!name`)."""

    @abstractmethod
    def pve(self, settings: Settings, user: str) -> Pve:
        """The server's way to the cluster."""

    def mcp_server(self, settings: Settings, user: str) -> MCPServer | StdioServerParameters:
        """The MCP server, or how a client starts it."""
        return build_server(settings, self.pve(settings, user))

    @abstractmethod
    def api(self) -> Api:
        """The PVE API as root sees it, past the MCP server."""

    def credentials(self, user: str) -> dict[str, Any]:
        """What the scenario gives a user or token to log in with, as settings."""
        userid, _, tokenid = user.partition("!")
        model = self.scenario.users.get(userid)
        if tokenid:
            assert model is not None, f"the scenario has no user {userid}"
            return {"user": userid, "token_name": tokenid, "token_value": model.tokens[tokenid].secret}
        password = model.password if model else None
        if userid == ROOT:
            password = password or self.scenario.root_password or DEFAULT_PASSWORD
        assert password, f"the scenario gives {userid} no password"
        return {"user": userid, "password": password}


class InProcess(Target):
    """A simulator in this process, reached without a socket."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.simulator = Simulator(scenario)

    def settings(self, user: str, access: Access) -> Settings:
        return Settings(
            host="pvesim.invalid",
            access=access,
            toolsets=("all",),
            upload_folder=UPLOADS,
            retries=0,
            **self.credentials(user),
        )

    def pve(self, settings: Settings, user: str) -> Pve:
        return Pve(settings, connect=lambda: self.simulator.connect(user))

    def api(self) -> ProxmoxAPI:
        return self.simulator.connect()


class Https(Target):
    """A simulator behind a socket, reached as a cluster is: TLS that is verified, a login, a token."""

    _identity: Identity | None = None

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        # One certificate serves all tests of a process: making it takes longer than most of them.
        Https._identity = Https._identity or make_identity(["127.0.0.1"])
        self.server = SimServer(Simulator(scenario), identity=Https._identity)

    def __enter__(self) -> Self:
        self._to_close.enter_context(self.server)
        return self

    def settings(self, user: str, access: Access) -> Settings:
        return Settings(
            host=self.server.host,
            port=self.server.port,
            ca_file=Path(self.server.ca_file),
            access=access,
            toolsets=("all",),
            upload_folder=UPLOADS,
            retries=0,  # of a node that stays offline, which would only take time
            **self.credentials(user),
        )

    def pve(self, settings: Settings, user: str) -> Pve:
        return Pve(settings)

    def api(self) -> ProxmoxAPI:
        login = self.credentials(ROOT)
        return ProxmoxAPI(self.server.host, port=self.server.port, verify_ssl=self.server.ca_file, **login)


TARGETS: dict[str, type[Target]] = {"in-process": InProcess, "https": Https}
