"""Asking HA to move a resource. Source: the answers' schema of `…/resources/{sid}/migrate` and `…/relocate`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pvesim.core.errors import Failure
from pvesim.core.tasks import set_timer
from pvesim.core.world import World
from pvesim.ha.placement import blocking_on, companions_of, place_of
from pvesim.ha.records import HaResource
from pvesim.ha.rules import MANAGER_SECONDS, is_managed, timer_of
from pvesim.nodes.records import Node

Mode = Literal["migrate", "relocate"]


def request_move(world: World, sid: str, mode: Mode, target: str) -> dict[str, Any]:
    """Ask the manager to move a resource, and with it what has to stay with it; what PVE answers.

    `migrate` moves a running machine as it runs, `relocate` stops it for the way. Where an affinity rule forbids the
    target, nothing is moved and the answer names what blocks it. Raises `Failure`.
    """
    resource = world.get(HaResource, sid)
    if resource is None or not is_managed(resource):
        raise Failure(f"resource '{sid}' is not HA managed")
    if world.get(Node, target) is None:
        raise Failure(f"no such cluster node '{target}'")
    if resource.crm_state == "error":
        raise Failure(f"service '{sid}' in error state, must be disabled and fixed first")
    companions, blocking = companions_of(world, sid), blocking_on(world, sid, target)
    answer: dict[str, Any] = {"sid": sid, "requested-node": target}
    if companions:
        answer["comigrated-resources"] = companions
    if blocking:
        cause = "resource-affinity"
        return {**answer, "blocking-resources": [{"sid": other, "cause": cause} for other in blocking]}
    for each in (sid, *companions):
        if place_of(world, each) != target:
            _queue(world, world.rows(HaResource)[each], mode, target)
    return answer


def _queue(world: World, resource: HaResource, mode: Mode, target: str) -> None:
    if resource.crm_state not in ("started", "stopped", "queued", "request_stop") or not is_managed(resource):
        return  # the manager is busy with it, and forgets what is asked meanwhile
    world.put(replace(resource, wish=(mode, target)))
    set_timer(world, timer_of(resource.vmid), world.now + MANAGER_SECONDS, "ha.act", resource.sid)
