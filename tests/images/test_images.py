"""What holds of the images whatever they are asked: their size, their user, that each starts with no argument."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import docker
import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HealthcheckWaitStrategy

from tests.images.build import arguments, build

LIMIT = 150_000_000  # bytes of a whole image on a base that is itself made to be small, as the Dockerfile's own is
SMALL_BASE = 62_000_000  # as docs/getting-started.md makes one
ADDED_LIMIT = 100_000_000  # bytes on top of whatever base
# What a careful operator gives a container, and no more.
CONFINED = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}


@pytest.fixture(scope="module")
def served() -> Iterator[DockerContainer]:
    """A cluster from the image as it is, when the image's own health check is content."""
    container = DockerContainer(build("pvesim").tags[0]).with_exposed_ports(8006)
    with container.waiting_for(HealthcheckWaitStrategy()) as started:
        yield started


@pytest.mark.parametrize("target", ["pvesim", "proxmox-mcp"])
def test_the_image_is_small_and_not_roots(target: str) -> None:
    image = build(target)
    assert image.attrs["Config"]["User"] == "10001:10001"
    added, whole = _added(image), image.attrs["Size"]
    assert added < ADDED_LIMIT
    if "BASE" not in arguments() or whole - added < SMALL_BASE:
        assert whole < LIMIT


def _added(image: Any) -> int:
    """Bytes of the layers on top of the base: the newest ones, down to the copied environment."""
    layers = image.history()
    last = next(i for i, layer in enumerate(layers) if re.search("COPY .*/opt/proxmoxapi", layer["CreatedBy"]))
    return sum(layer["Size"] for layer in layers[: last + 1])


def test_the_cluster_answers_from_outside(served: DockerContainer) -> None:
    url = f"https://{served.get_container_host_ip()}:{served.get_exposed_port(8006)}/api2/json"
    with httpx.Client(verify=False) as client:
        assert client.get(f"{url}/version").status_code == 401
        login = client.post(f"{url}/access/ticket", data={"username": "root@pam", "password": "pvesim-root"})
    assert login.json()["data"]["username"] == "root@pam"


def test_the_cluster_ends_by_itself_when_it_is_told_to() -> None:
    with DockerContainer(build("pvesim").tags[0]).waiting_for(HealthcheckWaitStrategy()) as started:
        container = started.get_wrapped_container()
        container.stop(timeout=20)
        assert container.wait()["StatusCode"] == 0  # 137 if it had to be killed


def test_the_mcp_server_ends_by_itself_when_it_is_told_to() -> None:
    command = ["serve", "--simulate", "homelab"]
    container = docker.from_env().containers.run(
        build("proxmox-mcp").tags[0], command, detach=True, stdin_open=True, **CONFINED
    )
    heeds = "exit(not int(open('/proc/1/status').read().split('SigCgt:')[1].split()[0], 16) >> 14 & 1)"
    try:
        assert any(container.exec_run(["python", "-c", heeds]).exit_code == 0 for _ in range(100))
        container.stop(timeout=20)
        assert container.wait()["StatusCode"] in {0, 128 + signal.SIGTERM}  # 137 if it had to be killed
    finally:
        container.remove(force=True, v=True)


def test_a_confined_cluster_is_told_what_it_is_by_its_environment() -> None:
    given = {"PVESIM_SCENARIOS": "single-node", "PVESIM_CLOCK": "auto", "PVESIM_CONTROL_OPEN": "1"}
    container = DockerContainer(build("pvesim").tags[0]).with_exposed_ports(8006).with_envs(**given)
    with container.with_kwargs(**CONFINED).waiting_for(HealthcheckWaitStrategy()) as started:
        url = f"https://{started.get_container_host_ip()}:{started.get_exposed_port(8006)}"
        assert "serves single-node" in started.get_logs()[0].decode()
        clock = httpx.get(f"{url}/_sim/clock", verify=False)
    assert (clock.status_code, clock.json()["mode"]) == (200, "auto")


def test_no_process_of_the_cluster_is_roots(served: DockerContainer) -> None:
    code, output = served.exec(["python", "-c", "import os; print(os.getuid(), os.stat('/proc/1').st_uid)"])
    assert (code, output.split()) == (0, [b"10001", b"10001"])


@pytest.mark.anyio
async def test_a_client_starts_the_mcp_server_and_speaks_to_it() -> None:
    confined = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    command = [
        "run",
        "--interactive",
        "--rm",
        *confined,
        build("proxmox-mcp").tags[0],
        "serve",
        "--simulate",
        "homelab",
    ]
    async with Client(StdioServerParameters(command="docker", args=command, env=dict(os.environ))) as client:
        answer = await client.call_tool("get_cluster_status", {})
    assert not answer.is_error


def test_the_mcp_server_says_what_it_lacks() -> None:
    done = subprocess.run(
        ["docker", "run", "--rm", build("proxmox-mcp").tags[0]], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "PROXMOX_HOST is not set" in done.stderr
