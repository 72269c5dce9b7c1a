"""Real sockets and TLS on 127.0.0.1: what is sent to whom."""

import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxmox_mcp.errors import (
    CertificateUntrusted,
    ConnectionFailed,
    FingerprintMismatch,
    NotAuthenticated,
    NotProxmox,
    SettingsError,
    TimedOut,
    Unreachable,
)
from proxmox_mcp.pve import Pve
from proxmox_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@dataclass
class Host:
    """An HTTPS host that answers as told, and remembers what it was sent."""

    port: int
    ca_file: Path
    fingerprint: str
    seen: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    connections: int = 0


def make_certificate(folder: Path) -> tuple[Path, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "host.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def host(certificate: tuple[Path, str]) -> Iterator[Host]:
    pem, fingerprint = certificate

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            told.connections += 1

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            told.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, content = told.answers.get(f"{self.command} {self.path}", (200, {"data": []}))
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("location", "/api2/json/elsewhere")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *args: None  # type: ignore[method-assign]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    told = Host(server.server_address[1], pem, fingerprint)
    told.answers["POST /api2/json/access/ticket"] = (
        200,
        {"data": {"ticket": "PVE:root@pam:1::sig", "CSRFPreventionToken": "csrf", "username": "root@pam"}},
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def reach(host: Host, **more: Any) -> Pve:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": host.port, "user": "root@pam", "retries": 0, **more}
    if "password" not in more:
        given |= {"token_name": "t", "token_value": "sesame-open"}
    return Pve(Settings(**given))


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("way", ["ca_file", "fingerprint", "verify_tls"])
@pytest.mark.parametrize("credentials", ["token", "password"])
async def test_each_way_to_trust_serves_both_kinds_of_credentials(host: Host, way: str, credentials: str) -> None:
    trust = {"ca_file": host.ca_file, "fingerprint": host.fingerprint, "verify_tls": False}
    secret = {"password": "sesame-open"} if credentials == "password" else {}
    pve = reach(host, **{way: trust[way]}, **secret)
    assert await pve.get("/nodes") == []
    await pve.post("/nodes/pve1/qemu", vmid=100)
    await pve.aclose()
    if credentials == "token":
        assert [seen[2]["authorization"] for seen in host.seen] == ["PVEAPIToken=root@pam!t=sesame-open"] * 2
    else:
        login, read, write = host.seen
        assert login[3] == "username=root%40pam&password=sesame-open"
        assert read[2]["cookie"] == "PVEAuthCookie=PVE:root@pam:1::sig"
        assert "csrfpreventiontoken" not in read[2]
        assert write[2]["csrfpreventiontoken"] == "csrf"
    assert host.connections == 1


@pytest.mark.parametrize("secret", [{}, {"password": "sesame-open"}])
@pytest.mark.parametrize(
    ("trust", "kind"),
    [
        ({}, CertificateUntrusted),
        ({"fingerprint": "ab" * 32}, FingerprintMismatch),
        ({"fingerprint": "ab" * 32, "verify_tls": False}, FingerprintMismatch),
    ],
)
async def test_nothing_is_sent_to_a_host_that_is_not_trusted(
    host: Host, secret: dict[str, str], trust: dict[str, Any], kind: type[ConnectionFailed]
) -> None:
    with pytest.raises(kind, match="nothing was sent"):
        await reach(host, **secret, **trust).get("/nodes")
    assert host.seen == []


async def test_another_authority_is_not_trusted(host: Host, tmp_path: Path) -> None:
    pem, _ = make_certificate(tmp_path)
    with pytest.raises(CertificateUntrusted, match="PROXMOX_CA_FILE"):
        await reach(host, ca_file=pem).get("/nodes")
    assert host.seen == []


async def test_a_bundle_in_the_environment_adds_no_trust(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(host.ca_file))
    with pytest.raises(CertificateUntrusted):
        await reach(host).get("/nodes")


async def test_a_ca_file_without_certificate_is_named(host: Host, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(SettingsError, match=r"PROXMOX_CA_FILE: .*ca\.pem holds no PEM certificate"):
        await reach(host, ca_file=tmp_path / "ca.pem").get("/nodes")


async def test_a_redirection_is_not_followed(host: Host) -> None:
    host.answers["GET /api2/json/nodes"] = (302, b"")
    with pytest.raises(NotProxmox, match="redirects"):
        await reach(host, ca_file=host.ca_file).get("/nodes")
    assert [seen[1] for seen in host.seen] == ["/api2/json/nodes"]


@pytest.mark.parametrize("body", [b"<html>login</html>", b"[]", b'{"x": 1}', b"\xff", b""])
async def test_what_is_not_the_pve_api_is_said_so(host: Host, body: bytes) -> None:
    host.answers["GET /api2/json/nodes"] = (200, body)
    with pytest.raises(NotProxmox, match="not as the PVE API does"):
        await reach(host, ca_file=host.ca_file).get("/nodes")


async def test_a_wrong_password_is_tried_once(host: Host) -> None:
    host.answers["POST /api2/json/access/ticket"] = (401, {"data": None, "message": "authentication failure\n"})
    with pytest.raises(NotAuthenticated, match="PROXMOX_PASSWORD"):
        await reach(host, ca_file=host.ca_file, password="wrong").get("/nodes")
    assert len(host.seen) == 1


async def test_a_second_factor_is_explained(host: Host) -> None:
    host.answers["POST /api2/json/access/ticket"] = (
        200,
        {"data": {"ticket": "PVE:!tfa!x", "CSRFPreventionToken": "c", "NeedTFA": 1}},
    )
    with pytest.raises(NotAuthenticated, match="Use an API token"):
        await reach(host, ca_file=host.ca_file, password="right").get("/nodes")


async def test_a_ticket_that_died_early_is_replaced(host: Host) -> None:
    pve = reach(host, ca_file=host.ca_file, password="right")
    await pve.get("/nodes")
    host.answers["GET /api2/json/version"] = (401, b"")
    with pytest.raises(NotAuthenticated):
        await pve.get("/version")
    await pve.aclose()
    logins = [seen for seen in host.seen if seen[1] == "/api2/json/access/ticket"]
    assert len(logins) == 2


async def test_a_port_without_a_listener() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = Settings(host="127.0.0.1", port=port, user="a@pve", token_name="t", token_value="v", retries=0)
        with pytest.raises(Unreachable, match=f"127.0.0.1:{port} cannot be reached: Connection refused"):
            await Pve(settings).get("/nodes")


async def test_a_name_that_does_not_exist() -> None:
    settings = Settings(host="nowhere.invalid", user="a@pve", token_name="t", token_value="v", retries=0)
    with pytest.raises(Unreachable, match=r"nowhere\.invalid:8006 cannot be reached"):
        await Pve(settings).get("/nodes")


async def test_a_host_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(
            host="127.0.0.1", port=silent.getsockname()[1], user="a@pve", token_name="t", token_value="v", timeout=0.2
        )
        with pytest.raises(TimedOut):
            await Pve(settings).get("/nodes")


async def test_a_port_that_does_not_speak_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.recv(64)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        settings = Settings(
            host="127.0.0.1", port=plain.getsockname()[1], user="a@pve", token_name="t", token_value="v", retries=0
        )
        with pytest.raises(NotProxmox, match="does not speak TLS"):
            await Pve(settings).get("/nodes")
        thread.join()
