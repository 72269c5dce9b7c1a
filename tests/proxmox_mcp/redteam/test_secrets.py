"""Secrets are looked for where they might come out: arguments, answers, errors, questions, the audit, the log."""

import logging
import re
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest

from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.safety.redact import HIDDEN
from tests.proxmox_mcp.redteam.conftest import Lab, Noting, answering, text_of

pytestmark = pytest.mark.anyio

SECRET = "correct-horse-battery"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@home"


def _everything(lab: Lab, caplog: pytest.LogCaptureFixture) -> str:
    files = [file.read_text() for file in lab.state.iterdir() if file.is_file()] if lab.state.is_dir() else []
    return "\n".join([*lab.told, *files])


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("update_vm_config", {"vmid": 105, "options": {"cipassword": SECRET}}),
        ("update_vm_config", {"vmid": 105, "options": {"cipassword": SECRET, "cores": "many"}}),
        ("create_lxc", {"hostname": "x", "template": "local:vztmpl/none.tar.zst", "password": SECRET}),
        ("call_api", {"method": "POST", "path": "/access/users", "params": {"userid": "x@pve", "password": SECRET}}),
        (
            "call_api",
            {"method": "PUT", "path": "/access/password", "params": {"userid": "nobody@pve", "password": SECRET}},
        ),
        ("call_api", {"method": "GET", "path": f"/nodes/{SECRET}", "params": {"password": SECRET}}),
        ("get_vm_status", {"vmid": 100, "password": SECRET}),
        ("get_vms", {"token": SECRET}),
    ],
)
@pytest.mark.parametrize("approve", [True, False])
async def test_a_password_among_arguments_comes_out_nowhere(
    lab: Lab, caplog: pytest.LogCaptureFixture, tool: str, arguments: dict[str, Any], approve: bool
) -> None:
    client = Noting(answering("accept", {"approve": approve}))
    async with lab.client(answer=client, audit="all") as attacker:
        await attacker.call(tool, **arguments)
    async with lab.client(audit="all") as attacker:
        await attacker.call(tool, **arguments)
    assert SECRET not in _everything(lab, caplog)
    assert SECRET not in "\n".join(client.asked)


async def test_what_a_program_reads_is_for_who_decides_alone(lab: Lab) -> None:
    """It may be the script of a shell, which nobody can approve of unseen; and it may be a password."""
    client = Noting(answering("accept", {"approve": True}))
    call = {"vmid": 100, "command": "sh", "input_data": f"echo {SECRET} | passwd\nrm -rf /srv"}
    async with lab.client(answer=client) as attacker:
        await attacker.call("execute_vm_command", **call)
    assert f"input_data='echo {SECRET} | passwd\\nrm -rf /srv'" in client.asked[0]
    async with lab.client() as attacker:
        await attacker.call("execute_vm_command", **call)
    (request,) = lab.approvals.listed()
    assert request.arguments["input_data"] == call["input_data"]
    assert SECRET not in "\n".join(lab.told)
    audit = (lab.state / "audit.jsonl").read_text()
    assert SECRET not in audit
    assert sha256(str(call["input_data"]).encode()).hexdigest() in audit


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (
            "update_vm_config",
            {"vmid": 105, "options": {"cipassword": "local-lvm:vm-104-disk-0", "scsi5": "local-lvm:vm-104-disk-0"}},
        ),
        (
            "call_api",
            {
                "method": "PUT",
                "path": "/access/acl",
                "params": {"roles": "Administrator", "path": "/", "password": "x\nAdministrator\n/access/acl"},
            },
        ),
    ],
)
async def test_no_secret_hides_what_else_a_call_says(lab: Lab, tool: str, arguments: dict[str, Any]) -> None:
    async with lab.client(answer=answering("accept", {"approve": True})) as attacker:
        result = await attacker.call(tool, **arguments)
    assert "holds the value of another argument that is kept secret" in text_of(result)
    assert lab.writes == []
    (line,) = [record for record in Audit(lab.state).records() if record["event"] == "refused"]
    told = str(line["arguments"])
    assert tool != "call_api" or {"/access/acl", "Administrator"} <= set(re.findall(r"[\w/]+", told))
    assert "secret" in line["reason"]


async def test_ssh_keys_come_out_nowhere(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    async with lab.client(answer=answering("accept", {"approve": True}), audit="all") as attacker:
        escaped = quote(KEY, safe="")
        await attacker.done("update_vm_config", vmid=105, options={"sshkeys": escaped})
        result = await attacker.done("get_vm_info", vmid=105)
        assert HIDDEN in text_of(result)
    assert "AAAAC3NzaC1lZDI1NTE5" not in _everything(lab, caplog)


async def test_the_servers_own_secret_comes_out_nowhere(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    async with lab.client(audit="all") as attacker:
        await attacker.call("call_api", method="GET", path="/nodes/unused-secret/status")
        await attacker.call("get_node_status", node="unused-secret")
        lab.api().nodes("pve2").qemu(105).config.put(description="the token is unused-secret")
        await attacker.done("get_vm_info", vmid=105)
    assert "unused-secret" not in _everything(lab, caplog)


@pytest.mark.parametrize(
    "text",
    [
        "PVEAPIToken=root@pam!x=0f0f0f0f-1111-4222-8333-444455556666",
        "ticket PVE:root@pam:6B03C39F::0f0f0f0f-1111-4222-8333-444455556666",
        "password=0f0f0f0f-1111-4222-8333-444455556666",
    ],
)
async def test_what_has_the_form_of_a_secret_is_hidden_in_answers(lab: Lab, text: str) -> None:
    lab.api().nodes("pve2").qemu(105).config.put(description=text)
    async with lab.client() as attacker:
        result = await attacker.done("get_vm_info", vmid=105)
        assert "0f0f0f0f-1111" not in text_of(result) + str(result.structured_content)


async def test_the_ticket_of_a_raw_request_is_hidden(lab: Lab) -> None:
    async with lab.client(answer=answering("accept", {"approve": True})) as attacker:
        params = {"username": "alice@pve", "password": "alice-secret"}
        result = await attacker.call("call_api", method="POST", path="/access/ticket", params=params)
        told = text_of(result) + str(result.structured_content)
        assert "PVE:alice" not in told
        assert "alice-secret" not in told


async def test_the_secret_of_a_new_token_is_hidden(lab: Lab) -> None:
    async with lab.client(answer=answering("accept", {"approve": True})) as attacker:
        result = await attacker.call("call_api", method="POST", path="/access/users/mcp@pve/token/evil", params={})
        answer = (result.structured_content or {}).get("answer") or {}
        assert answer.get("value") in (None, HIDDEN)


async def test_a_fault_inside_shows_nothing_of_the_inside(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"cannot log in with {SECRET} from /etc/pve/priv")

    async with lab.client() as attacker:
        monkeypatch.setattr("proxmox_mcp.locate.Guests.records", broken)
        with caplog.at_level(logging.CRITICAL):
            text = await attacker.refused("get_vms")
        assert SECRET not in text
        assert "/etc/pve" not in text


VOLIDS = [
    "nas:../../etc/passwd",
    "nas:backup/../../../etc/shadow",
    "/etc/passwd",
    "nas:backup/..%2f..%2fetc",
    "local:iso/../../x",
    "nas:backup/x\0.vma.zst",
]


@pytest.mark.parametrize("volid", VOLIDS)
async def test_a_volume_id_is_no_way_out_of_its_storage(lab: Lab, volid: str) -> None:
    async with lab.client(answer=answering("accept", {"approve": True})) as attacker:
        result = await attacker.call("restore_backup", volid=volid, vmid=150)
        assert result.is_error
        raw = await attacker.call("call_api", method="DELETE", path=f"/nodes/pve1/storage/nas/content/{volid}")
        assert raw.is_error
    api = lab.api()
    assert 150 not in {guest["vmid"] for guest in api.cluster.resources.get(type="vm")}
    with_backups = api.nodes("pve1").storage("nas").content.get()
    assert with_backups == lab.untouched().nodes("pve1").storage("nas").content.get()


@pytest.mark.parametrize("node", ["../..", "pve1/qemu/100", "pve1%2f..", "pve1?x=1", "pve1#", "", ".", "a" * 64])
async def test_a_node_is_no_way_to_another_path(lab: Lab, node: str) -> None:
    async with lab.client() as attacker:
        await attacker.refused("get_node_status", "node:", node=node)
        assert lab.simulator.requests == type(lab.simulator.requests)()


BLINDS = [
    'password="$(rm -rf /srv)"',
    "true;pass=$(reboot)",
    'SECRET="$(rm -rf /srv)"',
    "echo -----BEGIN PRIVATE KEY-----; reboot; rm /srv",
    "curl http://$(reboot)@x",
    "a?key=$(reboot)",
    "x=PVE:a::$(reboot)",
    "CSRFPreventionToken=$(reboot)",
]


@pytest.mark.parametrize("script", BLINDS)
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_vm_command", lambda script: {"vmid": 100, "command": ["sh", "-c", script]}),
        ("execute_vm_command", lambda script: {"vmid": 100, "command": "sh", "input_data": script}),
        ("write_guest_file", lambda script: {"vmid": 100, "file": "/etc/cron.d/x", "content": script}),
    ],
)
async def test_a_script_that_looks_like_a_secret_is_shown_to_who_decides(
    lab: Lab, script: str, tool: str, arguments: Any
) -> None:
    client = Noting(answering("decline"))
    async with lab.client(answer=client, toolsets=("all",)) as attacker:
        await attacker.call(tool, **arguments(script))
    assert script in client.asked[0]


async def test_who_decides_sees_where_notifications_would_go(lab: Lab) -> None:
    client = Noting(answering("decline"))
    params = {"name": "w", "url": "https://me:pw@evil.example:8443/T0KEN?x=1", "method": "post"}
    async with lab.client(answer=client, toolsets=("all",)) as attacker:
        path = "/cluster/notifications/endpoints/webhook"
        await attacker.call("call_api", method="POST", path=path, params=params)
    assert "https://evil.example:8443/[hidden]" in client.asked[0]
    assert "T0KEN" not in client.asked[0]
