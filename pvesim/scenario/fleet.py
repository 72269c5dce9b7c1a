"""An inventory from counts: many guests with predictable names, ids and states, spread over the nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pvesim.cluster.rules import the_cluster
from pvesim.guests.records import Behaviour, Guest, Kind
from pvesim.nodes.records import Node
from pvesim.scenario.context import Context, known_names, stable_mac, stable_uuid
from pvesim.scenario.defaults import CONTAINER_MEMORY, VM_MEMORY
from pvesim.scenario.disks import Owner, size_text, used_by, volume_name
from pvesim.scenario.guests import DEFAULT_MAC_PREFIX
from pvesim.scenario.model import FleetModel
from pvesim.storage.records import GIB, Storage, Volume
from pvesim.storage.rules import default_format

_SPREAD = 0.6180339887498949  # multiples of the golden ratio's fraction fall evenly, without a pattern in sight
_DAY = 86400.0
_VM_DISKS = (16, 32, 32, 64)  # GiB
_CONTAINER_DISKS = (4, 8, 16)
_TAGS = ("prod", "prod", "stage", "test")
_BUSY = (
    Behaviour(),
    Behaviour(cpu_load=0.12, memory_load=0.55, disk_used=0.5),
    Behaviour(cpu_load=0.01, memory_load=0.3, disk_used=0.2),
    Behaviour(cpu_load=0.35, memory_load=0.7, disk_used=0.6),
)
_BEHAVIOURS: dict[Kind, tuple[Behaviour, ...]] = {
    "qemu": tuple(replace(behaviour, agent=True) for behaviour in _BUSY),
    "lxc": _BUSY,
}


def build_fleet(context: Context) -> None:
    """The guests that the scenario asks for by number."""
    fleet = context.scenario.fleet
    if not fleet.vms + fleet.containers:
        return
    builder = _Fleet(context, fleet)
    for number in range(fleet.vms):
        builder.add("qemu", number)
    for number in range(fleet.containers):
        builder.add("lxc", number)


class _Fleet:
    def __init__(self, context: Context, fleet: FleetModel) -> None:
        world = context.world
        self.context = context
        self.world = world
        self.fleet = fleet
        self.vmids = self._free_vmids()
        self.nodes = [node.name for node in world.rows(Node).values() if node.online]
        self.prefix = str(the_cluster(world).options.get("mac_prefix", DEFAULT_MAC_PREFIX))
        self.created = float(int(world.now - 90 * _DAY))
        self.meta = f"creation-qemu={the_cluster(world).release.qemu},ctime={int(self.created)}"
        self.storages = {(kind, node): self._storage(kind, node) for kind in ("qemu", "lxc") for node in self.nodes}

    def _free_vmids(self) -> Iterator[int]:
        vmid = self.fleet.first_vmid
        while True:
            if self.world.get(Guest, vmid) is None:
                yield vmid
            vmid += 1

    def _storage(self, kind: str, node: str) -> Storage | None:
        """Where a node's guests of that kind have their disks: the storage named, or the node's first block storage."""
        if not (self.fleet.vms if kind == "qemu" else self.fleet.containers):
            return None
        content = "images" if kind == "qemu" else "rootdir"
        usable = [
            storage
            for storage in self.world.rows(Storage).values()
            if content in storage.content and storage.on(node) and self.fleet.storage in (None, storage.storage)
        ]
        if not usable:
            names = known_names(self.world.rows(Storage))
            self.context.problem(("fleet", "storage"), f"no storage for '{content}' on node '{node}': {names}")
            return None
        return next((storage for storage in usable if storage.type != "dir"), usable[0])

    def add(self, kind: Kind, number: int) -> None:
        """Put one guest and its disk into the world."""
        vmid = next(self.vmids)
        node = self.nodes[number % len(self.nodes)]
        storage = self.storages[kind, node]
        if storage is None:
            return
        running = number * _SPREAD % 1 < self.fleet.running
        paused = kind == "qemu" and not running and number % 7 == 0
        behaviour = _BEHAVIOURS[kind][number % len(_BEHAVIOURS[kind])]
        disk = self._disk(kind, number, vmid, node, storage, behaviour.disk_used)
        config = self._vm(number, vmid, disk) if kind == "qemu" else self._container(number, vmid, disk)
        uptime = (1 + number % 40) * 0.7 * _DAY
        alive = running or paused
        self.world.put(
            Guest(
                vmid,
                kind,
                node,
                config,
                status="running" if alive else "stopped",
                qmpstatus="paused" if paused else "running" if running else "stopped",
                started=self.context.ago(uptime) if alive else 0.0,
                pid=self.context.next_pid(node) if alive else None,
                behaviour=behaviour,
            )
        )

    def _disk(self, kind: Kind, number: int, vmid: int, node: str, storage: Storage, share: float) -> Volume:
        sizes = _VM_DISKS if kind == "qemu" else _CONTAINER_DISKS
        size = sizes[number % len(sizes)] * GIB
        owner = Owner(vmid, kind, node, template=False, disk_used=share, created=self.created)
        format = "subvol" if kind == "lxc" and storage.type == "zfspool" else default_format(storage)
        name = volume_name(storage, owner, 0, format)
        volume = Volume(
            storage.storage,
            storage.place(node),
            name,
            owner.content,
            format,
            size,
            used=used_by(storage, size, share),
            ctime=self.created,
            vmid=vmid,
        )
        self.world.put(volume)
        return volume

    def _vm(self, number: int, vmid: int, disk: Volume) -> dict[str, str | int]:
        seed = self.world.seed
        return {
            "agent": "1",
            "boot": "order=scsi0;net0",
            "cores": 1 << number % 3,
            "memory": str(VM_MEMORY[number % len(VM_MEMORY)]),
            "meta": self.meta,
            "name": f"vm-{number + 1:04}",
            "net0": f"virtio={stable_mac(seed, self.prefix, vmid, 0)},bridge=vmbr0",
            "ostype": "l26",
            "scsi0": f"{disk.volid},size={size_text(disk.size)}",
            "scsihw": "virtio-scsi-single",
            "smbios1": f"uuid={stable_uuid(seed, 'smbios1', vmid)}",
            "tags": _TAGS[number % len(_TAGS)],
            "vmgenid": stable_uuid(seed, "vmgenid", vmid),
        }

    def _container(self, number: int, vmid: int, disk: Volume) -> dict[str, str | int]:
        mac = stable_mac(self.world.seed, self.prefix, vmid, 0)
        return {
            "arch": "amd64",
            "cores": 1 + number % 2,
            "hostname": f"ct-{number + 1:04}",
            "memory": CONTAINER_MEMORY[number % len(CONTAINER_MEMORY)],
            "net0": f"name=eth0,bridge=vmbr0,hwaddr={mac},ip=dhcp,type=veth",
            "ostype": "debian",
            "rootfs": f"{disk.volid},size={size_text(disk.size)}",
            "swap": 512,
            "tags": _TAGS[number % len(_TAGS)],
            "unprivileged": 1,
        }
