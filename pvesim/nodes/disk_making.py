"""Making volume groups, pools and directories of a node's unused disks, and taking them apart.

Source: `/nodes/{node}/disks/{lvm,lvmthin,zfs,directory,initgpt,wipedisk}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.nodes.disks import LABELS, Media, find_disk, media_of
from pvesim.nodes.records import Disk, Medium
from pvesim.storage import definitions
from pvesim.storage.records import Space, Storage, Volume

_GUESTS = "images,rootdir"
_FEWEST = {
    "single": 1, "mirror": 2, "raid10": 4, "raidz": 3, "raidz2": 4, "raidz3": 5, "draid": 3, "draid2": 4, "draid3": 5,
}  # fmt: skip
_PARITY = {"raidz": 1, "raidz2": 2, "raidz3": 3, "draid": 1, "draid2": 2, "draid3": 3}


@dataclass(frozen=True, slots=True)
class MediumKind:
    """A kind of medium: its type of storage, the start of its tasks' names, and the program that removes it."""

    kind: str
    storage: str
    task: str
    remover: str


KINDS = {
    kind.kind: kind
    for kind in (
        MediumKind("lvm", "lvm", "lvm", "/sbin/vgremove -y {name}"),
        MediumKind("lvmthin", "lvmthin", "lvmthin", "/sbin/lvremove -y {name}/{name}"),
        MediumKind("zfs", "zfspool", "zfs", "/sbin/zpool destroy {name}"),
        MediumKind("directory", "dir", "dir", "/bin/systemctl stop mnt-pve-{name}.mount"),
    )
}


# -- making ------------------------------------------------------------------------------------------------------------


def check_unused(world: World, node: str, paths: Sequence[str]) -> tuple[Disk, ...]:
    """The disks. Raises `Failure` for one that is not there or in use."""
    found = []
    for path in paths:
        if "used" in find_disk(world, node, path):
            raise Failure(f"device '{path}' is already in use")
        found.append(world.rows(Disk)[node, path.removeprefix("/dev/")])
    return tuple(found)


def check_raid(level: str, count: int) -> None:
    """Raise `Failure` for too few disks, or too many."""
    if level == "raid10" and count % 2:
        raise Failure("raid10 needs an even number of disks.")
    if level == "single" and count > 1:
        raise Failure("Please give only one disk for single disk mode.")
    if count < _FEWEST[level]:
        raise Failure(f"{level} needs at least {_FEWEST[level]} disks.")


def room(disks: Sequence[Disk], level: str) -> int:
    """The bytes that disks have together at a RAID level."""
    smallest, count = min(disk.size for disk in disks), len(disks)
    if level == "mirror":
        return smallest
    if level == "raid10":
        return smallest * count // 2
    return smallest * (count - _PARITY.get(level, 0))


def making_steps(world: World, medium: Medium, log: Sequence[str], add_storage: bool) -> list[Step]:
    """The task that makes a medium. Raises `Failure` for a name that is taken."""
    if any(media.name == medium.name and media.kind == medium.kind for media in media_of(world, medium.node)):
        raise Failure(f"{_noun(medium.kind)} with name '{medium.name}' already exists on node '{medium.node}'")
    kind, storage = KINDS[medium.kind], world.get(Storage, medium.name)
    if add_storage and storage is not None and (storage.type != kind.storage or storage.on(medium.node)):
        raise Failure(f"storage ID '{medium.name}' already defined")
    place = (medium.node, medium.kind, medium.name, medium.disks, medium.total, medium.filesystem)
    return [Step(after=1.0, log=tuple(log), effect="nodes.make_medium", arguments=(*place, add_storage))]


def _noun(kind: str) -> str:
    return {"zfs": "zfs pool", "directory": "directory"}.get(kind, "volume group")


@effect("nodes.make_medium")
def make_medium(
    world: World,
    task: Task | None,
    node: str,
    kind: str,
    name: str,
    disks: tuple[str, ...],
    total: int,
    filesystem: str,
    add_storage: bool,
) -> None:
    """Use the disks up, and define a storage on what was made of them if that was asked for."""
    for disk in check_unused(world, node, [f"/dev/{disk}" for disk in disks]):
        world.put(replace(disk, gpt=True, label=filesystem or LABELS[kind]))
    medium = Medium(node, kind, name, disks, total, filesystem)
    world.put(medium)
    if add_storage:
        _define(world, medium)


def _define(world: World, medium: Medium) -> None:
    storage = world.get(Storage, medium.name)
    if storage is not None:  # the same on another node: one definition for both
        definitions.update(world, storage.storage, {"nodes": ",".join((*storage.nodes, medium.node))}, (), None)
        world.put(Space(storage.storage, medium.node, medium.total, 0))
        return
    options: Mapping[str, Any] = {
        "lvm": {"vgname": medium.name, "content": _GUESTS},
        "lvmthin": {"vgname": medium.name, "thinpool": medium.name, "content": _GUESTS},
        "zfs": {"pool": medium.name, "content": _GUESTS},
        "directory": {
            "path": f"/mnt/pve/{medium.name}",
            "is_mountpoint": "1",
            "content": f"{_GUESTS},iso,backup,vztmpl,snippets",
        },
    }[medium.kind]
    type = KINDS[medium.kind].storage
    definitions.create(world, medium.node, type, medium.name, {**options, "nodes": medium.node})


# -- taking apart ------------------------------------------------------------------------------------------------------


def removal_steps(kind: str, node: str, name: str, clean_disks: bool, clean_config: bool) -> list[Step]:
    """The task that removes a medium; what is wrong shows in it."""
    return [Step(after=0.8, effect="nodes.remove_medium", arguments=(kind, node, name, clean_disks, clean_config))]


@effect("nodes.remove_medium")
def remove_medium(
    world: World, task: Task | None, kind: str, node: str, name: str, clean_disks: bool, clean_config: bool
) -> Iterable[Step]:
    """Free the disks; the storages on them lose what they held there. Raises `Failure` while guests have volumes."""
    command = KINDS[kind].remover.format(name=name)
    media = next((media for media in media_of(world, node) if (media.kind, media.name) == (kind, name)), None)
    if media is None:
        raise Failure(f"command '{command}' failed: exit code 5")
    on_it = [storage for storage in world.rows(Storage).values() if _is_on(storage, media, node)]
    names = {storage.storage for storage in on_it}
    lost = [volume for volume in world.rows(Volume).values() if volume.storage in names and volume.place == node]
    if any(volume.vmid is not None and volume.content in ("images", "rootdir") for volume in lost):
        raise Failure(f"command '{command}' failed: exit code 5")
    for volume in lost:
        world.remove(Volume, volume.key)
    for storage in on_it:
        world.remove(Space, (storage.storage, node))
        if clean_config:
            _leave(world, storage, node)
    _free_disks(world, node, media, clean_disks)
    world.remove(Medium, (node, kind, name))
    return []


def _is_on(storage: Storage, media: Media, node: str) -> bool:
    medium = Medium(node, media.kind, media.name, media.disks, media.total)
    if media.kind == "lvmthin" and storage.type == "lvmthin":
        return storage.on(node) and storage.options.get("vgname") == media.name
    return storage.on(node) and medium.carries(storage.type, storage.options)


def _leave(world: World, storage: Storage, node: str) -> None:
    others = [name for name in storage.nodes if name != node]
    if others:
        definitions.update(world, storage.storage, {"nodes": ",".join(others)}, (), None)
    else:
        definitions.remove(world, storage.storage)


def _free_disks(world: World, node: str, media: Media, clean: bool) -> None:
    for name in media.disks:
        disk = world.get(Disk, (node, name)) or Disk(node, name, media.total // len(media.disks), gpt=True)
        label = media.filesystem or LABELS[media.kind]
        world.put(replace(disk, gpt=disk.gpt and not clean, label="" if clean else label))


# -- single disks ------------------------------------------------------------------------------------------------------


def initialize_steps(world: World, node: str, path: str) -> list[Step]:
    """The task of `POST …/initgpt`. Raises `Failure` for a disk in use."""
    check_unused(world, node, [path])
    return [Step(after=0.3, effect="nodes.label_disk", arguments=(node, path, True))]


def wipe_steps(world: World, node: str, path: str) -> list[Step]:
    """The task of `PUT …/wipedisk`. Raises `Failure` for a disk that something stands on."""
    row = find_disk(world, node, path)
    name = row["devpath"].removeprefix("/dev/")
    if row["osdid"] >= 0 or any(name in media.disks for media in media_of(world, node)):
        raise Failure(f"disk/partition '{path}' has a holder")
    return [Step(after=0.5, effect="nodes.label_disk", arguments=(node, path, False))]


@effect("nodes.label_disk")
def label_disk(world: World, task: Task | None, node: str, path: str, gpt: bool) -> None:
    """Leave nothing on a disk but, if wanted, an empty partition table."""
    disk = world.rows(Disk)[node, path.removeprefix("/dev/")]
    world.put(replace(disk, gpt=gpt, label=""))
