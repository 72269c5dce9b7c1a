"""A world over HTTP: `/api2/…` goes to the engine as it came in, `/_sim/…` to the control API.

The application is plain ASGI, because the engine wants the request raw (percent-escapes, repeated fields, odd bodies)
and sets what frameworks hide (reason phrases, unusual status codes). FastAPI serves what is ours, and is loaded when
the control API is first asked for: a world that is only used through PVE's API costs neither its time nor its memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Protocol

from pvesim.serve.protocol import CLOSE, REASON
from pvesim.wire import FORM_LIMIT, WireRequest, WireResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Uploads are held in memory here, so they are bounded too; PVE bounds them by the space on the node only.
UPLOAD_LIMIT = 256 * 1024 * 1024
# A longer body is parsed in a thread, so that the other clients' requests need not wait for it.
_LARGE_BODY = 64 * 1024

# What PVE's daemon sends with every answer, beside the date and the moment of expiry.
_DAEMON_HEADERS = (("Cache-Control", "max-age=0"), ("Pragma", "no-cache"), ("Server", "pve-api-daemon/3.0"))

_requests_log = logging.getLogger("pvesim.requests")
_log = logging.getLogger("pvesim.serve")


class ClockLike(Protocol):
    """What the face needs to know of the clock."""

    @property
    def mode(self) -> str:
        """How time passes: `auto`, `scaled` or `manual`."""

    @property
    def scale(self) -> float:
        """Real seconds that one virtual second takes, in mode `scaled`."""


class Engine(Protocol):
    """What the face needs of a `Simulator`."""

    @property
    def clock(self) -> ClockLike:
        """The clock of the world that is served."""

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request."""


class UploadTooLarge(Exception):
    """The request's body is longer than what is held in memory."""


class ClientLeft(Exception):
    """The client broke off before its request was complete, so nothing of it is carried out."""


class Face:
    """The ASGI application of one served world.

    `control` makes the application for `/_sim/…` when that is first asked for.
    """

    def __init__(self, engine: Engine, control: Callable[[], Application], *, log_requests: bool = False) -> None:
        self._engine = engine
        self._make_control = control
        self._control: Application | None = None
        self._control_lock = asyncio.Lock()
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: bytes = scope["raw_path"]
        if path.startswith(b"/api2/") or path == b"/api2":
            await self._serve_api(scope, receive, send)
        elif path.startswith(b"/_sim/") or path == b"/_sim" or (path == b"/" and _wants_page(scope["headers"])):
            await (await self._control_app())(scope, receive, send)
        elif path == b"/":
            await _send(send, scope, _text(200, "OK", "pvesim: API at /api2/json, control API at /_sim/docs\n"))
        else:
            await _send(send, scope, _text(404, "Not Found", "Nothing here: the API is at /api2/json\n"))

    async def _control_app(self) -> Application:
        if self._control is None:
            async with self._control_lock:
                if self._control is None:
                    self._control = await asyncio.to_thread(self._make_control)
        return self._control

    async def _serve_api(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        headers = read_headers(scope["headers"])
        try:
            body = await _read_body(receive, is_upload=headers.get("content-type", "").startswith("multipart/"))
        except ClientLeft:
            return
        except UploadTooLarge:
            response = _text(413, "upload too large", f"pvesim takes uploads of at most {UPLOAD_LIMIT} bytes\n")
        else:
            response = await self._ask(_wire_request(scope, headers, body))
            await self._wait(response)
        response = replace(response, headers=(*response.headers, *_daemon_headers(int(time.time()))))
        if response.connection:
            await _break(receive, send, scope, response)
        else:
            await _send(send, scope, response)
        if self._log_requests:
            self._write_log(scope, response, time.monotonic() - started)

    async def _ask(self, request: WireRequest) -> WireResponse:
        try:
            if len(request.body) > _LARGE_BODY:
                return await asyncio.to_thread(self._engine.handle, request)
            return self._engine.handle(request)
        except Exception as error:  # noqa: BLE001 - a defect in one answer must not end the connection of the client
            _log.error("%s %s: internal error, %r", request.method, request.path, error)
            _log.debug("the defect's traceback", exc_info=error)
            return _text(500, "pvesim internal error", f"pvesim internal error: {type(error).__name__}\n")

    async def _wait(self, response: WireResponse) -> None:
        """A node that takes its time (after a failed login, say) does so in virtual seconds.

        Where virtual time stands still, what a fault adds is waited for in real ones.
        """
        if response.delay <= 0 and response.latency <= 0:
            return
        clock = self._engine.clock
        if clock.mode == "scaled":
            await asyncio.sleep((response.delay + response.latency) * clock.scale)
        else:
            await asyncio.sleep(response.latency)

    @staticmethod
    def _write_log(scope: Scope, response: WireResponse, seconds: float) -> None:
        # The raw target: percent-escapes keep control characters of a client out of the terminal.
        target = scope["raw_path"].decode("ascii", "backslashreplace")
        _requests_log.info(
            "%s %s -> %d %s (%.1f ms)", scope["method"], target, response.status, response.reason, seconds * 1000
        )


@lru_cache(maxsize=1)
def _daemon_headers(second: int) -> tuple[tuple[str, str], ...]:
    date = formatdate(second, usegmt=True)
    return (*_DAEMON_HEADERS, ("Date", date), ("Expires", date))


def _wants_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser asks, which gets the live page."""
    return any(name == b"accept" and b"text/html" in value for name, value in headers)


def read_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name. Repeated ones are joined as HTTP says: cookies by `; `, others by `, `."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in headers:
            value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
        headers[name] = value
    return headers


def _wire_request(scope: Scope, headers: Mapping[str, str], body: bytes) -> WireRequest:
    client = scope["client"]
    return WireRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        peer=client[0] if client else "127.0.0.1",
    )


async def _read_body(receive: Receive, *, is_upload: bool) -> bytes:
    """The whole body. Raises `UploadTooLarge` or `ClientLeft`.

    Of a form that is too long, one byte more than the limit is read: the engine refuses it when its turn has come.
    """
    message = await receive()
    if message["type"] == "http.request" and not message["more_body"]:
        whole: bytes = message["body"]
        return whole
    body = bytearray()
    while message["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)
        if not is_upload and len(body) > FORM_LIMIT:
            return bytes(body[: FORM_LIMIT + 1])
        if len(body) > UPLOAD_LIMIT:
            raise UploadTooLarge
        message = await receive()
    raise ClientLeft


async def _break(receive: Receive, send: Send, scope: Scope, response: WireResponse) -> None:
    """Close the connection with half the answer sent, or none of it."""
    if response.connection == "cut":
        await _send(send, scope, response, complete=False)
    scope["extensions"][CLOSE]()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, scope: Scope, response: WireResponse, *, complete: bool = True) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % len(response.body)))
    name_reason = scope.get("extensions", {}).get(REASON)
    if name_reason is not None:
        name_reason(response.reason)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = response.body if complete else response.body[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": body, "more_body": not complete})


def _text(status: int, reason: str, text: str) -> WireResponse:
    return WireResponse(
        status=status, reason=reason, headers=(("content-type", "text/plain; charset=utf-8"),), body=text.encode()
    )
