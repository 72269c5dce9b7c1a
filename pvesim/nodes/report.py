"""The report of a node that support asks for: what its answers say, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from pvesim.cluster.rules import status as cluster_status
from pvesim.cluster.rules import the_cluster
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.nodes.interfaces import render
from pvesim.nodes.network import active_interfaces
from pvesim.nodes.packages import versions
from pvesim.nodes.rules import find_node, status
from pvesim.storage.records import Storage
from pvesim.storage.rules import space_of

_MIB = 1024**2


def report(world: World, name: str) -> str:
    """`GET /nodes/{node}/report`."""
    return "\n".join(f"# {title}\n\n{text.rstrip()}\n" for title, text in _sections(world, name))


def _sections(world: World, name: str) -> Iterator[tuple[str, str]]:
    node, release = find_node(world, name), the_cluster(world).release
    yield "hostname", name
    yield "pveversion --verbose", "\n".join(f"{row['Package']}: {row['Version']}" for row in versions(world))
    yield "uname", f"Linux {name} {release.kernel} {release.kernel_version} x86_64 GNU/Linux"
    yield "cat /etc/hosts", node.hosts
    figures = status(world, name)
    memory, load = figures["memory"], " ".join(figures["loadavg"])
    yield "uptime", f"up {figures['uptime']} seconds, load average: {load}"
    yield "free", f"{memory['total'] // _MIB} MiB total, {memory['used'] // _MIB} MiB used"
    yield "pvesm status", "\n".join(_storages(world, name))
    yield "qm and pct list", "\n".join(_guests(world, name))
    yield "cat /etc/network/interfaces", render(active_interfaces(world, name))
    members = (entry for entry in cluster_status(world, name) if entry["type"] == "node")
    yield "pvecm nodes", "\n".join(f"{entry['name']} {entry['ip']}" for entry in members)


def _storages(world: World, node: str) -> Iterator[str]:
    for storage in world.rows(Storage).values():
        total, used, free, active = space_of(world, storage, node)
        if storage.on(node):
            yield f"{storage.storage} {storage.type} {'active' if active else 'inactive'} {total} {used} {free}"


def _guests(world: World, node: str) -> Iterator[str]:
    for guest in world.rows(Guest).values():
        if guest.node == node:
            yield f"{guest.vmid} {guest.kind} {guest.name} {guest.status}"
