"""Nodes that restart, are switched off, are woken, and lose their power.

A node that is told to go down first stops its guests in the reverse of their starting order, as a task that its log
shows; what HA manages goes its own way (`pvesim.ha.leaving`). When it is back, it starts those with `onboot`.
Source: API path `POST /nodes/{node}/status`; recorded exchanges `nodes/051` and `nodes/068`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pvesim.access.rules import ROOT
from pvesim.cluster.rules import is_quorate
from pvesim.core.tasks import Step, Task, Timer, abort_task, effect, running_tasks, set_timer, start_task
from pvesim.core.world import World
from pvesim.guests.bulk import default_workers, start_steps, stop_steps
from pvesim.guests.power import halt
from pvesim.guests.records import Guest
from pvesim.ha.leaving import leave_node
from pvesim.nodes.records import Node
from pvesim.routing import Call

COMMAND_SECONDS = 2.0  # from the answer to a command until the node acts on it
BOOT_SECONDS = 45.0
STOP_TIMEOUT = 180
_PATIENCE = 300.0  # seconds after which a node goes down with guests that still run
_POLL = 1.0
_START_PAUSE = 5.0  # from a node's return until it starts its guests


def timer_of(node: str) -> str:
    """The name of the timer at which a node goes down or comes back."""
    return f"node/{node}"


def watch_nodes(call: Call) -> None:
    """In auto mode, who looks at the nodes sees one of them go down or come back."""
    for name in call.world.rows(Timer):
        if name.startswith("node/"):
            call.watch(name)
            return


# -- going down ----------------------------------------------------------------------------------------------------


def command(world: World, name: str, what: str) -> None:
    """`POST /nodes/{node}/status`: `reboot` or `shutdown`. A node that is on its way down goes on as it began."""
    if world.get(Timer, timer_of(name)) is None:
        set_timer(world, timer_of(name), world.now + COMMAND_SECONDS, "nodes.leave", name, what == "reboot")


@effect("nodes.leave")
def _leave(world: World, task: Task | None, name: str, restarts: bool) -> None:
    jobs = leave_node(world, name, restarts=restarts)
    steps = stop_steps(name, None, default_workers(world, name), {"force": True, "timeout": STOP_TIMEOUT})
    jobs.append(start_task(world, name, "stopall", "", ROOT, steps))
    _wait(world, name, restarts, tuple(jobs), world.now + _PATIENCE)


def _wait(world: World, name: str, restarts: bool, jobs: Sequence[str], limit: float) -> None:
    set_timer(world, timer_of(name), world.now + _POLL, "nodes.clear", name, restarts, jobs, limit)


@effect("nodes.clear")
def _clear(world: World, task: Task | None, name: str, restarts: bool, jobs: Sequence[str], limit: float) -> None:
    """Go down when all that was to be waited for has ended."""
    unfinished = tuple(upid for upid in jobs if (job := world.get(Task, upid)) is not None and job.running)
    if unfinished and world.now < limit:
        _wait(world, name, restarts, unfinished, limit)
        return
    go_down(world, name)
    if restarts:
        set_timer(world, timer_of(name), world.now + BOOT_SECONDS, "nodes.boot", name)


def go_down(world: World, name: str) -> None:
    """A node is off from now on, with all that ran on it."""
    cut_power(world, name)
    world.put(replace(world.rows(Node)[name], online=False))


def cut_power(world: World, name: str) -> None:
    """Whatever ran on a node does not any more: its tasks are interrupted, its guests are off."""
    for task in running_tasks(world):
        if task.node == name:
            abort_task(world, task.upid)
    for guest in list(world.rows(Guest).values()):
        if guest.node == name and guest.running:
            halt(world, None, guest.kind, guest.vmid)


# -- coming back ---------------------------------------------------------------------------------------------------


def wake(world: World, name: str) -> None:
    """Switch a node on; nothing happens if it is on."""
    if not world.rows(Node)[name].online:
        set_timer(world, timer_of(name), world.now + BOOT_SECONDS, "nodes.boot", name)


@effect("nodes.boot")
def boot(world: World, task: Task | None, name: str) -> None:
    """A node has booted, and begins to start its guests."""
    node = world.get(Node, name)
    if node is None:
        return
    world.put(replace(node, online=True, started=world.now))
    steps = [Step(_START_PAUSE, effect="nodes.await_quorum"), *start_steps(name, None, default_workers(world, name))]
    start_task(world, name, "startall", "", ROOT, steps)


@effect("nodes.await_quorum")
def _await_quorum(world: World, task: Task, said: bool = False) -> Iterable[Step]:
    """Without quorum no guest is started; the task waits for it."""
    if is_quorate(world):
        return [Step(log=("got quorum",))] if said else []
    wait = Step(_START_PAUSE, effect="nodes.await_quorum", arguments=(True,))
    return [wait] if said else [Step(log=("waiting for quorum ...",)), wait]
