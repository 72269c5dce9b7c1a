"""From a scenario to a world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvesim.cluster.rounds import tell_all
from pvesim.core.collection import no_collection
from pvesim.core.world import Counter, World
from pvesim.nodes.records import Node
from pvesim.scenario.access import build_access, build_acl
from pvesim.scenario.base import DEFAULT_PASSWORD, empty_world
from pvesim.scenario.carried import apply_state
from pvesim.scenario.context import Context
from pvesim.scenario.files import load
from pvesim.scenario.firewall import build_firewall
from pvesim.scenario.fleet import build_fleet
from pvesim.scenario.groups import build_ha, build_pools
from pvesim.scenario.guests import build_guests
from pvesim.scenario.history import build_history
from pvesim.scenario.model import Scenario
from pvesim.scenario.nodes import build_nodes
from pvesim.scenario.setup import build_setup
from pvesim.scenario.storages import build_backups, build_definitions, build_spaces, build_volumes
from pvesim.scenario.trouble_build import build_faults


def build_world(
    source: Any = None,
    *,
    seed: int | None = None,
    now: float | None = None,
    variables: Mapping[str, Any] | None = None,
) -> World:
    """A world as a scenario describes it, with `seed` and the beginning `now` in place of the scenario's if given.

    `source` and `variables` are what `load` takes. Raises `ScenarioError` with every problem there is, each with its
    place.
    """
    with no_collection():
        scenario = load(source, variables=variables)
        world = empty_world(
            scenario.seed if seed is None else seed,
            scenario.start if now is None else now,
            scenario.root_password or DEFAULT_PASSWORD,
        )
        _build(scenario, world)
    return world


def _build(scenario: Scenario, world: World) -> None:
    """Fill an empty world."""
    context = Context(scenario, world)
    build_nodes(context)
    build_access(context)
    build_definitions(context)
    build_volumes(context)
    build_guests(context)
    build_fleet(context)
    build_backups(context)
    build_spaces(context)
    build_pools(context)
    build_acl(context)
    build_firewall(context)
    build_ha(context)
    for node in world.rows(Node):
        world.put(Counter(f"pid/{node}", context.pids.get(node, 1000)))
    build_history(context)
    build_setup(context)
    build_faults(context)
    tell_all(world)
    apply_state(context)
    context.places.check()
