"""A cluster of three nodes with shared and local storages, for guests that move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pvesim.access.records import User
from pvesim.cluster.records import Cluster
from pvesim.core.errors import ApiError
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.disks import volumes_in
from pvesim.guests.records import Behaviour, Guest, Snapshot
from pvesim.nodes.records import Interface, Node
from pvesim.scenario.base import empty_world
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.invariants import check_invariants

NOW = 1_800_000_003.0
GIB = 1024**3
NODES = ("pve1", "pve2", "pve3")
FILES = ("local", "nas")


def three_nodes(*guests: Guest) -> Simulator:
    """`nas` is shared; `local` and `thin` are local everywhere, `fast` is on pve1 and pve2 only."""
    world = empty_world(7, NOW)
    world.put(Cluster(name="lab"))
    for number, name in enumerate(NODES, 1):
        world.put(Node(name, nodeid=number, ip=f"10.0.0.{number}", started=NOW - 90_000))
        world.put(Interface(name, "vmbr0", "bridge"))
        world.put(Space("local", name, 100 * GIB, GIB))
        world.put(Space("thin", name, 100 * GIB))
        world.put(Space("fast", name, 100 * GIB))
    world.put(Space("nas", "", 900 * GIB))
    world.put(Storage("local", "dir", ("images", "rootdir", "iso"), options={"path": "/var/lib/vz"}))
    world.put(Storage("thin", "lvmthin", options={"vgname": "pve", "thinpool": "data"}))
    world.put(Storage("fast", "lvmthin", nodes=("pve1", "pve2"), options={"vgname": "nvme", "thinpool": "data"}))
    world.put(Storage("nas", "nfs", ("images", "rootdir"), shared=True, options={"server": "10.0.0.9", "export": "/x"}))
    world.put(User("alice@pve"))
    simulator = Simulator(world)
    for guest in guests:
        add(simulator, guest)
    return simulator


def machine(vmid: int, *, node: str = "pve1", disk: str = "nas:{0}/vm-{0}-disk-0.qcow2", **options: Any) -> Guest:
    config = {"name": f"vm{vmid}", "memory": "1024", "scsi0": f"{disk.format(vmid)},size=2G", **options}
    return Guest(vmid, "qemu", node, config)


def container(vmid: int, *, node: str = "pve1", disk: str = "thin:vm-{0}-disk-0", **options: Any) -> Guest:
    config = {"hostname": f"ct{vmid}", "memory": 256, "rootfs": f"{disk.format(vmid)},size=2G", **options}
    return Guest(vmid, "lxc", node, config)


def on(guest: Guest, **behaviour: Any) -> Guest:
    """The guest as it runs."""
    return replace(
        guest,
        status="running",
        qmpstatus="running",
        started=NOW - 600,
        pid=guest.vmid,
        behaviour=Behaviour(**behaviour),
    )


def add(simulator: Simulator, guest: Guest) -> None:
    """Put a guest and its volumes into the world."""
    simulator.world.put(guest)
    configs = [guest.config, *(snapshot.config for snapshot in guest.snapshots)]
    for volid in dict.fromkeys(volid for config in configs for volid in volumes_in(guest.kind, config)):
        storage, _, name = volid.partition(":")
        place = "" if storage == "nas" else guest.node
        format = name.rpartition(".")[2] if storage in FILES else "raw"
        content = "images" if guest.kind == "qemu" else "rootdir"
        iso = name.startswith("iso/")
        owner = None if iso else guest.vmid
        volume = Volume(storage, place, name, "iso" if iso else content, format, 2 * GIB, GIB, vmid=owner)
        simulator.world.put(volume)


def guest_of(simulator: Simulator, vmid: int) -> Guest:
    return simulator.world.rows(Guest)[vmid]


def lose(simulator: Simulator, name: str) -> None:
    simulator.world.put(replace(simulator.world.rows(Node)[name], online=False))


def bring_back(simulator: Simulator, name: str) -> None:
    simulator.world.put(replace(simulator.world.rows(Node)[name], online=True))


def finish(simulator: Simulator, upid: str) -> Task:
    simulator.clock.run_until_done(upid)
    suspended = [guest.vmid for guest in simulator.world.rows(Guest).values() if guest.lock == "suspended"]
    assert check_invariants(simulator.world, left_locked=suspended) == []
    return simulator.world.rows(Task)[upid]


def refusal(simulator: Simulator, verb: str, path: str, params: dict[str, Any], user: str = "root@pam") -> ApiError:
    """The error of a request, which must have changed nothing."""
    before = simulator.world.fork()
    with pytest.raises(ApiError) as caught:
        simulator.request(verb, path, params, user=user)
    assert before.diff(simulator.world) == []
    return caught.value


def tasks(simulator: Simulator, *types: str) -> list[tuple[str, str, str | None]]:
    """Type, guest and exit status of the tasks of some types, in the order of their start."""
    found = sorted(simulator.world.rows(Task).values(), key=lambda task: task.order)
    return [(task.type, task.id, task.exitstatus) for task in found if task.type in types]


def with_snapshot(guest: Guest, name: str = "s1", **config: Any) -> Guest:
    then = {**guest.config, **config}
    return replace(guest, snapshots=(Snapshot(name, NOW - 60, then),), config={**guest.config, "parent": name})
