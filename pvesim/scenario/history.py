"""From a scenario to its task history: the tasks are really run, in the time before the world begins."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pvesim.access.records import Token, User
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect, run_until, start_task
from pvesim.core.world import World
from pvesim.scenario.context import Context, known_names
from pvesim.scenario.model import TaskModel

_WARNINGS = re.compile(r"WARNINGS: ([1-9]\d*)", re.ASCII)


def build_history(context: Context) -> None:
    """Run the scenario's tasks one by one, and come back to the beginning; one that takes longer is still running."""
    world = context.world
    begin = world.now
    tasks = sorted(enumerate(context.scenario.tasks), key=lambda entry: (-entry[1].ago, entry[0]))
    for position, model in tasks:
        node = _checked_node(context, position, model)
        if node is None:
            continue
        start = max(begin - model.ago, 0.0)
        if not world.rows(Task):
            world.now = start
        run_until(world, start)
        start_task(world, node, model.type, str(model.id), model.user, _steps(model))
    run_until(world, begin)


def _checked_node(context: Context, position: int, model: TaskModel) -> str | None:
    world = context.world
    location = ("tasks", position)
    table = Token if "!" in model.user else User
    if model.user not in world.rows(table):
        context.problem((*location, "user"), f"no user '{model.user}': {known_names(world.rows(User))}")
    warnings = _WARNINGS.fullmatch(model.status)
    if warnings and int(warnings[1]) > len(model.log):
        context.problem((*location, "log"), f"{warnings[1]} of the lines are warnings, and there are {len(model.log)}")
    return context.node(model.node, (*location, "node"))


def _steps(model: TaskModel) -> list[Step]:
    """The task's lines at its end, the last as warnings if its status says so, and what makes it fail."""
    warnings = _WARNINGS.fullmatch(model.status)
    plain = len(model.log) - (int(warnings[1]) if warnings else 0)
    steps = [Step(after=model.duration, log=tuple(model.log[:plain]))]
    if warnings:
        steps.append(Step(log=tuple(model.log[plain:]), warning=True))
    elif model.status != "OK":
        steps.append(Step(effect="scenario.fail", arguments=(model.status,)))
    return steps


@effect("scenario.fail")
def _fail(world: World, task: Task | None, status: str) -> Iterable[Step] | None:
    raise Failure(status)
