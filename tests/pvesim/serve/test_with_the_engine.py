"""The real engine behind the socket: proxmoxer as anybody uses it, and the control API on a real world."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx
import pytest
from proxmoxer import AuthenticationError, ProxmoxAPI, ResourceException

from pvesim.engine import Simulator
from pvesim.serve import SimServer

PASSWORD = "a-password"


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(root_password=PASSWORD)


@pytest.fixture
def server(simulator: Simulator) -> Iterator[SimServer]:
    with SimServer(simulator) as server:
        yield server


@pytest.fixture
def client(server: SimServer) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=server.ca_file)
    with httpx.Client(base_url=server.url, verify=context) as client:
        yield client


@pytest.fixture
def ticket(client: httpx.Client) -> dict[str, str]:
    """Headers of a client that is logged in as root."""
    answer = client.post("/api2/json/access/ticket", data={"username": "root@pam", "password": PASSWORD})
    data = answer.json()["data"]
    return {"Cookie": f"PVEAuthCookie={data['ticket']}", "CSRFPreventionToken": data["CSRFPreventionToken"]}


def test_proxmoxer_logs_in_over_https_and_verifies(server: SimServer) -> None:
    api = ProxmoxAPI(server.host, port=server.port, user="root@pam", password=PASSWORD, verify_ssl=server.ca_file)
    assert api.version.get()["version"].startswith("9.")
    assert api.access.get()[0]


def test_proxmoxer_reads_the_error_from_the_reason(server: SimServer) -> None:
    api = ProxmoxAPI(server.host, port=server.port, user="root@pam", password=PASSWORD, verify_ssl=server.ca_file)
    with pytest.raises(ResourceException) as refused:
        api.nosuchpath.get()
    assert (refused.value.status_code, refused.value.content) == (
        501,
        "Method 'GET /nosuchpath' not implemented",
    )


def test_proxmoxer_is_told_of_a_wrong_password(server: SimServer) -> None:
    with pytest.raises(AuthenticationError):
        ProxmoxAPI(server.host, port=server.port, user="root@pam", password="wrong", verify_ssl=server.ca_file)


@pytest.mark.parametrize(
    ("content_type", "body", "status", "reason"),
    [
        ("application/x-www-form-urlencoded", b"description=" + b"a" * 5_000_000, 501, "for data too large"),
        ("text/plain", b"hello", 506, "upload 'Content-Type 'text/plain' not implemented"),
        ("application/json", b"[1", 500, None),
        ("application/json", b"\xff\xfe", 500, None),
    ],
)
def test_bodies_that_cannot_be_read(
    client: httpx.Client, ticket: dict[str, str], content_type: str, body: bytes, status: int, reason: str | None
) -> None:
    headers = {**ticket, "Content-Type": content_type}
    answer = client.post("/api2/json/access/users", content=body, headers=headers)
    assert answer.status_code == status
    assert reason is None or answer.reason_phrase == reason
    assert client.get("/api2/json/version", headers=ticket).status_code == 200


def test_a_checkpoint_is_gone_back_to_by_control_api(client: httpx.Client, simulator: Simulator) -> None:
    start = simulator.world.now
    assert client.post("/_sim/checkpoints", json={"name": "start"}).status_code == 201
    assert client.get("/_sim/checkpoints").json() == {"checkpoints": ["start"]}
    assert client.post("/_sim/clock/advance", json={"seconds": 60}).json()["now"] == start + 60
    assert client.post("/_sim/checkpoints/start/restore").status_code == 200
    assert simulator.world.now == start
    assert client.get("/_sim/state").json()["now"] == start


def test_requests_are_listed_by_control_api(client: httpx.Client, ticket: dict[str, str]) -> None:
    client.get("/api2/json/version")
    client.get("/api2/json/version", headers=ticket)
    newest, older, login = client.get("/_sim/requests").json()["requests"]
    assert (newest["user"], newest["status"]) == ("root@pam", 200)
    assert (older["user"], older["status"], older["reason"]) == (None, 401, "No ticket")
    assert login["method"] == "POST"
    assert client.post("/_sim/reset").status_code == 200
    assert client.get("/_sim/requests").json() == {"requests": []}


def test_what_changed_is_told_by_the_control_api() -> None:
    simulator = Simulator("homelab")
    with SimServer(simulator, tls=False) as server:
        simulator.request("POST", "/pools", {"poolid": "new"})
        answer = httpx.get(server.url + "/_sim/diff").json()
        assert [change["words"] for change in answer["changes"]] == ["pool new made"]
        assert httpx.get(server.url + "/_sim/diff", params={"before": "now"}).json()["changes"] == []
        refused = httpx.get(server.url + "/_sim/diff", params={"after": "never"})
        assert (refused.status_code, refused.json()) == (404, {"error": "no moment 'never' (there are: start, now)"})
