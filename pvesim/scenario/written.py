"""The inventory of a world as sections of a scenario: the cluster, nodes, storages, guests and pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pvesim.cluster.records import Release
from pvesim.cluster.rules import the_cluster
from pvesim.core.world import World
from pvesim.guests.records import Behaviour, Guest, Kind, Snapshot
from pvesim.nodes.records import Hardware, Interface, Node, Service
from pvesim.pools.records import Pool
from pvesim.scenario import defaults
from pvesim.storage.records import Space, Storage, Volume

_MOUNTED = frozenset(("cephfs", "cifs", "nfs"))
_DERIVED = frozenset(("families", "method", "method6", "priority"))
_LISTED = frozenset(("iso", "vztmpl", "snippets", "import"))


def different(record: Any, usual: Any) -> dict[str, Any]:
    """The fields of a record that are not as in another one of its class."""
    return {
        field.name: plain(value)
        for field in fields(record)
        if (value := getattr(record, field.name)) != getattr(usual, field.name)
    }


def plain(value: Any) -> Any:
    """Mappings and tuples as what YAML has."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def _given(**values: Any) -> dict[str, Any]:
    """What is not empty."""
    return {name: value for name, value in values.items() if value not in (None, "", {}, [], ())}


# -- the cluster and its nodes ---------------------------------------------------------------------------------------


def release(world: World) -> dict[str, Any]:
    """What the nodes say they run, where that is not as usual."""
    return different(the_cluster(world).release, Release())


def cluster(world: World) -> dict[str, Any]:
    """The cluster's name and options."""
    record = the_cluster(world)
    return _given(name=record.name, options=plain(record.options), status_rounds=record.status_rounds or None)


def nodes(world: World) -> dict[str, Any]:
    """All nodes."""
    return {node.name: _node(world, node) for node in world.rows(Node).values()}


def _node(world: World, node: Node) -> dict[str, Any]:
    written = {
        "ip": node.ip,
        **({} if node.online else {"online": False}),
        "uptime": world.now - node.started,
        **_given(hardware=different(node.hardware, Hardware())),
        **({} if node.timezone == "UTC" else {"timezone": node.timezone}),
        **_given(clock_offset=node.clock_offset or None),
        "dns": plain(node.dns),
        "hosts": node.hosts,
        **_given(config=plain(node.config), services=_services(world, node)),
    }
    if node.statistics_since != node.started:
        written["statistics"] = world.now - node.statistics_since
    interfaces = [interface for interface in world.rows(Interface).values() if interface.node == node.name]
    if interfaces != defaults.network(node.name, node.ip):
        written["network"] = {interface.iface: _interface(interface) for interface in interfaces}
    return written


def _services(world: World, node: Node) -> dict[str, Any]:
    usual = {service.name: service for service in defaults.services(node.name, bool(the_cluster(world).name))}
    written = {}
    for service in world.rows(Service).values():
        if service.node == node.name and service.name in usual:
            changed = different(service, usual[service.name])
            if changed:
                written[service.name] = changed
    return written


def _interface(interface: Interface) -> dict[str, Any]:
    options = {name: value for name, value in interface.options.items() if name not in _DERIVED}
    if "cidr" in options:
        options = {name: value for name, value in options.items() if name not in ("address", "netmask")}
    return {"type": interface.type, **({} if interface.active else {"active": False}), **plain(options)}


# -- storages --------------------------------------------------------------------------------------------------------


def storages(world: World) -> dict[str, Any]:
    """All storages with their sizes, and what is on them beside guests' disks."""
    volumes: dict[str, list[Volume]] = {}
    for volume in world.rows(Volume).values():
        volumes.setdefault(volume.storage, []).append(volume)
    return {
        storage.storage: _storage(world, storage, volumes.get(storage.storage, []))
        for storage in world.rows(Storage).values()
    }


def _storage(world: World, storage: Storage, volumes: list[Volume]) -> dict[str, Any]:
    config = {
        **{name: plain(value) for name, value in storage.options.items() if name != "path" or _has_path(storage)},
        "content": list(storage.content),
        **_given(nodes=",".join(storage.nodes)),
        **({"disable": 1} if storage.disable else {}),
        **({"shared": 1} if storage.shared and storage.type in ("dir", "lvm", "btrfs") else {}),
    }
    spaces = [space for space in world.rows(Space).values() if space.storage == storage.storage]
    whole = next((space for space in spaces if not space.place), None)
    written: dict[str, Any] = {"type": storage.type, "config": config}
    if storage.storage == "local" and storage.options == defaults.IMPLIED_LOCAL:
        del written["config"]
    if whole is not None:
        written.update(_space(whole))
    own = {space.place: _space(space) for space in spaces if space.place}
    return {**written, **_given(nodes=own, volumes=_volumes(world, volumes), backups=_backups(world, volumes))}


def _has_path(storage: Storage) -> bool:
    """A network storage's mount point is PVE's own choice."""
    return storage.type not in _MOUNTED


def _space(space: Space) -> dict[str, Any]:
    return {"size": space.total, "used": space.used, **({} if space.active else {"active": False})}


def _volumes(world: World, volumes: list[Volume]) -> list[dict[str, Any]]:
    return [
        {
            "name": volume.name,
            "size": volume.size,
            "ago": max(0.0, world.now - volume.ctime),
            **_given(node=volume.place, notes=volume.notes),
            **({"protected": True} if volume.protected else {}),
        }
        for volume in volumes
        if volume.content in _LISTED
    ]


def _backups(world: World, volumes: list[Volume]) -> list[dict[str, Any]]:
    return [
        {
            "guest": volume.vmid,
            "kind": volume.subtype,
            "ago": max(0.0, world.now - volume.ctime),
            "size": volume.size,
            **_given(node=volume.place, compress=_compression(volume), notes=volume.notes),
            **({"protected": True} if volume.protected else {}),
            "config": plain(volume.guest_config),
        }
        for volume in volumes
        if volume.content == "backup" and volume.vmid is not None and volume.subtype in ("qemu", "lxc")
    ]


def _compression(volume: Volume) -> str | None:
    if volume.format.startswith("pbs"):
        return None
    ending = volume.format.rpartition(".")[2]
    return ending if ending in ("lzo", "gz", "zst") else "none"


# -- guests and pools ------------------------------------------------------------------------------------------------


def machines(world: World) -> dict[int, Any]:
    """All virtual machines."""
    return _guests(world, "qemu")


def containers(world: World) -> dict[int, Any]:
    """All containers."""
    return _guests(world, "lxc")


def _guests(world: World, kind: Kind) -> dict[int, Any]:
    return {guest.vmid: _guest(world, guest) for guest in world.rows(Guest).values() if guest.kind == kind}


def _guest(world: World, guest: Guest) -> dict[str, Any]:
    state = guest.qmpstatus if guest.qmpstatus == "paused" else guest.status
    snapshots = [
        _snapshot(world, guest, snapshot, guest.snapshots[position - 1].name if position else None)
        for position, snapshot in enumerate(guest.snapshots)
    ]
    return {
        "node": guest.node,
        **({} if state == "stopped" else {"state": state, "uptime": max(0.0, world.now - guest.started)}),
        "config": plain(guest.config),
        **_given(pending=plain(guest.pending), snapshots=snapshots, behaviour=_behaviour(guest.behaviour)),
    }


def _behaviour(behaviour: Behaviour) -> dict[str, Any]:
    written = different(behaviour, Behaviour())
    written.pop("checkpoint", None)  # no field of a scenario
    return {"agent": behaviour.agent, **written}


def _snapshot(world: World, guest: Guest, snapshot: Snapshot, before: str | None) -> dict[str, Any]:
    now = {name: value for name, value in guest.config.items() if name != "lock"}
    then = {name: value for name, value in snapshot.config.items() if name != "vmstate"}
    changed = {name: value for name, value in then.items() if now.get(name) != value}
    changed.update(dict.fromkeys(name for name in now if name not in then))
    return {
        "name": snapshot.name,
        "ago": max(0.0, world.now - snapshot.snaptime),
        **_given(description=snapshot.description, config=plain(changed)),
        **({"parent": snapshot.parent} if snapshot.parent and snapshot.parent != before else {}),
        **({"vmstate": True} if snapshot.vmstate else {}),
    }


def pools(world: World) -> dict[str, Any]:
    """All pools."""
    return {
        pool.poolid: _given(comment=pool.comment, guests=list(pool.vmids), storages=list(pool.storages))
        for pool in world.rows(Pool).values()
    }
