"""Making a lone node the first of a cluster: `POST /cluster/config`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pvesim.cluster.rules import the_cluster
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.nodes.records import Node

_CONFIG = "/etc/pve/corosync.conf"


def creation_steps(world: World, name: str, nodeid: int) -> list[Step]:
    """The task. Raises `Failure` for a node that is in a cluster."""
    _check_alone(world)
    return [
        Step(
            log=(
                "Corosync Cluster Engine Authentication key generator.",
                "Gathering 2048 bits for key from /dev/urandom.",
                "Writing corosync key to /etc/corosync/authkey.",
            )
        ),
        Step(after=0.3, log=(f"Writing corosync config to {_CONFIG}",)),
        Step(after=1.0, log=("Restart corosync and cluster filesystem",)),
        Step(after=2.0, effect="cluster.create", arguments=(name, nodeid)),
    ]


def _check_alone(world: World) -> None:
    if the_cluster(world).name:
        raise Failure(f"cluster config '{_CONFIG}' already exists")


@effect("cluster.create")
def create(world: World, task: Task, name: str, nodeid: int) -> Iterable[Step] | None:
    """From now on there is a cluster, with the node as its only member."""
    _check_alone(world)
    world.put(replace(the_cluster(world), name=name, version=1))
    world.put(replace(world.rows(Node)[task.node], nodeid=nodeid))
    return None
