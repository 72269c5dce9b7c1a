"""The timeline: incidents that are due at a moment, or wait for a task."""

from __future__ import annotations

from typing import Any

from pvesim.core.tasks import Task, set_timer, watcher
from pvesim.core.world import World
from pvesim.faults.incidents import HAPPEN, check
from pvesim.faults.records import Planned, Trigger


def plan_at(world: World, name: str, due: float, incident: tuple[str, Any]) -> Planned:
    """Let an incident happen at a moment. Raises `FaultError` where what it names is not there."""
    check(world, *incident)
    planned = Planned(name, due, incident)
    world.put(planned)
    set_timer(world, f"timeline/{name}", due, HAPPEN, name, *incident)
    return planned


def plan_when(world: World, trigger: Trigger) -> Trigger:
    """Let an incident wait for a task. Raises `FaultError` where what it names is not there."""
    check(world, *trigger.incident)
    world.put(trigger)
    return trigger


@watcher(Task)
def _watch_tasks(world: World) -> None:
    """Set the timers of the incidents whose task has come."""
    triggers = world.rows(Trigger)
    if not triggers:
        return
    for trigger in list(triggers.values()):
        task = next((task for task in world.rows(Task).values() if _is_it(trigger, task)), None)
        if task is not None:
            world.remove(Trigger, trigger.name)
            plan_due(world, trigger)


def plan_due(world: World, trigger: Trigger) -> None:
    """The trigger's task is there: its incident follows."""
    due = world.now + trigger.after
    world.put(Planned(trigger.name, due, trigger.incident))
    set_timer(world, f"timeline/{trigger.name}", due, HAPPEN, trigger.name, *trigger.incident)


def _is_it(trigger: Trigger, task: Task) -> bool:
    if task.type != trigger.task or (trigger.id and task.id != trigger.id):
        return False
    if trigger.node and task.node != trigger.node:
        return False
    if trigger.log:
        # A task that began before may log it only now.
        return (task.running or task.order > trigger.armed) and any(trigger.log in line for line in task.log)
    return task.order > trigger.armed and (not trigger.ended or not task.running)
