from typing import Any

import pytest

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.tools.agent import command_words
from pvesim import Simulator
from tests.proxmox_mcp.tools.conftest import Era, Tell

pytestmark = pytest.mark.anyio

GUEST: dict[str, Any] = {
    "vms": {
        100: {
            "state": "running",
            "config": {"name": "web", "agent": 1},
            "behaviour": {
                "commands": {
                    "uname -a": {"exitcode": 0, "out-data": "Linux web\n"},
                    "false": {"exitcode": 1, "err-data": "no\n"},
                    "sleep 1000": {"exited": 0},
                    "yes": {"exitcode": 0, "out-data": "y\n" * 20_000},
                    "cat /root/a b": {"exitcode": 0, "out-data": "spaced\n"},
                }
            },
        },
        101: {"state": "running", "config": {"name": "bare"}},
        102: {"config": {"name": "off", "agent": 1}},
    },
    "containers": {200: {"config": {"hostname": "box"}}},
    "users": {"viewer@pve": {"password": "viewer-secret"}},
    "acl": [{"path": "/", "user": "viewer@pve", "role": "PVEAuditor"}],
}


@pytest.fixture(scope="session")
def homelab() -> Simulator:
    return Simulator(GUEST)


@pytest.mark.parametrize("command", ["uname -a", ["uname", "-a"], "uname '-a'"])
async def test_a_command_is_run(tell: Tell, command: object, era: Era) -> None:
    reply = await tell("execute_vm_command", vmid=100, command=command, _era=era)
    assert not reply.is_error, reply.text
    data = reply.data
    assert (data["exit_code"], data["stdout"], data["running"]) == (0, "Linux web\n", False)
    assert "stdout: Linux web" in reply.text


async def test_a_command_that_fails_is_a_result(tell: Tell) -> None:
    reply = await tell("execute_vm_command", vmid=100, command="false", input_data="x")
    assert not reply.is_error
    assert (reply.data["exit_code"], reply.data["stderr"]) == (1, "no\n")


async def test_a_command_that_takes_long_gives_its_process(tell: Tell) -> None:
    reply = await tell("execute_vm_command", vmid=100, command="sleep 1000", timeout_seconds=0)
    assert reply.data["running"] is True
    assert "get_vm_command_result" in reply.data["note"]
    again = await tell("get_vm_command_result", vmid=100, pid=reply.data["pid"])
    assert again.data["running"] is True


async def test_a_long_output_is_cut_and_marked(tell: Tell) -> None:
    reply = await tell("execute_vm_command", vmid=100, command="yes")
    assert reply.data["truncated"] is True
    assert "characters left out" in reply.data["stdout"]
    assert len(reply.data["stdout"]) < 13_000


async def test_a_result_is_told_once(tell: Tell) -> None:
    reply = await tell("get_vm_command_result", vmid=100, pid=4711)
    assert reply.is_error
    assert "The agent of VM 100 knows no process 4711" in reply.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"vmid": 100, "command": "ls | wc -l"}, "There is no shell that would understand '|'."),
        ({"vmid": 100, "command": "ls > /tmp/x"}, "There is no shell that would understand '>'."),
        ({"vmid": 100, "command": "echo 'x"}, "The command is no line of words: No closing quotation."),
        ({"vmid": 100, "command": ""}, "The command is empty."),
        ({"vmid": 100, "command": []}, "The command is empty."),
        ({"vmid": 100, "command": "nonesuch"}, "There is no such program in the VM"),
        ({"vmid": 101, "command": "uname -a"}, "No QEMU guest agent configured"),
        ({"vmid": 102, "command": "uname -a"}, "start it first"),
        ({"vmid": 200, "command": "uname -a"}, "PVE's API runs no commands in containers. On its node, `pct exec`"),
        ({"vmid": 999, "command": "uname -a"}, "There is no guest 999"),
        ({"vmid": 100, "command": "uname -a", "node": "pve9"}, "Guest 100 is on node "),
    ],
)
async def test_what_cannot_be_run(tell: Tell, arguments: dict[str, Any], says: str) -> None:
    reply = await tell("execute_vm_command", **arguments)
    assert reply.is_error
    assert says in reply.text


async def test_nothing_is_run_unasked(tell: Tell) -> None:
    reply = await tell("execute_vm_command", vmid=100, command="uname -a", _approves=False)
    assert reply.is_error
    assert not any("exec" in request for request in reply.requests)


async def test_who_may_not_is_told(tell: Tell) -> None:
    reply = await tell("execute_vm_command", vmid=100, command="uname -a", _user="viewer@pve")
    assert "VM.GuestAgent.Unrestricted on path /vms/100" in reply.text


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("cat '/root/a b'", ["cat", "/root/a b"]),
        ('sh -c "ls | wc"', ["sh", "-c", "ls | wc"]),
        ("echo # no comment", ["echo", "#", "no", "comment"]),
        (["a", "|"], ["a", "|"]),
    ],
)
def test_a_text_is_split_as_a_shell_would(command: str | list[str], words: list[str]) -> None:
    assert command_words(command) == words


@pytest.mark.parametrize("command", ["a && b", "a; b", "a 2>&1", ["", "x"]])
def test_what_only_a_shell_understands_is_refused(command: str | list[str]) -> None:
    with pytest.raises(InvalidArgument):
        command_words(command)
