import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxmox_mcp import demo
from proxmox_mcp.client_configuration import claude_code, mcp_servers, vs_code

ROOT = Path(__file__).resolve().parents[2]


def test_the_session_goes_as_it_should_on_eighty_columns_and_without_a_terminal(tmp_path: Path) -> None:
    # Settings of who runs the demo, good or bad, are none of its business.
    (tmp_path / ".env").write_text("PROXMOX_PORT=nonsense\n")
    environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT), "PROXMOX_PORT": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-m", "proxmox_mcp.demo"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    session, _, configuration = done.stdout.partition("To use it yourself")
    assert all(len(line) <= 80 for line in session.splitlines())
    assert "\x1b" not in done.stdout
    for shown in (
        "get_vms()",
        "qmshutdown 100 on pve1: running",
        "qmshutdown 100 on pve1: ok",
        "VM quit/powerdown failed",
        "VM is locked (backup)",
        "There is no guest 107; nearest: 106 (build)",
        "manage_vm is not available at access level read",
        "The person at the client: approved",
        "delete_lxc needs a person's approval",
        "$ proxmox-mcp approve ",
        "lines are as they were written",
    ):
        assert shown in session
    assert "claude mcp add proxmox" in configuration
    assert "mcpServers" in configuration
    assert ".vscode/mcp.json" in configuration


def test_what_goes_otherwise_breaks_the_demo_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "SCENARIO", "no-such-scenario")
    assert demo.main() == 1
    shown = capsys.readouterr()
    assert "The demo broke off: " in shown.err
    assert "To use it yourself" not in shown.out


def test_a_table_fits_its_width() -> None:
    lines = ["name\tvalue\tnote", "a" * 30 + "\tb\t" + "c" * 30]
    assert demo._table(lines, 100).splitlines()[1] == "a" * 30 + "  b      " + "c" * 30
    assert all(len(line) <= 40 for line in demo._table(lines, 40).splitlines())
    assert demo._table(lines, 20).splitlines() == ["name          value", "aaaaaaaaaaa…  b"]


SECRET = {"PROXMOX_HOST": "pve.test", "PROXMOX_TOKEN_VALUE": "x y"}


@pytest.mark.parametrize("write", [mcp_servers, vs_code])
def test_configurations_are_json_that_names_command_and_arguments(write: Any) -> None:
    read = json.loads(write(("uvx", "proxmox-mcp"), ("serve",), SECRET))
    [server] = [part["proxmox"] for key in ("mcpServers", "servers") if (part := read.get(key))]
    assert (server["command"], server["args"]) == ("uvx", ["proxmox-mcp", "serve"])
    assert server["env"]["PROXMOX_HOST"] == "pve.test"


def test_vs_code_asks_for_the_secret_in_place_of_storing_it() -> None:
    read = json.loads(vs_code(("uvx",), (), SECRET))
    assert read["servers"]["proxmox"]["env"]["PROXMOX_TOKEN_VALUE"] == f"${{input:{read['inputs'][0]['id']}}}"
    assert read["inputs"][0]["password"] is True


def test_claude_code_s_command_is_quoted() -> None:
    assert claude_code(("uvx",), ("serve",), SECRET) == (
        "claude mcp add proxmox --env PROXMOX_HOST=pve.test --env 'PROXMOX_TOKEN_VALUE=x y' -- uvx serve"
    )
