"""Drives of virtual machines: who may use what, and how they come to be.

Source: recorded exchanges `qemu-create/019-038`, `qemu-config/043-048`, `qemu-power/045`, `qemu-snapshot/028`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.guests.copying import human
from pvesim.guests.options import parse_option, print_option
from pvesim.guests.sizes import gigabytes
from pvesim.guests.volumes import GIB, existing_volume, fill, make_volume, size_text
from pvesim.routing import Call
from pvesim.storage.access import check_volume_access
from pvesim.storage.names import parse_name, parse_volid
from pvesim.storage.rules import default_format, find_storage
from pvesim.storage.types import TYPES

# The order in which PVE goes through drives, and in which it looks for one to boot from.
BOOTABLE = (
    *(f"ide{number}" for number in range(4)),
    *(f"scsi{number}" for number in range(31)),
    *(f"virtio{number}" for number in range(16)),
    *(f"sata{number}" for number in range(6)),
)
DRIVES = (*BOOTABLE, "efidisk0", "tpmstate0")
_DRIVE_KEYS = frozenset(DRIVES)
_NEW = re.compile(r"(?:(?:([^/:\s]+):)?)(\d+(?:\.\d+)?)")
_CLOUDINIT = re.compile(r"(?:([^/:\s]+):)?cloudinit")
_CLOUDINIT_FILE = re.compile(r"(?:.*/)?vm-\d+-cloudinit(?:\.\w+)?")
_CLOUDINIT_SIZE = 4 * 1024**2
_EFI_SIZES = {"2m": 131_072, "4m": 540_672}
_TPM_SIZE = 4 * 1024**2
_NO_MEDIUM = ("none", "cdrom")


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive as a client asked for it. `file` is what stands first: a volume id, `storage:size`, a path, `none`."""

    key: str
    file: str
    options: Mapping[str, Any]

    @property
    def cdrom(self) -> bool:
        return self.options.get("media") == "cdrom" or self.file == "cdrom" or self.cloudinit

    @property
    def cloudinit(self) -> bool:
        """Whether it is a cloud-init drive, asked for or made."""
        volume = self.file.partition(":")[2]
        return self.asks_for_cloudinit or bool(volume and _CLOUDINIT_FILE.fullmatch(volume))

    @property
    def asks_for_cloudinit(self) -> bool:
        """Whether a cloud-init drive has to be made; what holds firmware variables or a TPM's state can be none."""
        return self.key in BOOTABLE and _CLOUDINIT.fullmatch(self.file) is not None

    @property
    def cloudinit_storage(self) -> str | None:
        """The storage that a cloud-init drive is asked for on, None for the default one."""
        return self.file.rpartition(":")[0] or None

    @property
    def new(self) -> tuple[str | None, float] | None:
        """The storage (None for the default one) and the size in GiB of a drive that has to be made."""
        match = _NEW.fullmatch(self.file)
        return (match[1], gigabytes(match[2])) if match and not self.cdrom else None


def is_drive(key: str) -> bool:
    """Whether an option is a drive (an unused one is none)."""
    return key in _DRIVE_KEYS


def read_drive(key: str, text: str) -> Drive:
    """A drive as it was asked for, or as it stands in a configuration."""
    fields = parse_option("qemu", key, text)
    return Drive(key, fields.pop("file"), fields)


def drives_in(options: Mapping[str, Any]) -> Iterator[Drive]:
    """The drives of a configuration or a request, in PVE's order."""
    for key in DRIVES:
        if options.get(key):
            yield read_drive(key, str(options[key]))


def print_drive(drive: Drive, file: str, size: int | None) -> str:
    """A drive as a configuration holds it; an unused one is the volume alone."""
    if drive.key.startswith("unused"):
        return file
    kept = {name: value for name, value in drive.options.items() if name not in ("format", "size", "import-from")}
    if size is not None:
        kept["size"] = size_text(size)
    return print_option("qemu", drive.key, {"file": file, **kept})


# -- rights --------------------------------------------------------------------------------------------------------


def check_access(call: Call, vmid: int, options: Mapping[str, Any], storage: str | None) -> None:
    """Raise unless who asks may use what the drives of a request name; `storage` is the default one."""
    for drive in drives_in(options):
        _check_drive(call, vmid, drive, storage)
        source = drive.options.get("import-from")
        if source and not source.startswith("/"):
            check_volume_access(call, source, vmid)
        elif source and not call.identity.is_root:
            raise Failure("Only root can pass arbitrary filesystem paths.")
    if options.get("vmstatestorage"):
        call.check(f"/storage/{options['vmstatestorage']}", "Datastore.AllocateSpace")


def _check_drive(call: Call, vmid: int, drive: Drive, storage: str | None) -> None:
    if drive.file == "cdrom":
        call.check("/", "Sys.Console")
    elif drive.file == "none":
        return
    elif drive.asks_for_cloudinit:
        _check_allocation(call, drive.cloudinit_storage or storage)
    elif drive.new is not None:
        _check_allocation(call, drive.new[0] or storage)
    elif drive.file.startswith("/"):
        if not call.identity.is_root:
            raise Failure("Only root can pass arbitrary filesystem paths.")
    else:
        check_volume_access(call, drive.file, vmid)
        name, volume = parse_volid(drive.file)
        if parse_name(find_storage(call.world, name), volume).content not in ("images", "iso"):
            raise ParameterErrors({drive.key: "content type needs to be 'images' or 'iso'"})


def _check_allocation(call: Call, storage: str | None) -> None:
    if storage is None:
        raise Failure("no storage ID specified (and no default storage)")
    call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
    if "images" not in find_storage(call.world, storage).content:
        raise ParameterErrors({"storage": f"storage '{storage}' does not support vm images"})


# -- making --------------------------------------------------------------------------------------------------------


def make_drives(
    world: World, node: str, vmid: int, options: Mapping[str, Any], storage: str | None, log: list[str]
) -> dict[str, str]:
    """The drives of a request as the configuration will hold them; new volumes are made and logged.

    Raises `Failure` for a volume that is not there and where a storage refuses.
    """
    return {drive.key: _make(world, node, vmid, drive, storage, log) for drive in drives_in(options)}


def _make(world: World, node: str, vmid: int, drive: Drive, storage: str | None, log: list[str]) -> str:
    if drive.file in _NO_MEDIUM or drive.file.startswith("/"):
        return print_drive(drive, drive.file, None)
    if drive.asks_for_cloudinit:
        text = _make_cloudinit(world, node, vmid, drive, drive.cloudinit_storage or storage or "", log)
    elif drive.new is not None:
        text = _make_disk(world, node, vmid, drive, drive.new[0] or storage or "", log)
    else:
        volume = existing_volume(world, node, drive.file)
        return print_drive(drive, drive.file, None if drive.cloudinit else volume.size)
    log.append(f"{drive.key}: successfully created disk '{text}'")
    return text


def _make_cloudinit(world: World, node: str, vmid: int, drive: Drive, storage: str, log: list[str]) -> str:
    with_files = TYPES[find_storage(world, storage).type].has_files
    format = str(drive.options.get("format") or ("qcow2" if with_files else "raw"))
    name = f"vm-{vmid}-cloudinit.{format}" if with_files else f"vm-{vmid}-cloudinit"
    volume = make_volume(world, node, vmid, storage, _CLOUDINIT_SIZE, log, format=format, name=name)
    options = {**drive.options, "media": "cdrom"}
    return print_drive(Drive(drive.key, volume.volid, options), volume.volid, None)


def _make_disk(world: World, node: str, vmid: int, drive: Drive, storage: str, log: list[str]) -> str:
    source = drive.options.get("import-from")
    origin = existing_volume(world, node, source) if source and not source.startswith("/") else None
    if source and origin is None:
        raise Failure(f"could not find disk '{source}'")
    assert drive.new is not None
    size = origin.size if origin else _fixed_size(drive) or int(drive.new[1] * GIB)
    format = drive.options.get("format") or default_format(find_storage(world, storage))
    volume = make_volume(world, node, vmid, storage, size, log, format=str(format))
    if origin is not None:
        fill(world, volume, origin.used or origin.size)
    if drive.key == "efidisk0":  # the firmware's variables are copied in
        log += [f"transferred {human(part)} of {human(size)} ({part / size:.2%})" for part in (0, size)]
    return print_drive(drive, volume.volid, size)


def _fixed_size(drive: Drive) -> int | None:
    """The size of what holds firmware variables or a TPM's state, whatever was asked for."""
    if drive.key == "efidisk0":
        return _EFI_SIZES[str(drive.options.get("efitype", "2m"))]
    return _TPM_SIZE if drive.key == "tpmstate0" else None


# -- boot order ----------------------------------------------------------------------------------------------------


def default_boot_order(config: Mapping[str, Any]) -> str:
    """What PVE boots from when nobody says: the first disk, the first CD drive, the first network interface."""
    first: dict[bool, str] = {}
    for drive in drives_in(config):
        if drive.key in BOOTABLE:
            first.setdefault(drive.cdrom, drive.key)
    net = next((f"net{number}" for number in range(32) if config.get(f"net{number}")), None)
    return print_boot_order([key for key in (first.get(False), first.get(True), net) if key])


def print_boot_order(devices: list[str]) -> str:
    """The `boot` option; an empty order is one blank."""
    return f"order={';'.join(devices)}" if devices else " "


def boot_order(config: Mapping[str, Any]) -> list[str]:
    """The devices of the `boot` option; none where it is of the old kind."""
    text = str(config.get("boot", ""))
    return text.removeprefix("order=").split(";") if text.startswith("order=") else []
