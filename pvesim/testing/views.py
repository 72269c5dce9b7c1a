"""Guests and nodes as a test looks at them: the world as it is now, whenever they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pvesim.core.world import Record
from pvesim.engine import Simulator
from pvesim.guests.records import Guest
from pvesim.nodes.records import Node

R = TypeVar("R", bound=Record)


class Absent(AssertionError):
    """What a test asked for is not in the cluster. The text says what there is."""


class _View(Generic[R]):
    """One record of the world as it is now; reading it again shows what has happened since."""

    def __init__(self, simulator: Simulator, kind: type[R], key: Any, name: str) -> None:
        self._simulator = simulator
        self._kind = kind
        self._key = key
        self._name = name

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return self._found is not None

    @property
    def record(self) -> R:
        """The immutable record. Raises `Absent` if it is not there."""
        record = self._found
        if record is None:
            there = ", ".join(sorted(map(str, self._simulator.world.rows(self._kind)))[:20]) or "none"
            raise Absent(f"no {self._name} (there are: {there})")
        return record

    @property
    def _found(self) -> R | None:
        return self._simulator.world.get(self._kind, self._key)

    def __repr__(self) -> str:
        return f"<{self._name}: {self._state()}>" if self.exists else f"<{self._name}: not there>"

    def _state(self) -> str:
        return "there"


class GuestView(_View[Guest]):
    """A VM or a container."""

    def __init__(self, simulator: Simulator, vmid: int) -> None:
        super().__init__(simulator, Guest, vmid, f"guest {vmid}")

    @property
    def name(self) -> str:
        """Its name, as lists show it."""
        return self.record.name

    @property
    def kind(self) -> str:
        """`qemu` or `lxc`."""
        return self.record.kind

    @property
    def node(self) -> str:
        """The node that it is on."""
        return self.record.node

    @property
    def config(self) -> Mapping[str, Any]:
        """Its configuration, values typed as `GET …/config` shows them."""
        return self.record.config

    @property
    def pending(self) -> Mapping[str, Any]:
        """What waits for its next start; None for a key that will be deleted."""
        return self.record.pending

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        return [tag for tag in str(self.config.get("tags", "")).split(";") if tag]

    @property
    def snapshots(self) -> list[str]:
        """The names of its snapshots, oldest first."""
        return [snapshot.name for snapshot in self.record.snapshots]

    @property
    def lock(self) -> str | None:
        """The lock in its configuration, such as `backup`."""
        return self.record.lock

    @property
    def is_running(self) -> bool:
        """Whether it runs and is not paused."""
        return self.record.running and self.record.qmpstatus == "running"

    @property
    def is_stopped(self) -> bool:
        """Whether it is off."""
        return not self.record.running

    @property
    def is_paused(self) -> bool:
        """Whether it is there and stands still."""
        return self.record.running and self.record.qmpstatus == "paused"

    @property
    def is_template(self) -> bool:
        """Whether it is a template."""
        return self.record.template

    def _state(self) -> str:
        guest = self.record
        lock = f", locked ({guest.lock})" if guest.lock else ""
        return f"{guest.name}, {guest.qmpstatus} on {guest.node}{lock}"


class NodeView(_View[Node]):
    """A node."""

    def __init__(self, simulator: Simulator, name: str) -> None:
        super().__init__(simulator, Node, name, f"node {name}")

    @property
    def is_online(self) -> bool:
        """Whether it answers."""
        return self.record.online

    @property
    def guests(self) -> list[int]:
        """The ids of the guests on it, sorted."""
        guests = self._simulator.world.rows(Guest).values()
        return sorted(guest.vmid for guest in guests if guest.node == self.record.name)

    def _state(self) -> str:
        return "online" if self.is_online else "offline"
