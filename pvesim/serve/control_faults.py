"""The part of the control API that makes things go wrong: faults, incidents, and the timeline of both."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from pvesim.core.tasks import NEVER
from pvesim.faults.records import Fault, Planned, Trigger
from pvesim.scenario.trouble import FaultModel, FaultName, IncidentModel, TimelineModel

_COMPLETE = ConfigDict(defer_build=False)  # FastAPI wants it so; the models of a scenario are built when first used


class FaultWanted(FaultModel):
    """A fault to add. Without a name it gets one; `after` and `for` count from now."""

    model_config = _COMPLETE

    name: FaultName | None = None


class EntryWanted(TimelineModel):
    """An entry of the timeline to add. `at` counts from now."""

    model_config = _COMPLETE

    name: FaultName | None = None


class IncidentWanted(IncidentModel):
    """Something that happens now; exactly one field is given."""

    model_config = _COMPLETE


class FaultState(BaseModel):
    """A fault as it is. What is not restricted, and what has no effect, is null."""

    name: str
    live: bool = Field(description="whether its time has come, has not gone, and it has hits left")
    seen: int = Field(description="how many requests and steps of tasks it matched while it was live")
    hits: int = Field(description="how many of those it struck")
    matches: dict[str, str | int] = Field(description="what it matches; empty for everything")
    effects: dict[str, Any] = Field(description="what it does")
    probability: float
    count: int | None
    since: float = Field(description="virtual time, seconds since the epoch; 0 for always")
    until: float | None


class FaultList(BaseModel):
    """All faults, the oldest first."""

    faults: list[FaultState]


class Entry(BaseModel):
    """Something that is still to happen."""

    name: str
    kind: Literal["at", "when"]
    due: float | None = Field(description="virtual time, None while it waits for a task")
    when: dict[str, Any] | None = Field(description="the task that it waits for")
    incident: dict[str, Any]


class Timeline(BaseModel):
    """What is still to happen: what has a moment in its order, then what waits for a task."""

    timeline: list[Entry]


class Event(BaseModel):
    """An incident that has come to pass."""

    time: float
    incident: dict[str, Any]
    refused: str | None = Field(description="why it could not, None if it could")


class Events(BaseModel):
    """Incidents, the oldest first."""

    incidents: list[Event]


def fault_routes(simulator: Any) -> APIRouter:
    """The routes. Where something cannot be, the answer is 409 with a text; an unknown name gives 404."""
    router = APIRouter(prefix="/_sim", tags=["faults"])

    @router.get("/faults")
    async def list_faults() -> FaultList:
        now = simulator.clock.now
        return FaultList(faults=[_fault(fault, now) for fault in simulator.faults])

    @router.post("/faults", status_code=201, summary="Add a fault")
    async def add_fault(wanted: FaultWanted) -> FaultState:
        fault = simulator.faults.add(wanted.name, **_given(wanted))
        return _fault(fault, simulator.clock.now)

    @router.delete("/faults", summary="Take all faults away, and empty the timeline")
    async def clear_faults() -> FaultList:
        simulator.faults.clear()
        return FaultList(faults=[])

    @router.delete("/faults/{name}", summary="Take a fault away")
    async def remove_fault(name: str) -> FaultState:
        fault = next((fault for fault in simulator.faults if fault.name == name), None)
        if fault is None:
            known = ", ".join(fault.name for fault in simulator.faults) or "none"
            raise HTTPException(404, f"no fault '{name}' (there are: {known})")
        simulator.faults.remove(name)
        return _fault(fault, simulator.clock.now)

    _add_timeline(router, simulator)
    return router


def _add_timeline(router: APIRouter, simulator: Any) -> None:
    @router.get("/incidents", summary="What has happened")
    async def list_incidents() -> Events:
        return Events(incidents=_events(simulator))

    @router.post("/incidents", summary="Let something happen now")
    async def cause(incident: IncidentWanted) -> Event:
        simulator.faults.cause(**_given(incident))
        return _events(simulator)[-1]

    @router.get("/timeline", summary="What is still to happen")
    async def timeline() -> Timeline:
        return Timeline(timeline=[_entry(entry) for entry in simulator.faults.timeline])

    @router.post("/timeline", status_code=201, summary="Let something happen later")
    async def plan(wanted: EntryWanted) -> Entry:
        return _entry(simulator.faults.plan(wanted.name, **_given(wanted)))

    @router.delete("/timeline/{name}", summary="Take an entry out of the timeline")
    async def cancel(name: str) -> Entry:
        entry = next((entry for entry in simulator.faults.timeline if entry.name == name), None)
        if entry is None:
            known = ", ".join(entry.name for entry in simulator.faults.timeline) or "none"
            raise HTTPException(404, f"no entry '{name}' (there are: {known})")
        simulator.faults.cancel(name)
        return _entry(entry)


def _given(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(exclude_unset=True, exclude={"name"}, by_alias=True)


def _fault(fault: Fault, now: float) -> FaultState:
    matches = {
        name: value
        for name in ("method", "path", "user", "guest", "node", "storage", "task")
        if (value := getattr(fault, name))
    }
    return FaultState(
        name=fault.name,
        live=fault.live(now),
        seen=fault.seen,
        hits=fault.hits,
        matches=matches,
        effects=_effects(fault),
        probability=fault.probability,
        count=fault.count,
        since=fault.since,
        until=fault.until,
    )


def _effects(fault: Fault) -> dict[str, Any]:
    effects = {name: value for name in ("delay", "connection", "fail", "warn") if (value := getattr(fault, name))}
    if fault.status:
        effects["error"] = {"status": fault.status, "message": fault.message, "errors": dict(fault.errors)}
    if fault.hang is not None:
        effects["hang"] = True if fault.hang >= NEVER else fault.hang
    if fault.strikes_tasks:
        effects.update({"log": fault.log} if fault.log else {"step": fault.step})
    if fault.slow != 1.0:
        effects["slow"] = fault.slow
    return effects


def _events(simulator: Any) -> list[Event]:
    return [
        Event(time=event.time, incident=dict([event.incident]), refused=event.refused or None)
        for event in simulator.faults.happened
    ]


def _entry(entry: Planned | Trigger) -> Entry:
    if isinstance(entry, Planned):
        return Entry(name=entry.name, kind="at", due=entry.due, when=None, incident=dict([entry.incident]))
    when: dict[str, Any] = {"task": entry.task}
    when.update({name: value for name in ("id", "node", "log", "ended", "after") if (value := getattr(entry, name))})
    return Entry(name=entry.name, kind="when", due=None, when=when, incident=dict([entry.incident]))
