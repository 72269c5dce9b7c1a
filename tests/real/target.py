"""A real node as a target of the contracts: one scenario is set up on it, and cleared away whatever happens."""

from typing import Any, Self

from proxmox_mcp.pve import Pve
from proxmox_mcp.settings import Access, Settings
from proxmox_mcp.transport import open_connection
from pvesim.scenario import Scenario
from pvesim.scenario.steps import ContractStepModel
from tests.contract.targets import ROOT, UPLOADS, Target
from tests.real.found import Found
from tests.real.journal import put_back
from tests.real.lens import Lens, Mine, Request
from tests.real.node import RealNode
from tests.real.plan import Plan
from tests.real.setup import Setup
from tests.real.sweep import clear


class Real(Target):
    """A scenario on a node.

    Args:
        node, found: the node and what is there.
        pool, first, last: what on it belongs to the run.
    """

    simulated = False
    goes_on = True  # a difference is to be known with all others, not one a run
    patience = 40.0  # lists of the cluster lag ten seconds behind, other things a little more

    def __init__(self, scenario: Scenario, node: RealNode, found: Found, pool: str, first: int, last: int) -> None:
        super().__init__(scenario)
        self.node, self.found = node, found
        self._plan = Plan(scenario, found)
        self._names = self._plan.names(first, last, node.connection.identity)
        self._mine = Mine(self._names, first, last)
        self._setup = Setup(node, self._plan, self._names, pool)
        self._to_close.callback(put_back, node, found)
        self._to_close.callback(clear, node, first, last)

    def __enter__(self) -> Self:
        try:
            self._setup.run()
            path = f"nodes/{self.found.node}"
            self._mine.older = frozenset(task["upid"] for task in self.node.get(f"{path}/tasks", limit=500))
            self._mine.began = int(self.node.get(f"{path}/time")["time"])
        except BaseException:
            self._to_close.close()
            raise
        return self

    def leaves_out(self, step: ContractStepModel) -> str | None:
        return self._plan.left_out(step)

    def settings(self, user: str, access: Access) -> Settings:
        connection = self.node.connection
        reached = {key: getattr(connection, key) for key in ("host", "port", "ca_file", "fingerprint", "verify_tls")}
        # Whatever a node takes, a contract's own waiting times decide.
        return Settings(
            **reached, access=access, toolsets=("all",), upload_folder=UPLOADS, timeout=60.0, **self._login(user)
        )

    def _login(self, user: str) -> dict[str, Any]:
        if user == ROOT:
            keys = ("user", "password", "token_name", "token_value")
            return {key: value for key in keys if (value := getattr(self.node.connection, key)) is not None}
        login = self.credentials(user)
        login["user"] = self._names.users[login["user"]]
        if "token_name" in login:
            login["token_value"] = self._setup.tokens[user]
        return login

    def pve(self, settings: Settings, user: str) -> Pve:
        return Pve(settings, connect=lambda: self._lens(self._opened(settings)), user=user)

    def api(self) -> Lens:
        return self._lens(self.node.request)

    def _opened(self, settings: Settings) -> Request:
        opened = open_connection(settings)
        self._to_close.callback(opened.close)
        return lambda verb, path, params: getattr(opened.api(path), verb)(**params)

    def _lens(self, request: Request) -> Lens:
        return Lens(request, self._names, self._mine)
