"""The simulator: one world, its clock, and the way a request takes through it, in PVE's own order.

read the request → who asks (401) → faults (`pvesim.faults`) → which method (501) → privileges (403)
→ is the node there (500, 595) → parameters (400) → quorum → the handler, inside one transaction → the answer
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pvesim import areas
from pvesim.access.login import REFUSAL_DELAY, identify, set_password
from pvesim.access.records import Token, User
from pvesim.access.rules import ROOT, Identity, groups_of, has_privileges
from pvesim.cluster.rules import may_write
from pvesim.contract import Contract, Method, evaluate, verify
from pvesim.core.clock import Clock, Mode
from pvesim.core.errors import (
    ApiError,
    Busy,
    Failure,
    Forbidden,
    NodeUnreachable,
    NoSuchMethod,
    NotModelled,
    Unauthorized,
)
from pvesim.core.tasks import Timer
from pvesim.core.world import World
from pvesim.faults.manager import Faults
from pvesim.faults.requests import NOT_SENT, UNHARMED, Mishap, meet
from pvesim.indexes import TOP, index_of
from pvesim.multipart import without_content
from pvesim.nodes.power import timer_of
from pvesim.nodes.records import Node
from pvesim.routing import Answer, Call, Handler, handler_of
from pvesim.wire import (
    Refused,
    WireRequest,
    WireResponse,
    check_format,
    failure,
    plain,
    read_parameters,
    read_path,
    success,
)

if TYPE_CHECKING:
    from proxmoxer import ProxmoxAPI

    from pvesim.differences import Difference

KEPT_REQUESTS = 1000
START, NOW = "start", "now"  # the moments that have a name from the beginning


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One line of the request log: when (virtual time), what, by whom (None before login), and the answer's status."""

    time: float
    verb: str
    path: str
    user: str | None
    status: int
    reason: str


class Subject:
    """What the permission rules of the contract ask about who asks."""

    __slots__ = ("identity", "is_root", "userid", "world")

    def __init__(self, world: World, identity: Identity) -> None:
        self.world = world
        self.identity = identity
        self.userid = identity.name  # a token is not "oneself" to PVE
        self.is_root = identity.is_root

    def has(self, path: str, privileges: Any, any_of: bool) -> bool:
        return has_privileges(self.world, self.identity, path, privileges, any_of)

    def groups_of(self, userid: str) -> list[str]:
        return groups_of(self.world, userid)


class Simulator:
    """A simulated PVE cluster.

    `scenario` is a name (`"homelab"`), a path, a mapping, or a `World`; None is a single fresh node. `clock` and
    `time_scale` are explained in `pvesim.core.clock`. `root_password` replaces the scenario's. The same scenario, seed
    and requests give byte-identical answers except under a scaled clock. All methods may be called from any thread.

    Raises `ScenarioError` when the scenario cannot be loaded.
    """

    def __init__(
        self,
        scenario: Any = None,
        *,
        seed: int | None = None,
        clock: Mode = "auto",
        time_scale: float = 1.0,
        root_password: str | None = None,
        now: float | None = None,
    ) -> None:
        areas.load()
        if isinstance(scenario, World):
            world = scenario
        else:
            from pvesim.scenario import build_world

            world = build_world(scenario, seed=seed, now=now)
        if root_password is not None:
            set_password(world, ROOT, root_password)
        self.world = world
        self.clock = Clock(world, clock, time_scale)
        self.contract = Contract.load()
        self.requests: deque[RequestRecord] = deque(maxlen=KEPT_REQUESTS)
        self.faults = Faults(self)
        self._lock: AbstractContextManager[Any] = threading.RLock()
        self._checkpoints: dict[str, World] = {}
        self._initial = world.fork()

    # -- requests --------------------------------------------------------------------------------------------------

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer a request as it came over the wire, with status, reason, headers and body as PVE sends them."""
        user: str | None = None
        format, mishap = "json", UNHARMED
        try:
            format, path = read_path(request)
            with self._lock:
                self.clock.tick()
                try:
                    identity = self._authenticate(request, path)
                    user = identity.name if identity else None
                finally:  # a network that fails does so for those too who are refused
                    mishap = meet(self.world, request.method, path, user)
                check_format(format, path)
                given = read_parameters(request, path)
                response = self._answer(format, request.method, path, given, identity, mishap)
        except Refused as refused:
            response = refused.response
        except ApiError as error:
            response = failure(format, error)
        if mishap is not UNHARMED:
            response = mishap.apply(response)
        self.requests.append(
            RequestRecord(self.world.now, request.method, request.path, user, response.status, response.reason)
        )
        return response

    def request(self, verb: str, path: str, params: Mapping[str, Any] | None = None, *, user: str = ROOT) -> Any:
        """The `data` of a request made in the name of `user` (`root@pam` or `root@pam!token`), with no login.

        Raises the `ApiError` that a client would see, `BrokenConnection` where a fault takes the answer from it.
        """
        userid, _, tokenid = user.partition("!")
        with self._lock:
            self.clock.tick()
            mishap = meet(self.world, verb, path, user)
            mishap.check()
            answer = self._dispatch(verb, path, dict(params or {}), Identity(userid, tokenid or None))
            mishap.check_answer()
            return plain(answer.data)

    def _authenticate(self, request: WireRequest, path: str) -> Identity | None:
        try:
            identity = identify(self.world, request.headers, request.method)
        except Unauthorized:
            if self._open_to_all(request.method, path):
                return None
            raise
        if identity is None and not self._open_to_all(request.method, path):
            raise Unauthorized("No ticket", delay=REFUSAL_DELAY)
        return identity

    def _open_to_all(self, verb: str, path: str) -> bool:
        found = self.contract.find(verb, _parts(path))
        return found is not None and found[0].world

    def _answer(
        self,
        format: str,
        verb: str,
        path: str,
        given: dict[str, Any],
        identity: Identity | None,
        mishap: Mishap,
    ) -> WireResponse:
        if mishap.dropped:
            return NOT_SENT
        if mishap.error is not None:
            return failure(format, mishap.error)
        try:
            answer = self._dispatch(verb, path, given, identity or Identity(""))
        except ApiError as error:
            return failure(format, error)
        if answer.raw is not None:
            content, content_type = answer.raw
            return WireResponse(200, headers=(("Content-Type", content_type),), body=content)
        return success(format, answer.data, answer.beside)

    def _dispatch(self, verb: str, path: str, given: dict[str, Any], identity: Identity) -> Answer:
        parts = _parts(path)
        found = self.contract.find(verb, parts) or ((TOP, {}) if verb == "GET" and not parts else None)
        if found is None:
            raise NoSuchMethod(f"Method '{verb} /{'/'.join(parts)}' not implemented")
        method, places = found
        given.update(places)
        self._permit(method, given, identity)
        node = self._node_for(method, places)
        params = verify(method, without_content(given))
        if verb != "GET" and method.protected and not method.world and not may_write(self.world, method.path):
            raise Failure("cluster not ready - no quorum?")
        call = Call(self.world, method, identity, node, self.local_node, params, given)
        handler = handler_of(verb, method.path)
        if handler is None:
            return self._unhandled(call)
        try:
            result = self._carry_out(handler, call)
        except Unauthorized as error:
            if error.kept is not None:
                self.world.put(error.kept)
            raise
        answer = result if isinstance(result, Answer) else Answer(result)
        self._let_time_pass(call, answer)
        return answer

    def _carry_out(self, handler: Handler, call: Call) -> Any:
        """What the handler makes of the call; at a second try where the first met something busy that is free soon."""
        params = dict(call.params)
        try:
            with self.world.transaction():
                return handler(call)
        except Busy as busy:
            if self.clock.mode == "manual" or not busy.wait():
                raise
        call.params = params  # as they were: a handler may take from them what it has read
        with self.world.transaction():
            return handler(call)

    def _permit(self, method: Method, given: Mapping[str, Any], identity: Identity) -> None:
        if identity.tokenid and not method.allowtoken:
            uri = method.path.format_map(given)
            raise Forbidden(
                f"Permission check failed (URI '{uri}' not available with API token, need proper ticket.\n)"
            )
        if not identity.is_root:
            refusal = evaluate(method, given, Subject(self.world, identity))
            if refusal is not None:
                raise Forbidden(refusal)

    def _node_for(self, method: Method, places: Mapping[str, str]) -> str:
        name = places.get("node")
        if name is None or name == "localhost":
            return self.local_node
        if method.proxyto:
            node = self.world.get(Node, name)
            if node is None:
                reason = f"failed to get address info for: {name}: Name or service not known"
                raise Failure(f"hostname lookup '{name}' failed - {reason}")
            if not node.online:
                self.clock.polled(timer_of(name))  # who waits for a node to come back waits for this
                raise NodeUnreachable("No route to host")
        return name

    def _unhandled(self, call: Call) -> Answer:
        children = index_of(self.contract, call.method)
        if children is not None:
            return Answer(children)
        raise NotModelled(f"{call.method.verb} {call.method.path} is not modelled by pvesim")

    def _let_time_pass(self, call: Call, answer: Answer) -> None:
        if isinstance(answer.data, str) and answer.data.startswith("UPID:"):
            self.clock.started(answer.data)
        if call.watched is not None:
            self.clock.polled(call.watched)
        elif call.method.verb == "GET" and self.world.rows(Timer):
            self.clock.polled(timer_of(call.node))

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while a request is answered; hold it to look at the world or move its clock between two requests."""
        return self._lock

    @property
    def local_node(self) -> str:
        """The node that a client is connected to: the first one that is online."""
        return self.world.cached("local node", (Node,), self._first_online)

    def _first_online(self) -> str:
        nodes = self.world.rows(Node)
        return next((name for name, node in nodes.items() if node.online), next(iter(nodes), "localhost"))

    # -- moments ---------------------------------------------------------------------------------------------------

    def fork(self) -> Simulator:
        """An independent simulator that goes on from this moment."""
        with self._lock:
            other = Simulator(self.world.fork(), clock=self.clock.mode, time_scale=self.clock.scale)
            other._initial = self._initial
            return other

    def checkpoint(self, name: str) -> None:
        """Keep this moment under a name; a moment of the same name is replaced."""
        with self._lock:
            self._checkpoints[name] = self.world.fork()

    def restore(self, name: str) -> None:
        """Go back to a checkpoint. Raises `KeyError` when there is none of that name."""
        with self._lock:
            self._replace(self._checkpoints[name])

    def reset(self) -> None:
        """Go back to the scenario's beginning."""
        with self._lock:
            self._replace(self._initial)
            self.requests.clear()

    def diff(self, before: str = START, after: str = NOW) -> Difference:
        """What changed between two moments: the names of checkpoints, `start` (the scenario's beginning) or `now`.

        Raises `KeyError` when there is no checkpoint of that name.
        """
        from pvesim.differences import difference

        with self._lock:
            self.clock.tick()
            return difference(self._moment(before), self._moment(after), (before, after))

    def _moment(self, name: str) -> World:
        moments = {START: self._initial, NOW: self.world, **self._checkpoints}
        return moments[name]

    def dump(self) -> str:
        """This moment as a scenario in YAML, which loads to the same world."""
        from pvesim.scenario.dump import dump

        with self._lock:
            self.clock.tick()
            return dump(self.world)

    @property
    def checkpoints(self) -> list[str]:
        """The names of the checkpoints, oldest first."""
        return list(self._checkpoints)

    def _replace(self, moment: World) -> None:
        self.world = moment.fork()
        self.clock.attach(self.world)

    # -- clients ---------------------------------------------------------------------------------------------------

    def connect(self, user: str = ROOT, **credentials: Any) -> ProxmoxAPI:
        """An unmodified `proxmoxer.ProxmoxAPI` on this world, with no socket. See `pvesim.serve.inprocess.connect`."""
        from pvesim.serve.inprocess import connect

        return connect(self, user, **credentials)

    @property
    def identities(self) -> list[str]:
        """Who may ask: the user ids, then the full ids of the API tokens."""
        return [*self.world.rows(User), *self.world.rows(Token)]

    def summary(self) -> dict[str, Any]:
        """What there is: virtual time, clock, record counts by table, checkpoints."""
        with self._lock:
            self.clock.tick()
            return {
                "now": self.world.now,
                "clock": {"mode": self.clock.mode, "scale": self.clock.scale},
                "records": self.world.size(),
                "checkpoints": self.checkpoints,
            }


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    return [unquote(part) if "%" in part else part for part in parts if part]
