"""A world behind a socket, in a thread of this process."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from pvesim.serve.errors import ServeError
from pvesim.serve.http import Application, Face
from pvesim.serve.protocol import WireProtocol
from pvesim.serve.tls import Identity, make_identity

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_KEEP_ALIVE = 75  # seconds that an idle connection is kept: longer than clients keep theirs in a pool
_BACKLOG = 2048
_START_LIMIT = 30.0  # seconds; a start that takes longer has failed

_log = logging.getLogger("pvesim.serve")


class SimServer:
    """Serves a `Simulator` over HTTPS, or plain HTTP with `tls=False`.

        with SimServer(Simulator("homelab")) as server:
            requests.get(server.url + "/api2/json/version", verify=server.ca_file)

    The port is taken when the object is made (`port=0`: a free one), requests are answered from `start` to `stop`.
    `names` are further host names or addresses for the certificate; `identity` brings a certificate along.
    `control_open` lets clients that are not on this machine use the control API.
    Raises `ServeError` if the port cannot be had.
    """

    def __init__(
        self,
        simulator: Any,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = True,
        identity: Identity | None = None,
        names: Iterable[str] = (),
        control_open: bool = False,
        log_requests: bool = False,
    ) -> None:
        self.simulator = simulator
        self.identity = (identity or make_identity([*names, *_certificate_names(host)])) if tls else None
        context = self.identity.context() if self.identity else None
        self._socket = _listen(host, port)
        self.host = _ANY_ADDRESS.get(host, host)
        self.port: int = self._socket.getsockname()[1]
        face = Face(simulator, _control_factory(simulator, control_open=control_open), log_requests=log_requests)
        config = uvicorn.Config(
            face,
            http=WireProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            backlog=_BACKLOG,
            ssl_context_factory=(lambda _config, _default: context) if context else None,
        )
        self._server = _Server(config)
        self._thread: threading.Thread | None = None
        self._files: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """Where the server is reached, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.identity else 'http'}://{host}:{self.port}"

    @property
    def fingerprint(self) -> str:
        """The certificate's SHA-256 fingerprint as PVE writes it. Raises `ServeError` without TLS."""
        return self._identity().fingerprint

    @property
    def ca_file(self) -> str:
        """A PEM file of the authority that signed the certificate; it lasts until `stop`.

        Raises `ServeError` without TLS, or with a certificate that was brought along.
        """
        authority = self._identity().authority
        if authority is None:
            raise ServeError("the certificate was brought along: its authority's file is not known here")
        if self._files is None:
            self._files = tempfile.TemporaryDirectory(prefix="pvesim-")
        path = Path(self._files.name, "authority.pem")
        path.write_bytes(authority)
        return str(path)

    def start(self) -> Self:
        """Answer requests from now on, in a thread of its own. Returns when the server is ready."""
        if self._thread is not None:
            raise ServeError("this server was started before: make a new one")
        self._thread = threading.Thread(target=self._run, name=f"pvesim-{self.port}", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(_START_LIMIT) or not self._thread.is_alive():
            raise ServeError(f"the server on port {self.port} did not start")
        return self

    def stop(self) -> None:
        """End at once: connections are closed, the port is free when this returns. Stopping twice is no error."""
        if self._thread is not None:
            self._server.end()
            self._thread.join()
        self._socket.close()
        if self._files is not None:
            self._files.cleanup()
            self._files = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _identity(self) -> Identity:
        if self.identity is None:
            raise ServeError("the server speaks plain HTTP: it has no certificate")
        return self.identity

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.get_loop().set_exception_handler(_note_connection_error)
                runner.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._server.ready.set()


class _Server(uvicorn.Server):
    """uvicorn's server, ended by an event instead of a poll, and ended at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()

    def end(self) -> None:
        """Ask the server to end; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end.set)

    async def main_loop(self) -> None:
        """Serve until `end`."""
        self._loop = asyncio.get_running_loop()
        self.ready.set()
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop what is open. The engine is never interrupted: it does not give way inside a request."""
        for server in self.servers:
            server.close()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # the connections hear that they are lost
        for server in self.servers:
            await server.wait_closed()


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ServeError(f"a port is a number from 0 to 65535, not {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(f"port {port} on {host} is in use: stop what listens there, or choose another") from error
        raise ServeError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error


def _certificate_names(host: str) -> list[str]:
    return [] if host in _ANY_ADDRESS else [host]


def _control_factory(simulator: Any, *, control_open: bool) -> Callable[[], Application]:
    def make() -> Application:
        from pvesim.serve.control import build_control_app

        return build_control_app(simulator, control_open=control_open)

    return make


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for Windows
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _note_connection_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A client that breaks off, or does not trust the certificate, is no event for the user's terminal."""
    error = context.get("exception")
    level = logging.DEBUG if isinstance(error, OSError) else logging.WARNING  # TLS errors are OSErrors too
    _log.log(level, "connection: %s (%r)", context.get("message"), error)
