"""The devices of a node: PCI and USB, and the disks, volume groups and pools behind its storages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.mapping.records import PciMapping
from pvesim.storage.records import Space, Storage
from pvesim.storage.rules import space_of

_PCI = (
    # class, vendor, device: a host bridge, a network card and a disk controller, as virtual machines have them
    ("0x060000", "0x8086", "0x29c0"),
    ("0x020000", "0x1af4", "0x1041"),
    ("0x018000", "0x1af4", "0x1042"),
    ("0x030000", "0x1234", "0x1111"),
)
_HIDDEN_CLASSES = "05;06;0b"


def pci_devices(hidden: str | None) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/hardware/pci`; `hidden` lists the beginnings of classes that are left out."""
    text = _HIDDEN_CLASSES if hidden is None else hidden
    classes = tuple(f"0x{part.strip()}" for part in text.replace(",", ";").replace(" ", ";").split(";") if part.strip())
    return [
        {
            "class": kind,
            "device": device,
            "id": f"0000:00:{position:02x}.0",
            "iommugroup": -1,
            "subsystem_device": device,
            "subsystem_vendor": vendor,
            "vendor": vendor,
        }
        for position, (kind, vendor, device) in enumerate(_PCI)
        if not classes or not kind.startswith(classes)
    ]


def usb_devices() -> list[dict[str, Any]]:
    """`GET /nodes/{node}/hardware/usb`: the root hubs."""
    return [
        {
            "busnum": bus,
            "class": 9,
            "devnum": 1,
            "level": 0,
            "manufacturer": "Linux",
            "port": 0,
            "prodid": prodid,
            "product": "Root hub",
            "speed": speed,
            "vendid": "1d6b",
        }
        for bus, prodid, speed in ((1, "0002", "480"), (2, "0003", "5000"))
    ]


# -- disks ---------------------------------------------------------------------------------------------------------


def _media(world: World, node: str) -> Iterator[tuple[str, str, Storage]]:
    """The volume groups and pools that the node's local storages are on: kind, name, and one storage of each."""
    seen: set[tuple[str, str]] = set()
    for storage in world.rows(Storage).values():
        kind = {"lvm": "lvm", "lvmthin": "lvm", "zfspool": "zfs"}.get(storage.type)
        if kind is None or not storage.on(node) or world.get(Space, (storage.storage, storage.place(node))) is None:
            continue
        name = str(storage.options["vgname" if kind == "lvm" else "pool"]).partition("/")[0]
        if (kind, name) not in seen:
            seen.add((kind, name))
            yield kind, name, storage


def disks(world: World, node: str) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/disks/list`: one disk for each volume group and pool."""
    rows = []
    for position, (kind, name, storage) in enumerate(_media(world, node)):
        serial = hashlib.blake2b(f"{node}:{name}".encode(), digest_size=6).hexdigest().upper()
        rows.append(
            {
                "by_id_link": f"/dev/disk/by-id/ata-PVESIM_{serial}",
                "devpath": f"/dev/sd{chr(ord('a') + position)}",
                "gpt": 1,
                "health": "PASSED",
                "model": "PVESIM_SSD",
                "mounted": 0,
                "osdid": -1,
                "osdid-list": [],
                "rpm": 0,
                "serial": serial,
                "size": space_of(world, storage, node).total,
                "type": "ssd",
                "used": "LVM" if kind == "lvm" else "ZFS",
                "vendor": "PVESIM",
                "wearout": 97,
                "wwn": f"0x5{serial.lower()}000",
            }
        )
    return rows


def health(world: World, node: str, disk: str, only: bool) -> dict[str, Any]:
    """`GET /nodes/{node}/disks/smart`. Raises `Failure` for a disk that the node does not have."""
    found = next((row for row in disks(world, node) if row["devpath"] == disk), None)
    if found is None:
        raise Failure(f"{disk}: not a valid block device")
    if only:
        return {"health": found["health"]}
    hours = int((world.now - world.started) / 3600) + 8760
    attributes = (("  9", "Power_On_Hours", 98, 0, hours), ("177", "Wear_Leveling_Count", found["wearout"], 5, 41))
    return {
        "attributes": [
            {
                "fail": "-",
                "flags": "-O--CK",
                "id": id,
                "name": name,
                "normalized": value,
                "raw": str(raw),
                "threshold": threshold,
                "value": value,
                "worst": value,
            }
            for id, name, value, threshold, raw in attributes
        ],
        "health": found["health"],
        "type": "ata",
    }


def volume_groups(world: World, node: str) -> dict[str, Any]:
    """`GET /nodes/{node}/disks/lvm`."""
    children = []
    for position, (kind, name, storage) in enumerate(_media(world, node)):
        if kind == "lvm":
            total, _, free, _ = space_of(world, storage, node)
            free = 0 if storage.type == "lvmthin" else free  # the thin pool has it all
            device = {"free": free, "leaf": 1, "name": f"/dev/sd{chr(ord('a') + position)}3", "size": total}
            children.append({"children": [device], "free": free, "leaf": 0, "lvcount": 1, "name": name, "size": total})
    return {"children": children, "leaf": 0}


def thin_pools(world: World, node: str) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/disks/lvmthin`."""
    rows = []
    for storage in world.rows(Storage).values():
        total, used, _, active = space_of(world, storage, node)
        if storage.type == "lvmthin" and active:
            names = {"lv": storage.options["thinpool"], "vg": storage.options["vgname"]}
            metadata = max(total // 1000, 1 << 20)
            use = {"metadata_size": metadata, "metadata_used": int(metadata * used / total) if total else 0}
            rows.append({**names, **use, "lv_size": total, "lv_type": "t", "used": used})
    return rows


def zfs_pools(world: World, node: str) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/disks/zfs`."""
    rows = []
    for kind, name, storage in _media(world, node):
        if kind == "zfs":
            total, used, free, _ = space_of(world, storage, node)
            state = {"dedup": 1, "frag": 3, "health": "ONLINE"}
            rows.append({**state, "alloc": used, "free": free, "name": name, "size": total})
    return rows


def zfs_pool(world: World, node: str, name: str) -> dict[str, Any]:
    """`GET /nodes/{node}/disks/zfs/{name}`. Raises `Failure` for a pool that the node does not have."""
    for position, (kind, found, _) in enumerate(_media(world, node)):
        if (kind, found) == ("zfs", name):
            state = {"cksum": 0, "msg": "", "read": 0, "state": "ONLINE", "write": 0}
            disk = {**state, "leaf": 1, "name": f"/dev/sd{chr(ord('a') + position)}"}
            top = {**state, "children": [disk], "leaf": 0, "name": name}
            return {"children": [top], "errors": "No known data errors", "leaf": 0, "name": name, "state": "ONLINE"}
    raise Failure(f"command 'zpool status -P {name}' failed: exit code 1")


def mediated_devices(world: World, device: str) -> list[dict[str, Any]]:
    """`GET …/hardware/pci/{pci-id-or-mapping}/mdev`: none of the devices can be divided. Raises `Failure`."""
    if ":" in device:
        ids = {row["id"] for row in pci_devices("none")}
        if device not in ids and f"0000:{device}" not in ids:
            raise Failure(f"pci device '{device}' not found")
    elif world.get(PciMapping, device) is None:
        raise Failure(f"mapping '{device}' not found")
    return []


def scanned_groups(world: World, node: str) -> list[dict[str, str]]:
    """`GET /nodes/{node}/scan/lvm`."""
    return [{"vg": name} for kind, name, _ in _media(world, node) if kind == "lvm"]


def scanned_pools(world: World, node: str) -> list[dict[str, str]]:
    """`GET /nodes/{node}/scan/zfs`."""
    return [{"pool": name} for kind, name, _ in _media(world, node) if kind == "zfs"]
