"""Real clusters, looked at from outside: read in as a scenario, and compared with one. GET requests only."""

from __future__ import annotations

from pvesim.live.anonymise import anonymised
from pvesim.live.compare import Comparison, Finding, compare
from pvesim.live.read import Reading, read_cluster
from pvesim.live.source import LiveCluster, LiveError, SimulatedCluster, Source, Unreadable

__all__ = [
    "Comparison",
    "Finding",
    "LiveCluster",
    "LiveError",
    "Reading",
    "SimulatedCluster",
    "Source",
    "Unreadable",
    "anonymised",
    "compare",
    "read_cluster",
]
