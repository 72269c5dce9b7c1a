"""What HA does with the resources of a node that is about to go down, as `ha: shutdown_policy=…` of the cluster says.

| policy | its resources |
| --- | --- |
| conditional (the default) | frozen while the node restarts; if it is switched off, started elsewhere after a while |
| freeze | frozen, until the node is back |
| failover | started elsewhere after a while |
| migrate | moved away first |

Source: the options of `/cluster/options`.
"""

from __future__ import annotations

from dataclasses import replace

from pvesim.access.rules import ROOT
from pvesim.cluster.rules import the_cluster
from pvesim.core.tasks import Timer
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.guests.migrate import start_migration
from pvesim.guests.power import run
from pvesim.guests.records import Guest
from pvesim.ha.placement import choose_node
from pvesim.ha.records import HaNode, HaResource
from pvesim.ha.rules import is_managed, timer_of

_STOP_TIMEOUT = 60.0


def shutdown_policy(world: World) -> str:
    """The cluster's policy."""
    return read_options(str(the_cluster(world).options.get("ha", "")), "shutdown_policy").get(
        "shutdown_policy", "conditional"
    )


def leave_node(world: World, node: str, *, restarts: bool) -> list[str]:
    """Clear a node of what HA manages on it; the UPIDs of the tasks to wait for."""
    resources = [resource for resource in world.rows(HaResource).values() if is_managed(resource)]
    jobs: list[str] = []
    for resource in resources:
        guest = world.get(Guest, resource.vmid)
        if guest is not None and guest.node == node:
            world.put(HaNode(node, leaving=True))
            world.remove(Timer, timer_of(guest.vmid))
            jobs += _clear(world, resource, guest, restarts=restarts)
    return jobs


def _clear(world: World, resource: HaResource, guest: Guest, *, restarts: bool) -> list[str]:
    policy = shutdown_policy(world)
    target = choose_node(world, resource.sid, avoid=(guest.node,)) if policy == "migrate" else None
    if target is not None:
        params = {"online": guest.running, "restart": guest.running}
        return [start_migration(world, guest, ROOT, target, params)]
    if policy == "freeze" or (policy == "conditional" and restarts):
        resource = replace(resource, crm_state="freeze")
    world.put(replace(resource, wish=None, job=""))
    if not guest.running:
        return []
    return [run(world, guest.kind, guest.node, "shutdown", guest.vmid, ROOT, False, _STOP_TIMEOUT, True)]
