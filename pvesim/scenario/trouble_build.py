"""From a scenario to what goes wrong in it: faults, and the timeline."""

from __future__ import annotations

from pvesim.core.errors import FaultError
from pvesim.faults.manager import add_fault, plan_entry
from pvesim.scenario.context import Context
from pvesim.scenario.reading import Location
from pvesim.scenario.trouble import TimelineModel


def build_faults(context: Context) -> None:
    """The faults, and the timeline's entries as `entry-1`, `entry-2`, …: after everything that they may speak of."""
    for name, model in context.scenario.faults.items():
        try:
            add_fault(context.world, name, model)
        except FaultError as error:
            context.problem(("faults", name), str(error))
    for position, entry in enumerate(context.scenario.timeline):
        _plan(context, entry, ("timeline", position), position + 1)


def _plan(context: Context, entry: TimelineModel, location: Location, number: int) -> None:
    try:
        plan_entry(context.world, f"entry-{number}", entry)
    except FaultError as error:
        context.problem((*location, entry.incident[0]), str(error))
