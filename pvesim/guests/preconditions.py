"""Where a guest may go: `GET …/migrate`. Source: recorded exchange `qemu-migrate/001` and the schema's returns."""

from __future__ import annotations

from typing import Any

from pvesim.core.world import World
from pvesim.guests.kinds import KINDS
from pvesim.guests.records import Guest
from pvesim.guests.rules import check_lock, managed_by_ha
from pvesim.guests.travel import local_resources, local_uses, mapped_resources, other_nodes, unavailable_storages
from pvesim.ha.placement import blocking_on, companions_of


def preconditions(world: World, guest: Guest) -> dict[str, Any]:
    """What `GET …/migrate` answers for either kind. Raises `Failure` for a locked machine."""
    return _of_machine(world, guest) if guest.kind == "qemu" else _of_container(world, guest)


def _of_machine(world: World, guest: Guest) -> dict[str, Any]:
    check_lock(guest)
    mapped = mapped_resources(guest)
    allowed, refused = _nodes(world, guest)
    answer: dict[str, Any] = {
        "running": int(guest.running),
        "allowed_nodes": allowed,
        "not_allowed_nodes": refused,
        "local_disks": [use.entry() for use in local_uses(world, guest)],
        "local_resources": local_resources(guest),
        "mapped-resources": list(mapped),
        "mapped-resource-info": {key: {"name": name} for key, name in mapped.items()},
        "has-dbus-vmstate": 1,
    }
    return answer | _companions(world, guest)


def _of_container(world: World, guest: Guest) -> dict[str, Any]:
    refused = {node: blocking for node in other_nodes(world, guest) if (blocking := _blocking(world, guest, node))}
    allowed = [node for node in other_nodes(world, guest) if node not in refused]
    answer = {"running": int(guest.running), "allowed-nodes": allowed, "not-allowed-nodes": refused}
    return answer | _companions(world, guest)


def _nodes(world: World, guest: Guest) -> tuple[list[str], dict[str, Any]]:
    """The nodes that a machine may go to, and what speaks against the others.

    Storages count only while it is off: one that runs can take its disks to any other storage.
    """
    allowed: list[str] = []
    refused: dict[str, Any] = {}
    for node in other_nodes(world, guest):
        against = _blocking(world, guest, node)
        missing = [] if guest.running else unavailable_storages(world, guest, node)
        if missing:
            against["unavailable_storages"] = missing
        if against:
            refused[node] = against
        else:
            allowed.append(node)
    return allowed, refused


def _sid(guest: Guest) -> str:
    return f"{KINDS[guest.kind].sid}:{guest.vmid}"


def _blocking(world: World, guest: Guest, node: str) -> dict[str, Any]:
    found = blocking_on(world, _sid(guest), node) if managed_by_ha(world, guest) else []
    if not found:
        return {}
    return {"blocking-ha-resources": [{"sid": sid, "cause": "resource-affinity"} for sid in found]}


def _companions(world: World, guest: Guest) -> dict[str, Any]:
    found = companions_of(world, _sid(guest)) if managed_by_ha(world, guest) else []
    return {"dependent-ha-resources": found} if found else {}
