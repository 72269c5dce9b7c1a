"""What a node can offer: container templates to download, machine types and CPU models of QEMU.

The templates are this simulator's own small catalogue in the form of PVE's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.storage.names import folder_of
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import check_enabled, space_of

_MIRROR = "http://download.proxmox.com/images"


@dataclass(frozen=True, slots=True)
class Template:
    """A container template that can be downloaded; `size` is in bytes."""

    os: str
    package: str
    version: str
    headline: str
    size: int
    compression: str = "xz"

    @property
    def filename(self) -> str:
        return f"{self.package}_{self.version}_amd64.tar.{self.compression}"

    @property
    def location(self) -> str:
        return f"{_MIRROR}/system/{self.filename}"


TEMPLATES = (
    Template("alpine", "alpine-3.22-default", "20250617", "Alpine 3.22, small and quick to start", 3_246_080),
    Template("archlinux", "archlinux-base", "20240911-1", "Arch Linux base", 141_889_536, "zst"),
    Template("debian-12", "debian-12-standard", "12.12-1", "Debian 12 standard", 126_877_696, "zst"),
    Template("debian-13", "debian-13-standard", "13.1-2", "Debian 13 standard", 128_974_848, "zst"),
    Template("fedora", "fedora-42-default", "20250428", "Fedora 42", 106_954_752),
    Template("rockylinux", "rockylinux-10-default", "20251001", "Rocky Linux 10", 119_537_664),
    Template("ubuntu-24.04", "ubuntu-24.04-standard", "24.04-2", "Ubuntu 24.04 standard", 141_557_760, "zst"),
)


def templates() -> list[dict[str, Any]]:
    """`GET /nodes/{node}/aplinfo`."""
    return [
        {
            "architecture": "amd64",
            "description": f"A container with {template.headline}.",
            "headline": template.headline,
            "infopage": "https://pve.proxmox.com/wiki/Linux_Container",
            "location": template.location,
            "maintainer": "pvesim",
            "md5sum": hashlib.md5(template.filename.encode(), usedforsecurity=False).hexdigest(),
            "os": template.os,
            "package": template.package,
            "section": "system",
            "sha512sum": hashlib.sha512(template.filename.encode()).hexdigest(),
            "source": _MIRROR,
            "template": template.filename,
            "type": "lxc",
            "version": template.version,
        }
        for template in TEMPLATES
    ]


def download_steps(world: World, node: str, storage_id: str, filename: str) -> list[Step]:
    """The task of `POST /nodes/{node}/aplinfo`. Raises `ParameterErrors` for an unknown template, `Failure` else."""
    template = next((template for template in TEMPLATES if template.filename == filename), None)
    if template is None:
        raise ParameterErrors({"template": "no such template"})
    storage = check_enabled(world, storage_id, node)
    if "vztmpl" not in storage.content:
        raise Failure(f"storage '{storage_id}' does not support templates")
    target = f"{folder_of(storage, 'vztmpl')}/{filename}"
    return [
        Step(log=(f"downloading {template.location} to {target}",)),
        Step(after=1.5, effect="nodes.template", arguments=(node, storage_id, filename, template.size)),
        Step(log=(f"download of '{template.location}' to '{target}' finished",)),
    ]


@effect("nodes.template")
def place_template(world: World, task: Task | None, node: str, storage_id: str, filename: str, size: int) -> None:
    """Put a downloaded template in its place."""
    storage = world.get(Storage, storage_id)
    if storage is None or size > space_of(world, storage, node).avail:
        raise Failure(f"download failed: cannot write '{filename}': No space left on device")
    compression = filename.rpartition(".")[2]
    name = f"vztmpl/{filename}"
    world.put(Volume(storage_id, storage.place(node), name, "vztmpl", f"t{compression}", size, size, world.now))


# -- QEMU ----------------------------------------------------------------------------------------------------------

_OLDEST = (2, 4)
_LAST_MINOR = {2: 12, 3: 1}  # the highest minor version of each major one; 2 for those that are not named
_MODELS: dict[str, tuple[str, ...]] = {
    "AuthenticAMD": (
        "athlon", "phenom", "Opteron_G1", "Opteron_G2", "Opteron_G3", "Opteron_G4", "Opteron_G5", "EPYC", "EPYC-IBPB",
        "EPYC-Rome", "EPYC-Rome-v2", "EPYC-Milan", "EPYC-Milan-v2", "EPYC-Genoa",
    ),
    "GenuineIntel": (
        "486", "pentium", "pentium2", "pentium3", "coreduo", "core2duo", "Conroe", "Penryn", "Nehalem", "Westmere",
        "SandyBridge", "IvyBridge", "Haswell", "Broadwell", "Skylake-Client", "Skylake-Server", "Cascadelake-Server",
        "Cooperlake", "Icelake-Server", "SapphireRapids", "GraniteRapids", "KnightsMill",
    ),
    "default": (
        "host", "kvm32", "kvm64", "max", "qemu32", "qemu64", "x86-64-v2", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4",
    ),
}  # fmt: skip


def cpu_models() -> list[dict[str, Any]]:
    """`GET /nodes/{node}/capabilities/qemu/cpu`."""
    rows = ({"custom": 0, "name": name, "vendor": vendor} for vendor, names in _MODELS.items() for name in names)
    return sorted(rows, key=lambda row: str(row["name"]))


# CPU flags that a VM's configuration may switch, each with what it is for.
_FLAGS = {
    "aes": "AES instructions",
    "amd-no-ssb": "tells the guest that an AMD host is not open to speculative store bypass",
    "amd-ssbd": "speculative store bypass control of AMD hosts",
    "hv-evmcs": "quicker nested virtualisation for Windows guests on Intel hosts",
    "hv-tlbflush": "quicker flushing of address caches for Windows guests with too many virtual CPUs",
    "ibpb": "indirect branch barriers against Spectre on AMD hosts",
    "md-clear": "clears buffers against microarchitectural data sampling",
    "nested-virt": "lets the guest run virtual machines itself",
    "pcid": "lowers the cost of the Meltdown fix on older Intel hosts",
    "pdpe1gb": "pages of one GiB",
    "spec-ctrl": "indirect branch control against Spectre on Intel hosts",
    "ssbd": "speculative store bypass control of Intel hosts",
    "virt-ssbd": "speculative store bypass control for AMD guests on any host",
}


def cpu_flags() -> list[dict[str, str]]:
    """`GET /nodes/{node}/capabilities/qemu/cpu-flags`."""
    return [{"description": text, "name": name} for name, text in _FLAGS.items()]


def machines(qemu: str) -> list[dict[str, str]]:
    """`GET /nodes/{node}/capabilities/qemu/machines` of a QEMU version such as `10.1.2`: the newest comes first."""
    major, minor = (int(part) for part in qemu.split(".")[:2])
    versions = sorted(_versions((major, minor)), reverse=True)
    return [
        {"id": f"pc-{type}-{version[0]}.{version[1]}", "type": type, "version": f"{version[0]}.{version[1]}"}
        for type in ("i440fx", "q35")
        for version in versions
    ]


def _versions(newest: tuple[int, int]) -> Iterator[tuple[int, int]]:
    for major in range(_OLDEST[0], newest[0] + 1):
        for minor in range(_LAST_MINOR.get(major, 2) + 1):
            if _OLDEST <= (major, minor) <= newest:
                yield major, minor
