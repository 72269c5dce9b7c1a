"""The wheel: what is in it, and that it works where nothing but it and what it asks for is installed."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from proxmox_mcp import __version__
from tests.pipelines.reading import ROOT

WHEEL = Path(os.environ["PVE_WHEEL"])
PROGRAMS = Path(os.environ["PVE_WHEEL_FOLDER"]) / "bin"
# Nothing of the checkout may help: neither its modules nor its scenarios.
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_wheel_holds_the_product_and_no_tests() -> None:
    with zipfile.ZipFile(WHEEL) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"proxmox_mcp", "pvesim", f"proxmoxapi_mcp-{__version__}.dist-info"}
    scenarios = {path.relative_to(ROOT / "scenarios").as_posix() for path in (ROOT / "scenarios").rglob("*.yaml")}
    assert {f"pvesim/_scenarios/{name}" for name in scenarios} <= names
    assert {"proxmox_mcp/py.typed", "pvesim/py.typed"} <= names


@pytest.mark.parametrize("program", ["pvesim", "proxmox-mcp", "proxmoxapi-mcp"])
def test_a_program_says_its_version_and_what_it_can_do(program: str, tmp_path: Path) -> None:
    for option, text in (("--version", __version__), ("--help", "Usage:")):
        done = subprocess.run(
            [PROGRAMS / program, option], capture_output=True, text=True, check=False, cwd=tmp_path, env=ENVIRONMENT
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert text in done.stdout


def test_the_simulator_serves(tmp_path: Path) -> None:
    command = [str(PROGRAMS / "pvesim"), "serve", "homelab", "--port", "0", "--ca-out", "ca.pem", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=ENVIRONMENT) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["worlds"][0]["url"]
            assert httpx.get(f"{url}/api2/json/version", verify=False).status_code == 401
            assert httpx.get(f"{url}/_sim/docs", verify=False).status_code == 200
            page = httpx.get(url, verify=False, headers={"Accept": "text/html"})
            assert page.headers["content-type"].startswith("text/html")
        finally:
            process.terminate()
        assert process.wait(10) == 0


@pytest.mark.anyio
async def test_the_mcp_server_serves(tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=str(PROGRAMS / "proxmox-mcp"),
        args=["serve", "--simulate", "homelab"],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PROXMOX_STATE_DIR": str(tmp_path)},
    )
    async with Client(server) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} >= {"get_nodes", "get_vms"}
        assert not (await client.call_tool("get_vms", {})).is_error
