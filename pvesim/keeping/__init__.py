"""A world that outlives its process: every change is in a file before its answer is sent."""

from __future__ import annotations

from pvesim.keeping.simulator import KeptSimulator
from pvesim.keeping.statefile import StateError, StateFile

__all__ = ["KeptSimulator", "StateError", "StateFile"]
