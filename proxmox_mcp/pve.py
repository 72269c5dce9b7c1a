"""`Pve`: the PVE API for asynchronous callers.

    pve = Pve(settings)
    nodes = await pve.get("/nodes")
    upid = await pve.post("/nodes/pve1/qemu/100/status/start")

`proxmoxer` makes the requests, in a bounded number of threads. Nothing is imported for that, and nothing is dialled,
before the first call.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import anyio
import anyio.to_thread

from proxmox_mcp.answers import from_answer
from proxmox_mcp.errors import (
    Answer,
    InvalidArgument,
    NotAuthenticated,
    RequestRefused,
    TimedOut,
    Unreachable,
)
from proxmox_mcp.settings import Connection

if TYPE_CHECKING:
    from proxmox_mcp.transport import Opened

Method = Literal["GET", "POST", "PUT", "DELETE"]
Connect = Callable[[], Any]
"""Makes a `proxmoxer.ProxmoxAPI`; called once, in a worker thread, when the first request is made."""

started: ContextVar[list[str] | None] = ContextVar("started", default=None)
"""Takes down the UPIDs of the tasks that are started, where a list is set: the caller may be gone before they end."""

# The node that was asked, or one behind it, was out of reach or busy; nothing was done.
_TRANSIENT = frozenset({502, 503, 504, 595, 596})
_FIRST_PAUSE = 0.2
_MAY_BE_DONE = "It may have been done nevertheless: look at get_cluster_tasks and at the guest before you repeat it."
_SAFE_IN_A_SEGMENT = ":@!+,;=~$&'()*"


class Pve:
    """The PVE API of one cluster. Safe for concurrent use.

    Args:
        settings: how to connect, how long to wait, how many requests at once.
        connect: makes the connection in place of the settings; an embedded simulator gives its own.
        cluster: what the cluster is called in the audit and in requests for approval; by default host and port.
        user: as whom it is asked; by default the user, or token, of the settings.

    Attributes:
        cluster, user: as given.
    """

    def __init__(
        self,
        settings: Connection,
        connect: Connect | None = None,
        *,
        cluster: str | None = None,
        user: str | None = None,
    ) -> None:
        self._settings = settings
        self.cluster = cluster or f"{settings.host}:{settings.port}"
        self.user = user or settings.identity
        self._connect = connect
        self._opened: Opened | None = None
        self._lock = threading.Lock()
        self._limiter = anyio.CapacityLimiter(settings.concurrency)

    async def get(self, path: str, /, **params: Any) -> Any:
        """The `data` of a GET; repeated when the connection fails. Errors: see `request`."""
        return await self.request("GET", path, params)

    async def post(self, path: str, /, **params: Any) -> Any:
        """The `data` of a POST, never repeated. Errors: see `request`."""
        return await self.request("POST", path, params)

    async def put(self, path: str, /, **params: Any) -> Any:
        """The `data` of a PUT, never repeated. Errors: see `request`."""
        return await self.request("PUT", path, params)

    async def delete(self, path: str, /, **params: Any) -> Any:
        """The `data` of a DELETE, never repeated. Errors: see `request`."""
        return await self.request("DELETE", path, params)

    async def request(
        self, method: Method, path: str, params: Mapping[str, Any] | None = None, *, within: float | None = None
    ) -> Any:
        """Make one request.

        Args:
            method: HTTP method.
            path: below `/api2/json`, such as `/nodes/pve1/qemu/100/config`; unescaped.
            params: parameters; `None` leaves one out, a boolean becomes 1 or 0.
            within: seconds for all of it, in place of the setting.

        Returns:
            What stands under `data` in the answer.

        Raises:
            ConnectionFailed: no answer, or none that can be trusted.
            RequestRefused: PVE's error, as the subclass that fits.
            InvalidArgument: the path has an empty segment, or one of dots.
            SettingsError: the settings do not say how to connect.
        """
        segments = _segments(path)
        clean = {
            name: int(value) if isinstance(value, bool) else value
            for name, value in (params or {}).items()
            if value is not None
        }
        seconds = self._settings.timeout if within is None else within
        until = time.monotonic() + seconds
        try:
            with anyio.fail_after(seconds):
                answer = await self._attempts(method, path, segments, clean, until)
        except TimeoutError:
            raise _timed_out(method, path, seconds) from None
        if method != "GET" and isinstance(answer, str) and answer.startswith("UPID:"):
            tasks = started.get()
            if tasks is not None:
                tasks.append(answer)
        return answer

    async def aclose(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            await anyio.to_thread.run_sync(opened.close)

    async def _attempts(self, method: Method, path: str, segments: str, params: dict[str, Any], until: float) -> Any:
        repeats = self._settings.retries if method == "GET" else 0
        pause = _FIRST_PAUSE
        may_log_in_again = self._settings.password is not None and self._settings.token_value is None
        while True:
            try:
                return await anyio.to_thread.run_sync(
                    self._call, method, path, segments, params, until, abandon_on_cancel=True, limiter=self._limiter
                )
            except NotAuthenticated as error:
                # A ticket can die before its hour is over; what 401 refuses was not done, so a write may be repeated.
                if not may_log_in_again or error.path == "/access/ticket":
                    raise
                may_log_in_again = False
                await self.aclose()
            except (Unreachable, RequestRefused) as error:
                if repeats == 0 or (isinstance(error, RequestRefused) and error.status not in _TRANSIENT):
                    raise
                repeats -= 1
                await anyio.sleep(pause)
                pause *= 2

    def _call(self, method: Method, path: str, segments: str, params: dict[str, Any], until: float) -> Any:
        """One request, in a worker thread."""
        # Imported here and in `_api`, because that takes time which a server should not spend before it is asked.
        from proxmoxer.core import AuthenticationError, ResourceException
        from requests import RequestException

        from proxmox_mcp.transport import MORE, connection_error, deadline, may_have_arrived, readable_reason

        deadline.set(until)
        try:
            return getattr(self._api()(segments), method.lower())(**params)
        except AuthenticationError as error:
            # Only a connection that was injected logs in the way proxmoxer does.
            raise from_answer(Answer(401, str(error), "POST", "/access/ticket")) from None
        except ResourceException as error:
            errors = error.errors if isinstance(error.errors, dict) else {}
            # A body that is not JSON reaches us as bytes under "errors"; only texts are PVE's.
            fields = {str(name): text for name, text in errors.items() if isinstance(text, str)}
            reason = readable_reason(error.content)
            if more := fields.pop(MORE, ""):
                reason = f"{reason.rstrip('.')}: {more}"
            answer = Answer(error.status_code, reason, method, path, fields)
            raise from_answer(answer) from None
        except RequestException as error:
            failed = connection_error(error, self._settings)
            if method != "GET" and may_have_arrived(error):
                failed = type(failed)(f"{failed.what} That was {method} {path}.", _MAY_BE_DONE)
            raise failed from None

    def _api(self) -> Any:
        with self._lock:
            if self._opened is None:
                from proxmox_mcp.transport import Opened, open_connection, reading_all

                if self._connect is not None:
                    self._opened = Opened(reading_all(self._connect()), lambda: None)
                else:
                    self._settings.require_connection()
                    self._opened = open_connection(self._settings)
            return self._opened.api


@lru_cache(maxsize=256)
def _segments(path: str) -> str:
    """The path, escaped segment by segment, so that no value in it can reach another path or a query."""
    parts = path.strip("/").split("/")
    for part in parts:
        if part in {"", ".", ".."} or any(ord(character) < 32 for character in part):
            raise InvalidArgument(f"{path!r} is no path of the PVE API: it has an empty or dotted part.")
    return "/".join(quote(part, safe=_SAFE_IN_A_SEGMENT) for part in parts)


def _timed_out(method: Method, path: str, seconds: float) -> TimedOut:
    if method == "GET":
        advice = "Call again; if it stays slow, raise PROXMOX_TIMEOUT or look at the node's load with get_node_status."
    else:
        advice = _MAY_BE_DONE
    return TimedOut(f"PVE did not answer {method} {path} within {seconds:g} s.", advice)
