"""A world for `proxmoxer` in the same process: a `requests` transport that asks the engine, with no socket."""

from __future__ import annotations

import io
import json
import time
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import requests
from proxmoxer import AuthenticationError, ProxmoxAPI
from proxmoxer.backends.https import ProxmoxHTTPAuth
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import IncompleteRead, ProtocolError
from urllib3.response import HTTPResponse

from pvesim.access.login import make_csrf_token, make_ticket
from pvesim.access.records import Token
from pvesim.access.rules import ROOT
from pvesim.wire import FORM_TYPE, WireRequest, WireResponse

if TYPE_CHECKING:
    from pvesim.engine import Simulator

HOST = "pvesim.invalid"  # a name that can never be looked up: a request that got past the adapter would fail


class WorldAdapter(BaseAdapter):
    """Answers the requests of a `requests` session from a simulator."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()
        self._simulator = simulator

    def send(self, request: requests.PreparedRequest, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        answer = self._simulator.handle(
            WireRequest(
                request.method or "GET",
                parts.path,
                parts.query,
                {name.lower(): _text(value) for name, value in request.headers.items()},
                _body(request.body),
            )
        )
        _check_delivery(request, answer, timeout)
        response = requests.Response()
        response.status_code, response.reason = answer.status, answer.reason
        response.headers = CaseInsensitiveDict(answer.headers)
        response.encoding = "utf-8"
        response.url, response.request = request.url or "", request
        response._content = answer.body
        response._content_consumed = True  # type: ignore[attr-defined]
        response.raw = HTTPResponse(io.BytesIO(b""), status=answer.status, reason=answer.reason)
        return response

    def close(self) -> None:
        """Nothing is held open."""


def _check_delivery(request: requests.PreparedRequest, answer: WireResponse, timeout: Any) -> None:
    """Raise what `requests` raises when a fault keeps the answer from the client, or delays it beyond its patience."""
    patience = timeout[1] if isinstance(timeout, tuple) else timeout
    if patience is not None and answer.latency >= patience:
        raise requests.exceptions.ReadTimeout(
            f"HTTPSConnectionPool(host='{HOST}', port=8006): Read timed out. (read timeout={patience})", request=request
        )
    if answer.connection in ("drop", "lose"):
        gone = RemoteDisconnected("Remote end closed connection without response")
        raise requests.exceptions.ConnectionError(ProtocolError("Connection aborted.", gone), request=request)
    if answer.connection == "cut":
        got = len(answer.body) // 2
        broken = IncompleteRead(got, len(answer.body) - got)
        raise requests.exceptions.ChunkedEncodingError(
            ProtocolError(f"Connection broken: {broken!r}", broken), request=request
        )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else bytes(body.read())


def connect(simulator: Simulator, user: str = ROOT, **credentials: Any) -> ProxmoxAPI:
    """An unmodified `ProxmoxAPI` on a simulator.

    `user` is a user id or a full token id (`root@pam!name`); of a token the world knows the secret. A user logs in with
    `password` as over the wire; without one a ticket is made for it. `timeout` and other keywords go to proxmoxer.

    Raises `KeyError` for a token that is not there, proxmoxer's `AuthenticationError` for a wrong password.
    """
    userid, _, tokenid = user.partition("!")
    if tokenid:
        secret = credentials.pop("token_value", None) or simulator.world.rows(Token)[user].secret
        api = ProxmoxAPI(HOST, user=userid, token_name=tokenid, token_value=secret, **credentials)
    else:
        api = _with_ticket(simulator, userid, credentials)
    session: requests.Session = api._store["session"]
    session.mount("https://", WorldAdapter(simulator))
    return api


class _WorldLogin(ProxmoxHTTPAuth):  # type: ignore[misc]
    """proxmoxer's ticket login, asked of the world instead of the network, which proxmoxer's own dials at once."""

    def __init__(self, simulator: Simulator, username: str, password: str | None, **options: Any) -> None:
        self._simulator = simulator
        self._password = password
        self.pve_auth_ticket = ""
        super().__init__(username, password or "", **options)

    def _get_new_tokens(self, password: str | None = None, otp: str | None = None, otptype: str = "totp") -> None:
        if self._password is None:
            world = self._simulator.world
            answer = {
                "ticket": make_ticket(world, self.username),
                "CSRFPreventionToken": make_csrf_token(world, self.username),
            }
        else:
            form = urlencode({"username": self.username, "password": password or self.pve_auth_ticket})
            headers = {"content-type": FORM_TYPE}
            response = self._simulator.handle(
                WireRequest("POST", "/api2/json/access/ticket", "", headers, form.encode())
            )
            if response.status != 200:
                raise AuthenticationError(
                    f"Couldn't authenticate user: {self.username}: {response.status} {response.reason}"
                )
            answer = json.loads(response.body)["data"]
        self.birth_time = time.monotonic()
        self.pve_auth_ticket = answer["ticket"]
        self.csrf_prevention_token = answer["CSRFPreventionToken"]


def _with_ticket(simulator: Simulator, userid: str, credentials: dict[str, Any]) -> ProxmoxAPI:
    password = credentials.pop("password", None)
    # A token makes proxmoxer dial nothing while it is being made; the login then takes the token's place.
    api = ProxmoxAPI(HOST, user=userid, token_name="none", token_value="none", **credentials)
    login = _WorldLogin(simulator, userid, password, timeout=credentials.get("timeout", 5))
    api._backend.auth = api._store["session"].auth = login
    return api
