"""Copies of the world, and what everybody sees of it."""

from __future__ import annotations

from typing import Any

from hypothesis.stateful import precondition, rule

from pvesim.core.errors import ApiError
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.storage.records import Storage
from pvesim.wire import to_json
from tests.pvesim.properties.life import Life, whom


class WorldRules(Life):
    @rule()
    def fork(self) -> None:
        """Go on with a fork; the world that it was taken of must stay as it is."""
        self.left = [*self.left[-1:], (self.world, self.world.fork())]
        self._take(self.sim.fork())

    @rule()
    def checkpoint(self) -> None:
        self.sim.checkpoint("then")
        self.then, self.torn_then = self.world.fork(), set(self.torn)

    @precondition(lambda self: "then" in self.sim.checkpoints)
    @rule()
    def restore(self) -> None:
        self.sim.restore("then")
        assert self.then.diff(self.world) == []
        assert self.then.now == self.world.now
        self.torn = set(self.torn_then)
        self._take(self.sim)

    @rule(vmid=whom)
    def look_everywhere(self, vmid: int) -> None:
        """What is read does not change the world, and does not depend on what was read before."""
        vmid = self.who(vmid)
        self.sim.clock.tick()
        fresh = self.sim.fork()
        forget(fresh.world)
        for path in [*self._listings(), *(self.path(vmid, rest) for rest in _OF_GUESTS)]:
            before = self.world.fork()
            seen = _answer(self.sim, path)
            assert _without_counters(before.diff(self.world)) == [] or self.sim.world.now > before.now, path
            assert seen == _answer(fresh, path), f"GET {path} depends on what was asked before"

    def _listings(self) -> list[str]:
        paths = [f"/cluster/{rest}" for rest in ("resources", "status", "tasks", "nextid", "firewall/rules")]
        paths += ["/cluster/ha/status/current", "/cluster/ha/resources", "/nodes", "/pools", "/storage", "/access/acl"]
        for node in self.world.rows(Node):
            paths += [f"/nodes/{node}{rest}" for rest in ("/qemu", "/lxc", "/storage", "/status", "/tasks")]
            paths += [f"/nodes/{node}/storage/{storage}/content" for storage in self.world.rows(Storage)]
        return paths

    @rule(vmid=whom)
    def listings_agree(self, vmid: int) -> None:
        """A guest stands in its node's list exactly if it is there, with the status that its own page shows."""
        vmid = self.who(vmid)
        guest = self.world.get(Guest, vmid)
        kind = guest.kind if guest else "qemu"
        for node in [name for name, record in self.world.rows(Node).items() if record.online]:
            # Of a fork each, for a look at a guest that a task works with lets time go on.
            rows = {row["vmid"]: row for row in self.sim.fork().request("GET", f"/nodes/{node}/{kind}")}
            here = guest is not None and guest.node == node
            assert (vmid in rows) == here, f"{vmid} on {node}"
            if here:
                shown = self.sim.fork().request("GET", self.path(vmid, "/status/current"))
                assert (shown["status"], shown["name"]) == (rows[vmid]["status"], rows[vmid]["name"])


def forget(world: World) -> None:
    """Empty the cache of all that is computed; what the watchers have seen is no such thing."""
    for name in list(world._cache):
        if not (isinstance(name, tuple) and name[0] == "watched"):
            del world._cache[name]


_OF_GUESTS = ("/config", "/pending", "/status/current", "/snapshot", "/firewall/rules", "/feature?feature=snapshot")


def _answer(sim: Simulator, path: str) -> Any:
    where, _, query = path.partition("?")
    params = dict([query.split("=")]) if query else {}
    try:
        return to_json(sim.request("GET", where, params))
    except ApiError as error:
        return (error.status, error.message)


def _without_counters(changes: list[Any]) -> list[Any]:
    return [change for change in changes if change.table != "Counter"]
