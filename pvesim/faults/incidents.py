"""Incidents: what happens to a cluster from outside, such as a node that loses its power or a storage that fills up.

An incident is a name and an argument of plain data; `happen` carries it out. The names are those of
`pvesim.scenario.trouble.IncidentModel`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pvesim.access.records import Token
from pvesim.cluster.records import QuorumLoss
from pvesim.core.errors import FaultError
from pvesim.core.tasks import Task, effect
from pvesim.core.world import World
from pvesim.faults.records import Ailing, Filled, Happened, Planned
from pvesim.guests.records import Guest
from pvesim.guests.rules import agent_enabled
from pvesim.nodes.power import boot, go_down
from pvesim.nodes.records import Node
from pvesim.storage.records import Space, Storage
from pvesim.storage.rules import space_of

_KEPT = 200  # incidents of the past that are remembered
HAPPEN = "faults.happen"


def happen(world: World, name: str, argument: Any) -> None:
    """Let an incident come to pass. Raises `FaultError` where what it names is not there; nothing has changed then."""
    try:
        with world.transaction():
            _INCIDENTS[name](world, argument)
    except FaultError as refusal:
        _note(world, name, argument, str(refusal))
        raise
    _note(world, name, argument)


@effect(HAPPEN)
def _when_due(world: World, task: Task | None, entry: str, name: str, argument: Any) -> None:
    """An incident of the timeline. One that cannot be any more (its guest is gone) is noted and passed over."""
    world.remove(Planned, entry)
    try:
        happen(world, name, argument)
    except FaultError:
        return


def _note(world: World, name: str, argument: Any, refused: str = "") -> None:
    number = world.count("incident")
    world.put(Happened(number, world.now, (name, argument), refused))
    world.remove(Happened, number - _KEPT)


def check(world: World, name: str, argument: Any) -> None:
    """Raise `FaultError` where what an incident names is not there now."""
    checker = _CHECKS.get(name)
    if checker is not None:
        checker(world, argument)


# -- nodes and quorum ------------------------------------------------------------------------------------------------


def _node(world: World, name: str) -> Node:
    node = world.get(Node, name)
    if node is None:
        raise FaultError(f"no node '{name}': there are {', '.join(world.rows(Node))}")
    return node


def _node_offline(world: World, name: str) -> None:
    if _node(world, name).online:
        go_down(world, name)


def _node_online(world: World, name: str) -> None:
    if not _node(world, name).online:
        boot(world, None, name)


def _quorum_lost(world: World, _: Any) -> None:
    world.put(QuorumLoss(world.now))


def _quorum_back(world: World, _: Any) -> None:
    world.remove(QuorumLoss, "quorum")


# -- storages --------------------------------------------------------------------------------------------------------


def _places(world: World, text: str) -> Iterator[tuple[Storage, str, str]]:
    """The storage that is named, its places, and a node that sees each. Raises `FaultError`."""
    node, _, name = text.rpartition("/")
    storage = world.get(Storage, name)
    if storage is None:
        raise FaultError(f"no storage '{name}': there are {', '.join(world.rows(Storage))}")
    if node:
        _node(world, node)
        if not storage.on(node):
            raise FaultError(f"storage '{name}' is not on node '{node}'")
    seen: set[str] = set()
    for other in [node] if node else list(world.rows(Node)):
        place = storage.place(other)
        if storage.on(other) and place not in seen:
            seen.add(place)
            yield storage, place, other


def _check_storage(world: World, text: str) -> None:
    if not list(_places(world, text)):
        raise FaultError(f"storage '{text}' is on no node")


def _storage_full(world: World, text: str) -> None:
    for storage, place, node in _places(world, text):
        free = space_of(world, storage, node).avail
        space, key = world.get(Space, (storage.storage, place)), (storage.storage, place)
        before = world.get(Filled, key)
        if space is not None:
            world.put(before or Filled(*key, space.used))
            world.put(replace(space, used=space.used + free))
        else:
            machine = _node(world, node)
            world.put(before or Filled(*key, machine.hardware.root_used, root=True))
            hardware = replace(machine.hardware, root_used=machine.hardware.root_used + free)
            world.put(replace(machine, hardware=hardware))


def _storage_freed(world: World, text: str) -> None:
    for storage, place, node in _places(world, text):
        filled = world.get(Filled, (storage.storage, place))
        if filled is None:
            raise FaultError(f"storage '{text}' was not filled up")
        if filled.root:
            machine = _node(world, node)
            world.put(replace(machine, hardware=replace(machine.hardware, root_used=filled.used)))
        else:
            world.put(replace(world.rows(Space)[storage.storage, place], used=filled.used))
        world.remove(Filled, filled.key)


def _set_active(active: bool) -> Callable[[World, str], None]:
    def set_active(world: World, text: str) -> None:
        for storage, place, node in _places(world, text):
            space = world.get(Space, (storage.storage, place))
            if space is None:  # it lies on the node's root file system, and has the same size in its own name
                hardware = _node(world, node).hardware
                space = Space(storage.storage, place, hardware.root_size, hardware.root_used)
            world.put(replace(space, active=active))

    return set_active


# -- guests ----------------------------------------------------------------------------------------------------------


def _guest(world: World, vmid: int) -> Guest:
    guest = world.get(Guest, vmid)
    if guest is None:
        raise FaultError(f"no guest {vmid}")
    return guest


def _ail(world: World, guest: Guest) -> None:
    if world.get(Ailing, guest.vmid) is None:
        world.put(Ailing(guest.vmid, guest.behaviour.acpi, guest.behaviour.agent))


def _guest_hangs(world: World, vmid: int) -> None:
    guest = _guest(world, vmid)
    _ail(world, guest)
    world.put(replace(guest, behaviour=replace(guest.behaviour, acpi=False, agent=False)))


def _guest_recovers(world: World, vmid: int) -> None:
    guest = _guest(world, vmid)
    before = world.get(Ailing, vmid)
    if before is None:
        raise FaultError(f"guest {vmid} does not hang")
    world.remove(Ailing, vmid)
    world.put(replace(guest, behaviour=replace(guest.behaviour, acpi=before.acpi, agent=before.agent)))


def _agent_dies(world: World, vmid: int) -> None:
    guest = _machine(world, vmid)
    if not guest.behaviour.agent:
        raise FaultError(f"VM {vmid} has no agent that could die")
    world.put(replace(guest, behaviour=replace(guest.behaviour, agent=False)))


def _agent_returns(world: World, vmid: int) -> None:
    guest = _machine(world, vmid)
    if not agent_enabled(guest.config):
        raise FaultError(f"VM {vmid} has no agent configured")
    world.put(replace(guest, behaviour=replace(guest.behaviour, agent=True)))


def _machine(world: World, vmid: int) -> Guest:
    guest = _guest(world, vmid)
    if guest.kind != "qemu":
        raise FaultError(f"{vmid} is a container: it has no agent")
    return guest


def _guest_locked(world: World, argument: dict[str, Any]) -> None:
    guest = _guest(world, argument["guest"])
    if guest.lock:
        raise FaultError(f"guest {guest.vmid} is locked already ({guest.lock})")
    world.put(replace(guest, config={**guest.config, "lock": argument.get("lock", "backup")}))


def _guest_unlocked(world: World, vmid: int) -> None:
    guest = _guest(world, vmid)
    if not guest.lock:
        raise FaultError(f"guest {vmid} is not locked")
    world.put(replace(guest, config={key: value for key, value in guest.config.items() if key != "lock"}))


# -- access and faults -----------------------------------------------------------------------------------------------


def _token(world: World, name: str) -> Token:
    token = world.get(Token, name)
    if token is None:
        raise FaultError(f"no token '{name}': there are {', '.join(world.rows(Token)) or 'none'}")
    return token


def _token_expires(world: World, name: str) -> None:
    world.put(replace(_token(world, name), expire=max(1, int(world.now) - 1)))


def _fault(world: World, argument: dict[str, Any]) -> None:
    from pvesim.faults.manager import add_fault
    from pvesim.scenario.trouble import NamedFaultModel

    model = NamedFaultModel.model_validate(argument)
    add_fault(world, model.name, model)


def _check_fault(world: World, argument: dict[str, Any]) -> None:
    from pvesim.faults.manager import check_fault
    from pvesim.scenario.trouble import NamedFaultModel

    check_fault(world, NamedFaultModel.model_validate(argument))


def _fault_over(world: World, name: str) -> None:
    from pvesim.faults.manager import remove_fault

    remove_fault(world, name)


_INCIDENTS: dict[str, Callable[[World, Any], None]] = {
    "node_offline": _node_offline,
    "node_online": _node_online,
    "quorum_lost": _quorum_lost,
    "quorum_back": _quorum_back,
    "storage_full": _storage_full,
    "storage_freed": _storage_freed,
    "storage_offline": _set_active(False),
    "storage_online": _set_active(True),
    "guest_hangs": _guest_hangs,
    "guest_recovers": _guest_recovers,
    "agent_dies": _agent_dies,
    "agent_returns": _agent_returns,
    "guest_locked": _guest_locked,
    "guest_unlocked": _guest_unlocked,
    "token_expires": _token_expires,
    "fault": _fault,
    "fault_over": _fault_over,
}
_CHECKS: dict[str, Callable[[World, Any], Any]] = {
    **dict.fromkeys(("node_offline", "node_online"), _node),
    **dict.fromkeys(("storage_full", "storage_freed", "storage_offline", "storage_online"), _check_storage),
    **dict.fromkeys(("guest_hangs", "guest_recovers", "guest_unlocked"), _guest),
    **dict.fromkeys(("agent_dies", "agent_returns"), _machine),
    "guest_locked": lambda world, argument: _guest(world, argument["guest"]),
    "token_expires": _token,
    "fault": _check_fault,
}
