"""The devices of a node: PCI and USB."""

from __future__ import annotations

from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.mapping.records import PciMapping

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


def mediated_devices(world: World, device: str) -> list[dict[str, Any]]:
    """`GET …/hardware/pci/{pci-id-or-mapping}/mdev`: none of the devices can be divided. Raises `Failure`."""
    if ":" in device:
        ids = {row["id"] for row in pci_devices("none")}
        if device not in ids and f"0000:{device}" not in ids:
            raise Failure(f"pci device '{device}' not found")
    elif world.get(PciMapping, device) is None:
        raise Failure(f"mapping '{device}' not found")
    return []
