"""What holds for the cluster as a whole."""

from __future__ import annotations

from pvesim.cluster.records import Cluster
from pvesim.core.world import World
from pvesim.nodes.records import Node


def the_cluster(world: World) -> Cluster:
    """The one record of the cluster."""
    return world.get(Cluster, "cluster") or Cluster()


def is_quorate(world: World) -> bool:
    """Whether more than half of the nodes answer; a lone node always has quorum."""
    return world.cached("quorate", (Node,), lambda: _is_quorate(world))


def _is_quorate(world: World) -> bool:
    nodes = world.rows(Node).values()
    return 2 * sum(node.online for node in nodes) > len(nodes)
