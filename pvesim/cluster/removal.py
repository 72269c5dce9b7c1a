"""Taking a node out of the cluster: `DELETE /cluster/config/nodes/{node}`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pvesim.cluster.rules import the_cluster
from pvesim.core.errors import Failure, NotModelled
from pvesim.core.tasks import Timer, abort_task, running_tasks
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.nodes.power import timer_of
from pvesim.nodes.records import Disk, Interface, Medium, Node, PendingNetwork, Service
from pvesim.storage.records import Space, Volume

_OF_NODES: tuple[type[Any], ...] = (Disk, Interface, Medium, PendingNetwork, Service)
_IN_PLACES: tuple[type[Any], ...] = (Space, Volume)


def remove_node(world: World, local: str, name: str) -> None:
    """Forget a member with all that is on it alone. It need not be off, which is as dangerous as it is in PVE.

    Raises `Failure` for an unknown node and for the one that is asked; `NotModelled` for one that still has guests,
    whose configurations PVE would leave behind without a node.
    """
    node = world.get(Node, name) if the_cluster(world).name else None
    if node is None:
        raise Failure(f"Node/IP: {name} is not a known host of the cluster.")
    if name == local:
        raise Failure("Cannot delete myself from cluster!")
    if any(guest.node == name for guest in world.rows(Guest).values()):
        raise NotModelled(f"removing node '{name}' while it has guests is not modelled by pvesim: move or delete them")
    for task in running_tasks(world):
        if task.node == name:
            abort_task(world, task.upid)
    world.remove(Timer, timer_of(name))
    world.remove(Node, name)
    for kind in _OF_NODES:
        _forget(world, kind, "node", name)
    for kind in _IN_PLACES:
        _forget(world, kind, "place", name)
    cluster = the_cluster(world)
    world.put(replace(cluster, version=cluster.version + 1))


def _forget(world: World, kind: type[Any], attribute: str, name: str) -> None:
    for record in [row for row in world.rows(kind).values() if getattr(row, attribute) == name]:
        world.remove(kind, record.key)
