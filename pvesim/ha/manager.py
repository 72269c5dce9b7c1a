"""The HA manager: it keeps resources in the state that was asked for, where the rules want them, and never loses one.

It looks at a resource some seconds after something was asked of it or happened to its node (a timer), and again until
all is as it should be:

    started, stopped     as asked, or on the way there
    migrate, relocate    on the way to another node, running or switched off
    fence, recovery      its node is lost: certainly off only after a while; then it is started elsewhere
    freeze               left alone while its node restarts
    error                given up, until it is disabled

A start that fails is tried again `max_restart` times, then on `max_relocate` other nodes.
Source: the states of `/cluster/ha/status/current`, the options of `/cluster/ha/resources`.
"""

from __future__ import annotations

from dataclasses import replace

from pvesim.access.rules import ROOT
from pvesim.cluster.rules import is_quorate
from pvesim.core.log import log_event
from pvesim.core.tasks import Task, Timer, effect, set_timer, watcher
from pvesim.core.world import World
from pvesim.guests.migrate import start_migration
from pvesim.guests.power import run
from pvesim.guests.records import FileLock, Guest
from pvesim.ha.placement import choose_node
from pvesim.ha.records import HaArming, HaNode, HaResource, HaRule
from pvesim.ha.rules import MANAGER_SECONDS, is_managed, timer_of
from pvesim.nodes.power import cut_power
from pvesim.nodes.records import Node

LOOK_AGAIN = 10.0
FENCE_AFTER = 60.0  # seconds without an answer until a node is given up
FENCED_AFTER = 120.0  # until its watchdog has certainly switched it off
STOP_TIMEOUT = 60.0
_JOB_POLL = 1.0
_STARTS, _SHUTDOWNS = ("qmstart", "vzstart"), ("qmshutdown", "vzshutdown")
_WANTED = {"started": "started", "stopped": "stopped", "disabled": "stopped"}


# -- noticing ------------------------------------------------------------------------------------------------------


@watcher(Node, HaRule)
def notice(world: World) -> None:
    """Nodes are lost and come back, rules change: whoever is concerned is looked at."""
    resources = [resource for resource in world.rows(HaResource).values() if is_managed(resource)]
    homes = {resource.sid: guest.node for resource in resources if (guest := world.get(Guest, resource.vmid))}
    for name, node in world.rows(Node).items():
        record = world.get(HaNode, name)
        if node.online and record is not None and record.lost is not None:
            world.remove(HaNode, name)
            if record.fenced and node.started < record.lost:  # its watchdog has restarted it
                set_timer(world, f"node/{name}", world.now, "nodes.boot", name)
        elif not node.online and (record is None or record.lost is None):
            _note_loss(world, name, matters=name in homes.values())
    for resource in resources:
        if _needs_a_look(world, resource, homes.get(resource.sid)):
            _look_in(world, resource, MANAGER_SECONDS)


@watcher(Guest)
def notice_guests(world: World) -> None:
    """A guest that went off by itself, or that somebody started behind HA's back, is looked at in the next round."""
    if world.get(HaArming, "ha") is not None:
        return
    for resource in world.rows(HaResource).values():
        guest = world.get(Guest, resource.vmid)
        if guest is None or not is_managed(resource) or resource.crm_state != _WANTED[resource.state]:
            continue
        if guest.running != (resource.crm_state == "started"):
            _look_in(world, resource, LOOK_AGAIN)


def _note_loss(world: World, name: str, *, matters: bool) -> None:
    if matters:
        world.put(HaNode(name, lost=world.now))
    else:
        world.remove(HaNode, name)


def _needs_a_look(world: World, resource: HaResource, home: str | None) -> bool:
    node = world.get(Node, home) if home else None
    if node is None:
        return False
    if not node.online or resource.crm_state in ("fence", "recovery", "freeze"):
        return True
    return bool(world.rows(HaRule)) and _better_place(world, resource, node.name) is not None


def _look_in(world: World, resource: HaResource, seconds: float) -> None:
    """Look at a resource at that time, unless it will be looked at anyhow."""
    name = timer_of(resource.vmid)
    if world.get(Timer, name) is None:
        set_timer(world, name, world.now + seconds, "ha.act", resource.sid)


def wake(world: World) -> None:
    """Look at every resource (HA was armed again)."""
    for resource in world.rows(HaResource).values():
        _look_in(world, resource, MANAGER_SECONDS)


# -- acting --------------------------------------------------------------------------------------------------------


@effect("ha.act")
def act(world: World, task: Task | None, sid: str) -> None:
    """Do the next thing that a resource needs. Without quorum nothing is done: nobody leads."""
    resource = world.get(HaResource, sid)
    guest = world.get(Guest, resource.vmid) if resource else None
    if resource is None or guest is None or world.get(HaArming, "ha") is not None:
        return
    if not is_managed(resource):
        world.put(replace(resource, crm_state="ignored", wish=None, job=""))
        return
    if not is_quorate(world):
        return
    node, record = world.get(Node, guest.node), world.get(HaNode, guest.node)
    if node is None or not node.online:
        _follow_loss(world, resource, guest)
    elif record is not None and record.leaving:
        return
    elif _job_runs(world, resource):
        _look_in(world, resource, _JOB_POLL)
    elif resource.wish is not None:
        _move(world, resource, guest, *resource.wish)
    else:
        _settle(world, resource, guest)


def _job_runs(world: World, resource: HaResource) -> bool:
    task = world.get(Task, resource.job)
    return task is not None and task.running


def _settle(world: World, resource: HaResource, guest: Guest, *, look_around: bool = True) -> None:
    """Bring the guest into the state that is asked for; in it, to the place that the rules want."""
    wanted = _WANTED[resource.state]
    if resource.crm_state == "error" and resource.state != "disabled":
        return
    if guest.running == (wanted == "started"):
        settled = replace(resource, crm_state=wanted, job="", failures=0, tried=())
        world.put(settled)
        better = _better_place(world, settled, guest.node) if look_around else None
        if better is not None:
            _begin_move(world, settled, guest, "migrate", better)
    elif world.get(FileLock, guest.vmid) is not None:  # a task works with it, and may be why it is off
        _look_in(world, resource, LOOK_AGAIN)
    elif wanted == "started":
        _start(world, resource, guest)
    else:
        _stop(world, resource, guest)


def _better_place(world: World, resource: HaResource, here: str) -> str | None:
    """Where the rules want a resource, if that is not where it is; without failback only what is forbidden counts."""
    if int(resource.options.get("failback", 1)):
        better = choose_node(world, resource.sid, staying=here)
        return None if better == here else better
    return None


def _start(world: World, resource: HaResource, guest: Guest) -> None:
    failed = world.get(Task, resource.job)
    failures = resource.failures + int(failed is not None and failed.type in _STARTS)
    if failures > int(resource.options.get("max_restart", 1)):
        _go_elsewhere(world, replace(resource, failures=failures), guest)
        return
    upid = run(world, guest.kind, guest.node, "start", guest.vmid, ROOT)
    started = replace(resource, crm_state="started", job=upid, failures=failures)
    world.put(started)
    _look_in(world, started, LOOK_AGAIN if failures else _JOB_POLL)


def _stop(world: World, resource: HaResource, guest: Guest) -> None:
    last = world.get(Task, resource.job)
    if last is not None and last.type in _SHUTDOWNS:  # it failed; something else has the guest in its hands
        world.put(replace(resource, job=""))
        _look_in(world, resource, LOOK_AGAIN)
        return
    upid = run(world, guest.kind, guest.node, "shutdown", guest.vmid, ROOT, False, STOP_TIMEOUT, True)
    stopping = replace(resource, crm_state="request_stop", job=upid)
    world.put(stopping)
    _look_in(world, stopping, _JOB_POLL)


def _go_elsewhere(world: World, resource: HaResource, guest: Guest) -> None:
    """It does not start here; perhaps it does on another node."""
    tried = (*resource.tried, guest.node)
    if len(tried) > int(resource.options.get("max_relocate", 1)):
        target = None
    else:
        target = choose_node(world, resource.sid, avoid=tried)
    if target is None:
        world.put(replace(resource, crm_state="error", job="", tried=tried))
    else:
        _begin_move(world, replace(resource, failures=0, tried=tried), guest, "relocate", target)


# -- moving --------------------------------------------------------------------------------------------------------


def _begin_move(world: World, resource: HaResource, guest: Guest, mode: str, target: str) -> None:
    moving = replace(resource, wish=(mode, target), job="")
    world.put(moving)
    _move(world, moving, guest, mode, target)


def _move(world: World, resource: HaResource, guest: Guest, mode: str, target: str) -> None:
    """The next part of a way: switch the guest off if that was asked for, move it, see whether it arrived."""
    done = world.get(Task, resource.job) if resource.crm_state == mode else None
    node = world.get(Node, target)
    arrived = guest.node == target
    if arrived or node is None or not node.online or (done is not None and not _was_shutdown(done, guest)):
        at_rest = replace(resource, wish=None, job="", crm_state=_WANTED[resource.state])
        if resource.tried and not arrived:  # it cannot run here, and cannot leave
            world.put(replace(at_rest, crm_state="error"))
        else:
            _settle(world, at_rest, guest, look_around=False)
        return
    if mode == "relocate" and guest.running:
        upid = run(world, guest.kind, guest.node, "shutdown", guest.vmid, ROOT, False, STOP_TIMEOUT, True)
    else:
        upid = start_migration(world, guest, ROOT, target, {"online": guest.running, "restart": guest.running})
    moving = replace(resource, crm_state=mode, job=upid)
    world.put(moving)
    _look_in(world, moving, _JOB_POLL)


def _was_shutdown(task: Task, guest: Guest) -> bool:
    """Whether the task only prepared the way, and did."""
    return task.type in _SHUTDOWNS and not guest.running


# -- losing nodes --------------------------------------------------------------------------------------------------


def _follow_loss(world: World, resource: HaResource, guest: Guest) -> None:
    """What becomes of a resource whose node does not answer, as time passes."""
    if resource.crm_state == "freeze" or resource.state == "disabled":
        return
    record = world.get(HaNode, guest.node)
    if record is None or record.lost is None:
        record = HaNode(guest.node, lost=world.now)
        world.put(record)
    lost = record.lost or world.now
    waited = world.now - lost
    if waited < FENCE_AFTER:
        _look_in(world, resource, lost + FENCE_AFTER - world.now)
    elif waited < FENCED_AFTER:
        world.put(replace(resource, crm_state="fence", wish=None, job=""))
        _look_in(world, resource, lost + FENCED_AFTER - world.now)
    else:
        _fence(world, record)
        _recover(world, resource, guest.node)


def _fence(world: World, record: HaNode) -> None:
    if record.fenced:
        return
    cut_power(world, record.node)
    world.put(replace(record, fenced=True, leaving=False))
    log_event(
        world, record.node, ROOT, "pve-ha-crm", f"fencing: acknowledged - got agent lock for node '{record.node}'"
    )


def _recover(world: World, resource: HaResource, lost: str) -> None:
    """Take a resource over from a node that is certainly off; where no node may have it, it waits for one."""
    target = choose_node(world, resource.sid, avoid=(lost,))
    if target is None:
        world.put(replace(resource, crm_state="recovery", wish=None, job=""))
        return
    guest = world.rows(Guest)[resource.vmid]
    world.put(replace(guest, node=target))
    recovered = replace(resource, crm_state=_WANTED[resource.state], wish=None, job="", failures=0)
    world.put(recovered)
    _look_in(world, recovered, LOOK_AGAIN)
