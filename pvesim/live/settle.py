"""What was read becomes a scenario that loads: what its model cannot hold is taken out, and noted.

A live cluster has options that another release knows, volumes of storages that are offline, users of realms that are
gone. Each is found by loading the scenario and reading where the problems are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvesim.core.errors import ScenarioError
from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.scenario.build import build_world
from pvesim.storage.records import Space, Storage
from pvesim.storage.rules import space_of

_ROUNDS = 20  # each takes out all that the one before brought to light


def settled(scenario: dict[str, Any], notes: list[str], spaces: Mapping[tuple[str, str], int]) -> World:
    """Take out what does not load, and fill the storages as they are. Raises `ScenarioError` if that is no way."""
    world = _loaded(scenario, notes)
    _fill(scenario, world, spaces)
    return _loaded(scenario, notes)


def _loaded(scenario: dict[str, Any], notes: list[str]) -> World:
    for _ in range(_ROUNDS):
        try:
            return build_world(scenario)
        except ScenarioError as error:
            removed = [_take_out(scenario, problem) for problem in reversed(error.problems)]
            found = [note for note in removed if note]
            if not found:
                raise
            notes.extend(f"left out: {note}" for note in reversed(found))
    return build_world(scenario)


def _take_out(scenario: dict[str, Any], problem: str) -> str:
    """Remove the field that a problem speaks of; the answer is the problem, or nothing if it was removed already."""
    place, rest = scenario, problem
    owner: Any = None
    key: Any = None
    while True:
        found = _next(place, rest)
        if found is None:
            break
        owner, key = place, found
        place, rest = place[found], rest[len(str(found)) :].removeprefix(".")
    if owner is None or owner is scenario:
        return ""
    del owner[key]
    return problem


def _next(place: Any, rest: str) -> Any:
    """The longest key of a place that a problem's path goes on with."""
    keys: list[Any] = (
        list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
    )
    fitting = [key for key in keys if rest.startswith((f"{key}.", f"{key}:"))]
    return max(fitting, key=lambda key: len(str(key)), default=None)


def _fill(scenario: dict[str, Any], world: World, spaces: Mapping[tuple[str, str], int]) -> None:
    """What is used on the storages beside the volumes that are known."""
    nodes = list(world.rows(Node))
    _fill_roots(scenario, world)
    for (name, place), used in spaces.items():
        storage = world.get(Storage, name)
        if storage is None or world.get(Space, (name, place)) is None:
            continue
        own = world.rows(Space)[name, place].used
        known = space_of(world, storage, place or nodes[0]).used - own
        model = scenario["storages"][name]
        target = model.setdefault("nodes", {}).setdefault(place, {}) if place else model
        target["used"] = max(0, used - known)
    for node, model in scenario["nodes"].items():
        hardware = model.get("hardware", {})
        if "memory_used" in hardware:
            hardware["memory_used"] = max(0, hardware["memory_used"] - _memory_of_guests(scenario, node))


def _fill_roots(scenario: dict[str, Any], world: World) -> None:
    """What nodes have on their root file systems beside the volumes there."""
    for name, node in world.rows(Node).items():
        hardware = scenario["nodes"][name].get("hardware", {})
        for storage in world.rows(Storage).values():
            on_root = not storage.shared and world.get(Space, (storage.storage, name)) is None and storage.on(name)
            if on_root and "root_used" in hardware:
                volumes = space_of(world, storage, name).used - node.hardware.root_used
                hardware["root_used"] = max(0, hardware["root_used"] - max(0, volumes))


def _memory_of_guests(scenario: dict[str, Any], node: str) -> int:
    used = 0.0
    for section, usual in (("vms", 512), ("containers", 512)):
        for guest in scenario[section].values():
            if guest["node"] == node and guest.get("state") == "running":
                memory = int(str(guest["config"].get("memory", usual)).partition(",")[0].removeprefix("current="))
                used += memory * (1 << 20) * guest.get("behaviour", {}).get("memory_load", 0.0)
    return int(used)
