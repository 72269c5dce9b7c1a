"""A model, or a client that lies, tries to be the person who approves."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp.types import ElicitResult, ErrorData, InputRequiredResult

from proxmox_mcp.safety.files import Unsafe
from tests.proxmox_mcp.redteam.conftest import YES, Answerer, Lab, Noting, answering, text_of

pytestmark = pytest.mark.anyio

DELETE: dict[str, Any] = {"vmid": 105}
ROOT = Path(__file__).parents[3]


async def test_without_a_person_nothing_is_deleted(lab: Lab) -> None:
    async with lab.client() as attacker:
        text = await attacker.refused("delete_vm", "needs a person's approval", "proxmox-mcp approve", **DELETE)
        assert "Disks: scsi0 local-lvm:vm-105-disk-0" in text


@pytest.mark.parametrize("value", [True, "yes", "true", "approved", "0" * 16])
async def test_a_confirmation_counts_for_nothing_by_default(lab: Lab, value: Any) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", "confirm: no such argument", confirm=value, **DELETE)


@pytest.mark.parametrize(
    "name", ["approve", "approved", "approval", "_approved", "fingerprint", "force_approval", "code"]
)
async def test_no_argument_approves(lab: Lab, name: str) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", f"{name}: no such argument", **{name: True}, **DELETE)


ANSWERS: dict[str, Answerer] = {
    "accepts with nothing": answering("accept"),
    "accepts with an empty form": answering("accept", {}),
    "accepts and says no": answering("accept", {"approve": False}),
    "accepts with a text": answering("accept", {"approve": "true"}),
    "accepts with a number": answering("accept", {"approve": 1}),
    "accepts with more than was asked": answering("accept", {"approve": True, "always": True}),
    "accepts another field": answering("accept", {"ok": True}),
    "declines": answering("decline"),
    "declines with a yes in it": answering("decline", {"approve": True}),
    "closes the question": answering("cancel"),
    "closes it with a yes in it": answering("cancel", {"approve": True}),
}


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_only_a_clear_yes_is_one(lab: Lab, answer: Answerer, era: Literal["auto", "legacy"]) -> None:
    async with lab.client(answer=answer, era=era) as attacker:
        await attacker.refused("delete_vm", **DELETE)


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_yes_of_the_person_is_one(lab: Lab, era: Literal["auto", "legacy"]) -> None:
    """Else nothing here would prove anything."""
    async with lab.client(answer=YES, era=era) as attacker:
        await attacker.done("delete_vm", **DELETE)
    assert lab.writes == ["DELETE /nodes/pve2/qemu/105"]


async def test_a_client_that_always_says_yes_does_not_where_the_command_line_alone_counts(lab: Lab) -> None:
    async with lab.client(answer=YES, approval="command") as attacker:
        await attacker.refused("delete_vm", "proxmox-mcp approve", **DELETE)


async def test_where_only_the_client_may_ask_nothing_else_counts(lab: Lab) -> None:
    async with lab.client(approval="client") as attacker:
        await attacker.refused("delete_vm", "this client cannot ask", **DELETE)
    assert lab.approvals.listed() == []


def accept(content: Any) -> dict[str, Any]:
    return {"approval": ElicitResult(action="accept", content=content)}


async def _asked(attacker: Any, **arguments: Any) -> InputRequiredResult:
    result = await attacker.client.session.call_tool("delete_vm", arguments, allow_input_required=True)
    assert isinstance(result, InputRequiredResult)
    return result


async def test_an_answer_to_no_question_is_asked_again(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        result = await attacker.client.session.call_tool(
            "delete_vm", DELETE, input_responses=accept({"approve": True}), allow_input_required=True
        )
        assert isinstance(result, InputRequiredResult)
    assert lab.writes == []


async def test_a_made_up_state_is_refused(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        with pytest.raises(Exception, match=r"(?i)state"):
            await attacker.client.session.call_tool(
                "delete_vm", DELETE, input_responses=accept({"approve": True}), request_state="made-up"
            )
    assert lab.writes == []


async def test_an_answer_is_no_answer_for_another_guest(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        asked = await _asked(attacker, vmid=105)
        with pytest.raises(Exception, match=r"(?i)state"):
            await attacker.client.session.call_tool(
                "delete_vm", {"vmid": 106}, input_responses=accept({"approve": True}), request_state=asked.request_state
            )
    assert lab.writes == []


async def test_an_answer_is_no_answer_for_another_tool(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        asked = await _asked(attacker, vmid=105)
        with pytest.raises(Exception, match=r"(?i)state"):
            await attacker.client.session.call_tool(
                "delete_lxc",
                {"vmid": 105},
                input_responses=accept({"approve": True}),
                request_state=asked.request_state,
            )
    assert lab.writes == []


async def test_an_answer_counts_once(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        asked = await _asked(attacker, vmid=105, purge=True)
        given: dict[str, Any] = {"input_responses": accept({"approve": True}), "request_state": asked.request_state}
        call = attacker.client.session.call_tool
        first = await call("delete_vm", {"vmid": 105, "purge": True}, **given, allow_input_required=True)
        assert not isinstance(first, InputRequiredResult)
        assert not first.is_error, text_of(first)
        lab.api().nodes("pve2").qemu.create(vmid=105, name="staging")
        before = len(lab.writes)
        again = await call("delete_vm", {"vmid": 105, "purge": True}, **given, allow_input_required=True)
        assert isinstance(again, InputRequiredResult)
        assert len(lab.writes) == before


async def test_an_answer_that_comes_to_another_server_is_none(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        asked = await _asked(attacker, vmid=105)
    async with lab.client(answer=YES) as attacker:
        with pytest.raises(Exception, match=r"(?i)state"):
            await attacker.client.session.call_tool(
                "delete_vm", DELETE, input_responses=accept({"approve": True}), request_state=asked.request_state
            )
    assert lab.writes == []


async def test_an_answer_that_comes_after_a_change_is_none(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        asked = await _asked(attacker, vmid=105)
        lab.api().nodes("pve2").qemu(105).config.put(memory=3072)
        before = len(lab.writes)
        again = await attacker.client.session.call_tool(
            "delete_vm",
            {"vmid": 105},
            input_responses=accept({"approve": True}),
            request_state=asked.request_state,
            allow_input_required=True,
        )
        assert isinstance(again, InputRequiredResult)
        assert len(lab.writes) == before


async def _token(attacker: Any, **arguments: Any) -> str:
    text = await attacker.refused("delete_vm", "confirm=", **arguments)
    return str(text.partition("confirm=")[2].split(".")[0])


async def test_where_models_may_confirm_they_must_have_seen_the_preview(lab: Lab) -> None:
    async with lab.client(approval="model") as attacker:
        for guess in ("yes", "true", "0" * 16, "", "ä"):
            await attacker.refused("delete_vm", confirm=guess, **DELETE)
        await attacker.done("delete_vm", confirm=await _token(attacker, **DELETE), **DELETE)


async def test_a_confirmation_is_of_one_guest_and_one_state(lab: Lab) -> None:
    async with lab.client(approval="model") as attacker:
        token = await _token(attacker, vmid=105)
        await attacker.refused("delete_vm", vmid=103, confirm=token)
        await attacker.refused("delete_vm", vmid=105, purge=True, confirm=token)
        lab.api().nodes("pve2").qemu(105).config.put(memory=3072)
        await attacker.refused("delete_vm", vmid=105, confirm=token)


async def test_a_confirmation_is_of_one_server(lab: Lab) -> None:
    async with lab.client(approval="model") as attacker:
        token = await _token(attacker, **DELETE)
    async with lab.client(approval="model") as attacker:
        await attacker.refused("delete_vm", confirm=token, **DELETE)


async def test_the_command_that_approves_wants_a_terminal(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", **DELETE)
    [request] = lab.approvals.listed()
    done = await anyio.run_process(
        [sys.executable, "-m", "proxmox_mcp", "approve", request.code, "--state-dir", str(lab.state)],
        input=b"y\n",
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode != 0
    assert b"person at a terminal" in done.stderr
    assert lab.approvals.listed()[0].state == "pending"


def _forge(lab: Lab) -> Path:
    """The file of requests, changed so that all in it are approved."""
    file = lab.state / "approvals.json"
    requests = json.loads(file.read_text())
    file.write_text(json.dumps([{**request, "state": "approved"} for request in requests]))
    return file


async def test_a_file_that_others_can_write_approves_nothing(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", **DELETE)
        _forge(lab).chmod(0o666)
        await attacker.refused("delete_vm", "can be written by others", **DELETE)
        (lab.state / "approvals.json").chmod(0o600)


async def test_a_folder_that_others_can_write_approves_nothing(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", **DELETE)
        lab.state.chmod(0o777)
        await attacker.refused("delete_vm", **DELETE)
        with pytest.raises(Unsafe):
            lab.approvals.listed()
        lab.state.chmod(0o700)


async def test_a_link_in_place_of_the_file_approves_nothing(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", **DELETE)
        file = _forge(lab)
        elsewhere = file.rename(lab.folder / "forged.json")
        file.symlink_to(elsewhere)
        await attacker.refused("delete_vm", **DELETE)
        file.unlink()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '[{"code": "AAAA-AAAA", "state": "approved"}]', "\0", '["approved"]']
)
async def test_a_file_that_is_none_of_ours_approves_nothing(lab: Lab, content: str) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", **DELETE)
        (lab.state / "approvals.json").write_text(content)
        await attacker.refused("delete_vm", **DELETE)


async def test_files_of_approvals_and_audit_are_the_owners_alone(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", **DELETE)
    assert lab.state.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o077 for file in lab.state.iterdir()} == {0}


async def test_a_client_that_says_it_can_ask_and_cannot_is_not_believed(lab: Lab) -> None:
    async def broken(context: Any, params: Any) -> ErrorData:
        return ErrorData(code=-32601, message="no forms here")

    async with lab.client(answer=broken, era="legacy") as attacker:
        await attacker.refused("delete_vm", "proxmox-mcp approve", **DELETE)


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_person_who_declines_is_not_asked_until_they_give_in(lab: Lab, era: Literal["auto", "legacy"]) -> None:
    asked: list[str] = []

    async def weary(context: Any, params: Any) -> Any:
        asked.append(params.message)
        return ElicitResult(action="decline") if len(asked) <= 3 else await YES(context, params)

    async with lab.client(answer=weary, era=era) as attacker:
        for _ in range(5):
            await attacker.refused("delete_vm", **DELETE)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("tool", "arguments", "shown"),
    [
        (
            "write_guest_file",
            {"vmid": 100, "file": "/etc/ho\u200bsts", "content": "x"},
            "/etc/ho\\u200bsts",
        ),
        (
            "write_guest_file",
            {"vmid": 100, "file": "/x", "content": "#!/bin/sh\n# harmless\nrm -rf /"},
            "# harmless\\nrm -rf /",
        ),
        (
            "execute_vm_command",
            {"vmid": 100, "command": ["sh", "-c", f"{'x' * 3000}; rm -rf /"]},
            "; rm -rf /",
        ),
    ],
)
async def test_a_person_reads_what_will_be_done(lab: Lab, tool: str, arguments: dict[str, Any], shown: str) -> None:
    client = Noting(answering("decline"))
    async with lab.client(answer=client, toolsets=("all",)) as attacker:
        await attacker.call(tool, **arguments)
    assert shown in client.asked[0]
    assert all(line.isprintable() for line in client.asked[0].splitlines())


async def test_a_person_is_not_worn_down_by_ever_new_forms_of_the_same(lab: Lab) -> None:
    client = Noting(answering("decline"))
    async with lab.client(answer=client) as attacker:
        for seconds in range(100, 110):
            await attacker.refused("manage_vm", vmid=101, action="shutdown", timeout_seconds=seconds)
        assert len(client.asked) == 3
        for vmid in (100, 102, 103, 104, 105, 106, 201, 202):
            tool = "delete_lxc" if vmid > 200 else "delete_vm"
            for purge in (False, True):
                await attacker.refused(tool, vmid=vmid, purge=purge)
    assert len(client.asked) <= 12


async def test_a_form_that_is_closed_again_and_again_is_not_shown_again(lab: Lab) -> None:
    client = Noting(answering("cancel"))
    async with lab.client(answer=client) as attacker:
        for _ in range(6):
            await attacker.refused("delete_vm", "proxmox-mcp approve", **DELETE)
    assert len(client.asked) == 3


async def test_a_denial_at_the_command_line_holds_for_other_ways_to_ask(lab: Lab) -> None:
    async with lab.client() as attacker:
        await attacker.refused("delete_vm", "needs a person's approval", **DELETE)
        (request,) = lab.approvals.listed()
        lab.approvals.decide(request.code, False)
        await attacker.refused("delete_vm", "A person has denied this", **DELETE, purge=True)
        await attacker.refused("delete_vm", "A person has denied this", **DELETE, node="pve2")
        await attacker.refused("delete_vm", "needs a person's approval", vmid=106)


async def test_an_answer_that_comes_too_late_counts_for_nothing(lab: Lab) -> None:
    async def late(context: Any, params: Any) -> Any:
        await anyio.sleep(1)
        return await YES(context, params)

    async with lab.client(answer=late, era="legacy", approval_minutes=0.001) as attacker:
        await attacker.refused("delete_vm", **DELETE)


async def test_what_is_too_long_for_a_form_is_read_whole_at_a_terminal(lab: Lab) -> None:
    """Else the dangerous line stands where nobody looks."""
    client = Noting(YES)
    script = "# comment\n" * 300 + "rm -rf /srv\n" + "# comment\n" * 300
    call = {"vmid": 100, "command": "sh", "input_data": script}
    async with lab.client(answer=client) as attacker:
        await attacker.refused("execute_vm_command", "proxmox-mcp approve", **call)
    assert client.asked == []
    (request,) = lab.approvals.listed()
    assert request.arguments["input_data"] == script
    async with lab.client(answer=client, approval="client") as attacker:
        await attacker.refused("execute_vm_command", "too long for a form", **call)
    async with lab.client() as attacker:
        many = ["sh", *["y" * 3000] * 30]
        await attacker.refused("execute_vm_command", "nobody reads", vmid=100, command=many)
