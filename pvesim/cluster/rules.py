"""What holds for the cluster as a whole: its members, its quorum, its log, the ids of its guests."""

from __future__ import annotations

import re
import time
from itertools import islice
from typing import Any

from pvesim.calendar import parse_calendar_event
from pvesim.cluster.records import Cluster, QuorumLoss
from pvesim.core.errors import ApiError, Failure, ParameterErrors
from pvesim.core.log import LogEntry
from pvesim.core.sections import digest_of
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.guests.records import Guest
from pvesim.nodes.certificates import node_fingerprint
from pvesim.nodes.records import Node

FIRST_VMID, END_OF_VMIDS = 100, 1_000_000  # between which PVE looks for a free id unless the options say otherwise


def the_cluster(world: World) -> Cluster:
    """The one record of the cluster."""
    return world.get(Cluster, "cluster") or Cluster()


def is_quorate(world: World) -> bool:
    """Whether more than half of the nodes answer and hear each other; a lone node has quorum by itself."""
    return world.cached("quorate", (Node, QuorumLoss), lambda: _is_quorate(world))


def _is_quorate(world: World) -> bool:
    if world.get(QuorumLoss, "quorum") is not None:
        return False
    nodes = world.rows(Node).values()
    return 2 * sum(node.online for node in nodes) > len(nodes)


# What a node does with a running machine or one of its own processes, and writes nothing of to the cluster's files.
_WITHOUT_QUORUM = re.compile(r"/nodes/\{node\}/(?:qemu/\{vmid\}/(?:agent(?:/.+)?|monitor|sendkey)|tasks/\{upid\})")


def may_write(world: World, path: str) -> bool:
    """Whether a request that changes something is taken: with quorum, or where the cluster's files stay as they are."""
    return is_quorate(world) or _WITHOUT_QUORUM.fullmatch(path) is not None


# -- members -------------------------------------------------------------------------------------------------------


def status(world: World, local_node: str) -> list[dict[str, Any]]:
    """The cluster and its nodes as `GET /cluster/status` shows them; a lone node has no entry for the cluster."""
    cluster, nodes = the_cluster(world), world.rows(Node)
    entries: list[dict[str, Any]] = []
    if cluster.name:
        about = {"name": cluster.name, "nodes": len(nodes), "quorate": int(is_quorate(world))}
        entries.append({"id": "cluster", "type": "cluster", "version": cluster.version, **about})
    for name, node in nodes.items():
        place = {"id": f"node/{name}", "type": "node", "name": name, "nodeid": node.nodeid, "ip": node.ip, "level": ""}
        entries.append({**place, "local": int(name == local_node), "online": int(node.online)})
    return entries


def corosync_nodes(world: World) -> list[dict[str, Any]]:
    """The members as corosync's configuration lists them, none for a lone node."""
    if not the_cluster(world).name:
        return []
    return [
        {
            "node": name,
            "name": name,
            "nodeid": str(node.nodeid),
            "quorum_votes": "1",
            "ring0_addr": node.ip,
        }
        for name, node in world.rows(Node).items()
    ]


def totem(world: World) -> dict[str, Any] | None:
    """Corosync's own settings, None for a lone node."""
    cluster = the_cluster(world)
    if not cluster.name:
        return None
    return {
        "cluster_name": cluster.name,
        "config_version": str(cluster.version),
        "interface": {"0": {"linknumber": "0"}},
        "ip_version": "ipv4-6",
        "link_mode": "passive",
        "secauth": "on",
        "version": "2",
    }


def join_information(world: World, node: str) -> dict[str, Any]:
    """What a new node needs to join through `node`. Raises PVE's 424 on a lone node, `Failure` for an unknown node."""
    if not the_cluster(world).name:
        raise ApiError("node is not in a cluster, no join info available!", status=424)
    if node not in world.rows(Node):
        raise Failure(f"no such cluster node '{node}'")
    members = [
        {**member, "nodeid": record.nodeid, "pve_addr": record.ip, "pve_fp": node_fingerprint(world, record)}
        for member, record in zip(corosync_nodes(world), world.rows(Node).values(), strict=True)
    ]
    digest = digest_of(repr((totem(world), corosync_nodes(world))))
    return {"config_digest": digest, "nodelist": members, "preferred_node": node, "totem": totem(world)}


# -- ids and log ---------------------------------------------------------------------------------------------------


def next_vmid(world: World, vmid: int | None) -> str:
    """`vmid` if it is free, else the lowest free id within the range that the options set.

    Raises `ParameterErrors` for an id that is taken, `Failure` when none is free.
    """
    taken = world.rows(Guest)
    if vmid is not None:
        if vmid in taken:
            raise ParameterErrors({"vmid": f"VM {vmid} already exists"})
        return str(vmid)
    bounds = read_options(str(the_cluster(world).options.get("next-id", "")), "lower")
    low, end = int(bounds.get("lower", FIRST_VMID)), int(bounds.get("upper", END_OF_VMIDS))
    free = next((number for number in range(low, end) if number not in taken), None)
    if free is None:
        raise Failure(f"unable to get any free VMID in range [{low}, {end}]")
    return str(free)


def read_log(world: World, limit: int | None, user: str | None) -> list[dict[str, Any]]:
    """The latest lines of the cluster's log, newest first; of one user only if named."""
    entries = (entry for entry in reversed(list(world.rows(LogEntry).values())) if user in (None, entry.user))
    return [
        {
            "id": f"{entry.uid}:{entry.node}",
            "uid": str(entry.uid),
            "time": int(entry.time),
            "node": entry.node,
            "user": entry.user,
            "tag": entry.tag,
            "pid": entry.pid,
            "pri": entry.pri,
            "msg": entry.msg,
        }
        for entry in islice(entries, limit)
    ]


def occurrences(schedule: str, start: int, count: int) -> list[dict[str, Any]]:
    """The next `count` moments at which a schedule is due after `start`; fewer if it ends before."""
    event, moment = parse_calendar_event(schedule), start
    found: list[dict[str, Any]] = []
    while len(found) < count and (due := event.after(moment)) is not None:
        found.append({"timestamp": due, "utc": time.asctime(time.gmtime(due))})
        moment = due
    return found
