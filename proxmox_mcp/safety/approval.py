"""Approvals out of band: a person at the server's machine reads what is asked for, and answers by a code.

    proxmox-mcp approvals
    proxmox-mcp approve 7KQ2-M9XD

An approval is for one act: this tool, these arguments, this guest in the state that was previewed. It counts once, and
not for long. The code stands in the file and on the server's standard error, never in an answer to a model; and a code
alone does nothing: it has to be given at the command line, on a terminal.
"""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from proxmox_mcp.errors import NotApproved
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.files import locked, own_folder, read_own, replace_file

State = Literal["pending", "approved", "denied"]

# Without the letters and digits that look alike.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_MOST_PENDING = 40
_MOST_PENDING_OF_ONE = 20


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be approved.

    Attributes:
        digest: of tool, arguments, cluster and user: the same call made again has the same.
        scope: of tool, cluster and guests: what a denial holds for.
        tool, arguments: for the person; the arguments without secrets.
        cluster: which one, and as whom.
        client: which MCP client asks.
    """

    digest: str
    scope: str
    tool: str
    arguments: dict[str, Any]
    cluster: str
    client: str
    preview: Preview


@dataclass(frozen=True, slots=True)
class Request:
    """A request for an approval, as it is kept. Times are seconds since 1970."""

    code: str
    state: State
    made: float
    until: float
    digest: str
    scope: str
    fingerprint: str
    tool: str
    arguments: dict[str, Any]
    cluster: str
    client: str
    summary: str
    target: str
    facts: list[str]


class Approvals:
    """The requests for approval of all servers of one user, in one file.

    Args:
        folder: where the file is kept; made when it is first needed.
        seconds: how long a request, and the answer to it, counts.
        now: a clock, in seconds since 1970.
    """

    def __init__(self, folder: Path, seconds: float, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._path = folder / "approvals.json"
        self._seconds = seconds
        self._now = now

    def take(self, act: Act) -> tuple[State | Literal["changed"], Request]:
        """Use up the approval of an act, or ask for one.

        Returns:
            `approved`: it was, and is used up. `denied`: it was refused, which stays so until it expires. `pending`:
            nobody has answered yet. `changed`: the guest is not in the state that was approved; the approval is void,
            and a new one asked for.

        Raises:
            OSError: the file cannot be read or written.
            NotApproved: too many requests are open already.
        """
        with locked(own_folder(self._folder) / "approvals.lock"):
            requests = self._read()
            same = [request for request in requests if request.digest == act.digest]
            current = next((request for request in same if request.fingerprint == act.preview.fingerprint), None)
            of_it = (request for request in requests if act.scope == request.scope)
            denied = next((request for request in of_it if request.state == "denied"), None)
            if denied is not None:
                return "denied", denied
            if current is not None and current.state == "approved":
                self._write([request for request in requests if request is not current])
                return "approved", current
            if current is not None:
                return "pending", current
            kept = [request for request in requests if request.digest != act.digest]
            waiting = [request for request in kept if request.state == "pending"]
            if len(waiting) >= _MOST_PENDING or _of(waiting, act.client) >= _MOST_PENDING_OF_ONE:
                raise NotApproved(
                    f"{len(waiting)} calls wait for a person's approval already; no more are asked for.",
                    "They are answered with proxmox-mcp approvals, or expire by themselves.",
                )
            made = self._made(act)
            self._write([*kept, made])
            return "changed" if same else "pending", made

    def listed(self) -> list[Request]:
        """All that have not expired, the oldest first."""
        with locked(own_folder(self._folder) / "approvals.lock"):
            return sorted(self._read(), key=lambda request: request.made)

    def find(self, code: str) -> Request | None:
        """The open request of a code, as people type it: case and dashes do not matter."""
        wanted = _plain(code)
        return next(
            (request for request in self.listed() if _plain(request.code) == wanted and request.state == "pending"),
            None,
        )

    def decide(self, code: str, approved: bool) -> Request | None:
        """Answer an open request; `None` when there is none of that code. An answer cannot be changed."""
        wanted = _plain(code)
        with locked(own_folder(self._folder) / "approvals.lock"):
            requests = self._read()
            for number, request in enumerate(requests):
                if _plain(request.code) == wanted and request.state == "pending":
                    state: State = "approved" if approved else "denied"
                    requests[number] = replace(request, state=state, until=self._now() + self._seconds)
                    self._write(requests)
                    return requests[number]
        return None

    def _made(self, act: Act) -> Request:
        now = self._now()
        letters = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        return Request(
            code=f"{letters[:4]}-{letters[4:]}",
            state="pending",
            made=now,
            until=now + self._seconds,
            digest=act.digest,
            scope=act.scope,
            fingerprint=act.preview.fingerprint,
            tool=act.tool,
            arguments=act.arguments,
            cluster=act.cluster,
            client=act.client,
            summary=act.preview.summary,
            target=act.preview.target,
            facts=list(act.preview.facts),
        )

    def _read(self) -> list[Request]:
        content = read_own(self._path)
        if content is None:
            return []
        try:
            requests = [Request(**record) for record in json.loads(content)]
        except (ValueError, TypeError):
            # Not one that this server wrote: whatever stands there approves nothing.
            return []
        now = self._now()
        return [request for request in requests if request.made <= now + 60 and request.until > now]

    def _write(self, requests: list[Request]) -> None:
        text = json.dumps([asdict(request) for request in requests], ensure_ascii=False, indent=1)
        replace_file(self._path, text.encode("utf-8", "surrogatepass"))


def _of(requests: list[Request], client: str) -> int:
    """How many of them one client asks for. It says itself what it is called: this is against mishaps, not malice."""
    return sum(request.client == client for request in requests)


def _plain(code: str) -> str:
    return "".join(character for character in code.upper() if character.isalnum())
