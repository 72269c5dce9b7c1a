"""The server behind the SDK's streamable HTTP, with real connections."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.types import HEADER_MISMATCH, Implementation

from proxmox_mcp import task_handles
from proxmox_mcp.pve import Pve
from proxmox_mcp.server import ProxmoxServer, build_server
from proxmox_mcp.settings import Settings
from proxmox_mcp.task_handles import IDENTIFIER
from pvesim import Simulator
from tests.proxmox_mcp.wire import Era, Http, answer_of, envelope, over_http, serving

ERAS: list[Era] = ["legacy", "modern"]
BACKUP = {"name": "create_backup", "arguments": {"vmid": 100, "wait_seconds": 3600}}


@pytest.fixture(scope="module")
def homelab() -> Simulator:
    return Simulator("homelab", clock="manual")


@pytest.fixture
def simulator(homelab: Simulator) -> Simulator:
    return homelab.fork()


def server_of(simulator: Simulator, folder: Path) -> ProxmoxServer:
    names = ("create_backup", "get_task_log", "get_vms", "wait_for_task")
    settings = Settings(access="admin", tools=names, state_dir=folder, retries=0)
    return build_server(settings, Pve(settings, simulator.connect, cluster="lab", user="root@pam"))


@pytest.fixture
def address(simulator: Simulator, tmp_path: Path) -> Iterator[str]:
    with serving(server_of(simulator, tmp_path)) as address:
        yield address


def audit(folder: Path) -> list[dict[str, Any]]:
    path = folder / "audit.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def begun(channel: Http, address: str, **more: Any) -> tuple[httpx.Client, int, str]:
    """A call of which the first progress has come: its connection, its number, and the UPID of its task."""
    message = channel.message("tools/call", **BACKUP, _meta={**more, "progressToken": "here"})
    client = httpx.Client(timeout=30)
    request = client.build_request("POST", address, json=message, headers=channel.headers(message))
    lines = client.send(request, stream=True).iter_lines()
    told = next(line for line in lines if line.startswith("data: {"))
    progress = json.loads(told.removeprefix("data: "))["params"]["message"]
    return client, message["id"], next(word for word in progress.split() if word.startswith("UPID:"))


def once(met: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    turn = threading.Event()
    for _ in range(1000):
        if met():
            return
        turn.wait(0.02)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("header", "value", "status"),
    [("Host", "pve.example", 421), ("Origin", "https://pve.example", 403), ("Origin", "null", 403)],
)
def test_who_is_asked_by_another_name_or_for_another_page_does_not_answer(
    address: str, era: Era, header: str, value: str, status: int
) -> None:
    with over_http(era, address) as channel, httpx.Client() as client:
        message = channel.message("tools/list")
        assert answer_of(client.post(address, json=message, headers=channel.headers(message)))["result"]["tools"]
        refused = client.post(address, json=message, headers={**channel.headers(message), header: value})
    assert refused.status_code == status
    assert "get_vms" not in refused.text


def test_a_session_is_its_clients_own_and_ends_when_that_says_so(address: str) -> None:
    with over_http("legacy", address) as first, over_http("legacy", address) as second, httpx.Client() as client:
        message = first.message("tools/list")
        headers = first.headers(message)
        assert headers["Mcp-Session-Id"] != second.headers(message)["Mcp-Session-Id"]
        assert client.delete(address, headers=headers).status_code == 200
        assert client.post(address, json=message, headers=headers).status_code == 404
        assert second.request("tools/list")["tools"]
        made_up = {**headers, "Mcp-Session-Id": "0" * 32}
        assert client.post(address, json=message, headers=made_up).status_code == 404


def test_a_client_that_goes_away_in_the_middle_of_a_call_gives_it_up(
    address: str, simulator: Simulator, tmp_path: Path
) -> None:
    with over_http("modern", address) as channel:
        connection, _, upid = begun(channel, address, **envelope())
        connection.close()
        once(lambda: len(audit(tmp_path)) == 2)
    end = audit(tmp_path)[1]
    assert (end["result"], end["upids"]) == ("cancelled", [upid])
    assert simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")["status"] == "running"


def test_in_a_session_a_lost_connection_is_no_word_and_a_cancelled_call_is(
    address: str, simulator: Simulator, tmp_path: Path
) -> None:
    with over_http("legacy", address) as channel:
        connection, number, upid = begun(channel, address)
        connection.close()
        assert channel.request("tools/list")["tools"]
        assert len(audit(tmp_path)) == 1
        channel.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})
        once(lambda: len(audit(tmp_path)) == 2)
    end = audit(tmp_path)[1]
    assert (end["result"], end["upids"]) == ("cancelled", [upid])
    assert simulator.request("GET", f"/nodes/pve1/tasks/{upid}/status")["status"] == "running"


@pytest.mark.parametrize("era", ERAS)
def test_a_big_answer_arrives_whole_and_within_its_bounds(tmp_path: Path, era: Era) -> None:
    world = {"vms": {number: {"config": {"name": f"guest-{number}-" + "x" * 40}} for number in range(100, 600)}}
    with (
        serving(server_of(Simulator(world), tmp_path)) as address,
        over_http(era, address) as channel,
    ):
        answer = channel.request("tools/call", name="get_vms", arguments={"limit": 500, "detail": "full"})
    assert not answer["isError"]
    assert len(answer["structuredContent"]["vms"]) == 500
    assert answer["content"][0]["text"].count("\tguest-") == 500


def test_a_body_without_bounds_is_not_read(address: str) -> None:
    with over_http("modern", address) as channel, httpx.Client() as client:
        message = channel.message("tools/call", name="get_vms", arguments={"name": "x" * 5_000_000})
        assert client.post(address, json=message, headers=channel.headers(message)).status_code == 413
        assert channel.request("tools/list")["tools"]


def test_a_handle_outlives_its_connection_and_is_found_by_the_header_that_names_it(
    address: str, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_handles, "PATIENCE", 0)
    declared = {"_meta": envelope(extensions={IDENTIFIER: {}})}
    with over_http("modern", address) as channel:
        handle = channel.request("tools/call", **BACKUP, **declared)["taskId"]
    with over_http("modern", address) as channel, httpx.Client() as client:
        assert channel.request("tasks/get", taskId=handle, **declared)["status"] == "working"
        message = channel.message("tasks/get", taskId=handle, **declared)
        for named in ({"Mcp-Name": "another"}, {}):
            headers = {**{n: v for n, v in channel.headers(message).items() if n != "Mcp-Name"}, **named}
            refused = client.post(address, json=message, headers=headers)
            assert refused.status_code == 400
            assert refused.json()["error"]["code"] == HEADER_MISMATCH
        simulator.clock.advance(3600)
        once(lambda: channel.request("tasks/get", taskId=handle, **declared)["status"] == "completed")
        result = channel.request("tasks/get", taskId=handle, **declared)["result"]
    assert result["structuredContent"]["state"] == "ok"


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdks_own_client_is_answered_and_recorded_by_its_name(
    address: str, tmp_path: Path, mode: str
) -> None:
    who = Implementation(name="desk", version="7")
    async with Client(address, mode=mode, client_info=who) as client:
        result = await client.call_tool("create_backup", {"vmid": 100})
    assert result.structured_content is not None
    assert result.structured_content["state"] == "running"
    assert [line.get("client") for line in audit(tmp_path)] == ["desk 7", None]
