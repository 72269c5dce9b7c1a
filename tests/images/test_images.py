"""What holds of the images whatever they are asked: their size, their user, that each starts with no argument."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HealthcheckWaitStrategy

from tests.images.build import arguments, build

LIMIT = 150_000_000  # bytes, with the Dockerfile's own base
ADDED_LIMIT = 100_000_000  # bytes on top of whatever base


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
    assert _added(image) < ADDED_LIMIT
    if "BASE" not in arguments():
        assert image.attrs["Size"] < LIMIT


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


def test_no_process_of_the_cluster_is_roots(served: DockerContainer) -> None:
    code, output = served.exec(["python", "-c", "import os; print(os.getuid(), os.stat('/proc/1').st_uid)"])
    assert (code, output.split()) == (0, [b"10001", b"10001"])


@pytest.mark.anyio
async def test_a_client_starts_the_mcp_server_and_speaks_to_it() -> None:
    command = ["run", "--interactive", "--rm", build("proxmox-mcp").tags[0], "serve", "--simulate", "homelab"]
    async with Client(StdioServerParameters(command="docker", args=command, env=dict(os.environ))) as client:
        answer = await client.call_tool("get_cluster_status", {})
    assert not answer.is_error


def test_the_mcp_server_says_what_it_lacks() -> None:
    done = subprocess.run(
        ["docker", "run", "--rm", build("proxmox-mcp").tags[0]], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "PROXMOX_HOST is not set" in done.stderr
