"""The cluster of a test, and its time."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pvesim.access.rules import ROOT
from pvesim.core.world import World
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node
from pvesim.scenario.values import read_duration
from pvesim.storage.records import Volume
from pvesim.testing.found import Requests, Tasks
from pvesim.testing.views import GuestView, NodeView

if TYPE_CHECKING:
    from proxmoxer import ProxmoxAPI

    from pvesim.differences import Difference
    from pvesim.faults.manager import Faults


class TimeControl:
    """The cluster's virtual time. Durations are seconds, or texts such as `90s` and `2h30m`."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._simulator.clock.now

    @property
    def mode(self) -> str:
        """`auto`, `manual` or `scaled`; see `pvesim.core.clock`."""
        return self._simulator.clock.mode

    def advance(self, duration: float | str) -> None:
        """Move time forward; all that falls due happens. Raises `ValueError` for what is no duration."""
        seconds = read_duration(duration)
        with self._simulator.lock:
            self._simulator.clock.advance(seconds)

    def freeze(self) -> None:
        """Only `advance` and `run_until_done` move time from now on: a running task stays as it is."""
        with self._simulator.lock:
            self._simulator.clock.set_mode("manual")

    def unfreeze(self) -> None:
        """A client that looks at a running task moves time again (mode `auto`)."""
        with self._simulator.lock:
            self._simulator.clock.set_mode("auto")

    def run_until_done(self, upid: str) -> None:
        """Move time to the end of a task."""
        with self._simulator.lock:
            self._simulator.clock.run_until_done(upid)

    def __repr__(self) -> str:
        return f"<time: {self.now}, mode {self.mode}>"


class Cluster:
    """A simulated cluster: `api` asks it as a client does, the rest looks at it from outside."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.tasks = Tasks(simulator)
        self.requests = Requests(simulator)
        self.clock = TimeControl(simulator)

    @property
    def faults(self) -> Faults:
        """What goes wrong in it."""
        return self.simulator.faults

    @property
    def world(self) -> World:
        """The world as it is now."""
        return self.simulator.world

    @cached_property
    def api(self) -> ProxmoxAPI:
        """An unmodified `proxmoxer.ProxmoxAPI` as `root@pam`, with no socket."""
        return self.simulator.connect()

    def connect(self, user: str = ROOT, **credentials: Any) -> ProxmoxAPI:
        """The same for another user or token of the scenario (`mcp@pve!auditor`)."""
        return self.simulator.connect(user, **credentials)

    def request(self, verb: str, path: str, params: Mapping[str, Any] | None = None, *, user: str = ROOT) -> Any:
        """The `data` of a request that is not logged. Raises the `ApiError` that a client would see."""
        return self.simulator.request(verb, path, params, user=user)

    def guest(self, vmid: int) -> GuestView:
        """A guest by its id, whether it is there or not."""
        return GuestView(self.simulator, vmid)

    @property
    def guests(self) -> list[GuestView]:
        """All guests by id."""
        return [self.guest(vmid) for vmid in sorted(self.world.rows(Guest))]

    def node(self, name: str) -> NodeView:
        """A node by its name."""
        return NodeView(self.simulator, name)

    @property
    def nodes(self) -> list[NodeView]:
        """All nodes."""
        return [self.node(name) for name in self.world.rows(Node)]

    def volumes(self, pattern: str = "*") -> list[str]:
        """The ids of the volumes that fit a pattern (`local-lvm:vm-100-*`), sorted, each once."""
        volids = {volume.volid for volume in self.world.rows(Volume).values()}
        return sorted(volid for volid in volids if fnmatchcase(volid, pattern))

    def checkpoint(self, name: str) -> None:
        """Keep this moment under a name."""
        self.simulator.checkpoint(name)

    def restore(self, name: str) -> None:
        """Go back to a checkpoint."""
        self.simulator.restore(name)

    def diff(self, before: str = "start", after: str = "now") -> Difference:
        """What changed between two moments (checkpoints, or these two); it prints as lines for people."""
        return self.simulator.diff(before, after)

    def __repr__(self) -> str:
        return f"<cluster: {len(self.nodes)} nodes, {len(self.guests)} guests>"
