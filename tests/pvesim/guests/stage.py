"""Guests to act on, of both kinds and with real volumes, on two nodes; and a way to run their tasks to the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pvesim.access.records import User
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.disks import volumes_in
from pvesim.guests.records import Behaviour, Guest
from pvesim.nodes.records import Interface, Node
from pvesim.scenario.base import empty_world
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.small_world import give

NOW = 1_800_000_003.0
GIB = 1024**3
NET = "virtio=BC:24:11:00:00:01,bridge=vmbr0"


def stage() -> Simulator:
    """VM 100 (no system inside, agent enabled), 101 (qcow2, heeds), 102 (minimal), 103 on pve2; CT 200 and 201."""
    world = empty_world(7, NOW)
    for number in (1, 2):
        node = f"pve{number}"
        world.put(Node(node, nodeid=number, started=NOW - 90_000))
        world.put(Interface(node, "vmbr0", "bridge"))
        world.put(Space("local", node, 100 * GIB, GIB))
    world.put(Storage("local", "dir", ("images", "rootdir", "iso")))
    world.put(User("alice@pve"))
    give(world, "alice@pve", "/vms/100", "PVEVMUser")
    simulator = Simulator(world)
    for guest in _guests():
        add(simulator, guest)
    return simulator


def _guests() -> list[Guest]:
    web = {
        "name": "web1",
        "memory": "256",
        "boot": "order=scsi0;net0",
        "scsi0": "local:100/vm-100-disk-0.raw,size=1G",
        "net0": NET,
        "agent": "1",
        "tags": "prod;web",
    }
    db = {"name": "db1", "memory": "512", "boot": "order=scsi0", "scsi0": "local:101/vm-101-disk-0.qcow2,size=2G"}
    ct = {"hostname": "ct1", "memory": 128, "swap": 0, "cores": 1, "rootfs": "local:200/vm-200-disk-0.raw,size=1G"}
    return [
        Guest(100, "qemu", "pve1", web, behaviour=Behaviour(acpi=False)),
        Guest(101, "qemu", "pve1", db),
        Guest(102, "qemu", "pve1", {"boot": " "}),
        Guest(103, "qemu", "pve2", {"name": "far"}),
        Guest(200, "lxc", "pve1", {**ct, "description": "ct one", "tags": "lxc"}),
        Guest(201, "lxc", "pve1", {**ct, "hostname": "ct2", "rootfs": "local:201/vm-201-disk-0.raw,size=4G"}),
    ]


def add(simulator: Simulator, guest: Guest) -> None:
    """Put a guest and its volumes into the world."""
    simulator.world.put(guest)
    for volid in volumes_in(guest.kind, guest.config):
        storage, _, name = volid.partition(":")
        format = name.rpartition(".")[2]
        simulator.world.put(Volume(storage, guest.node, name, "images", format, GIB, vmid=guest.vmid))


def guest(simulator: Simulator, vmid: int) -> Guest:
    return simulator.world.rows(Guest)[vmid]


def change(simulator: Simulator, vmid: int, **fields: Any) -> None:
    simulator.world.put(replace(guest(simulator, vmid), **fields))


def configure(simulator: Simulator, vmid: int, **options: Any) -> None:
    change(simulator, vmid, config={**guest(simulator, vmid).config, **options})


def path(vmid: int, rest: str = "") -> str:
    kind = "lxc" if 200 <= vmid < 300 else "qemu"
    return f"/nodes/pve1/{kind}/{vmid}{rest}"


def start(simulator: Simulator, vmid: int, action: str, user: str = "root@pam", **params: Any) -> str:
    """Ask for a power action; the UPID."""
    upid: str = simulator.request("POST", path(vmid, f"/status/{action}"), params, user=user)
    return upid


def act(simulator: Simulator, vmid: int, action: str, user: str = "root@pam", **params: Any) -> Task:
    """The same, followed to its end."""
    return finish(simulator, start(simulator, vmid, action, user, **params))


def finish(simulator: Simulator, upid: str) -> Task:
    simulator.clock.run_until_done(upid)
    return simulator.world.rows(Task)[upid]


def status(simulator: Simulator, vmid: int) -> dict[str, Any]:
    answer: dict[str, Any] = simulator.request("GET", path(vmid, "/status/current"))
    return answer
