"""Making disks larger. A machine's checks are in the task, a container's before it.

Source: recorded exchanges `qemu-disk/001-009`, `qemu-config/019`, `qemu-snapshot/025`, `lxc/037-040`, `lxc/073`.
"""

from __future__ import annotations

from dataclasses import replace

from pvesim.contract import FormatError
from pvesim.contract.formats import parse_size
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.configfile import digest_of
from pvesim.guests.disks import disks_of
from pvesim.guests.locks import require_unlocked, start_locked
from pvesim.guests.power import found
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.sizes import MIB
from pvesim.guests.volumes import existing_volume
from pvesim.lxc.mounts import Mount, print_mount, read_mount
from pvesim.lxc.update import MODIFIED
from pvesim.qemu.drives import print_drive, read_drive
from pvesim.routing import Call
from pvesim.storage.names import parse_name, parse_volid
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import find_storage, is_thin, space_of
from pvesim.storage.types import TYPES

RESIZE_SECONDS = 0.4
_EXTENT = 4 * MIB
_NOT_SET = {"mp": "property is missing and it is not optional", "volume": "property is missing and it is not optional"}


def resize(kind: Kind, call: Call) -> str:
    """`PUT …/resize`; the UPID."""
    params, vmid = call.params, call.params["vmid"]
    call.root_only("skiplock")
    disk, size = params["disk"], params["size"]
    if kind == "lxc":
        size = str(_check_container(call, disk, size))
    else:
        _check_space_right(call, vmid, disk)
    arguments = (vmid, disk, size, params.get("digest"), bool(params.get("skiplock")))
    step = Step(RESIZE_SECONDS, effect=f"{kind}.resize", arguments=arguments)
    return start_locked(call.world, kind, call.node, "resize", vmid, call.identity.name, [step])


def _check_space_right(call: Call, vmid: int, key: str) -> None:
    guest = call.world.get(Guest, vmid)
    disk = next((disk for disk in disks_of("qemu", guest.config) if disk.key == key), None) if guest else None
    if disk is not None and disk.storage and not disk.cdrom:
        call.check(f"/storage/{disk.storage}", "Datastore.AllocateSpace")


def wanted_size(current: int, text: str) -> int:
    """The new size in bytes of `32G` or `+1G`. Raises `Failure` for one beyond all numbers."""
    try:
        return current + parse_size(text[1:]) if text.startswith("+") else parse_size(text)
    except FormatError as error:  # more than any number can be
        raise Failure(str(error)) from None


# -- machines ------------------------------------------------------------------------------------------------------


@effect("qemu.resize")
def _resize_drive(
    world: World, task: Task, vmid: int, key: str, size: str, digest: str | None, skiplock: bool
) -> list[Step]:
    guest = found(world, task, "qemu", vmid)
    if digest and digest != digest_of(world, guest):
        raise Failure("checksum mismatch (file change by other user?)")
    check_lock(guest, skip=skiplock)
    if not guest.config.get(key):
        raise Failure(f"disk '{key}' does not exist")
    drive = read_drive(key, str(guest.config[key]))
    parse_volid(drive.file)
    if drive.cdrom:
        raise Failure("you can't resize a cdrom")
    volume = existing_volume(world, guest.node, drive.file)
    new = wanted_size(volume.size, size)
    if new < volume.size:
        raise Failure("shrinking disks is not supported")
    if new == volume.size:
        return []
    log = grow(world, guest.node, volume, new)
    world.put(replace(guest, config={**guest.config, key: print_drive(drive, drive.file, new)}))
    return [Step(log=tuple(log))] if log else []


def grow(world: World, node: str, volume: Volume, size: int) -> list[str]:
    """Make a volume larger; what its storage's program says. Raises `Failure` where there is no space."""
    storage = find_storage(world, volume.storage)
    if volume.format == "subvol" and storage.type != "zfspool":
        raise Failure("can't resize this image format")
    used = volume.used if is_thin(storage) else volume.used + size - volume.size
    if used - volume.used > space_of(world, storage, node).avail:
        raise Failure(f"unable to resize '{volume.volid}' - not enough free space")
    world.put(replace(volume, size=size, used=used))
    return _resize_log(storage, volume, size)


def _resize_log(storage: Storage, volume: Volume, size: int) -> list[str]:
    if TYPES[storage.type].has_files:
        return ["Image resized."]
    if storage.type == "rbd":
        return ["Resizing image: 100% complete...done."]
    if storage.type not in ("lvm", "lvmthin"):
        return []
    name = f"{storage.options.get('vgname')}/{parse_name(storage, volume.name).file}"
    before, after = (f"{each / 2**30:.2f} GiB ({each // _EXTENT} extents)" for each in (volume.size, size))
    return [
        f"  Size of logical volume {name} changed from {before} to {after}.",
        f"  Logical volume {name} successfully resized.",
    ]


# -- containers ----------------------------------------------------------------------------------------------------


def mount_of(guest: Guest, key: str) -> Mount:
    """A container's mount. Raises `Failure` as PVE does when it reads one that is not set."""
    text = guest.config.get(key)
    if text is None:
        raise Failure("format error", _NOT_SET)
    return read_mount(key, str(text))


def _check_container(call: Call, key: str, size: str) -> int:
    """The new size in bytes."""
    world = call.world
    guest = find_guest(world, "lxc", call.node, call.params["vmid"])
    require_unlocked(world, "lxc", guest.vmid)
    check_lock(guest)
    if call.params.get("digest") and call.params["digest"] != digest_of(world, guest):
        raise Failure(MODIFIED)
    mount = mount_of(guest, key)
    if mount.kind != "volume":
        raise Failure("can't resize mount point: it is no volume")
    volume = existing_volume(world, guest.node, mount.volume)
    if volume.vmid != guest.vmid:
        raise Failure("can't resize mount point owned by another VM")
    call.check(f"/storage/{volume.storage}", "Datastore.AllocateSpace")
    new = wanted_size(volume.size, size)
    if new < volume.size:
        raise Failure("unable to shrink disk size")
    if new == volume.size:
        raise Failure("disk is already at specified size")
    return new


@effect("lxc.resize")
def _resize_mount(
    world: World, task: Task, vmid: int, key: str, size: str, digest: str | None, skiplock: bool
) -> list[Step]:
    guest = found(world, task, "lxc", vmid)
    check_lock(guest, skip=skiplock)
    mount = mount_of(guest, key)
    volume, new = existing_volume(world, guest.node, mount.volume), int(size)
    log = grow(world, guest.node, volume, new)
    world.put(replace(guest, config={**guest.config, key: print_mount(mount, mount.volume, new)}))
    return [Step(log=tuple(log))] if log else []
