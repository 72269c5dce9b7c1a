"""The images as targets of the contracts: a container serves the scenarios, and a container may be the MCP server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import httpx
from mcp.client.stdio import StdioServerParameters
from proxmoxer import ProxmoxAPI
from pydantic import SecretStr
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HealthcheckWaitStrategy

from proxmox_mcp.pve import Pve
from proxmox_mcp.settings import PREFIX, Access, Settings
from proxmox_mcp.transport import open_connection
from pvesim.scenario import Scenario
from tests.contract.targets import ROOT, UPLOADS, Target
from tests.images.build import build

_FIRST_PORT = 8006
_POLICY = "/tmp/policy.toml"
_UPLOADED = "/tmp/uploads"


class Served:
    """A container that serves one world for each scenario, each on a port of its own."""

    def __init__(self, container: DockerContainer, scenarios: Sequence[str]) -> None:
        self.container = container
        self.fingerprint = json.loads(container.get_logs()[0].splitlines()[0])["worlds"][0]["fingerprint"]
        self._ports = {name: _FIRST_PORT + index for index, name in enumerate(scenarios)}

    def inside(self, scenario: str) -> tuple[str, int]:
        """Host and port for whoever shares the container's network."""
        return "127.0.0.1", self._ports[scenario]

    def outside(self, scenario: str) -> tuple[str, int]:
        """Host and port for this machine."""
        return self.container.get_container_host_ip(), self.container.get_exposed_port(self._ports[scenario])

    def reset(self, scenario: str) -> None:
        """Bring a world back to its scenario."""
        host, port = self.outside(scenario)
        httpx.post(f"https://{host}:{port}/_sim/reset", verify=False, timeout=30.0).raise_for_status()


@contextmanager
def serve(scenarios: Sequence[str]) -> Iterator[Served]:
    """Start the simulator's image with the scenarios that lie in it, and wait until its health check is content."""
    files = " ".join(f"{name}.yaml" for name in scenarios)
    command = (
        'cd "$(python -c "import pvesim; print(pvesim.__path__[0])")/_scenarios" && '
        f"exec pvesim serve {files} --host 0.0.0.0 --clock auto --control-open --json"
    )
    container = (
        DockerContainer(build("pvesim").tags[0])
        .with_kwargs(entrypoint=["sh", "-c"])
        .with_command([command])
        .with_exposed_ports(*range(_FIRST_PORT, _FIRST_PORT + len(scenarios)))
        .waiting_for(HealthcheckWaitStrategy())
    )
    with container:
        yield Served(container, scenarios)


class SimulatorImage(Target):
    """A scenario in the simulator's container; the MCP server runs in this process."""

    def __init__(self, name: str, scenario: Scenario, served: Served) -> None:
        super().__init__(scenario)
        self._name, self._served = name, served

    def __enter__(self) -> Self:
        self._served.reset(self._name)
        return self

    def settings(self, user: str, access: Access) -> Settings:
        return self._all_tools(self._served.outside(self._name), user, access)

    def pve(self, settings: Settings, user: str) -> Pve:
        return Pve(settings)

    def api(self) -> ProxmoxAPI:
        opened = open_connection(self._settings(self._served.outside(self._name), ROOT))
        self._to_close.callback(opened.close)
        opened.api("version").get()  # logs in now: a contract may look at the latest lines of the cluster's log
        return opened.api

    def _all_tools(self, reached_at: tuple[str, int], user: str, access: Access) -> Settings:
        return self._settings(reached_at, user, access=access, toolsets=("all",), upload_folder=UPLOADS, retries=0)

    def _settings(self, reached_at: tuple[str, int], user: str, **others: Any) -> Settings:
        host, port = reached_at
        return Settings(host=host, port=port, fingerprint=self._served.fingerprint, **self.credentials(user), **others)


class BothImages(SimulatorImage):
    """The same, and the MCP server is a container too: its client starts it, and speaks to it by stdio."""

    def settings(self, user: str, access: Access) -> Settings:
        return self._all_tools(self._served.inside(self._name), user, access)

    def mcp_server(self, settings: Settings, user: str) -> StdioServerParameters:
        variables = _variables(settings)
        # Files are written inside: the engine may be on another machine, where they are not.
        texts = {f"{_UPLOADED}/{file.name}": file.read_text() for file in UPLOADS.iterdir()}
        if settings.policy is not None:
            texts[_POLICY] = settings.policy.read_text()
        variables |= {f"FILE_{number}": text for number, text in enumerate(texts.values())}
        writing = [f'printf %s "$FILE_{number}" > {path}' for number, path in enumerate(texts)]
        options = ["--entrypoint", "sh"]
        command = ["-c", " && ".join([f"mkdir -p {_UPLOADED}", *writing, "exec proxmox-mcp serve"])]
        options += [part for name in variables for part in ("--env", name)]
        network = f"--network=container:{self._served.container.get_wrapped_container().id}"
        return StdioServerParameters(
            command="docker",
            args=["run", "--interactive", "--rm", network, *options, build("proxmox-mcp").tags[0], *command],
            env={**os.environ, **variables},
        )


def _variables(settings: Settings) -> dict[str, str]:
    """The settings as the environment of a server in a container."""
    given = settings.model_dump(exclude_unset=True)
    if settings.policy is not None:
        given["policy"] = _POLICY
    given["upload_folder"] = _UPLOADED
    return {f"{PREFIX}{name.upper()}": _text(value) for name, value in given.items()}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)


IMAGE_TARGETS: Mapping[str, type[SimulatorImage]] = {"pvesim": SimulatorImage, "pvesim and proxmox-mcp": BothImages}
