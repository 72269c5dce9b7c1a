"""System services of a node, and the tasks that start and stop them.

Sources: `/nodes/{node}/services`, the recorded exchanges `nodes/044` to `nodes/046`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.nodes.records import Service

Command = Literal["start", "stop", "restart", "reload"]

_SECONDS: dict[Command, float] = {"start": 0.4, "stop": 0.4, "restart": 0.8, "reload": 0.3}
# Restarting these would cut off the very request that asked for it; they are reloaded in their place.
_RELOADED = frozenset({"pvedaemon", "pveproxy"})
_ESSENTIAL = frozenset({"pve-cluster", "pvedaemon", "pveproxy"})


def services_of(world: World, node: str) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/services`."""
    return [describe(service) for service in world.rows(Service).values() if service.node == node]


def describe(service: Service) -> dict[str, Any]:
    """One element of the list, and `GET …/state`."""
    return {
        "active-state": "active" if service.state in ("running", "exited") else "inactive",
        "desc": service.description,
        "name": service.name,
        "service": service.name,
        "state": service.state,
        "unit-state": service.unit_state,
    }


def find_service(world: World, node: str, name: str) -> Service:
    """A service's record; one that the node does not have is a unit that is not found."""
    known = world.get(Service, (node, name))
    return known or Service(node, name, f"{name}.service", state="dead", unit_state="not-found")


def command_steps(node: str, name: str, command: Command) -> Sequence[Step]:
    """The task of a command on a service."""
    done: Command = "reload" if command == "restart" and name in _RELOADED else command
    return [Step(after=_SECONDS[command], effect="nodes.service", arguments=(node, name, done))]


@effect("nodes.service")
def run_command(world: World, task: Task | None, node: str, name: str, command: Command) -> list[Step] | None:
    """Do to a service what systemd does. Raises `Failure` with its exit code where it refuses."""
    if command == "stop" and name in _ESSENTIAL:
        raise Failure(f"invalid service cmd '{name} stop': refusing to stop essential service!")
    service = find_service(world, node, name)
    if service.unit_state in ("not-found", "masked"):
        return _refused(name, command, service.unit_state)
    if command == "reload" and service.state != "running":
        return _failed(name, command, f"{name}.service is not active, cannot reload.", 1)
    state = "dead" if command == "stop" else "running"
    if service.state != state:
        world.put(replace(service, state=state))
    return None


def _refused(name: str, command: Command, unit_state: str) -> list[Step]:
    unit = f"{name}.service"
    if unit_state == "masked":
        return _failed(name, command, f"Failed to {command} {unit}: Unit {unit} is masked.", 1)
    text = f"Unit {unit} not loaded." if command == "stop" else f"Unit {unit} not found."
    return _failed(name, command, f"Failed to {command} {unit}: {text}", 5)


def _failed(name: str, command: Command, line: str, code: int) -> list[Step]:
    text = f"command 'systemctl {command} {name}' failed: exit code {code}"
    return [Step(log=(line,), effect="nodes.service_failed", arguments=(text,))]


@effect("nodes.service_failed")
def fail(world: World, task: Task | None, text: str) -> None:
    """End the task with the command's exit code."""
    raise Failure(text)
