"""Guests worth backing up, on two nodes, and storages to keep backups on; ways to follow a task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pvesim.access.records import User
from pvesim.core.tasks import Task
from pvesim.engine import Simulator
from pvesim.guests.disks import disks_of
from pvesim.guests.records import Behaviour, Guest
from pvesim.nodes.records import Interface, Node
from pvesim.scenario.base import empty_world
from pvesim.storage.records import Space, Storage, Volume
from tests.pvesim.invariants import check_invariants

GIB = 1024**3
NOW = 1_800_000_003.0
MIB = 1024**2
NET = "virtio=BC:24:11:00:00:01,bridge=vmbr0"


def backup_simulator() -> Simulator:
    """On pve1: VM 100 (running), 101, 102 (no disks), CT 200 (running), 201; on pve2: VM 103.

    `local` and `share` hold everything, `thin` guests alone, `pbs` backups alone. `alice@pve` has no rights.
    """
    world = empty_world(7, NOW)
    for number in (1, 2):
        node = f"pve{number}"
        world.put(Node(node, nodeid=number, started=NOW - 90_000))
        world.put(Interface(node, "vmbr0", "bridge"))
        world.put(Space("local", node, 100 * GIB, GIB))
        world.put(Space("thin", node, 50 * GIB))
    files = ("images", "rootdir", "iso", "backup", "vztmpl")
    world.put(Storage("local", "dir", files, options={"path": "/var/lib/vz"}))
    share = {"server": "10.0.0.9", "export": "/x", "path": "/mnt/pve/share"}
    world.put(Storage("share", "nfs", files, shared=True, options=share))
    world.put(Storage("thin", "lvmthin", options={"vgname": "pve", "thinpool": "data"}))
    world.put(Storage("pbs", "pbs", ("backup",), shared=True, options={"server": "10.0.0.8", "datastore": "store"}))
    world.put(Space("share", "", 200 * GIB))
    world.put(Space("pbs", "", 200 * GIB))
    world.put(User("alice@pve"))
    simulator = Simulator(world)
    for guest in _guests():
        add(simulator, guest)
    return simulator


def _guests() -> list[Guest]:
    running = {"status": "running", "qmpstatus": "running", "started": NOW - 600}
    web = {
        "name": "web1",
        "memory": "256",
        "boot": "order=scsi0;net0",
        "net0": NET,
        "scsi0": "local:100/vm-100-disk-0.raw,size=1G",
        "scsi1": "local:100/vm-100-disk-1.raw,backup=0,size=2G",
        "ide2": "local:iso/tiny.iso,media=cdrom,size=400K",
        "smbios1": "uuid=11111111-2222-3333-4444-555555555555",
        "vmgenid": "11111111-2222-3333-4444-666666666666",
    }
    ct = {"hostname": "ct1", "memory": 128, "swap": 0, "arch": "amd64", "ostype": "alpine", "unprivileged": 1}
    return [
        Guest(100, "qemu", "pve1", web, pid=77, **running),  # type: ignore[arg-type]
        Guest(101, "qemu", "pve1", {"name": "db1", "virtio0": "thin:vm-101-disk-0,size=2G", "onboot": 1}),
        Guest(102, "qemu", "pve1", {"boot": " "}),
        Guest(103, "qemu", "pve2", {"name": "far", "scsi0": "local:103/vm-103-disk-0.qcow2,size=1G"}),
        Guest(
            200,
            "lxc",
            "pve1",
            {
                **ct,
                "rootfs": "local:200/vm-200-disk-0.raw,size=1G",
                "mp0": "local:200/vm-200-disk-1.raw,mp=/data,size=1G",
            },
            pid=78,
            **running,  # type: ignore[arg-type]
        ),
        Guest(201, "lxc", "pve1", {**ct, "hostname": "ct2", "rootfs": "thin:vm-201-disk-0,size=4G"}),
    ]


def add(simulator: Simulator, guest: Guest) -> None:
    """Put a guest and its volumes into the world; each holds 100 MiB, an ISO 400 KiB."""
    simulator.world.put(guest)
    for disk in disks_of(guest.kind, guest.config):
        if not disk.volid:
            continue
        storage, _, name = disk.volid.partition(":")
        place = simulator.world.rows(Storage)[storage].place(guest.node)
        if disk.cdrom:
            simulator.world.put(Volume(storage, place, name, "iso", "iso", 409_600, 409_600, NOW))
            continue
        format = name.rpartition(".")[2] if "." in name else "raw"
        content = "images" if guest.kind == "qemu" else "rootdir"
        simulator.world.put(Volume(storage, place, name, content, format, disk.size, 100 * MIB, NOW, guest.vmid))


def guest(simulator: Simulator, vmid: int) -> Guest:
    return simulator.world.rows(Guest)[vmid]


def configure(simulator: Simulator, vmid: int, **options: Any) -> None:
    record = guest(simulator, vmid)
    simulator.world.put(replace(record, config={**record.config, **options}))


def behave(simulator: Simulator, vmid: int, **fields: Any) -> None:
    simulator.world.put(replace(guest(simulator, vmid), behaviour=Behaviour(**fields)))


def begin(simulator: Simulator, user: str = "root@pam", node: str = "pve1", **params: Any) -> str:
    """Ask for a backup; the UPID. A dash in a name is written as an underscore."""
    asked = {name.replace("_", "-"): value for name, value in params.items()}
    upid: str = simulator.request("POST", f"/nodes/{node}/vzdump", asked, user=user)
    return upid


def back_up(simulator: Simulator, user: str = "root@pam", node: str = "pve1", **params: Any) -> Task:
    """The same, followed to its end."""
    return finish(simulator, begin(simulator, user, node, **params))


def restore(simulator: Simulator, kind: str, user: str = "root@pam", **params: Any) -> Task:
    """Ask for a restore and follow it to its end."""
    asked = {name.replace("_", "-"): value for name, value in params.items()}
    return finish(simulator, simulator.request("POST", f"/nodes/pve1/{kind}", asked, user=user))


def finish(simulator: Simulator, upid: str) -> Task:
    """The task when it has ended; whatever it did, the world is in order."""
    simulator.clock.run_until_done(upid)
    assert check_invariants(simulator.world) == []
    return simulator.world.rows(Task)[upid]


def backups(simulator: Simulator, storage: str = "local", node: str = "pve1") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = simulator.request(
        "GET", f"/nodes/{node}/storage/{storage}/content", {"content": "backup"}
    )
    return rows


def said(task: Task, *lines: str) -> bool:
    """Whether the log has these lines, in this order, maybe with others between."""
    rest = iter(task.log)
    return all(line in rest for line in lines)
