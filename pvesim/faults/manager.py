"""Faults as Python sees them: `simulator.faults`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pvesim.core.errors import FaultError
from pvesim.core.tasks import NEVER
from pvesim.core.world import Counter, World
from pvesim.faults.records import Fault, Happened, Planned, Trigger

if TYPE_CHECKING:
    from pvesim.core.clock import Clock
    from pvesim.scenario.trouble import FaultModel, TimelineModel


class Faults:
    """What goes wrong in a simulator's world, and what is going to.

        faults.add("flaky", path="/nodes/pve2/**", probability=0.2, connection="drop")
        faults.add(task="qmigrate", guest=100, fail="migration aborted")
        faults.cause(node_offline="pve2")
        faults.plan(when={"task": "vzdump"}, after="10s", storage_full="nas")

    The fields are those of a scenario's `faults:` and `timeline:`; `for_` stands for `for`, a word that Python keeps.
    All methods raise `FaultError` with one line for each thing that is wrong.
    """

    def __init__(self, simulator: Any) -> None:
        self._simulator = simulator

    def add(self, name: str | None = None, /, **fields: Any) -> Fault:
        """Add a fault; without a name it gets one. `after` and `for` count from now."""
        with self._lock:
            world = self._now()
            model: FaultModel = _read("FaultModel", fields)
            return add_fault(world, name or _free_name(world, "fault", Fault), model)

    def remove(self, name: str) -> None:
        """Take a fault away. A task that hangs by it goes on."""
        with self._lock:
            remove_fault(self._now(), name)

    def clear(self) -> None:
        """Take all faults away, and everything that the timeline still holds."""
        with self._lock:
            world = self._now()
            for name in list(world.rows(Fault)):
                remove_fault(world, name)
            for name in [*world.rows(Planned), *world.rows(Trigger)]:
                _forget(world, name)

    def cause(self, **incident: Any) -> None:
        """Let an incident happen now, such as `node_offline="pve2"`."""
        from pvesim.faults.incidents import happen

        with self._lock:
            happen(self._now(), *_read("IncidentModel", incident).incident)

    def plan(self, name: str | None = None, /, **entry: Any) -> Planned | Trigger:
        """Add to the timeline: an incident with `at` (from now on), or with `when` and `after`."""
        with self._lock:
            world = self._now()
            model: TimelineModel = _read("TimelineModel", entry)
            taken = name or _free_name(world, "entry", Planned, Trigger)
            return plan_entry(world, taken, model)

    def cancel(self, name: str) -> None:
        """Take an entry out of the timeline."""
        with self._lock:
            world = self._now()
            if world.get(Planned, name) is None and world.get(Trigger, name) is None:
                known = [*world.rows(Planned), *world.rows(Trigger)]
                raise FaultError(f"no entry '{name}': there are {', '.join(known) or 'none'}")
            _forget(world, name)

    @property
    def timeline(self) -> list[Planned | Trigger]:
        """What is still to happen: what has a moment in its order, then what waits for a task."""
        with self._lock:
            world = self._now()
            return [*sorted(world.rows(Planned).values(), key=lambda entry: entry.due), *world.rows(Trigger).values()]

    @property
    def happened(self) -> list[Happened]:
        """The incidents that have come to pass, the oldest first."""
        with self._lock:
            return list(self._now().rows(Happened).values())

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter(list(self._now().rows(Fault).values()))

    def __getitem__(self, name: str) -> Fault:
        return {fault.name: fault for fault in self}[name]

    def __len__(self) -> int:
        return len(list(iter(self)))

    @property
    def _lock(self) -> Any:
        return self._simulator.lock

    def _now(self) -> World:
        """The world, with everything that was due."""
        clock: Clock = self._simulator.clock
        clock.tick()
        return clock.world


def add_fault(world: World, name: str, model: FaultModel) -> Fault:
    """Put a fault into a world. Raises `FaultError` for a name that is taken, or for what is not there."""
    if world.get(Fault, name) is not None:
        raise FaultError(f"there is a fault '{name}' already")
    check_fault(world, model)
    error = model.error
    since = world.now + model.after
    hang = model.hang if isinstance(model.hang, float) else NEVER if model.hang else None
    fault = Fault(
        name,
        method=model.method or "",
        path=model.path or "",
        user=model.user or "",
        guest=model.guest,
        node=model.node or "",
        storage=model.storage or "",
        task=model.task or "",
        probability=model.probability,
        count=model.count,
        since=since if model.after else 0.0,
        until=None if model.for_ is None else since + model.for_,
        delay=model.delay or 0.0,
        status=error.status if error else 0,
        message=error.text if error else "",
        errors=dict(error.errors) if error else {},
        connection=model.connection or "",
        step=model.step,
        log=model.log or "",
        fail=model.fail or "",
        hang=hang,
        warn=model.warn or "",
        slow=model.slow or 1.0,
    )
    world.put(fault)
    return fault


def remove_fault(world: World, name: str) -> None:
    """Take a fault out of a world, and let go the tasks that hang by it. Raises `FaultError` for an unknown one."""
    from pvesim.faults.tasks import release

    fault = world.get(Fault, name)
    if fault is None:
        raise FaultError(f"no fault '{name}': there are {', '.join(world.rows(Fault)) or 'none'}")
    world.remove(Fault, name)
    release(world, fault)


def check_fault(world: World, model: FaultModel) -> None:
    """Raise `FaultError` for a node or storage that is not there. A guest or user may come later."""
    from pvesim.nodes.records import Node
    from pvesim.storage.records import Storage

    if model.node is not None and model.node not in world.rows(Node):
        raise FaultError(f"no node '{model.node}': there are {', '.join(world.rows(Node))}")
    if model.storage is not None and model.storage not in world.rows(Storage):
        raise FaultError(f"no storage '{model.storage}': there are {', '.join(world.rows(Storage))}")


def plan_entry(world: World, name: str, model: TimelineModel) -> Planned | Trigger:
    """Put an entry of a timeline into a world. Raises `FaultError`."""
    from pvesim.faults.timeline import plan_at, plan_when

    if world.get(Planned, name) is not None or world.get(Trigger, name) is not None:
        raise FaultError(f"there is an entry '{name}' already")
    if model.when is None:
        return plan_at(world, name, world.now + (model.at or 0.0), model.incident)
    when = model.when
    started = world.get(Counter, "task")
    return plan_when(
        world,
        Trigger(
            name,
            started.value if started else 0,
            when.task,
            id="" if when.id is None else str(when.id),
            node=when.node or "",
            log=when.log or "",
            ended=when.ended,
            after=model.after,
            incident=model.incident,
        ),
    )


def _forget(world: World, name: str) -> None:
    from pvesim.core.tasks import Timer

    world.remove(Planned, name)
    world.remove(Trigger, name)
    world.remove(Timer, f"timeline/{name}")


def _free_name(world: World, prefix: str, *kinds: type[Any]) -> str:
    number = 1
    while any(world.get(kind, f"{prefix}-{number}") is not None for kind in kinds):
        number += 1
    return f"{prefix}-{number}"


def _read(model: str, fields: Mapping[str, Any]) -> Any:
    """The fields as a model of the scenario reads them. Raises `FaultError`."""
    from pydantic import ValidationError

    from pvesim.scenario import trouble
    from pvesim.scenario.files import words_of

    given = {"for" if name == "for_" else name: value for name, value in fields.items()}
    try:
        return getattr(trouble, model).model_validate(given)
    except ValidationError as error:
        raise FaultError("; ".join(words_of(error))) from None
