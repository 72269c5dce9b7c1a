"""Starting, stopping, and what the certificate says."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pvesim.serve import ServeError, SimServer, make_identity, read_identity

if TYPE_CHECKING:
    from tests.pvesim.serve.conftest import StandIn

Serve = Callable[..., SimServer]


def verified(server: SimServer) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python 3.13 does by itself
    return context


def test_a_client_can_verify_the_certificate(serve: Serve) -> None:
    server = serve(tls=True)
    assert server.url == f"https://127.0.0.1:{server.port}"
    assert httpx.get(server.url + "/api2/json", verify=verified(server)).status_code == 200
    assert httpx.get(f"https://localhost:{server.port}/api2/json", verify=verified(server)).status_code == 200


def test_a_client_that_does_not_trust_it_is_turned_away_and_the_server_lives_on(serve: Serve) -> None:
    server = serve(tls=True)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(server.url)
    with socket.create_connection((server.host, server.port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(100)
    assert httpx.get(server.url + "/api2/json", verify=verified(server)).status_code == 200


def test_the_fingerprint_is_that_of_the_certificate_shown(serve: Serve) -> None:
    server = serve(tls=True)
    shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((server.host, server.port)))
    digest = hashlib.sha256(shown).hexdigest().upper()
    assert server.fingerprint == ":".join(digest[place : place + 2] for place in range(0, 64, 2))


def test_further_names_are_in_the_certificate(engine: StandIn) -> None:
    identity = make_identity(["pve1", "10.0.0.1"])
    with SimServer(engine, identity=identity) as server:
        context = verified(server)
        for name in ("pve1", "10.0.0.1", "::1"):
            with (
                socket.create_connection((server.host, server.port)) as plain,
                context.wrap_socket(plain, server_hostname=name) as secured,
            ):
                assert secured.version() == "TLSv1.3"


def test_ones_own_certificate_is_used(tmp_path: Path, engine: StandIn) -> None:
    made = make_identity()
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    with SimServer(engine, identity=read_identity(certificate, key)) as server:
        assert server.fingerprint == made.fingerprint
        with pytest.raises(ServeError, match="brought along"):
            _ = server.ca_file


def test_unusable_certificates_are_named(tmp_path: Path) -> None:
    made, other = make_identity(), make_identity()
    certificate, key, junk = tmp_path / "c.pem", tmp_path / "k.pem", tmp_path / "junk.pem"
    certificate.write_bytes(made.certificate)
    key.write_bytes(other.key)
    junk.write_text("junk")
    with pytest.raises(ServeError, match=r"cannot read .*nothing\.pem: No such file"):
        read_identity(tmp_path / "nothing.pem", key)
    with pytest.raises(ServeError, match=r"junk\.pem holds no PEM certificate"):
        read_identity(junk, key)
    with pytest.raises(ServeError, match="cannot be used together"):
        read_identity(certificate, key)
    with pytest.raises(ServeError, match="cannot be used together"):
        read_identity(certificate, junk)


def test_plain_http_has_no_certificate(serve: Serve) -> None:
    server = serve(tls=False)
    assert server.url.startswith("http://")
    with pytest.raises(ServeError, match="plain HTTP"):
        _ = server.fingerprint


def test_a_port_in_use_is_one_clear_error(serve: Serve, engine: StandIn) -> None:
    port = serve().port
    with pytest.raises(ServeError, match=f"port {port} on 127.0.0.1 is in use"):
        SimServer(engine, port=port, tls=False)


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("no-such-host.invalid", 0, "cannot listen on no-such-host.invalid"),
        ("192.0.2.1", 0, "cannot listen on 192.0.2.1"),
        ("127.0.0.1", 70_000, "a port is a number from 0 to 65535, not 70000"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_clear_error(engine: StandIn, host: str, port: int, text: str) -> None:
    with pytest.raises(ServeError, match=text):
        SimServer(engine, host=host, port=port, tls=False)


def test_stopping_ends_everything_at_once(serve: Serve) -> None:
    server = serve(tls=True)
    client = httpx.Client(verify=verified(server))
    assert client.get(server.url + "/api2/json").status_code == 200
    authority = Path(server.ca_file)
    server.stop()
    server.stop()
    client.close()
    assert not authority.exists()
    assert f"pvesim-{server.port}" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))


def test_stopping_does_not_wait_for_a_slow_answer(serve: Serve, engine: StandIn) -> None:
    from pvesim.wire import WireResponse

    reached = threading.Event()

    def slow(_request: object) -> WireResponse:
        reached.set()
        return WireResponse(401, "No ticket", delay=3600.0)

    engine.answer = slow
    engine.clock.mode = "scaled"
    server = serve()
    with socket.create_connection((server.host, server.port), timeout=20) as client:
        client.sendall(b"GET /api2/json HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reached.wait(10)
        server.stop()
        assert b"No ticket" not in client.recv(1000)


def test_a_server_that_was_never_started_gives_its_port_back(engine: StandIn) -> None:
    server = SimServer(engine, tls=False)
    server.stop()
    again = SimServer(engine, port=server.port, tls=False)
    again.stop()
    assert again.port == server.port


def test_a_server_starts_once(serve: Serve) -> None:
    with pytest.raises(ServeError, match="make a new one"):
        serve().start()


def test_worlds_side_by_side(serve: Serve, engine: StandIn) -> None:
    first, second = serve(), serve(tls=True)
    assert first.port != second.port
    assert httpx.get(first.url + "/api2/json").status_code == 200
    assert httpx.get(second.url + "/api2/json", verify=verified(second)).status_code == 200


def test_ipv6(engine: StandIn) -> None:
    try:
        server = SimServer(engine, host="::1", tls=False)
    except ServeError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        assert server.url == f"http://[::1]:{server.port}"
        assert httpx.get(server.url + "/api2/json").status_code == 200
