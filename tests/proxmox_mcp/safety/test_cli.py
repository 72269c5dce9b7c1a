"""The operator's commands."""

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxmox_mcp.cli import app
from proxmox_mcp.safety.approval import Approvals
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.safety.doctor import role_lines
from tests.proxmox_mcp.safety.test_approval import act

ROOT = Path(__file__).parents[3]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PROXMOX_")]:
        monkeypatch.delenv(name)
    return tmp_path / "proxmox-mcp"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_what_waits_for_approval_is_listed(state: Path) -> None:
    assert run("approvals").stdout == "Nothing waits for approval.\n"
    _, request = Approvals(state, 600).take(act())
    shown = run("approvals").stdout
    for part in (request.code, "Delete it.", "VM 105", "State: stopped", "delete_vm(vmid=105)", "expires in 10 min"):
        assert part in shown


def test_a_denial_needs_no_terminal(state: Path) -> None:
    _, request = Approvals(state, 600).take(act())
    assert run("deny", request.code).stdout == "Denied.\n"
    assert Approvals(state, 600).take(act())[0] == "denied"


@pytest.mark.parametrize(("answer", "code", "becomes"), [("y", 0, "approved"), ("n", 1, "pending")])
def test_a_person_approves_at_a_terminal(state: Path, answer: str, code: int, becomes: str) -> None:
    _, request = Approvals(state, 600).take(act())
    terminal, theirs = pty.openpty()
    try:
        os.write(terminal, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "proxmox_mcp", "approve", request.code],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    finally:
        os.close(terminal)
        os.close(theirs)
    assert done.returncode == code, done.stderr
    assert "State: stopped" in done.stdout
    assert Approvals(state, 600).listed()[0].state == becomes


def test_an_unknown_code(state: Path) -> None:
    done = run("deny", "AAAA-AAAA")
    assert (done.exit_code, "No open request has the code AAAA-AAAA" in done.stderr) == (1, True)


POLICY = 'protected = [100]\n[[rules]]\neffect = "deny"\ntags = ["prod"]\n'


def test_a_policy_is_checked(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    assert run("policy", "check", str(file)).stdout == f"{file} is right: 1 rules, 1 protected.\n"
    file.write_text(POLICY + 'tgas = ["x"]\n')
    done = run("policy", "check", str(file))
    assert done.exit_code == 2
    assert f"{file}, line 5: rules[1].tgas: there is no such key; did you mean tags?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["delete_vm", "vmid=100"], ["refused: guest 100 is protected", "rule 1 (line 2): deny: matches"]),
        (["delete_vm", "vmid=101"], ["refused: rule 1 (line 2) of the policy"]),
        (["delete_vm", '{"vmid": 105}'], ["done once a person approves of it: it destroys, interrupts"]),
        (["manage_vm", "vmid=105", "action=start"], ["done at once", "tags: test, web"]),
        (["get_vms"], ["done at once", "rule 1 (line 2): deny: does not match: tags: none"]),
    ],
)
def test_a_policy_is_explained(state: Path, tmp_path: Path, arguments: list[str], says: list[str]) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    (tmp_path / "settings.toml").write_text('access = "admin"\n')
    done = run(
        "policy", "explain", *arguments, "--policy", str(file), "--simulate", "homelab", "--config", "settings.toml"
    )
    assert done.exit_code == 0, done.stderr
    for part in says:
        assert part in done.stdout
    assert not state.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["delete_everything"], "There is no tool delete_everything"),
        (["delete_vm", "vmid=x"], "vmid: should be a valid integer"),
        (["delete_vm", "100"], "'100' is no argument"),
        (["delete_vm", "{vmid}"], "not JSON"),
    ],
)
def test_what_cannot_be_explained(state: Path, arguments: list[str], says: str) -> None:
    done = run("policy", "explain", *arguments, "--simulate", "homelab")
    assert (done.exit_code, says in done.stderr) == (2, True), done.stderr


def test_the_audit_is_shown_and_verified(state: Path) -> None:
    audit = Audit(state)
    audit.append({"event": "begin", "call": "1", "tool": "delete_vm", "arguments": {"vmid": 105}, "guests": [105]})
    last = audit.append({"event": "end", "call": "1", "tool": "delete_vm", "result": "ok", "upids": ["UPID:x"]})
    audit.append({"event": "refused", "call": "2", "tool": "get_vms", "guests": [], "reason": "no\n\x1b[2Jpe"})
    shown = run("audit", "show", "--guest", "105").stdout.splitlines()
    assert ["delete_vm" in line for line in shown] == [True, True]
    assert "\x1b" not in run("audit", "show").stdout
    assert json.loads(run("audit", "show", "--json", "--last", "1").stdout)["reason"] == "no\n\x1b[2Jpe"
    assert "3 lines are as they were written" in run("audit", "verify", "--expect", last).stdout
    assert run("audit", "verify", "--expect", "0" * 64).exit_code == 1
    audit.path.write_text(audit.path.read_text().replace("delete_vm", "get_vms"))
    assert "line 1: it was changed" in run("audit", "verify").stderr


@pytest.mark.parametrize(
    ("user", "access", "healthy", "says"),
    [
        ("root@pam", "admin", True, ["root may do everything", "is a user, not a token"]),
        ("mcp@pve!auditor", "read", True, ["ok    privileges", "pveum role add MCPRead --privs"]),
        ("mcp@pve!auditor", "admin", False, ["BAD   privileges: VM.PowerMgmt missing everywhere, for manage_vm"]),
    ],
)
def test_the_doctor_compares_privileges_and_tools(
    state: Path, user: str, access: str, healthy: bool, says: list[str]
) -> None:
    done = run("doctor", "--simulate", "homelab", "--user", user, "--access", access)
    assert (done.exit_code == 0) is healthy, done.stdout
    for part in says:
        assert part in done.stdout


def test_the_doctor_writes_the_commands_for_a_role(state: Path) -> None:
    done = run("doctor", "--simulate", "homelab", "--user", "mcp@pve!auditor", "--access", "operate")
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("pveum")]
    assert lines[0].startswith("pveum role add MCPOperate --privs '")
    assert "VM.PowerMgmt" in lines[0]
    assert "VM.Allocate" not in lines[0]
    assert lines[1:] == [
        "pveum user add mcp@pve",
        "pveum user token add mcp@pve auditor --privsep 1",
        "pveum acl modify / --users mcp@pve --roles MCPOperate",
        "pveum acl modify / --tokens 'mcp@pve!auditor' --roles MCPOperate",
    ]


@pytest.mark.parametrize("user", ["a;$(reboot)@pve", "a@pve!b;reboot", "a b@pve", "a`id`@pve!t"])
def test_lines_to_be_pasted_run_nothing_else(user: str) -> None:
    for line in role_lines(user, "read", []):
        words = shlex.split(line)
        assert shlex.join(words) == line
        assert words[0] == "pveum"


def test_the_doctor_tells_of_a_cluster_out_of_reach(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "127.0.0.1", "PORT": "1", "USER": "root@pam", "PASSWORD": "secret-word"}.items():
        monkeypatch.setenv(f"PROXMOX_{name}", value)
    monkeypatch.setenv("PROXMOX_VERIFY_TLS", "false")
    done = run("doctor")
    assert done.exit_code == 1
    assert "BAD   connection: 127.0.0.1:1 cannot be reached" in done.stdout
    assert "BAD   TLS: PROXMOX_VERIFY_TLS is off" in done.stdout
    assert "secret-word" not in done.stdout
