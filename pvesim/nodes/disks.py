"""The disks of a node and what was made of them: volume groups, thin pools, ZFS pools, directories.

Behind every local storage on LVM or ZFS that a world begins with is a disk of its own; further disks are records.
Sources: `/nodes/{node}/disks`, the recorded exchanges `nodes/025` and `nodes/026`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any

from pvesim.ceph.records import CephOsd
from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.nodes.records import Disk, Medium
from pvesim.storage.records import Space, Storage
from pvesim.storage.rules import space_of

NO_DEVICE = "not a valid block device"
_KINDS = {"lvm": "lvm", "lvmthin": "lvmthin", "zfspool": "zfs"}
LABELS = {"lvm": "LVM", "lvmthin": "LVM", "zfs": "ZFS"}


@dataclass(frozen=True, slots=True)
class Media:
    """Something made of disks, as it is now: sizes in bytes, disks by name below /dev, a storage that is on it."""

    kind: str
    name: str
    disks: tuple[str, ...]
    total: int
    used: int = 0
    storage: Storage | None = None
    filesystem: str = ""

    @property
    def free(self) -> int:
        """What is left; a thin pool has taken all of its volume group."""
        return self.total - self.used


def media_of(world: World, node: str) -> list[Media]:
    """All that was made of the node's disks."""
    made = [_with_storage(world, medium) for medium in world.rows(Medium).values() if medium.node == node]
    taken = {disk.name for disk in world.rows(Disk).values() if disk.node == node}
    letters = (f"sd{letter}" for letter in ascii_lowercase if f"sd{letter}" not in taken)
    return [*_given(world, node, letters), *made]


def _with_storage(world: World, medium: Medium) -> Media:
    made = Media(medium.kind, medium.name, medium.disks, medium.total, filesystem=medium.filesystem)
    for storage in world.rows(Storage).values():
        if storage.on(medium.node) and medium.carries(storage.type, storage.options):
            return replace(made, used=space_of(world, storage, medium.node).used, storage=storage)
    return made


def _given(world: World, node: str, letters: Iterator[str]) -> Iterator[Media]:
    """What the storages that a world begins with are on; each volume group and pool once."""
    seen = {medium.name for medium in world.rows(Medium).values() if medium.node == node}
    for storage in world.rows(Storage).values():
        kind = _KINDS.get(storage.type)
        if kind is None or not storage.on(node) or world.get(Space, (storage.storage, storage.place(node))) is None:
            continue
        name = str(storage.options["pool" if kind == "zfs" else "vgname"]).partition("/")[0]
        if name not in seen:
            seen.add(name)
            total, used, _, _ = space_of(world, storage, node)
            yield Media(kind, name, (next(letters),), total, used, storage)


# -- disks -------------------------------------------------------------------------------------------------------------


def disks(world: World, node: str, wanted: str | None = None) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/disks/list`; `unused` ones only if wanted. None holds a journal."""
    if wanted == "journal_disks":
        return []
    spare = [disk for disk in world.rows(Disk).values() if disk.node == node]
    known = {disk.name for disk in spare}
    rows, use = [], {}
    for media in media_of(world, node):
        for name in media.disks:
            use[name] = media
            if name not in known:
                label = LABELS[media.kind]
                rows.append(_row(f"{node}:{media.name}", Disk(node, name, media.total, gpt=True, label=label)))
    rows += [{**_row(f"{node}:{disk.name}", disk, use.get(disk.name)), **_osds_on(world, disk)} for disk in spare]
    return [row for row in rows if wanted is None or "used" not in row]


def _osds_on(world: World, disk: Disk) -> dict[str, Any]:
    numbers = [osd.number for osd in world.rows(CephOsd).values() if (osd.node, osd.device) == disk.key]
    return {"osdid": numbers[0], "osdid-list": [str(number) for number in numbers]} if numbers else {}


def _row(seed: str, disk: Disk, media: Media | None = None) -> dict[str, Any]:
    serial = hashlib.blake2b(seed.encode(), digest_size=6).hexdigest().upper()
    mounted = media is not None and media.kind == "directory"
    used = media.filesystem if mounted and media else LABELS[media.kind] if media else disk.label
    row = {
        "by_id_link": f"/dev/disk/by-id/ata-PVESIM_{serial}",
        "devpath": f"/dev/{disk.name}",
        "gpt": int(disk.gpt),
        "health": "PASSED",
        "model": disk.model,
        "mounted": int(mounted),
        "osdid": -1,
        "osdid-list": [],
        "rpm": 7200 if disk.type == "hdd" else 0,
        "serial": serial,
        "size": disk.size,
        "type": disk.type,
        "vendor": "PVESIM",
        "wearout": "N/A" if disk.type == "hdd" else 97,
        "wwn": f"0x5{serial.lower()}000",
    }
    return {**row, "used": used} if used else row


def find_disk(world: World, node: str, path: str) -> dict[str, Any]:
    """One row of the list. Raises `Failure` for a disk that the node does not have."""
    found = next((row for row in disks(world, node) if row["devpath"] == path), None)
    if found is None:
        raise Failure(NO_DEVICE)
    return found


def health(world: World, node: str, disk: str, only: bool) -> dict[str, Any]:
    """`GET /nodes/{node}/disks/smart`. Raises `Failure`."""
    found = find_disk(world, node, disk)
    if only:
        return {"health": found["health"]}
    hours = int((world.now - world.started) / 3600) + 8760
    wear = 99 if found["wearout"] == "N/A" else found["wearout"]
    attributes = (("  9", "Power_On_Hours", 98, 0, hours), ("177", "Wear_Leveling_Count", wear, 5, 41))
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


# -- what was made of them ---------------------------------------------------------------------------------------------


def volume_groups(world: World, node: str) -> dict[str, Any]:
    """`GET /nodes/{node}/disks/lvm`."""
    children = []
    for media in media_of(world, node):
        if media.kind in ("lvm", "lvmthin"):
            free = 0 if media.kind == "lvmthin" else media.free
            devices = [{"free": free, "leaf": 1, "name": f"/dev/{name}", "size": media.total} for name in media.disks]
            about = {"lvcount": 1, "name": media.name, "size": media.total}
            children.append({"children": devices, "free": free, "leaf": 0, **about})
    return {"children": children, "leaf": 0}


def thin_pools(world: World, node: str) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/disks/lvmthin`."""
    rows = []
    for media in media_of(world, node):
        if media.kind == "lvmthin":
            pool = media.storage.options["thinpool"] if media.storage else media.name
            metadata = max(media.total // 1000, 1 << 20)
            filled = int(metadata * media.used / media.total) if media.total else 0
            use = {"metadata_size": metadata, "metadata_used": filled, "used": media.used}
            rows.append({"lv": pool, "lv_size": media.total, "lv_type": "t", "vg": media.name, **use})
    return rows


def zfs_pools(world: World, node: str) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/disks/zfs`."""
    state = {"dedup": 1, "frag": 3, "health": "ONLINE"}
    return [
        {**state, "alloc": media.used, "free": media.free, "name": media.name, "size": media.total}
        for media in media_of(world, node)
        if media.kind == "zfs"
    ]


def zfs_pool(world: World, node: str, name: str) -> dict[str, Any]:
    """`GET /nodes/{node}/disks/zfs/{name}`. Raises `Failure` for a pool that the node does not have."""
    for media in media_of(world, node):
        if (media.kind, media.name) == ("zfs", name):
            state = {"cksum": 0, "msg": "", "read": 0, "state": "ONLINE", "write": 0}
            members = [{**state, "leaf": 1, "name": f"/dev/{disk}"} for disk in media.disks]
            top = {**state, "children": members, "leaf": 0, "name": name}
            return {"children": [top], "errors": "No known data errors", "leaf": 0, "name": name, "state": "ONLINE"}
    raise Failure(f"command 'zpool status -P {name}' failed: exit code 1")


def directories(world: World, node: str) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/disks/directory`: the file systems that PVE has made and mounts."""
    return [
        {
            "device": f"/dev/{media.disks[0]}1",
            "options": "defaults",
            "path": f"/mnt/pve/{media.name}",
            "type": media.filesystem,
            "unitfile": f"/etc/systemd/system/mnt-pve-{media.name}.mount",
        }
        for media in media_of(world, node)
        if media.kind == "directory"
    ]


def scanned_groups(world: World, node: str) -> list[dict[str, str]]:
    """`GET /nodes/{node}/scan/lvm`."""
    return [{"vg": media.name} for media in media_of(world, node) if media.kind in ("lvm", "lvmthin")]


def scanned_pools(world: World, node: str) -> list[dict[str, str]]:
    """`GET /nodes/{node}/scan/zfs`."""
    return [{"pool": media.name} for media in media_of(world, node) if media.kind == "zfs"]
