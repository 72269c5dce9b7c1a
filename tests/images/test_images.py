from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HealthcheckWaitStrategy

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 150_000_000  # bytes


def build(target: str) -> Any:
    base = os.environ.get("PVE_IMAGE_BASE")
    arguments = {"BASE": base} if base else {}
    image, _ = docker.from_env().images.build(
        path=str(ROOT), target=target, tag=f"{target}:test", buildargs=arguments, rm=True
    )
    return image


@pytest.fixture(scope="module")
def simulator_image() -> Any:
    return build("pvesim")


@pytest.fixture(scope="module")
def served(simulator_image: Any) -> Iterator[DockerContainer]:
    """A cluster from the image as it is, when the image's own health check is content."""
    container = DockerContainer(simulator_image.tags[0]).with_exposed_ports(8006)
    with container.waiting_for(HealthcheckWaitStrategy()) as started:
        yield started


@pytest.mark.parametrize("target", ["pvesim", "proxmox-mcp"])
def test_the_image_is_small_and_not_roots(target: str) -> None:
    image = build(target)
    assert image.attrs["Size"] < LIMIT
    assert image.attrs["Config"]["User"] == "10001:10001"


def test_the_cluster_answers_from_outside(served: DockerContainer) -> None:
    url = f"https://{served.get_container_host_ip()}:{served.get_exposed_port(8006)}/api2/json"
    with httpx.Client(verify=False) as client:
        assert client.get(f"{url}/version").status_code == 401
        login = client.post(f"{url}/access/ticket", data={"username": "root@pam", "password": "pvesim-root"})
    assert login.json()["data"]["username"] == "root@pam"


def test_the_mcp_server_starts_and_says_what_it_can() -> None:
    tag = build("proxmox-mcp").tags[0]
    done = subprocess.run(["docker", "run", "--rm", tag, "--help"], capture_output=True, text=True, check=True)
    assert "serve" in done.stdout
