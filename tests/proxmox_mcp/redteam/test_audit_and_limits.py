"""Traces are wiped, prevented or forged; and limits are stepped over."""

import json
from typing import Any

import anyio
import pytest

from proxmox_mcp.safety.audit import Audit
from tests.proxmox_mcp.redteam.conftest import YES, Lab, text_of

pytestmark = pytest.mark.anyio

FREE = '[[rules]]\neffect = "allow"\ntools = ["*"]\n'


def lines(lab: Lab) -> list[dict[str, Any]]:
    return list(Audit(lab.state).records())


async def test_what_was_done_and_by_whose_leave_is_on_record(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        done = await attacker.done("delete_vm", vmid=105, wait_seconds=10)
    asked, begin, end = lines(lab)
    assert asked["event"] == "asked"
    assert (begin["event"], begin["tool"], begin["arguments"]) == ("begin", "delete_vm", {"vmid": 105, "purge": False})
    assert (begin["guests"], begin["risk"], begin["approval"]) == ([105], "destroy", "a person at the client")
    assert (begin["user"], begin["cluster"], begin["client"]) == ("root@pam", "lab", "mcp 0.1.0")
    assert (end["event"], end["result"], end["call"]) == ("end", "ok", begin["call"])
    assert done.structured_content is not None
    assert end["upids"] == [done.structured_content["upid"]]
    assert Audit(lab.state).verify().problem == ""


async def test_refusals_are_on_record(lab: Lab) -> None:
    async with lab.client("protected = [100]\n") as attacker:
        await attacker.refused("delete_vm", vmid=100)
        await attacker.refused("delete_vm", vmid=105)
    assert [(line["event"], line["guests"]) for line in lines(lab)] == [("refused", [100]), ("refused", [105])]


def _unwritable_folder(lab: Lab) -> None:
    lab.state.write_text("a file where the folder should be")


def _others_may_write(lab: Lab) -> None:
    lab.state.mkdir(mode=0o700)
    lab.state.chmod(0o777)


def _audit_is_a_folder(lab: Lab) -> None:
    (lab.state / "audit.jsonl").mkdir(parents=True)
    lab.state.chmod(0o700)


def _audit_is_a_link(lab: Lab) -> None:
    lab.state.mkdir(mode=0o700)
    (lab.state / "audit.jsonl").symlink_to("/dev/null")


def _audit_is_something_else(lab: Lab) -> None:
    lab.state.mkdir(mode=0o700)
    (lab.state / "audit.jsonl").write_text("none of ours\n")


def _audit_breaks_off(lab: Lab) -> None:
    Audit(lab.state).append({"event": "begin"})
    with (lab.state / "audit.jsonl").open("a") as file:
        file.write('{"sequence": 2, "hash": "')


@pytest.mark.parametrize(
    "harm",
    [
        _unwritable_folder,
        _others_may_write,
        _audit_is_a_folder,
        _audit_is_a_link,
        _audit_is_something_else,
        _audit_breaks_off,
    ],
)
async def test_writes_that_would_leave_no_trace_are_not_made(lab: Lab, harm: Any) -> None:
    harm(lab)
    async with lab.client(FREE) as attacker:
        await attacker.refused("manage_vm", "The audit", "nothing is changed", vmid=105, action="start")
        await attacker.refused("delete_vm", "The audit", vmid=105)
        await attacker.done("get_vms")
    if lab.state.is_dir():
        lab.state.chmod(0o700)
    else:
        lab.state.unlink()


async def test_a_full_disk_leaves_no_half_a_line(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    write = os.write
    async with lab.client(FREE) as attacker:
        await attacker.done("manage_vm", vmid=105, action="start", wait_seconds=5)
        monkeypatch.setattr("proxmox_mcp.safety.audit.os.write", lambda descriptor, data: write(descriptor, data[:10]))
        await attacker.refused("delete_lxc", "the disk is full", vmid=202)
        monkeypatch.undo()
    assert Audit(lab.state).verify().problem == ""


def _change(text: str) -> str:
    return text.replace("delete_lxc", "get_vms", 1)


def _leave_out(text: str) -> str:
    rows = text.splitlines(keepends=True)
    return "".join(rows[:1] + rows[2:])


def _swap(text: str) -> str:
    rows = text.splitlines(keepends=True)
    return "".join([rows[1], rows[0], *rows[2:]])


def _repeat(text: str) -> str:
    rows = text.splitlines(keepends=True)
    return "".join([rows[0], *rows])


def _begin_later(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[1:])


def _put_in(text: str) -> str:
    rows = text.splitlines(keepends=True)
    forged = {**json.loads(rows[0]), "tool": "get_vms"}
    return "".join([rows[0], json.dumps(forged) + "\n", *rows[1:]])


@pytest.mark.parametrize("forge", [_change, _leave_out, _swap, _repeat, _begin_later, _put_in])
async def test_a_record_that_was_tampered_with_is_found(lab: Lab, forge: Any) -> None:
    async with lab.client(answer=YES) as attacker:
        await attacker.done("delete_lxc", vmid=202, wait_seconds=5)
        await attacker.done("manage_vm", vmid=105, action="start", wait_seconds=5)
    audit = Audit(lab.state)
    assert audit.verify().problem == ""
    audit.path.write_text(forge(audit.path.read_text()))
    assert audit.verify().problem != ""


async def test_a_client_cannot_write_lines_of_its_own(lab: Lab) -> None:
    async with lab.client() as attacker:
        name = 'x"}\n{"sequence": 99, "hash": "'
        await attacker.client.call_tool("delete_vm", {"vmid": 105, name: 1})
        await attacker.refused("call_api", method="POST", path='/cluster/options"}\n{', params={"a": '\n{"x": 1}'})
    assert Audit(lab.state).verify().problem == ""


HOURLY = "[limits]\nguests_per_hour = 2\n" + FREE


async def test_what_was_done_stays_on_record_however_long_it_is_made(lab: Lab) -> None:
    async with lab.client(answer=YES) as attacker:
        await attacker.call(
            "execute_vm_command", vmid=100, command=["sh", "-c", f"rm -rf /srv # {'A' * 3000}", *"x" * 60]
        )
        await attacker.call("call_api", method="POST", path="/pools", params={"poolid": "p9", "comment": "B" * 70_000})
    begun = [line for line in lines(lab) if line["event"] == "begin"]
    command = begun[0]["arguments"]["command"]
    assert command[:2] == ["sh", "-c"]
    assert command[2].startswith("rm -rf /srv # AAA")
    assert "SHA-256" in command[2]
    assert len(command) < 60
    raw = begun[-1]["arguments"]
    assert (raw["method"], raw["path"], raw["params"]["poolid"]) == ("POST", "/pools", "p9")
    assert "70000 characters" in raw["params"]["comment"]


async def _three(attacker: Any) -> None:
    await attacker.done("manage_vm", vmid=105, action="start", wait_seconds=5)
    await attacker.done("manage_lxc_container", vmid=202, action="start", wait_seconds=5)
    await attacker.refused("manage_vm", "the policy allows 2", vmid=101, action="stop")


async def test_a_limit_on_guests_holds(lab: Lab) -> None:
    async with lab.client(HOURLY) as attacker:
        await _three(attacker)
        await attacker.done("manage_vm", vmid=105, action="stop", wait_seconds=5)


async def test_a_limit_outlives_the_server(lab: Lab) -> None:
    async with lab.client(HOURLY) as attacker:
        await _three(attacker)
    async with lab.client(HOURLY) as attacker:
        await attacker.refused("manage_vm", "the policy allows 2", vmid=101, action="stop")


async def test_a_limit_is_of_one_cluster(lab: Lab) -> None:
    async with lab.client(HOURLY) as attacker:
        await _three(attacker)
    async with lab.client(HOURLY, cluster="another") as attacker:
        await attacker.done("manage_vm", vmid=101, action="stop", wait_seconds=5)


async def test_a_limit_counts_what_raw_requests_change(lab: Lab) -> None:
    async with lab.client(HOURLY) as attacker:
        await _three(attacker)
        path = "/nodes/pve2/qemu/101/status/stop"
        await attacker.refused("call_api", "the policy allows 2", method="POST", path=path)
        vms = {"vms": "101,100,103"}
        await attacker.refused("call_api", "the policy allows 2", method="POST", path="/nodes/pve1/stopall", params=vms)


async def test_a_limit_is_not_stepped_over_by_many_calls_at_once(lab: Lab) -> None:
    results: list[bool] = []
    async with lab.client(HOURLY) as attacker:

        async def stop(vmid: int) -> None:
            results.append(bool((await attacker.call("manage_vm", vmid=vmid, action="stop", wait_seconds=5)).is_error))

        async with anyio.create_task_group() as group:
            for vmid in (100, 101, 102, 103, 104):
                group.start_soon(stop, vmid)
    assert results.count(False) == 2
    assert len(lab.writes) == 2


async def test_a_limit_on_tasks_holds(lab: Lab) -> None:
    results: list[str] = []
    async with lab.client("[limits]\ntasks = 1\n" + FREE) as attacker:
        first = await attacker.done("clone_vm", vmid=900, newid=150, full=True)
        assert first.structured_content is not None
        result = await attacker.call("clone_vm", vmid=900, newid=151, full=True)
        results.append(text_of(result))
        await attacker.done("wait_for_task", upid=first.structured_content["upid"], wait_seconds=30)
        await attacker.done("clone_vm", vmid=900, newid=152, full=True)
    assert "the policy allows 1 at a time" in results[0]


async def test_a_limit_on_tasks_holds_for_a_token(lab: Lab) -> None:
    """PVE tells a token's tasks by their user and the token's name."""
    async with lab.client("[limits]\ntasks = 1\n" + FREE, user="root@pam!automation") as attacker:
        await attacker.done("clone_vm", vmid=900, newid=150, full=True)
        await attacker.refused("clone_vm", "the policy allows 1 at a time", vmid=900, newid=151, full=True)


async def test_a_limit_does_not_forget_what_long_lines_push_away(lab: Lab) -> None:
    async with lab.client(HOURLY, toolsets=("all",)) as attacker:
        await _three(attacker)
        for number in range(25):
            text = f"{number}" * 60_000
            await attacker.call("call_api", method="PUT", path="/nodes/pve9/config", params={"description": text})
        await attacker.refused("manage_vm", "the policy allows 2", vmid=103, action="stop")


async def test_a_limit_on_guests_holds_for_calls_that_begin_together(lab: Lab) -> None:
    """Between the look at the tasks that run and the call itself, others go on."""
    results: list[bool] = []
    async with lab.client("[limits]\nguests_per_hour = 1\ntasks = 10\n", toolsets=("all",)) as attacker:

        async def note(vmid: int) -> None:
            results.append(bool((await attacker.call("set_notes", vmid=vmid, text="x")).is_error))

        async with anyio.create_task_group() as group:
            for vmid in (100, 101, 102, 104):
                group.start_soon(note, vmid)
    assert results.count(False) == 1


async def test_arguments_without_end_are_refused_before_anyone_reads_them(lab: Lab) -> None:
    async with lab.client(toolsets=("all",)) as attacker:
        options = {f"net{number}": "x" * 100 for number in range(10_000)}
        await attacker.refused("update_vm_config", "at most 300000 are taken", vmid=105, options=options)
        await attacker.refused("execute_vm_command", "at most 300000", vmid=100, command=["sh", "-c", "a " * 500_000])
