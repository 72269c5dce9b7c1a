"""What HA tells of itself: quorum, its manager, the manager's agents on the nodes, fencing, and every resource.

Source: API paths `/cluster/ha/status/current` and `/cluster/ha/status/manager_status`; the answers of a node with no
resource are recorded (`ha/002`, `ha/003`).
"""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import Any

from pvesim.cluster.rules import is_quorate
from pvesim.core.sections import as_stored
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.ha.manager import FENCE_AFTER, FENCED_AFTER
from pvesim.ha.records import HaArming, HaNode, HaResource
from pvesim.ha.rules import is_managed
from pvesim.metrics import round_of
from pvesim.nodes.records import Node


def current_status(world: World, local_node: str) -> list[dict[str, Any]]:
    """Quorum, manager, its agent on each node, fencing, and every resource."""
    quorate = is_quorate(world)
    quorum = {"id": "quorum", "type": "quorum", "node": local_node, "quorate": int(quorate)}
    entries: list[dict[str, Any]] = [{**quorum, "status": "OK" if quorate else "No quorum on node!"}]
    master = _master(world)
    if master is None:
        return [*entries, _fencing(world, local_node, "standby", "standby")]
    entries.append(_daemon("master", master, "master", "active", round_of(world.now)))
    entries += [_agent(world, node) for node in world.rows(Node).values()]
    entries.append(_fencing(world, master, "armed", "active"))
    return entries + [_service(world, resource) for resource in world.rows(HaResource).values()]


def manager_status(world: World, local_node: str) -> dict[str, Any]:
    """What the manager keeps in its own file."""
    quorum = {"node": local_node, "quorate": str(int(is_quorate(world)))}
    master = _master(world)
    if master is None:
        return {"manager_status": {"node_status": {}}, "quorum": quorum}
    manager = {
        "master_node": master,
        "node_status": {name: node_state(world, node) for name, node in world.rows(Node).items()},
        "service_status": _services(world),
        "timestamp": int(round_of(world.now)),
    }
    return {"manager_status": manager, "lrm_status": _agents(world), "quorum": quorum}


def node_state(world: World, node: Node) -> str:
    """A node as the manager sees it: a lost one is `unknown`, then to be fenced, then `unknown` and surely off."""
    record = world.get(HaNode, node.name)
    if node.online:
        return "maintenance" if record is not None and record.leaving else "online"
    lost = world.now - record.lost if record is not None and record.lost is not None else 0.0
    return "fence" if record is not None and not record.fenced and lost >= FENCE_AFTER else "unknown"


def _master(world: World) -> str | None:
    """The node whose manager leads: none before there is anything to manage, and none without quorum."""
    if not world.rows(HaResource):
        return None
    return next((name for name, node in world.rows(Node).items() if node.online), None)


def _has_work(world: World, node: str) -> bool:
    guests = (world.get(Guest, resource.vmid) for resource in world.rows(HaResource).values() if is_managed(resource))
    return any(guest is not None and guest.node == node for guest in guests)


# -- the manager, its agents, fencing ------------------------------------------------------------------------------


def _fencing(world: World, node: str, state: str, watchdog: str) -> dict[str, Any]:
    arming = world.get(HaArming, "ha")
    more: dict[str, Any] = {}
    if arming is not None:
        state, watchdog, more = "disarmed", "standby", {"resource_mode": arming.mode}
    status = f"{state} (CRM watchdog {watchdog})"
    return {"id": "fencing", "type": "fencing", "node": node, "armed-state": state, "status": status, **more}


def _daemon(type: str, node: str, id: str, state: str, moment: float) -> dict[str, Any]:
    status = f"{node} ({state}, {time.asctime(time.gmtime(int(moment)))})"
    return {"id": id, "type": type, "node": node, "status": status, "timestamp": int(moment)}


def _agent(world: World, node: Node) -> dict[str, Any]:
    """The agent of a node; of one that is lost, what it wrote last."""
    moment, state = round_of(world.now), "active" if _has_work(world, node.name) else "idle"
    if not node.online:
        record = world.get(HaNode, node.name)
        moment = round_of(record.lost if record is not None and record.lost is not None else world.started)
        if world.now - moment > FENCED_AFTER or record is None:
            state = "old timestamp - dead?"
    elif node_state(world, node) == "maintenance":
        state = "maintenance mode"
    return _daemon("lrm", node.name, f"lrm:{node.name}", state, moment)


def _agents(world: World) -> dict[str, Any]:
    agents: dict[str, Any] = {}
    for name, node in world.rows(Node).items():
        record = world.get(HaNode, name)
        moment = world.now if record is None or record.lost is None else record.lost
        agents[name] = {
            "mode": "maintenance" if node.online and record is not None and record.leaving else "active",
            "results": {},
            "state": "active" if _has_work(world, name) else "wait_for_agent_lock",
            "timestamp": int(round_of(moment)),
        }
    return agents


# -- resources -----------------------------------------------------------------------------------------------------


def _services(world: World) -> dict[str, Any]:
    services: dict[str, Any] = {}
    for resource in world.rows(HaResource).values():
        guest = world.get(Guest, resource.vmid)
        if guest is not None and resource.crm_state not in ("queued", "ignored"):
            entry: dict[str, Any] = {"node": guest.node, "state": resource.crm_state, "uid": _uid(resource)}
            if guest.running:
                entry["running"] = 1
            if resource.wish is not None and resource.crm_state == resource.wish[0]:
                entry["target"] = resource.wish[1]
            if resource.tried:
                entry["failed_nodes"] = list(resource.tried)
            services[resource.sid] = entry
    return services


def _service(world: World, resource: HaResource) -> dict[str, Any]:
    guest = world.get(Guest, resource.vmid)
    node, state = guest.node if guest else "", _state_in_words(resource, guest)
    about = {"id": f"service:{resource.sid}", "type": "service", "sid": resource.sid, "node": node}
    progress = {"state": state, "crm_state": resource.crm_state, "request_state": resource.state}
    shown = {name: value for name, value in as_stored(resource.options).items() if name != "state"}
    return {**about, **progress, "status": f"{resource.sid} ({node}, {state})", **shown}


def _state_in_words(resource: HaResource, guest: Guest | None) -> str:
    if not is_managed(resource):
        return "ignored"
    running = guest is not None and guest.running
    if resource.crm_state == "started" and not running:
        return "starting"
    if resource.crm_state == "request_stop":
        return "stopping" if running else "stopped"
    if resource.crm_state == "stopped" and resource.state == "disabled":
        return "disabled"
    return resource.crm_state


def _uid(resource: HaResource) -> str:
    """The random name that PVE gives to a service; here it follows from the resource."""
    return blake2b(resource.sid.encode(), digest_size=11).hexdigest()
