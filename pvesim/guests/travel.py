"""What of a guest is on its node alone: the volumes that have to go with it to another node, and what keeps it there.

Source: recorded exchange `qemu-migrate/001` (every field of a local disk), the parameters of `…/migrate`; the log lines
that a node's migration writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pvesim.contract.formats import split_list
from pvesim.core.errors import ApiError, Failure
from pvesim.core.world import World
from pvesim.guests.disks import Disk, disks_of, read_options
from pvesim.guests.records import Guest
from pvesim.guests.volumes import fill
from pvesim.nodes.records import Node
from pvesim.storage.names import parse_name
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import check_enabled, find_storage, is_enabled
from pvesim.storage.volumes import allocate, linked_clones, volume_of

_DEVICES = re.compile(r"(?:usb|hostpci|serial|parallel|virtiofs)\d+")
_CARRIED = frozenset(("dir", "btrfs", "zfspool", "lvmthin", "lvm"))  # local types whose volumes PVE can send away
_KEEPING_SNAPSHOTS = frozenset(("zfspool", "btrfs"))


# -- volumes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """A volume that a guest's configurations name: under which key, as what, and in which of them."""

    volid: str
    disk: Disk
    attached: bool
    snapshots: tuple[str, ...] = ()
    vmstate: bool = False

    @property
    def storage(self) -> str:
        return self.volid.partition(":")[0]

    @property
    def generated(self) -> bool:
        return self.disk.cloudinit

    def entry(self) -> dict[str, Any]:
        """As `GET …/migrate` lists it."""
        disk = self.disk
        entry: dict[str, Any] = {
            "volid": self.volid,
            "cdrom": int(disk.cdrom),
            "is_attached": int(self.attached),
            "is_cloudinit": int(disk.cloudinit),
            "is_tpmstate": int(disk.key.startswith("tpmstate")),
            "is_unused": int(disk.unused),
            "is_vmstate": int(self.vmstate),
            "replicate": int(disk.options.get("replicate", "1") != "0"),
            "shared": int(disk.options.get("shared", "0") != "0"),
        }
        if not disk.unused and not self.vmstate:
            entry["drivename"] = disk.key
        if self.snapshots:
            entry["referenced_in_snapshot"] = dict.fromkeys(self.snapshots, 1)
        return {**entry, "size": disk.size} if disk.size else entry


def uses_of(guest: Guest) -> dict[str, Use]:
    """Every volume that the configuration, pending changes and snapshots name, by id."""
    uses: dict[str, Use] = {}
    for disk in _disks(guest, guest.config):
        uses.setdefault(str(disk.volid), Use(str(disk.volid), disk, not disk.unused))
    pending = {key: value for key, value in guest.pending.items() if value is not None}
    for disk in _disks(guest, pending):
        uses.setdefault(str(disk.volid), Use(str(disk.volid), disk, attached=False))
    for snapshot in guest.snapshots:
        for disk in _disks(guest, snapshot.config):
            volid = str(disk.volid)
            use = uses.get(volid) or Use(volid, disk, attached=False)
            uses[volid] = replace(use, snapshots=(*use.snapshots, snapshot.name))
        state = snapshot.config.get("vmstate")
        if state:
            uses[str(state)] = Use(str(state), Disk("vmstate", str(state), {}, 0), False, (snapshot.name,), True)
    if guest.config.get("vmstate"):
        state = str(guest.config["vmstate"])
        uses[state] = Use(state, Disk("vmstate", state, {}, 0), attached=False, vmstate=True)
    return uses


def _disks(guest: Guest, config: Mapping[str, Any]) -> Iterator[Disk]:
    return (disk for disk in disks_of(guest.kind, config) if disk.volid and disk.options.get("shared", "0") == "0")


def local_uses(world: World, guest: Guest) -> list[Use]:
    """The volumes that are on no shared storage."""
    return [use for use in uses_of(guest).values() if not _is_shared(world, use.storage)]


def _is_shared(world: World, name: str) -> bool:
    storage = world.get(Storage, name)
    return storage is not None and storage.shared


def goal_of(mapping: str | None, storage: str) -> str:
    """The storage that takes the volumes of a local one: as `targetstorage` says, else the one of the same name."""
    pairs = storage_map(mapping)
    return pairs.get(storage, pairs.get("", storage))


def storage_map(mapping: str | None) -> Mapping[str, str]:
    """What `targetstorage` says: by source storage; the one for all others under the empty name."""
    if not mapping or mapping == "1":
        return {}
    items = (item.partition(":") for item in split_list(mapping))
    return {(source if colon else ""): (target if colon else source) for source, colon, target in items}


def words_for(guest: Guest, use: Use) -> str:
    """What the log says of a local volume that was found."""
    if guest.kind == "lxc":
        where = "unused" if use.disk.unused else "in current VM config" if use.attached else "referenced by snapshot(s)"
        return f"found local volume '{use.volid}' ({where})"
    if use.generated:
        return f"found generated disk '{use.volid}' (in current VM config)"
    where = "unused" if use.disk.unused else "attached" if use.attached else "referenced by snapshot(s)"
    return f"found local disk '{use.volid}' ({where})"


# -- what keeps it -------------------------------------------------------------------------------------------------


def problem_with(world: World, guest: Guest, use: Use, goal: str, target: str, *, with_disks: bool) -> str | None:
    """Why a local volume cannot go to the storage `goal` of another node, as the log says it; None where it can."""
    if use.disk.cdrom and not use.generated:
        return "local cdrom image"
    live = guest.kind == "qemu" and guest.running
    if live and not with_disks and use.attached and not use.generated:
        return "can't live migrate attached local disks without with-local-disks option"
    try:
        check_enabled(world, goal, target)
        volume = volume_of(world, guest.node, use.volid)
    except ApiError as error:
        return error.message
    if volume is None:
        return f"volume '{use.volid}' does not exist"
    if volume.vmid != guest.vmid:
        return f"owned by other VM (owner = VM {volume.vmid})"
    return _problem_of_form(world, use, volume, live=live)


def _problem_of_form(world: World, use: Use, volume: Volume, *, live: bool) -> str | None:
    type = find_storage(world, volume.storage).type
    if type not in _CARRIED:
        return f"can't migrate '{use.volid}' - storage type '{type}' not supported"
    if volume.parent:
        return f"can't migrate '{use.volid}' as it's a clone of '{volume.parent.rpartition('/')[2]}'"
    if next(linked_clones(world, volume), None) is not None:
        return f"base volume '{use.volid}' is still in use by linked cloned"
    if use.snapshots and not use.vmstate:
        if live:
            return "online storage migration not possible if snapshot exists"
        if type not in _KEEPING_SNAPSHOTS and volume.format != "qcow2":
            return "non-migratable snapshot exists"
    return None


def local_resources(guest: Guest) -> list[str]:
    """The options of a machine that pass something of the node through, mapped ones among them."""
    return [key for key, value in guest.config.items() if _DEVICES.fullmatch(key) and not _harmless(key, str(value))]


def mapped_resources(guest: Guest) -> dict[str, str]:
    """Those of them that go through a mapping, with its name: they may move to where the mapping has an entry."""
    found = {key: read_options(str(guest.config[key]), "host").get("mapping") for key in local_resources(guest)}
    return {key: name for key, name in found.items() if name}


def _harmless(key: str, value: str) -> bool:
    if key.startswith("serial"):
        return value == "socket"
    return key.startswith("usb") and read_options(value, "host").get("host", "").lower() == "spice"


def unavailable_storages(world: World, guest: Guest, node: str) -> list[str]:
    """The storages of the guest's volumes that are not enabled on a node, by name."""
    names = {disk.storage for disk in disks_of(guest.kind, guest.config) if disk.storage and not disk.unused}
    storages = (world.get(Storage, name) for name in sorted(names))
    return [storage.storage for storage in storages if storage is not None and not is_enabled(storage, node)]


# -- carrying ------------------------------------------------------------------------------------------------------


def send(world: World, guest: Guest, volid: str, goal: str, target: str) -> Volume:
    """Make a copy of a volume on a storage of another node, under its own name if that is free. Raises `Failure`."""
    volume, storage = volume_of(world, guest.node, volid), find_storage(world, goal)
    if volume is None:
        raise Failure(f"volume '{volid}' does not exist")
    source = find_storage(world, volume.storage)
    same_form = storage.type == source.type
    taken = world.get(Volume, (storage.storage, storage.place(target), volume.name)) is not None
    file = parse_name(source, volume.name).file if same_form and not taken else None
    format = volume.format if same_form else None
    made = allocate(world, goal, target, guest.vmid, volume.size, format, volume.content, name=file)
    return fill(world, made, volume.used)


def arrive(world: World, guest: Guest, target: str, renamed: Mapping[str, str]) -> Guest:
    """The guest on the target node, naming its volumes as they are called there; those left behind are removed."""
    for volid in renamed:
        volume = volume_of(world, guest.node, volid)
        if volume is not None:
            world.remove(Volume, volume.key)
    snapshots = tuple(replace(each, config=_renamed(each.config, renamed)) for each in guest.snapshots)
    config, pending = _renamed(guest.config, renamed), _renamed(guest.pending, renamed)
    return replace(guest, node=target, config=config, pending=pending, snapshots=snapshots)


def _renamed(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    changed = dict(config)
    for key, value in config.items():
        if isinstance(value, str):
            head, comma, rest = value.partition(",")
            prefix, equals, volid = head.rpartition("=")  # such as `file=local:…` in what a client wrote
            if volid in names:
                changed[key] = f"{prefix}{equals}{names[volid]}{comma}{rest}"
    return changed


# -- what may go where ---------------------------------------------------------------------------------------------


def other_nodes(world: World, guest: Guest) -> list[str]:
    """All nodes but the guest's own, by name."""
    return sorted(name for name in world.rows(Node) if name != guest.node)
