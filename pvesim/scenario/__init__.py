"""Scenarios: what a simulated cluster starts with, written as YAML."""

from __future__ import annotations

from typing import Any

from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.scenario.base import empty_world


def build_world(source: Any = None, *, seed: int | None = None, now: float | None = None) -> World:
    world = empty_world(seed or 0, now or 1_767_225_600.0)
    world.put(Node("pve1", started=world.now))
    return world
