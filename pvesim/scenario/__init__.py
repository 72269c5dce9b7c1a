"""Scenarios: what a simulated cluster starts with, written as YAML."""

from __future__ import annotations

from pvesim.scenario.build import build_world
from pvesim.scenario.files import available, find, load, read, schema_json
from pvesim.scenario.model import Scenario

__all__ = ["Scenario", "available", "build_world", "find", "load", "read", "schema_json"]
