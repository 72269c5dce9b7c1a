"""uvicorn's HTTP protocol with the two things that PVE's wire needs and uvicorn does not offer.

- The reason phrase: PVE puts its error texts there, and clients such as proxmoxer read them from it.
- Limits on the request's head, so that a client cannot make the server hold an endless one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# The ASGI extension by which the application names the reason phrase: `scope["extensions"][REASON](text)`.
REASON = "pvesim.reason"
# The one by which it closes the connection, after what was written: `scope["extensions"][CLOSE]()`.
CLOSE = "pvesim.close"

PATH_LIMIT = 8 * 1024  # bytes of the path; no path of the API comes near
TARGET_LIMIT = 64 * 1024  # bytes of path and query: PVE reads no longer line
HEADER_LIMIT = 64 * 1024  # bytes of all header lines together
HEADER_COUNT_LIMIT = 64  # PVE takes no more header lines

_NOT_PRINTABLE = dict.fromkeys((*range(0x20), 0x7F), " ")


class HeadRefused(Exception):
    """The request's head breaks a limit; raised inside the parser's callbacks to end the reading."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class WireProtocol(HttpToolsProtocol):
    """One client connection."""

    _refusal: HeadRefused | None = None
    _head_bytes = 0

    def on_message_begin(self) -> None:
        """A new request starts on this connection."""
        super().on_message_begin()
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Some of the request target has come in."""
        super().on_url(url)
        target = self.url
        if len(target) > PATH_LIMIT and (len(target) > TARGET_LIMIT or len(target.split(b"?", 1)[0]) > PATH_LIMIT):
            self._refuse(414, "URI Too Long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line has come in."""
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEADER_LIMIT or len(self.headers) > HEADER_COUNT_LIMIT:
            self._refuse(431, "Request Header Fields Too Large")

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be read, and close the connection."""
        refusal = self._refusal or HeadRefused(400, "Bad Request")
        head = f"HTTP/1.1 {refusal.status} {refusal}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode("ascii"))
        self.transport.close()

    def _refuse(self, status: int, reason: str) -> None:
        self._refusal = HeadRefused(status, reason)
        raise self._refusal

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        line = StatusLine(cycle.transport)
        cycle.transport = line  # type: ignore[assignment]
        ours = {REASON: line.set_reason, CLOSE: line.close}
        cycle.scope["extensions"] = cast("dict[str, dict[object, object]]", ours)
        super()._start_asgi_task(cycle, app)


class StatusLine:
    """A transport for one response that writes the status line with a reason phrase of its own."""

    __slots__ = ("_reason", "_transport", "close", "is_closing", "write")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._reason = b""
        self.close: Callable[[], None] = transport.close
        self.is_closing: Callable[[], bool] = transport.is_closing
        self.write: Callable[[bytes], None] = transport.write

    def set_reason(self, reason: str) -> None:
        """Use this phrase in the status line, which must not have been written yet.

        Control characters become spaces, so that no text can start a header of its own; other text goes out as
        UTF-8, as PVE sends it.
        """
        self._reason = reason.translate(_NOT_PRINTABLE).encode("utf-8", "replace")
        self.write = self._write_head

    def _write_head(self, data: bytes) -> None:
        self.write = self._transport.write
        if data.startswith(b"HTTP/1.1 100"):  # "Continue" stands before the real status line
            self._transport.write(data)
            self.write = self._write_head
            return
        line, rest = data.split(b"\r\n", 1)
        status = line.split(b" ", 2)[1]
        self._transport.write(b"HTTP/1.1 %b %b\r\n%b" % (status, self._reason, rest))
