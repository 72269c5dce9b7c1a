"""Requests that go wrong: which fault strikes one, and what then becomes of its answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from pvesim.core.errors import ApiError, BrokenConnection, Unauthorized
from pvesim.core.world import World
from pvesim.faults.records import Fault
from pvesim.wire import JSON_TYPE, WireResponse, first_line

GARBAGE = b'{"data":[{"id":"\xf0\x28\x8c\x28","\x00'  # no JSON, no UTF-8
_GUEST = re.compile(r"/nodes/[^/]+/(?:qemu|lxc)/(\d+)(?:/|$)")
_NODE = re.compile(r"/nodes/([^/]+)")
_STORAGE = re.compile(r"(?:/nodes/[^/]+)?/storage/([^/]+)")


@dataclass(frozen=True, slots=True)
class Mishap:
    """What befalls one request. `error` comes in place of carrying it out, `connection` in place of its answer."""

    delay: float = 0.0
    error: ApiError | None = None
    connection: str = ""

    @property
    def dropped(self) -> bool:
        """Whether the connection ends before the request is carried out."""
        return self.connection == "drop"

    def apply(self, response: WireResponse) -> WireResponse:
        """The answer as the client gets it."""
        if self.connection == "garbage":
            return WireResponse(200, headers=(("Content-Type", JSON_TYPE),), body=GARBAGE, latency=self.delay)
        return replace(response, latency=self.delay, connection=self.connection)

    def check(self) -> None:
        """Raise what a client without a connection sees of it."""
        if self.error is not None:
            raise self.error
        if self.dropped:
            raise BrokenConnection("a fault dropped the connection: the request was not carried out")

    def check_answer(self) -> None:
        """The same for what happens after the request was carried out."""
        if self.connection:
            raise BrokenConnection(f"a fault ({self.connection}) kept the answer: the request was carried out")


UNHARMED = Mishap()
NOT_SENT = WireResponse(0, "connection dropped by a fault")


def meet(world: World, verb: str, path: str, user: str | None) -> Mishap:
    """What the world's faults do to a request, with their counts moved on. `path` is the API path, `user` who asks."""
    if not world.rows(Fault):
        return UNHARMED
    mishap = UNHARMED
    for fault in _matching(world, verb, path, user):
        struck = strike(world, fault)
        if struck:
            mishap = Mishap(
                mishap.delay + fault.delay, mishap.error or _error(fault), mishap.connection or fault.connection
            )
    return mishap


def _matching(world: World, verb: str, path: str, user: str | None) -> Iterator[Fault]:
    for fault in list(world.rows(Fault).values()):
        if (
            fault.on_requests
            and fault.live(world.now)
            and fault.method in ("", verb)
            and (not fault.path or fits_path(fault.path, path))
            and _is_user(fault.user, user)
            and _names(_GUEST, path, "" if fault.guest is None else str(fault.guest))
            and _names(_NODE, path, fault.node)
            and _names(_STORAGE, path, fault.storage)
        ):
            yield fault


def strike(world: World, fault: Fault) -> bool:
    """Whether a live fault strikes what it matches now: its own draw, so that no other random value changes."""
    seen = fault.seen + 1
    draw = hashlib.blake2b(f"{world.seed}:{fault.name}:{seen}".encode(), digest_size=8).digest()
    struck = int.from_bytes(draw, "big") < fault.probability * 2**64
    world.put(replace(fault, seen=seen, hits=fault.hits + struck))
    return struck


def fits_path(pattern: str, path: str) -> bool:
    """Whether a path is as a pattern says: `*` and `{name}` stand for one part of it, `**` for any number."""
    return _expression(pattern).fullmatch(path.rstrip("/")) is not None


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = []
    for part in filter(None, pattern.split("/")):
        if part == "**":
            parts.append("(?:/[^/]+)*")
            continue
        texts = re.split(r"\*|\{[^}/]*\}", part)
        parts.append("/" + "[^/]*".join(re.escape(text) for text in texts))
    return re.compile("".join(parts))


def _is_user(wanted: str, user: str | None) -> bool:
    """A user stands for its tokens too."""
    return not wanted or (user is not None and wanted in (user, user.partition("!")[0]))


def _names(place: re.Pattern[str], path: str, wanted: str) -> bool:
    if not wanted:
        return True
    match = place.match(path)
    return match is not None and match[1] == wanted


def _error(fault: Fault) -> ApiError | None:
    if not fault.status:
        return None
    if fault.status == 401:
        return Unauthorized(first_line(fault.message))
    return ApiError(fault.message, fault.errors, status=fault.status)
