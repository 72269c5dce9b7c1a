"""Archives: how a backup is named, what is in it, how large it is; and reading it again.

The configuration is kept as the guest's configuration file had it. Source: recorded exchanges `backup/007-014`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pvesim.backup.selection import backup_volumes
from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.firewall.records import Firewall
from pvesim.guests.configfile import render
from pvesim.guests.disks import disks_of
from pvesim.guests.records import Guest, Kind
from pvesim.guests.sizes import drive_size
from pvesim.routing import Call
from pvesim.storage.access import check_volume_access
from pvesim.storage.names import parse_name, parse_volid
from pvesim.storage.records import BackupContents, Storage, Volume
from pvesim.storage.rules import find_storage
from pvesim.storage.volumes import path_of, volume_of

_ENDINGS: Mapping[str, str] = {"0": "", "1": ".lzo", "lzo": ".lzo", "gzip": ".gz", "zstd": ".zst"}
# What compression leaves of the data, and what an archive needs beside it.
_RATIO: Mapping[str, float] = {"": 1.0, ".lzo": 0.6, ".gz": 0.47, ".zst": 0.45}
_VMA_HEADER = 12_288
_TAR_RECORD = 10_240
NO_CONFIG = "ERROR: archive contains no configuration file"
_NOT_KEPT = frozenset(("lock", "parent"))


def ending_of(kind: Kind, compress: str) -> str:
    """The ending of an archive's name, which is also its format: `vma.zst`, `tar`."""
    return f"{'vma' if kind == 'qemu' else 'tar'}{_ENDINGS[compress]}"


def archive_name(storage: Storage, kind: Kind, vmid: int, time: float, compress: str) -> tuple[str, str]:
    """The name of the volume that a backup begun at `time` becomes, and its format."""
    moment = datetime.fromtimestamp(time, UTC)
    if storage.type == "pbs":
        short = "vm" if kind == "qemu" else "ct"
        return f"backup/{short}/{vmid}/{moment:%Y-%m-%dT%H:%M:%SZ}", f"pbs-{short}"
    ending = ending_of(kind, compress)
    return f"backup/vzdump-{kind}-{vmid}-{moment:%Y_%m_%d-%H_%M_%S}.{ending}", ending


def disk_use(world: World, guest: Guest) -> dict[str, int]:
    """The bytes in use of each drive or mount point that a backup of the guest includes."""
    use: dict[str, int] = {}
    for volume in backup_volumes(guest):
        if volume.included and volume.disk.volid:
            found = volume_of(world, guest.node, volume.disk.volid)
            use[volume.disk.key] = found.used if found else 0
    return use


def archive_size(guest: Guest, use: Mapping[str, int], format: str) -> int:
    """The size of an archive of that much data."""
    data = sum(use.values())
    if format.startswith("pbs"):
        return sum(drive_size(str(guest.config.get(key, ""))) or used for key, used in use.items())
    compression = format.removeprefix("vma").removeprefix("tar")
    return int(data * _RATIO[compression]) + (_VMA_HEADER if guest.kind == "qemu" else _TAR_RECORD)


def make_archive(world: World, storage: Storage, guest: Guest, time: float, compress: str) -> Volume:
    """The volume of a backup of a guest as it is now. It is not put into the world yet."""
    name, format = archive_name(storage, guest.kind, guest.vmid, time, compress)
    use = disk_use(world, guest)
    size = archive_size(guest, use, format)
    contents = BackupContents(use, guest.behaviour, world.get(Firewall, f"guest/{guest.vmid}"))
    return Volume(
        storage.storage,
        storage.place(guest.node),
        name,
        "backup",
        format,
        size,
        used=size,
        ctime=float(int(time)),
        vmid=guest.vmid,
        subtype=guest.kind,
        guest_config=kept_config(guest),
        contents=contents,
    )


def kept_config(guest: Guest) -> dict[str, Any]:
    """The configuration that a backup keeps: without locks, and a machine's without its unused volumes."""
    return {
        key: value
        for key, value in guest.config.items()
        if key not in _NOT_KEPT and not (guest.kind == "qemu" and key.startswith("unused"))
    }


# -- reading -------------------------------------------------------------------------------------------------------


def config_text(archive: Volume) -> str:
    """The configuration in an archive, a machine's with where its drives were. Raises `Failure` for one without."""
    kind = require_config(archive)
    guest = Guest(archive.vmid or 0, kind, "", archive.guest_config)
    lines = []
    if kind == "qemu":
        for volume in backup_volumes(guest):
            if volume.included and volume.disk.storage:
                format = volume.disk.file.rpartition(".")[2] if "." in volume.disk.file else "raw"
                lines.append(f"#qmdump#map:{volume.disk.key}:drive-{volume.disk.key}:{volume.disk.storage}:{format}:\n")
    return render(guest) + "".join(lines)


def require_config(archive: Volume) -> Kind:
    """The kind of guest in an archive. Raises `Failure` for one that holds no guest."""
    if not archive.guest_config or archive.subtype not in ("qemu", "lxc"):
        raise Failure(NO_CONFIG)
    return "qemu" if archive.subtype == "qemu" else "lxc"


def find_archive(world: World, node: str, volid: str) -> Volume:
    """The archive of an id. Raises `Failure` for one that is not there."""
    storage, name = parse_volid(volid)
    parse_name(find_storage(world, storage), name)
    volume = volume_of(world, node, volid)
    if volume is None:
        raise Failure(f"volume '{volid}' does not exist")
    return volume


def require_archive_id(call: Call, text: str, vmid: int | None) -> None:
    """Raise unless a text names a backup that who asks may use, by its id; files are for root alone."""
    if text == "-":
        raise Failure("pipe requires cli environment")
    if ":" in text and not text.startswith("/"):
        check_volume_access(call, text, vmid, "backup")
    elif not call.identity.is_root:
        raise Failure("Only root can pass arbitrary filesystem paths.")


def volid_of(world: World, node: str, text: str) -> str:
    """The id of an archive given by id or by its path. Raises `Failure` for a path where there is none."""
    if not text.startswith("/"):
        return text
    for volume in world.rows(Volume).values():
        storage = world.get(Storage, volume.storage)
        if volume.content != "backup" or storage is None or volume.place != storage.place(node):
            continue
        if storage.type != "pbs" and path_of(world, volume) == text:
            return volume.volid
    raise Failure(f"can't find file '{text}'")


def extract_config(call: Call, text: str) -> str:
    """`GET /nodes/{node}/vzdump/extractconfig`. Raises as the checks of access do, and `Failure`."""
    require_archive_id(call, text, None)
    volid = volid_of(call.world, call.node, text)
    storage, name = parse_volid(volid)
    owner = parse_name(find_storage(call.world, storage), name).vmid
    if owner is not None:
        call.check(f"/vms/{owner}", "VM.Backup")
    return config_text(find_archive(call.world, call.node, volid))


def contents_of(archive: Volume) -> BackupContents:
    """What is in an archive beside the configuration; of one that a scenario brought, a guess by its size."""
    if archive.contents is not None:
        return archive.contents
    kind: Kind = "qemu" if archive.subtype == "qemu" else "lxc"
    sizes = {disk.key: disk.size for disk in disks_of(kind, archive.guest_config) if not disk.cdrom and disk.size}
    total, data = sum(sizes.values()), int(archive.size / _RATIO[".zst"])
    return BackupContents({key: min(size, data * size // total) for key, size in sizes.items()})
