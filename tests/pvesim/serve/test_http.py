"""What goes over the wire between a client and the engine."""

from __future__ import annotations

import asyncio
import http.client
import logging
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pvesim.engine import Simulator
from pvesim.serve import SimServer
from pvesim.serve.http import read_headers
from pvesim.wire import FORM_LIMIT, WireResponse

if TYPE_CHECKING:
    from tests.pvesim.serve.conftest import StandIn

Serve = Callable[..., SimServer]


def raw(server: SimServer, data: bytes, *, end: bool = True) -> bytes:
    """Send bytes, read until the server closes the connection. `end`: tell the server that no more will come."""
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def ask(server: SimServer, path: str, method: str = "GET", *, close: bool = True) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    response.read()
    if close:
        connection.close()
    return response


def test_the_engine_gets_the_request_as_it_came(serve: Serve, engine: StandIn) -> None:
    server = serve()
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request("PUT", "/api2/json/a%2Fb/c?x=%201&x=2", body=b"a=\xff", headers={"X-One": "1", "Cookie": "k=v"})
    connection.getresponse().read()
    connection.close()
    request = engine.asked[0]
    assert (request.method, request.path, request.query) == ("PUT", "/api2/json/a%2Fb/c", "x=%201&x=2")
    assert request.body == b"a=\xff"
    assert request.headers["x-one"] == "1"
    assert request.headers["cookie"] == "k=v"
    assert request.peer == "127.0.0.1"


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500, 501, 506, 595, 596])
def test_status_reason_headers_and_body_are_the_engines(serve: Serve, engine: StandIn, status: int) -> None:
    text = "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"
    engine.answer = lambda _request: WireResponse(status, text, (("Content-Type", "x/y;charset=UTF-8"),), b"body")
    server = serve()
    answer = httpx.get(server.url + "/api2/json/x")
    assert (answer.status_code, answer.reason_phrase, answer.content) == (status, text, b"body")
    assert answer.headers["content-type"] == "x/y;charset=UTF-8"
    assert answer.headers["content-length"] == "4"


def test_an_answer_without_headers_has_no_content_type(serve: Serve, engine: StandIn) -> None:
    engine.answer = lambda _request: WireResponse(401, "No ticket")
    answer = httpx.get(serve().url + "/api2/json/version")
    assert answer.reason_phrase == "No ticket"
    assert "content-type" not in answer.headers
    assert answer.content == b""


@pytest.mark.parametrize(
    ("reason", "on_the_wire"),
    [
        ("evil\r\nSet-Cookie: a=b", b"HTTP/1.1 500 evil  Set-Cookie: a=b\r\n"),
        ("caf\u00e9 \u20ac", "HTTP/1.1 500 caf\u00e9 \u20ac\r\n".encode()),
        ("nul\0 del\x7f", b"HTTP/1.1 500 nul  del \r\n"),
        ("", b"HTTP/1.1 500 \r\n"),
        ("lone \udc80", b"HTTP/1.1 500 lone ?\r\n"),
    ],
)
def test_no_reason_can_break_out_of_the_status_line(
    serve: Serve, engine: StandIn, reason: str, on_the_wire: bytes
) -> None:
    engine.answer = lambda _request: WireResponse(500, reason)
    answer = raw(serve(), b"GET /api2/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(on_the_wire)
    assert b"\r\nSet-Cookie" not in answer


def test_a_connection_is_kept_for_many_requests(serve: Serve, engine: StandIn) -> None:
    server = serve()
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.connect()
    first = connection.sock.getsockname()
    for number in range(5):
        connection.request("GET", f"/api2/json/{number}")
        assert connection.getresponse().read() == b'{"data":null}'
    assert connection.sock.getsockname() == first
    connection.close()
    assert [request.path[-1] for request in engine.asked] == ["0", "1", "2", "3", "4"]


def test_pipelined_requests_are_answered_in_order(serve: Serve, engine: StandIn) -> None:
    engine.answer = lambda request: WireResponse(200, "R" + request.path[-1], (), request.path[-1].encode())
    data = b"".join(b"GET /api2/json/%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(3))
    last = b"GET /api2/json/3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = raw(serve(), data + last, end=False)
    assert re.findall(rb"HTTP/1.1 200 (R\d)\r\n", answer) == [b"R0", b"R1", b"R2", b"R3"]


def test_head_has_no_body_and_the_engines_status(serve: Serve, engine: StandIn) -> None:
    engine.answer = lambda request: WireResponse(501, f"method '{request.method}' not available", (), b"text")
    answer = ask(serve(), "/api2/json/version", "HEAD")
    assert (answer.status, answer.reason) == (501, "method 'HEAD' not available")


def test_expect_continue_is_answered(serve: Serve, engine: StandIn) -> None:
    fields = b"Host: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n"
    head = b"POST /api2/json/x HTTP/1.1\r\n" + fields + b"\r\n"
    answer = raw(serve(), head + b"a=1")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert engine.asked[0].body == b"a=1"


def test_other_paths_are_not_the_engines(serve: Serve, engine: StandIn) -> None:
    server = serve()
    assert httpx.get(server.url + "/").status_code == 200
    assert httpx.get(server.url + "/nothing").status_code == 404
    assert httpx.get(server.url + "/api2json").status_code == 404
    assert ask(server, "*").status == 404
    assert engine.asked == []


def test_a_long_form_is_handed_over_cut_so_that_the_engine_refuses_it(serve: Serve, engine: StandIn) -> None:
    server = serve()
    httpx.post(server.url + "/api2/json/x", content=b"field=" + b"v" * 5_000_000)
    assert len(engine.asked[0].body) == FORM_LIMIT + 1
    assert httpx.get(server.url + "/api2/json/x").status_code == 200


def test_a_chunked_body_is_put_together(serve: Serve, engine: StandIn) -> None:
    httpx.post(serve().url + "/api2/json/x", content=iter([b"a=" + b"1" * 70_000, b"&b=2"]))
    assert engine.asked[0].body == b"a=" + b"1" * 70_000 + b"&b=2"


def test_a_large_body_is_worked_on_beside_the_loop(serve: Serve, engine: StandIn) -> None:
    server = serve()
    httpx.post(server.url + "/api2/json/x", content=b"v" * 300_000)
    httpx.post(server.url + "/api2/json/x", content=b"v")
    assert engine.threads[0] != engine.threads[1] == f"pvesim-{server.port}"


def test_an_upload_may_be_longer_than_a_form(serve: Serve, engine: StandIn) -> None:
    files = {"filename": ("a.iso", b"0" * (FORM_LIMIT + 100))}
    httpx.post(serve().url + "/api2/json/nodes/pve1/storage/local/upload", files=files)
    assert len(engine.asked[0].body) > FORM_LIMIT + 100


def test_an_upload_has_a_limit_too(serve: Serve, engine: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvesim.serve.http.UPLOAD_LIMIT", 1_000_000)
    server = serve()
    answer = httpx.post(server.url + "/api2/json/upload", files={"filename": ("a.iso", b"0" * 3_000_000)})
    assert (answer.status_code, answer.reason_phrase) == (413, "upload too large")
    assert engine.asked == []


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/api2/json/" + "a" * 8000, 200),
        ("/api2/json/" + "a" * 9000, 414),
        ("/api2/json/x?q=" + "a" * 30_000, 200),
        ("/api2/json/x?q=" + "a" * 70_000, 414),
    ],
)
def test_an_over_long_target_is_refused(serve: Serve, target: str, status: int) -> None:
    server = serve()
    answer = ask(server, target)
    assert answer.status == status
    assert ask(server, "/api2/json/x").status == 200


@pytest.mark.parametrize("head", [b"X: " + b"a" * 70_000 + b"\r\n", b"X: a\r\n" * 70])
def test_over_long_headers_are_refused(serve: Serve, engine: StandIn, head: bytes) -> None:
    answer = raw(serve(), b"GET /api2/json HTTP/1.1\r\n" + head + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert engine.asked == []


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET\r\n\r\n"])
def test_what_is_no_http_is_refused_and_the_server_lives_on(serve: Serve, junk: bytes) -> None:
    server = serve()
    assert raw(server, junk).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert ask(server, "/api2/json/x").status == 200


def test_a_client_that_leaves_in_the_middle_is_not_served(serve: Serve, engine: StandIn) -> None:
    server = serve()
    assert raw(server, b"POST /api2/json/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf") == b""
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(b"POST /api2/json/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    assert ask(server, "/api2/json/y").status == 200
    assert [request.path for request in engine.asked] == ["/api2/json/y"]


def test_a_defect_in_one_answer_is_one_clear_500(
    serve: Serve, engine: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_request: object) -> WireResponse:
        raise RuntimeError("secret detail")

    engine.answer = fail
    server = serve()
    with caplog.at_level(logging.ERROR):
        answer = httpx.get(server.url + "/api2/json/x")
    assert (answer.status_code, answer.reason_phrase) == (500, "pvesim internal error")
    assert "secret detail" not in answer.text
    assert "RuntimeError('secret detail')" in caplog.text
    assert "Traceback" not in caplog.text


def test_two_hundred_clients_at_once(serve: Serve, engine: StandIn) -> None:
    server = serve()
    sockets = [socket.create_connection((server.host, server.port), timeout=20) for _ in range(200)]
    for connection in sockets:
        connection.sendall(b"GET /api2/json/version HTTP/1.1\r\nHost: x\r\n\r\n")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda connection: connection.recv(4096), sockets))
    for connection in sockets:
        connection.close()
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers)
    assert len(engine.asked) == 200


@pytest.mark.parametrize(
    ("mode", "scale", "expected"),
    [("auto", 1.0, []), ("manual", 1.0, []), ("scaled", 0.5, [1.5]), ("scaled", 0.0, [0.0])],
)
def test_a_slow_answer_is_slow_in_virtual_seconds(
    serve: Serve, engine: StandIn, monkeypatch: pytest.MonkeyPatch, mode: str, scale: float, expected: list[float]
) -> None:
    slept: list[float] = []
    real_sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        if seconds > 0.2 or scale == 0:
            slept.append(seconds)
        await real_sleep(0)

    engine.clock.mode, engine.clock.scale = mode, scale
    engine.answer = lambda _request: WireResponse(401, "No ticket", delay=3.0)
    server = serve()
    monkeypatch.setattr("pvesim.serve.http.asyncio.sleep", note)
    assert httpx.get(server.url + "/api2/json/x").status_code == 401
    monkeypatch.undo()
    assert slept == expected


def test_requests_are_logged_when_asked(serve: Serve, engine: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    engine.answer = lambda _request: WireResponse(500, "no such thing")
    with caplog.at_level(logging.INFO, "pvesim.requests"):
        httpx.get(serve().url + "/api2/json/quiet")
        server = serve(log_requests=True)
        httpx.get(server.url + "/api2/json/a%0Ab?password=secret")
        server.stop()
    assert caplog.messages[-1].startswith("GET /api2/json/a%0Ab -> 500 no such thing (")
    assert "quiet" not in caplog.text
    assert "secret" not in caplog.text


def test_repeated_headers_are_joined() -> None:
    pairs = [(b"cookie", b"a=1"), (b"x", b"1"), (b"cookie", b"b=2"), (b"x", b"2")]
    assert read_headers(pairs) == {"cookie": "a=1; b=2", "x": "1, 2"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(data=st.binary(max_size=300))
def test_no_bytes_bring_the_server_down(serve: Serve, engine: StandIn, data: bytes) -> None:
    engine.asked.clear()
    server = getattr(engine, "server", None)
    if server is None:
        server = engine.server = serve()  # type: ignore[attr-defined]
    raw(server, data)
    assert ask(server, "/api2/json/x").status == 200


def test_answers_bear_the_daemons_headers() -> None:
    with SimServer(Simulator(), tls=False) as server:
        link = http.client.HTTPConnection(server.host, server.port, timeout=10)
        link.request("GET", "/api2/json/access/domains")
        answer = link.getresponse()
        answer.read()
        link.close()
    assert answer.getheader("Server") == "pve-api-daemon/3.0"
    assert answer.getheader("Pragma") == "no-cache"
    assert answer.getheader("Cache-Control") == "max-age=0"
    assert answer.getheader("Date", "").endswith("GMT")
