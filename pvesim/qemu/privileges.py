"""Which privilege it takes to set an option of a virtual machine.

Drives, serial ports, USB and PCI devices depend on what they are set to. Source: the privileges that PVE's
documentation names for each group of options; recorded exchanges `qemu-config/054`, `qemu-config/056`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pvesim.core.errors import Failure
from pvesim.guests.disks import read_options
from pvesim.guests.newcomers import check_in_pool
from pvesim.routing import Call

_GROUPS: Mapping[str, str] = {
    "VM.Config.CPU": "affinity cores cpu cpulimit cpuunits numa smp sockets vcpus",
    "VM.Config.Memory": "allow-ksm balloon memory shares",
    "VM.Config.HWType": "acpi audio0 hotplug kvm machine rng0 scsihw smbios1 tablet vga watchdog",
    "VM.Config.Options": (
        "agent autostart bios description keyboard localtime migrate_downtime migrate_speed name "
        "onboot ostype protection reboot startdate startup tags tdf template vmgenid"
    ),
    "VM.PowerMgmt": "freeze",
    "VM.Config.Disk": "boot bootdisk vmstatestorage",
}
_PRIVILEGE = {key: privilege for privilege, keys in _GROUPS.items() for key in keys.split()}
_CLOUDINIT = frozenset(
    ("cicustom", "cipassword", "citype", "ciupgrade", "ciuser", "nameserver", "searchdomain", "sshkeys")
)
_DRIVE = re.compile(r"(?:ide|scsi|virtio|sata|efidisk|tpmstate|unused)\d+")
_DEVICE = re.compile(r"(serial|usb|hostpci)\d+")


def check_options(call: Call, vmid: int, pool: str | None, options: Mapping[str, Any] | Iterable[str]) -> None:
    """Raise unless who asks may set these options, or remove those of which only the names are given.

    `Failure` for what only root may set, else `Forbidden`. Drives are checked where they are made or removed.
    """
    if call.identity.is_root:
        return
    for key in options:
        if key == "cdrom" or _DRIVE.fullmatch(key):
            continue
        device = _DEVICE.fullmatch(key)
        if device:
            _check_device(call, vmid, pool, device[1], key, options)
        else:
            _check_option(call, vmid, pool, key)


def _check_option(call: Call, vmid: int, pool: str | None, key: str) -> None:
    if key in _CLOUDINIT or key.startswith("ipconfig"):
        check_in_pool(call, vmid, pool, "VM.Config.Cloudinit", "VM.Config.Network", any_of=True)
    elif re.fullmatch(r"net\d+", key):
        check_in_pool(call, vmid, pool, "VM.Config.Network")
    elif re.fullmatch(r"numa\d+", key):
        check_in_pool(call, vmid, pool, "VM.Config.CPU")
    elif key == "vmstate":
        check_in_pool(call, vmid, pool, "VM.Config.Disk", "VM.PowerMgmt")
    elif key in _PRIVILEGE:
        check_in_pool(call, vmid, pool, _PRIVILEGE[key])
        if key == "startup":  # it orders the start of the host's guests
            call.check("/", "Sys.Modify")
    else:
        raise Failure(f"only root can set '{key}' config")


def _check_device(
    call: Call, vmid: int, pool: str | None, kind: str, key: str, options: Mapping[str, Any] | Iterable[str]
) -> None:
    if not isinstance(options, Mapping):
        check_in_pool(call, vmid, pool, "VM.Config.HWType")
        return
    text = str(options[key])
    mapping = read_options(text, "host").get("mapping")
    harmless = (kind == "serial" and text == "socket") or (kind == "usb" and "spice" in text)
    if harmless or mapping:
        check_in_pool(call, vmid, pool, "VM.Config.HWType")
        if mapping:
            call.check(f"/mapping/{'pci' if kind == 'hostpci' else 'usb'}/{mapping}", "Mapping.Use")
    elif kind == "hostpci":
        raise Failure(f"only root can set '{key}' config for non-mapped devices")
    else:
        raise Failure(f"only root can set '{key}' config for real devices")
