"""The HA manager: it starts and stops the guests under it as was asked, and tells how far it is.

It looks at a resource some seconds after something was asked of it (a timer), and again until the guest is as it
should be. Losing a node and moving guests is not modelled yet.
Source: API paths `/cluster/ha/status/current` and `/cluster/ha/status/manager_status`; the answers of a node with no
resource are recorded (`ha/002`, `ha/003`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from pvesim.access.rules import ROOT
from pvesim.cluster.rules import is_quorate
from pvesim.core.sections import as_stored
from pvesim.core.tasks import Task, effect, set_timer
from pvesim.core.world import World
from pvesim.guests.power import run
from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource
from pvesim.ha.rules import is_managed, timer_of
from pvesim.metrics import round_of
from pvesim.nodes.records import Node

LOOK_AGAIN = 10.0
_STOP_TIMEOUT = 60.0
_WANTED = {"started": "started", "stopped": "stopped", "disabled": "stopped"}


# -- acting --------------------------------------------------------------------------------------------------------


@effect("ha.act")
def act(world: World, task: Task | None, sid: str, tries: int = 0) -> None:
    """Bring a guest into the state that is asked for, or give up after the tries that its options allow."""
    resource = world.get(HaResource, sid)
    guest = world.get(Guest, resource.vmid) if resource else None
    if resource is None or guest is None:
        return
    if not is_managed(resource):
        world.put(replace(resource, crm_state="ignored"))
        return
    wanted = _WANTED[resource.state]
    if guest.running == (wanted == "started"):
        world.put(replace(resource, crm_state=wanted))
    elif tries > int(resource.options.get("max_restart", 1)):
        world.put(replace(resource, crm_state="error"))
    else:
        world.put(replace(resource, crm_state="started" if wanted == "started" else "request_stop"))
        _start_or_stop(world, guest, wanted)
        set_timer(world, timer_of(guest.vmid), world.now + _patience(wanted), "ha.act", sid, tries + 1)


def _start_or_stop(world: World, guest: Guest, wanted: str) -> None:
    node = world.get(Node, guest.node)
    if node is None or not node.online:
        return  # nobody there to do it; the next look may find it back
    if wanted == "started":
        run(world, guest.kind, guest.node, "start", guest.vmid, ROOT)
    else:
        run(world, guest.kind, guest.node, "shutdown", guest.vmid, ROOT, False, _STOP_TIMEOUT, True)


def _patience(wanted: str) -> float:
    return LOOK_AGAIN if wanted == "started" else _STOP_TIMEOUT + LOOK_AGAIN


# -- telling -------------------------------------------------------------------------------------------------------


def current_status(world: World, local_node: str) -> list[dict[str, Any]]:
    """Quorum, manager, its agent on each node, fencing, and every resource."""
    quorate = is_quorate(world)
    quorum = {"id": "quorum", "type": "quorum", "node": local_node, "quorate": int(quorate)}
    entries: list[dict[str, Any]] = [{**quorum, "status": "OK" if quorate else "No quorum on node!"}]
    master = _master(world)
    if master is None:
        return [*entries, _fencing(local_node, "standby", "standby")]
    entries.append(_daemon("master", master, "master", "active", world))
    for name, node in world.rows(Node).items():
        if node.online:
            state = "active" if _has_work(world, name) else "idle"
            entries.append(_daemon("lrm", name, f"lrm:{name}", state, world))
    entries.append(_fencing(master, "armed", "active"))
    return entries + [_service(world, resource) for resource in world.rows(HaResource).values()]


def manager_status(world: World, local_node: str) -> dict[str, Any]:
    """What the manager keeps in its own file."""
    quorum = {"node": local_node, "quorate": str(int(is_quorate(world)))}
    master = _master(world)
    if master is None:
        return {"manager_status": {"node_status": {}}, "quorum": quorum}
    now = int(round_of(world.now))
    services = {}
    for resource in world.rows(HaResource).values():
        guest = world.get(Guest, resource.vmid)
        if guest is not None and _is_seen(resource):
            running = {"running": 1} if guest.running else {}
            services[resource.sid] = {"node": guest.node, "state": resource.crm_state, "uid": _uid(resource), **running}
    nodes = world.rows(Node)
    agents: dict[str, dict[str, Any]] = {
        name: {
            "mode": "active",
            "results": {},
            "state": "active" if _has_work(world, name) else "wait_for_agent_lock",
            "timestamp": now,
        }
        for name in nodes
        if nodes[name].online
    }
    manager = {
        "master_node": master,
        "node_status": {name: "online" if node.online else "unknown" for name, node in nodes.items()},
        "service_status": services,
        "timestamp": now,
    }
    return {"manager_status": manager, "lrm_status": agents, "quorum": quorum}


def _master(world: World) -> str | None:
    """The node whose manager leads: none before there is anything to manage."""
    if not world.rows(HaResource):
        return None
    return next((name for name, node in world.rows(Node).items() if node.online), None)


def _is_seen(resource: HaResource) -> bool:
    return resource.crm_state not in ("queued", "ignored")


def _has_work(world: World, node: str) -> bool:
    guests = (world.get(Guest, resource.vmid) for resource in world.rows(HaResource).values() if is_managed(resource))
    return any(guest is not None and guest.node == node for guest in guests)


def _fencing(node: str, state: str, watchdog: str) -> dict[str, Any]:
    status = f"{state} (CRM watchdog {watchdog})"
    return {"id": "fencing", "type": "fencing", "node": node, "armed-state": state, "status": status}


def _daemon(type: str, node: str, id: str, state: str, world: World) -> dict[str, Any]:
    moment = int(round_of(world.now))
    status = f"{node} ({state}, {time.asctime(time.gmtime(moment))})"
    return {"id": id, "type": type, "node": node, "status": status, "timestamp": moment}


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
