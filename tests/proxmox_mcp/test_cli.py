"""The command line as a process of its own."""

import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from proxmox_mcp.cli import serve
from proxmox_mcp.settings import Settings

ROOT = Path(__file__).parents[2]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PROXMOX_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "", **variables}


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxmox_mcp", *arguments],
        env=environment(**variables),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def start(cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "proxmox_mcp", "serve"],
        env=environment(
            PROXMOX_HOST="127.0.0.1",
            PROXMOX_PORT="1",
            PROXMOX_USER="root@pam",
            PROXMOX_TOKEN_NAME="t",
            PROXMOX_TOKEN_VALUE="very-secret-value",
        ),
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str], message: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def test_help_does_not_load_the_sdk(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom proxmox_mcp.cli import main\nsys.argv = ['proxmox-mcp', 'serve', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('mcp', 'pydantic_settings', 'requests', 'pvesim') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert "--simulate SCENARIO" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_setting_but_a_secret_is_an_option() -> None:
    options = set(inspect.signature(serve).parameters) - {"config", "env_file", "simulate", "time_scale"}
    secrets = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert options == set(Settings.model_fields) - secrets
    assert secrets == {"token_value", "password"}


def test_version(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.startswith("proxmox-mcp 0.")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "PROXMOX_HOST is not set"),
        ({"PROXMOX_PORT": "abc"}, "PROXMOX_PORT: Input should be a valid integer"),
        ({"PROXMOX_CONFIG": "gone.toml"}, "gone.toml cannot be read"),
    ],
)
def test_a_bad_setting_is_one_line_and_status_2(tmp_path: Path, variables: dict[str, str], says: str) -> None:
    done = run("serve", cwd=tmp_path, **variables)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_it_serves_until_its_input_ends(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert ask(process, INITIALIZE)["result"]["serverInfo"]["name"] == "proxmox"
        listed = ask(process, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
        assert "get_vms" in {tool["name"] for tool in listed["result"]["tools"]}
        call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "get_nodes", "arguments": {}}}
        result = ask(process, call)["result"]
        assert result["isError"]
        assert "127.0.0.1:1 cannot be reached" in result["content"][0]["text"]
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "very-secret-value" not in stderr
        assert "Traceback" not in stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path) as process:
        ask(process, INITIALIZE)
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_pace_is_for_a_simulated_cluster_only(tmp_path: Path) -> None:
    done = run("serve", "--time-scale", "0.5", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "proxmox-mcp: --time-scale is for a simulated cluster. Give --simulate too, or leave it out."
    )


def test_a_simulated_cluster_is_used_by_its_own_users_only(tmp_path: Path) -> None:
    done = run("serve", "--simulate", "homelab", "--user", "nobody@pve", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("proxmox-mcp: --user: the scenario homelab has no nobody@pve. It has: root@pam, ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("user", "variables", "refused"),
    [
        ("mcp@pve!auditor", {}, True),
        ("root@pam", {}, False),
        # What the environment says of a real cluster says nothing of a simulated one.
        (None, {"PROXMOX_USER": "someone@else", "PROXMOX_TOKEN_NAME": "t"}, False),
    ],
)
async def test_a_simulated_cluster_knows_who_asks(
    tmp_path: Path, user: str | None, variables: dict[str, str], refused: bool
) -> None:
    arguments = ["-m", "proxmox_mcp", "serve", "--simulate", "homelab", "--access", "operate"]
    arguments += [] if user is None else ["--user", user]
    server = StdioServerParameters(
        command=sys.executable, args=arguments, env=environment(**variables), cwd=str(tmp_path)
    )
    async with Client(server) as client:
        answer = await client.call_tool("manage_vm", {"vmid": 105, "action": "start"})
    assert answer.is_error is refused
    if refused:
        assert "VM.PowerMgmt" in answer.content[0].text  # type: ignore[union-attr]
