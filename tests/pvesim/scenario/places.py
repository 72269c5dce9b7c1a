"""Helpers: what is wrong with a scenario, line by line."""

from __future__ import annotations

import pytest

from pvesim.core.errors import ScenarioError
from pvesim.core.world import World
from pvesim.scenario import build_world, read


def build(text: str) -> World:
    return build_world(read(text, "x.yaml"))


def problems(text: str) -> list[str]:
    """The problems of a scenario that cannot be loaded."""
    with pytest.raises(ScenarioError) as caught:
        build(text)
    return caught.value.problems


def problem(text: str) -> str:
    """The one problem of a scenario."""
    found = problems(text)
    assert len(found) == 1, found
    return found[0]
