"""A real node: requests that are repeated with patience, and tasks that are waited for."""

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import requests
from proxmoxer import ResourceException

from proxmox_mcp.answers import from_answer
from proxmox_mcp.errors import Answer, ProxmoxError
from proxmox_mcp.settings import Connection
from proxmox_mcp.transport import connection_error, open_connection, readable_reason

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_TRIES = 4
_SIDE_BY_SIDE = 4
_UNKNOWN_USER = 401
_BUSY = frozenset((502, 503, 504, 595, 596))
_OPTIONS = {
    r"PROXMOX_HOST and PROXMOX_PORT": "--url",
    r"PROXMOX_TOKEN_NAME (?:and|with) PROXMOX_TOKEN_VALUE": "--token",
    r"PROXMOX_TOKEN_(?:NAME|VALUE)": "--token",
    r"PROXMOX_HOST": "--url",
    r"PROXMOX_PORT": "the port in --url",
    r"PROXMOX_USER": "--user",
    r"PROXMOX_PASSWORD": "--password",
    r"PROXMOX_CA_FILE": "--ca",
    r"PROXMOX_FINGERPRINT": "--fingerprint",
}


class NodeUnfit(Exception):
    """The node cannot be used, or not so; the text says why and what to do. Nothing was changed."""


class SetupFailed(Exception):
    """A task or request that brings the node to a state failed."""


def in_our_words(error: BaseException) -> str:
    """What an error says, with the options of this command in place of the server's settings."""
    text = str(error)
    for settings, option in _OPTIONS.items():
        text = re.sub(settings, option, text)
    return text


def _refused(error: ResourceException, verb: str, path: str) -> ProxmoxError:
    return from_answer(Answer(error.status_code, readable_reason(error.content), verb.upper(), f"/{path}"))


class RealNode:
    """The API of a node as the run's own user sees it.

    Attributes:
        name, major: what the node is called, and which PVE it runs, once it was looked at.

    Raises:
        ResourceException: PVE refuses; `NodeUnfit`: there is no answer.
    """

    def __init__(self, connection: Connection, *, limit: float = 300.0, clock: Callable[[], float] = time.monotonic):
        connection.require_connection()
        self.connection, self.limit, self._clock = connection, limit, clock
        self._opened = open_connection(connection)
        self._answered = False
        self.name = ""
        self.major = 0

    def close(self) -> None:
        self._opened.close()

    def get(self, path: str, /, **params: Any) -> Any:
        return self.request("get", path, params)

    def post(self, path: str, /, **params: Any) -> Any:
        return self.request("post", path, params)

    def put(self, path: str, /, **params: Any) -> Any:
        return self.request("put", path, params)

    def delete(self, path: str, /, **params: Any) -> Any:
        return self.request("delete", path, params)

    def run(self, verb: str, path: str, /, **params: Any) -> Any:
        """A request, and the end of the task that it starts; its answer.

        Raises:
            SetupFailed: the task failed, or took longer than the limit.
        """
        answer = self.request(verb, path, params)
        if isinstance(answer, str) and answer.startswith("UPID:"):
            self.wait(answer)
        return answer

    def together(self, requests: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
        """Requests whose tasks run side by side, a few at a time; returns when all have ended.

        Raises:
            SetupFailed: a task failed, or took longer than the limit.
        """
        left = list(requests)
        while left:
            now, left = left[:_SIDE_BY_SIDE], left[_SIDE_BY_SIDE:]
            for answer in [self.request(*request) for request in now]:
                if isinstance(answer, str) and answer.startswith("UPID:"):
                    self.wait(answer)

    def wait(self, upid: str) -> None:
        """Look at a task, less and less often, until it has ended."""
        path = f"nodes/{upid.split(':')[1]}/tasks/{upid}"
        ended = self.until(lambda: (status := self.get(f"{path}/status"))["status"] == "stopped" and status, self.limit)
        if not ended:
            raise SetupFailed(f"{upid} has not ended within {self.limit:g} s")
        if ended["exitstatus"] != "OK" and not ended["exitstatus"].startswith("WARNINGS"):
            log = "; ".join(line["t"] for line in self.get(f"{path}/log", limit=20))
            raise SetupFailed(f"{upid}: {ended['exitstatus']} ({log})")

    def until(self, look: Callable[[], Any], limit: float) -> Any:
        """What a look shows, as soon as it is something; None when it was nothing for so many seconds."""
        end, pause = self._clock() + limit, _FIRST_PAUSE
        while not (seen := look()):
            if self._clock() > end:
                return None
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return seen

    def pending_network(self) -> bool:
        """Whether changes of the node's network wait to be applied: that stands beside the answer's data."""
        resource = self._opened.api(f"nodes/{self.name}/network")
        answer = resource._store["session"].get(resource._store["base_url"])
        return bool(answer.json().get("changes"))

    def request(self, verb: str, path: str, params: dict[str, Any]) -> Any:
        """One request. A read that gets no answer is repeated, once it is known that there is a PVE."""
        pause = 0.5
        for attempt in range(_TRIES):
            repeated = verb == "get" and self._answered and attempt + 1 < _TRIES
            try:
                answer = getattr(self._opened.api(path), verb)(**params)
            except requests.RequestException as error:
                if not repeated or isinstance(error, requests.exceptions.SSLError):
                    raise NodeUnfit(in_our_words(connection_error(error, self.connection))) from None
            except ResourceException as error:
                if error.status_code == _UNKNOWN_USER:
                    raise NodeUnfit(in_our_words(_refused(error, verb, path))) from None
                if error.status_code not in _BUSY or not repeated:
                    raise
            except ProxmoxError as error:
                raise NodeUnfit(in_our_words(error)) from None
            else:
                self._answered = True
                return answer
            time.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")
