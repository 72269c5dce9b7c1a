"""The control API of a running server, as the commands use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from pvesim.core.errors import SimError

_PATIENCE = 30.0  # seconds
_HERE = ("localhost", "127.0.0.1", "[::1]", "::1")


class ControlClient:
    """Asks `/_sim/…` of the server at `url`.

    On this machine the certificate is not looked at, for a simulator makes its own; elsewhere it is, with the
    authority in `authority` if given. Raises `SimError` with one text for whatever goes wrong.
    """

    def __init__(self, url: str, authority: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SimError(f"'{url}' is no URL of a server: write https://127.0.0.1:8006")
        self.url = url.rstrip("/")
        self._verify: bool | str = str(authority) if authority else parts.hostname not in _HERE

    def ask(self, verb: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer."""
        return self._send(verb, path, body).json()

    def text(self, path: str) -> str:
        """The text of the answer."""
        return self._send("GET", path, None).text

    def _send(self, verb: str, path: str, body: Any) -> requests.Response:
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        try:
            answer = requests.request(verb, f"{self.url}/_sim{path}", json=body, verify=self._verify, timeout=_PATIENCE)
        except requests.exceptions.SSLError as error:
            raise SimError(f"{self.url}: its certificate is not trusted: give --ca FILE ({error})") from None
        except (requests.exceptions.RequestException, OSError) as error:
            raise SimError(
                f"no pvesim answers at {self.url}: is it running? give --url ({type(error).__name__})"
            ) from None
        if answer.ok:
            return answer
        raise SimError(_reason(answer))


def _reason(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}: this is no pvesim server"
