"""How a path of the API finds its handler, and what a handler is given.

An area's `routes.py` is a list of small functions:

    @route("GET", "/nodes/{node}/qemu/{vmid}/config")
    def read_config(call: Call) -> dict[str, Any]:
        return rules.config(call.world, call.node, call.params["vmid"])

What it returns becomes `data`; `Answer` adds what stands beside it. Handlers hold no rules and parse nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pvesim.access.rules import Identity, has_privileges
from pvesim.core.errors import Forbidden, ParameterErrors
from pvesim.core.tasks import Step, Task, Timer, start_task
from pvesim.core.world import World

if TYPE_CHECKING:
    from pvesim.contract import Method

Handler = Callable[["Call"], Any]
_ROUTES: dict[tuple[str, str], Handler] = {}
_REFUSALS: set[tuple[str, str]] = set()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with more than `data`: `beside` holds keys next to it (`total`, `changes`), None values left out.

    `raw` replaces the JSON body (a download): bytes and their content type.
    """

    data: Any = None
    beside: Mapping[str, Any] = field(default_factory=dict)
    raw: tuple[bytes, str] | None = None


class Call:
    """One verified request on its way to a handler.

    `params` are typed and verified, path parameters included; `given` is what the client sent. `node` is the node that
    answers (`localhost` resolved), or the one the client is connected to where the path names none.
    """

    __slots__ = ("given", "identity", "local_node", "method", "node", "params", "watched", "world")

    def __init__(
        self,
        world: World,
        method: Method,
        identity: Identity,
        node: str,
        local_node: str,
        params: dict[str, Any],
        given: Mapping[str, Any],
    ) -> None:
        self.world = world
        self.method = method
        self.identity = identity
        self.node = node
        self.local_node = local_node
        self.params = params
        self.given = given
        self.watched: str | None = None

    def may(self, path: str, *privileges: str, any_of: bool = False) -> bool:
        """Whether who asks has all (or any) of the privileges on the path."""
        return has_privileges(self.world, self.identity, path, privileges, any_of)

    def check(self, path: str, *privileges: str, any_of: bool = False) -> None:
        """Raise `Forbidden` with PVE's text unless `may`."""
        if self.may(path, *privileges, any_of=any_of):
            return
        # PVE names the first one that is missing, or all of those of which one would do.
        named = privileges if any_of else [name for name in privileges if not self.may(path, name)][:1]
        raise Forbidden(f"Permission check failed ({path}, {'|'.join(named)})")

    def root_only(self, parameter: str) -> None:
        """Refuse a parameter that only `root@pam` with a ticket may give."""
        if self.params.get(parameter) and not self.identity.is_root:
            raise ParameterErrors({parameter: "Only root may use this option."})

    def start(self, type: str, id: str | int, steps: Sequence[Step], cleanup: Step | None = None) -> str:
        """Start a task on the answering node in the name of who asks; the UPID."""
        return start_task(self.world, self.node, type, id, self.identity.name, steps, cleanup=cleanup)

    def watch(self, upid: str) -> None:
        """Tell the clock that this answer shows a running task: in auto mode its next step comes after the answer."""
        self.watched = upid

    def watch_guest(self, vmid: int) -> None:
        """The same for what happens to a guest: the oldest task that runs on it, or the next look of HA's manager."""
        manager = f"ha/{vmid}"
        for name in self.world.rows(Timer):
            task = self.world.get(Task, name)
            if name == manager or (task is not None and task.id == str(vmid)):
                self.watched = name
                return


def route(verb: str, path: str) -> Callable[[Handler], Handler]:
    """Register the handler of a method; the path is written as in the API schema."""

    def register(handler: Handler) -> Handler:
        if (verb, path) in _ROUTES:
            raise ValueError(f"{verb} {path} is routed twice")
        _ROUTES[verb, path] = handler
        return handler

    return register


def refusal(verb: str, path: str) -> Callable[[Handler], Handler]:
    """Register a handler that only knows when PVE refuses; it does not make its method a modelled one."""
    _REFUSALS.add((verb, path))
    return route(verb, path)


def handler_of(verb: str, path: str) -> Handler | None:
    """The handler of a method, or None where it is not modelled."""
    return _ROUTES.get((verb, path))


def modelled() -> Iterator[tuple[str, str]]:
    """All methods that have a handler which can do more than refuse, as (verb, path)."""
    return (method for method in _ROUTES if method not in _REFUSALS)
