"""`GET /cluster/resources`: everything that the cluster has, with its figures, in one list.

The list is asked for more often than anything else, so it is kept as JSON: a row of a guest is written again only when
the guest changed or, while it runs, when a new status round began; the whole list when any of its tables changed.
Source: recorded exchanges `cluster/003-006`, `pools/010`, `access/085`, `offline-node/002`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from pvesim.access.records import AclEntry, Group, Role, Token, User
from pvesim.access.rules import Identity, has_privileges
from pvesim.cluster.records import Cluster
from pvesim.cluster.rounds import as_told, keeps_rounds
from pvesim.core.collection import no_collection
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.guests.sizes import maxcpu, maxdisk, maxmem
from pvesim.ha.records import HaResource
from pvesim.metrics import GuestFigures, node_figures, round_of, sampled_figures, sampler
from pvesim.nodes.records import Node
from pvesim.pools.records import Pool
from pvesim.sdn.local import LOCAL_ZONE, zone_status, zones_on
from pvesim.sdn.records import SdnState
from pvesim.sdn.running import state_of
from pvesim.storage.records import Space, Storage, Volume
from pvesim.storage.rules import root_space, space_of

Row = dict[str, Any]
_SHOWN = (Guest, Node, Storage, Space, Volume, Pool, HaResource, Cluster, SdnState)
_RIGHTS = (AclEntry, Group, Role, Token, User)


def list_resources(world: World, identity: Identity, type: str | None) -> orjson.Fragment:
    """The list as JSON: all of it, or only the `vm`, `node`, `storage` or `sdn` entries."""
    name = ("resources", None if identity.is_root else identity, type)
    memo: dict[float, bytes] = world.cached(name, _SHOWN if identity.is_root else _SHOWN + _RIGHTS, dict)
    time = round_of(world.now)
    text = memo.get(time)
    if text is None:
        with no_collection():
            text = b"[" + b",".join(_rows(world, identity, type)) + b"]"
        memo.clear()  # only this round's is wanted again
        memo[time] = text
    return orjson.Fragment(text)


def _rows(world: World, identity: Identity, type: str | None) -> Iterator[bytes]:
    if type is None:
        yield from map(orjson.dumps, _pool_rows(world, identity))
    if type in (None, "vm"):
        yield from _guest_rows(world, identity)
    if type in (None, "node"):
        yield from map(orjson.dumps, _node_rows(world, identity))
    if type in (None, "storage"):
        yield from map(orjson.dumps, _storage_rows(world, identity))
    if type is None:
        yield from map(orjson.dumps, _network_rows(world, identity))


# -- guests --------------------------------------------------------------------------------------------------------


def guest_row(world: World, guest: Guest, figures: GuestFigures | None = None) -> Row:
    """A guest as the status daemon told the cluster about it; of one on a node that does not answer little is known."""
    node = world.get(Node, guest.node)
    kind, vmid = guest.kind, guest.vmid
    place: Row = {"id": f"{kind}/{vmid}", "type": kind, "vmid": vmid, "node": guest.node}
    told = as_told(world, guest)
    if node is None or not node.online or told is None:
        return {**place, "status": "unknown"}
    if figures is None or told is not guest:
        figures = sampled_figures(world, told)
    return {
        **place,
        # The status daemon tells the cluster what QEMU says of a VM: `paused` is seen here, though not in node lists.
        "status": told.qmpstatus if told.kind == "qemu" else told.status,
        "name": told.name,
        "template": int(told.template),
        "uptime": figures.uptime,
        "cpu": figures.cpu,
        "maxcpu": maxcpu(world, told),
        "mem": figures.mem,
        "memhost": figures.mem,
        "maxmem": maxmem(told),
        "disk": figures.disk,
        "maxdisk": maxdisk(told),
        "netin": figures.netin,
        "netout": figures.netout,
        "diskread": figures.diskread,
        "diskwrite": figures.diskwrite,
    }


def pool_of_guests(world: World) -> dict[int, str]:
    """The pool of every guest that is in one."""
    return world.cached(
        "pool of guests",
        (Pool,),
        lambda: {vmid: pool.poolid for pool in world.rows(Pool).values() for vmid in pool.vmids},
    )


def _ha_states(world: World) -> dict[int, str]:
    """The state of every guest that the HA manager has seen and does not ignore."""

    def states() -> dict[int, str]:
        resources = world.rows(HaResource).values()
        return {found.vmid: found.crm_state for found in resources if found.crm_state not in ("queued", "ignored")}

    return world.cached("states of guests", (HaResource,), states)


def _guest_rows(world: World, identity: Identity) -> Iterator[bytes]:
    pools, states = pool_of_guests(world), _ha_states(world)
    # Kept by guest and checked against its record, so that a guest that changed costs one row and not a thousand.
    memo: dict[int, tuple[Guest, float, str | None, str | None, bytes]] = world.cached("guest rows", (Node,), dict)
    lagging = keeps_rounds(world)
    now, sees_all, sampled = round_of(world.now), identity.is_root, sampler(world)
    for vmid, guest in world.rows(Guest).items():
        if not sees_all and not has_privileges(world, identity, f"/vms/{vmid}", ("VM.Audit",)):
            continue
        time = now if lagging or guest.status == "running" else 0.0
        pool, state = pools.get(vmid), states.get(vmid)
        kept = memo.get(vmid)
        if kept is None or kept[0] is not guest or kept[1] != time or kept[2] != pool or kept[3] != state:
            # A copy, because orjson's own bytes keep the roomy buffer that they were written into.
            row = memoryview(
                orjson.dumps(_labelled(guest_row(world, guest, sampled(guest)), guest, pool, state))
            ).tobytes()
            memo[vmid] = kept = (guest, time, pool, state, row)
        yield kept[4]


def _labelled(row: Row, guest: Guest, pool: str | None, state: str | None) -> Row:
    if pool:
        row["pool"] = pool
    if state:
        row["hastate"] = state
    config = guest.config
    for name in ("lock", "tags"):
        if config.get(name):
            row[name] = config[name]
    return row


# -- nodes, storages, the rest -------------------------------------------------------------------------------------


def node_row(world: World, node: Node, figures: bool) -> Row:
    """A node, with its figures if it answers and who asks may see them."""
    row: Row = {"id": f"node/{node.name}", "type": "node", "node": node.name, "level": ""}
    if not node.online:
        return {**row, "status": "offline"}
    row |= {"status": "online", "cgroup-mode": 2}
    if figures:
        use = node_figures(world, node)
        row |= {
            "cpu": use.cpu,
            "maxcpu": node.hardware.cpus,
            "mem": use.mem,
            "maxmem": node.hardware.memory,
            "disk": use.root_used,
            "maxdisk": root_space(world, node).total,
            "uptime": max(0, int(round_of(world.now) - node.started)),
        }
    return row


def storage_row(world: World, storage: Storage, node: str) -> Row:
    """A storage on a node, with its size if it answers there."""
    row: Row = {
        "id": f"storage/{node}/{storage.storage}",
        "type": "storage",
        "storage": storage.storage,
        "node": node,
        "plugintype": storage.type,
        "content": ",".join(storage.content),
        "shared": int(storage.shared),
    }
    space = space_of(world, storage, node)
    if not space.active:
        return {**row, "status": "unknown"}
    return {**row, "status": "available", "disk": space.used, "maxdisk": space.total}


def _pool_rows(world: World, identity: Identity) -> Iterator[Row]:
    for poolid in world.rows(Pool):
        if has_privileges(world, identity, f"/pool/{poolid}", ("Pool.Audit",)):
            yield {"id": f"/pool/{poolid}", "type": "pool", "pool": poolid}


def _node_rows(world: World, identity: Identity) -> Iterator[Row]:
    for name, node in world.rows(Node).items():
        yield node_row(world, node, has_privileges(world, identity, f"/nodes/{name}", ("Sys.Audit",)))


def _storage_rows(world: World, identity: Identity) -> Iterator[Row]:
    for storage in world.rows(Storage).values():
        if storage.disable or not has_privileges(world, identity, f"/storage/{storage.storage}", ("Datastore.Audit",)):
            continue
        for node in world.rows(Node):
            if storage.on(node):
                yield storage_row(world, storage, node)


def _network_rows(world: World, identity: Identity) -> Iterator[Row]:
    """The zones and fabrics on each node that answers, of which `localnetwork` stands for the node's own bridges."""
    if has_privileges(world, identity, f"/sdn/zones/{LOCAL_ZONE}", ("SDN.Audit", "SDN.Use"), any_of=True):
        for name, node in world.rows(Node).items():
            if node.online:
                yield _network_row(name, "zone", LOCAL_ZONE, "ok")
    zones, fabrics = (state_of(world).running.get(kind, {}) for kind in ("zones", "fabrics"))
    for name in [name for name, node in world.rows(Node).items() if node.online] if zones or fabrics else ():
        status = zone_status(world, name)
        for zone in zones_on(world, name):
            if has_privileges(world, identity, f"/sdn/zones/{zone}", ("SDN.Audit",)):
                yield {**_network_row(name, "zone", zone, status), "zone-type": zones[zone]["type"]}
        for fabric, row in fabrics.items():
            if has_privileges(world, identity, f"/sdn/fabrics/{fabric}", ("SDN.Audit",)):
                yield {**_network_row(name, "fabric", fabric, "ok"), "protocol": row["protocol"]}


def _network_row(node: str, kind: str, network: str, status: str) -> Row:
    place = {"id": f"network/{node}/{kind}/{network}", "type": "network", "node": node}
    return {**place, "network": network, "network-type": kind, "status": status}
