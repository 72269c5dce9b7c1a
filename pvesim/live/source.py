"""Where answers come from: a cluster over HTTPS, or a simulator in this process. Nothing but GET can be asked.

SimError
  LiveError               the cluster cannot be asked at all: address, certificate, token; says what to do
  Unreadable              one path cannot be read: no privilege, node offline, not there; reading goes on without it
"""

from __future__ import annotations

from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter

from pvesim.access.rules import ROOT
from pvesim.core.errors import ApiError, BrokenConnection, SimError
from pvesim.engine import Simulator


class LiveError(SimError):
    """The cluster cannot be asked. The text says why and what to do."""


class Unreadable(SimError):
    """A path that cannot be read, with the status and the reason that were given."""

    def __init__(self, path: str, status: int, reason: str) -> None:
        super().__init__(f"{path}: {status} {reason}")
        self.path = path
        self.status = status
        self.reason = reason


class Source(Protocol):
    """Something that answers GET requests as a PVE cluster does."""

    def get(self, path: str, **params: Any) -> Any:
        """The `data` of the answer. Raises `Unreadable`, and `LiveError` where nothing can be asked."""


class SimulatedCluster:
    """A simulator as a source."""

    def __init__(self, simulator: Simulator, user: str = ROOT) -> None:
        self._simulator = simulator
        self._user = user

    def get(self, path: str, **params: Any) -> Any:
        """The `data` of the answer."""
        try:
            return self._simulator.request("GET", path, params, user=self._user)
        except ApiError as error:
            raise Unreadable(path, error.status, error.message.partition("\n")[0]) from error
        except BrokenConnection as error:
            raise Unreadable(path, 596, str(error)) from error


class _Pinned(HTTPAdapter):
    """Trusts one certificate by its fingerprint, whoever signed it."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(
            *arguments, **options, assert_fingerprint=self._fingerprint, assert_hostname=False, cert_reqs="CERT_NONE"
        )


class LiveCluster:
    """A cluster over HTTPS, asked with an API token (`user@realm!name`), for which PVEAuditor on `/` is enough.

    Its certificate is verified by the system's authorities, by `ca` (a PEM file), or by `fingerprint` (SHA-256);
    `insecure` verifies nothing.
    """

    def __init__(
        self,
        host: str,
        token: str,
        secret: str,
        *,
        port: int = 8006,
        ca: str | None = None,
        fingerprint: str | None = None,
        insecure: bool = False,
        timeout: float = 30.0,
    ) -> None:
        if token.count("!") != 1 or "@" not in token.partition("!")[0]:
            raise LiveError(f"a token is written user@realm!name, not '{token}'")
        self._url = f"https://{f'[{host}]' if ':' in host else host}:{port}/api2/json"
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy or .netrc of this machine is no part of the question
        self._session.headers["Authorization"] = f"PVEAPIToken={token}={secret}"
        self._session.verify = ca or not (insecure or fingerprint)
        if fingerprint:
            self._session.mount("https://", _Pinned(fingerprint.replace(":", "").lower()))
        if insecure or fingerprint:
            import urllib3

            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def get(self, path: str, **params: Any) -> Any:
        """The `data` of the answer."""
        try:
            answer = self._session.get(self._url + path, params=params, timeout=self._timeout, allow_redirects=False)
        except requests.exceptions.SSLError as error:
            raise LiveError(
                f"{self._url}: the certificate cannot be verified ({_root(error)}): give --ca or --fingerprint"
            ) from error
        except (requests.RequestException, UnicodeError) as error:
            raise LiveError(f"{self._url}: no answer: {_root(error)}") from error
        if answer.status_code == 401:
            raise LiveError(f"{self._url}: the token is refused ({answer.reason}): check its name and secret")
        if answer.status_code != 200:
            raise Unreadable(path, answer.status_code, answer.reason or "")
        try:
            return answer.json()["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise LiveError(f"{self._url}{path}: the answer is none of a PVE API") from error


def _root(error: BaseException) -> str:
    """The innermost reason of an error, which says most."""
    reason: Any = error
    while True:
        inner = getattr(reason, "reason", None) or (reason.args[0] if getattr(reason, "args", None) else None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return str(reason).rpartition(": ")[2] if "HTTPSConnection" in str(reason) else str(reason)
