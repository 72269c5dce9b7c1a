"""How a request reaches PVE: TLS, credentials and deadlines below an unmodified `proxmoxer`.

`proxmoxer`'s own way is built around, by its public classes, where it would not be safe: its password login goes
through a call of its own that knows neither a pinned fingerprint nor the system's certificate store, and it is made
in the constructor; an old ticket cannot be renewed there either. Here one adapter makes every connection, that of the
login too, and the certificate is checked before the first byte of a request is sent.

Imported when the first request is made, never at start: `requests` takes a tenth of a second.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import requests
from proxmoxer.backends.https import (
    JsonSerializer,
    ProxmoxHTTPApiTokenAuth,
    ProxmoxHTTPAuthBase,
    ProxmoxHttpSession,
)
from proxmoxer.core import ProxmoxResource
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import ProtocolError

from proxmox_mcp.answers import from_answer
from proxmox_mcp.errors import (
    Answer,
    CertificateUntrusted,
    ConnectionFailed,
    FingerprintMismatch,
    NotAuthenticated,
    NotProxmox,
    SettingsError,
    TimedOut,
    Unreachable,
)
from proxmox_mcp.safety.redact import redactor
from proxmox_mcp.settings import Connection

if TYPE_CHECKING:
    from requests.models import PreparedRequest, Response

logger = logging.getLogger(__name__)

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""When the call under way must be over (`time.monotonic`); the caller sets it, the adapter keeps it."""

# A ticket lives for two hours; a new one in good time costs one request an hour.
_TICKET_SECONDS = 3600.0


class Opened(NamedTuple):
    """A connection: what requests are made with, and what ends it."""

    api: Any
    close: Callable[[], None]


def tls_context(connection: Connection) -> ssl.SSLContext:
    """What certificates are accepted, by the settings.

    A pinned fingerprint replaces the chain and the host name: it says more than both. It is compared by the adapter.

    Raises:
        SettingsError: the CA file holds no certificate.
    """
    if connection.fingerprint is not None or not connection.verify_tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if connection.ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(connection.ca_file))
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"PROXMOX_CA_FILE: {connection.ca_file} holds no PEM certificate ({error.strerror or 'unreadable'}).",
            "On a PVE node the file is /etc/pve/pve-root-ca.pem.",
        ) from None


class PveAdapter(HTTPAdapter):
    """Makes every connection: our TLS context, the pinned fingerprint, and the time that is left."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._context = tls_context(connection)
        super().__init__(pool_connections=1, pool_maxsize=connection.concurrency)

    def build_connection_pool_key_attributes(
        self, request: "PreparedRequest", verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Host and TLS parameters of the pool; the session's own idea of verification does not count."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        required = self._context.verify_mode is ssl.CERT_REQUIRED
        pool: dict[str, Any] = {
            "ssl_context": self._context,
            "cert_reqs": "CERT_REQUIRED" if required else "CERT_NONE",
        }
        if self._connection.fingerprint is not None:
            pool["assert_fingerprint"] = self._connection.fingerprint
        return host, pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context is complete, and a bundle must not be added to what it trusts."""

    def send(self, request: "PreparedRequest", *args: Any, **kwargs: Any) -> "Response":
        """Send with what is left of the call's time.

        Raises:
            requests.Timeout: nothing is left.
        """
        until = deadline.get()
        left = self._connection.timeout if until is None else until - time.monotonic()
        if left <= 0:
            raise requests.Timeout("no time left")
        kwargs["timeout"] = (min(self._connection.connect_timeout, left), left)
        return super().send(request, *args, **kwargs)


MORE = ""
"""Stands for no parameter among the texts of an error: the rest of its own text."""
_LONGEST_TEXT = 1000


class StrictSerializer(JsonSerializer):  # type: ignore[misc]
    """Reads PVE's answers, and takes nothing else for one."""

    def loads(self, response: "Response") -> Any:
        """The `data` of an answer.

        Raises:
            NotProxmox: the body is not what the PVE API sends.
        """
        try:
            return orjson.loads(response.content)["data"]
        except (ValueError, KeyError, TypeError):
            raise NotProxmox(
                "The host answers, but not as the PVE API does.",
                "Check PROXMOX_HOST and PROXMOX_PORT (8006 as a rule); a proxy may stand between.",
            ) from None

    def loads_errors(self, response: "Response") -> dict[str, str] | None:
        """The texts by parameter of an error's body, and under `MORE` what its text says beyond the reason phrase.

        PVE puts the first line of a text in the reason phrase, and where an error nests in another, that line says
        nothing (recorded exchange `backup/034`).
        """
        try:
            body = orjson.loads(response.content)
            errors, message = body.get("errors"), body.get("message")
        except (ValueError, AttributeError):
            return None
        found = {str(name): str(text) for name, text in errors.items()} if isinstance(errors, dict) else {}
        more = [line.strip() for line in str(message or "").splitlines()[1:] if line.strip()]
        if more and not found:
            found[MORE] = "; ".join(more)[:_LONGEST_TEXT]
        return found or None


class TicketAuth(ProxmoxHTTPAuthBase):  # type: ignore[misc]
    """Login by password, when the first request is made and once an hour from then on; safe for several threads."""

    def __init__(self, connection: Connection, base_url: str, adapter: PveAdapter) -> None:
        super().__init__(verify_ssl=True)
        self._connection = connection
        self._url = f"{base_url}/access/ticket"
        self._session = _hardened(requests.Session(), adapter)
        self._lock = threading.Lock()
        self._ticket = ""
        self._csrf = ""
        self._born = 0.0

    def get_cookies(self) -> RequestsCookieJar:
        """The cookie of every request; logs in when there is no ticket, or an old one."""
        with self._lock:
            if not self._ticket or time.monotonic() - self._born >= _TICKET_SECONDS:
                self._log_in()
            cookies = RequestsCookieJar()
            cookies.set("PVEAuthCookie", self._ticket)
            return cookies

    def get_tokens(self) -> tuple[str, str]:
        """Ticket and CSRF token in use."""
        return self._ticket, self._csrf

    def __call__(self, request: "PreparedRequest") -> "PreparedRequest":
        """Add the CSRF token where PVE asks for it."""
        if request.method != "GET":
            request.headers["CSRFPreventionToken"] = self._csrf
        return request

    def _log_in(self) -> None:
        password = self._connection.password
        secret = password.get_secret_value() if password is not None else ""
        response = self._session.post(self._url, data={"username": self._connection.user, "password": secret})
        answer = Answer(response.status_code, readable_reason(response.reason), "POST", "/access/ticket")
        if response.status_code != 200:
            raise from_answer(answer)
        data = StrictSerializer().loads(response)
        if data.get("NeedTFA"):
            raise NotAuthenticated(
                f"{self._connection.user} logs in with a second factor, which a server cannot give.",
                "Use an API token: PROXMOX_TOKEN_NAME and PROXMOX_TOKEN_VALUE.",
                answer=answer,
            )
        self._ticket, self._csrf = data["ticket"], data["CSRFPreventionToken"]
        self._born = time.monotonic()
        redactor.learn(self._ticket, self._csrf)


def _hardened(session: requests.Session, adapter: PveAdapter) -> requests.Session:
    """The session with the one adapter; it follows no redirection, which would carry credentials elsewhere."""
    session.adapters.clear()
    session.mount("https://", adapter)
    session.max_redirects = 0
    return session


def readable_reason(reason: str | None) -> str:
    """A reason phrase as PVE wrote it: it sends UTF-8, which the HTTP client reads as Latin-1."""
    text = reason or ""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def open_connection(connection: Connection) -> Opened:
    """A connection by the settings. Nothing is dialled before the first request.

    Raises:
        SettingsError: the settings do not say whom to reach and as whom, or the CA file is no good.
    """
    host = connection.host or ""
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    base_url = f"https://{host}:{connection.port}/api2/json"
    adapter = PveAdapter(connection)
    session = _hardened(ProxmoxHttpSession(), adapter)
    session.headers["accept"] = "application/json"
    if connection.fingerprint is None and not connection.verify_tls:
        logger.warning("PROXMOX_VERIFY_TLS is off: credentials are sent to whoever answers at %s", host)
    if connection.token_value is not None:
        session.auth = ProxmoxHTTPApiTokenAuth(
            connection.user, connection.token_name, connection.token_value.get_secret_value(), verify_ssl=True
        )
    else:
        session.auth = TicketAuth(connection, base_url, adapter)
    api = ProxmoxResource(base_url=base_url, session=session, serializer=StrictSerializer())
    return Opened(api, session.close)


def reading_all(api: Any) -> Any:
    """A connection that somebody else has opened, with its answers read as ours are."""
    kept = getattr(api, "_store", None)
    if isinstance(kept, dict) and isinstance(kept.get("serializer"), JsonSerializer):
        kept["serializer"] = StrictSerializer()
    return api


def connection_error(error: requests.RequestException, connection: Connection) -> ConnectionFailed:
    """The failure of ours that a failed request stands for."""
    where = f"{connection.host}:{connection.port}"
    if isinstance(error, requests.exceptions.SSLError):
        return _tls_error(error, connection, where)
    if isinstance(error, requests.Timeout):
        return TimedOut(
            f"{where} gives no answer in time.",
            "Check that the node is up and that a firewall lets this machine reach it.",
        )
    if may_have_arrived(error):
        return Unreachable(
            f"{where} broke the connection off before its answer was complete: {_innermost(error)}.", "Call again."
        )
    if isinstance(error, requests.TooManyRedirects):
        return NotProxmox(
            f"{where} redirects elsewhere, which is not followed.", "Check PROXMOX_HOST and PROXMOX_PORT."
        )
    return Unreachable(
        f"{where} cannot be reached: {_innermost(error)}.",
        "Check PROXMOX_HOST and PROXMOX_PORT, that the node is up, and that a firewall lets this machine reach it.",
    )


def may_have_arrived(error: requests.RequestException) -> bool:
    """Whether the host may have got the request, and done what it asks, although no answer came."""
    if isinstance(error, requests.exceptions.ReadTimeout | requests.exceptions.ChunkedEncodingError):
        return True
    # What failed while connecting comes in a `MaxRetryError`; a connection that broke later, as it is.
    return isinstance(error, requests.ConnectionError) and any(isinstance(arg, ProtocolError) for arg in error.args)


def _tls_error(error: BaseException, connection: Connection, where: str) -> ConnectionFailed:
    text = str(error)
    if "Fingerprints did not match" in text:
        return FingerprintMismatch(
            f"The certificate of {where} is not the one that PROXMOX_FINGERPRINT names; nothing was sent to it.",
            "If the certificate was renewed, read the fingerprint on the node itself (pvenode cert info) and set that; "
            "if it was not, someone may be in between.",
        )
    if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text or "Hostname mismatch" in text:
        return CertificateUntrusted(
            f"The certificate of {where} is not trusted ({_innermost(error)}); nothing was sent to it.",
            "Set PROXMOX_CA_FILE to the cluster's /etc/pve/pve-root-ca.pem, or PROXMOX_FINGERPRINT to the SHA-256 "
            "fingerprint of the node's certificate.",
        )
    return NotProxmox(f"{where} does not speak TLS as PVE does ({_innermost(error)}).", "Check PROXMOX_PORT.")


def _innermost(error: BaseException) -> str:
    """What the operating system or the TLS library said, without the layers around it."""
    seen = error
    while True:
        inner = seen.__cause__ or getattr(seen, "reason", None) or seen.__context__
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        if inner is None:
            break
        seen = inner
    if isinstance(seen, ssl.SSLCertVerificationError):
        return seen.verify_message
    return str(getattr(seen, "strerror", None) or type(seen).__name__)
