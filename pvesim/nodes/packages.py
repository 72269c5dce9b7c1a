"""The packages of a node and where they come from: `/nodes/{node}/apt`.

Versions follow the release that the cluster runs; the descriptions are this simulator's own.
"""

from __future__ import annotations

from typing import Any

from pvesim.cluster.records import Release
from pvesim.cluster.rules import the_cluster
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step
from pvesim.core.world import World

_INSTALLED = "Installed"
# Package, version (a name in braces is a field of the release), what it is.
_PACKAGES = (
    ("proxmox-ve", "{release}.0", "all of Proxmox VE"),
    ("pve-manager", "{version}", "web interface and API"),
    ("proxmox-kernel-helper", "9.0.4", "tools for kernels and boot loaders"),
    ("ceph-fuse", "19.2.3-pve4", "file system client of Ceph"),
    ("corosync", "3.1.9-pve2", "cluster engine"),
    ("criu", "4.1.1-1", "checkpoints of processes"),
    ("ifupdown2", "3.3.0-1+pmx10", "network configuration"),
    ("ksm-control-daemon", "1.5-1", "sharing of equal memory pages"),
    ("libproxmox-acme-perl", "1.7.0", "certificates from an ACME service"),
    ("libpve-access-control", "9.0.4", "users and rights"),
    ("libpve-cluster-perl", "9.0.6", "cluster file system, library"),
    ("libpve-common-perl", "9.0.13", "common library"),
    ("libpve-guest-common-perl", "6.0.2", "common library of guests"),
    ("libpve-http-server-perl", "6.0.5", "server of the API"),
    ("libpve-network-perl", "1.2.1", "software defined networks"),
    ("libpve-storage-perl", "9.0.14", "storages"),
    ("lxc-pve", "6.0.5-1", "containers"),
    ("lxcfs", "6.0.4-pve1", "file system for containers"),
    ("novnc-pve", "1.6.0-3", "VNC viewer for browsers"),
    ("proxmox-backup-client", "4.0.19-1", "client of Proxmox Backup Server"),
    ("proxmox-mail-forward", "1.0.2", "forwarding of the system's mail"),
    ("proxmox-widget-toolkit", "5.0.6", "parts of the web interface"),
    ("pve-cluster", "9.0.6", "cluster file system"),
    ("pve-container", "6.0.13", "management of containers"),
    ("pve-docs", "9.0.9", "documentation"),
    ("pve-edk2-firmware", "4.2025.02-4", "firmware of machines"),
    ("pve-firewall", "6.0.3", "firewall"),
    ("pve-ha-manager", "5.0.5", "high availability"),
    ("pve-i18n", "3.6.1", "translations"),
    ("pve-qemu-kvm", "{qemu}-3", "emulator"),
    ("qemu-server", "9.0.23", "management of machines"),
    ("smartmontools", "7.4-pve1", "health of disks"),
    ("spiceterm", "3.4.1", "terminal over SPICE"),
    ("vncterm", "1.9.1", "terminal over VNC"),
    ("zfsutils-linux", "2.3.4-pve1", "tools of ZFS"),
)
# Package, version installed, version at hand, what it is, section, priority: all from Debian.
_UPDATES = (
    ("libssl3t64", "3.5.1-1", "3.5.4-1~deb13u1", "library for encryption", "libs", "optional"),
    ("openssl", "3.5.1-1", "3.5.4-1~deb13u1", "tools for encryption", "utils", "optional"),
    ("tzdata", "2025b-4", "2025b-4+deb13u1", "time zones", "localization", "required"),
)


def versions(world: World) -> list[dict[str, Any]]:
    """`GET /nodes/{node}/apt/versions`: the packages that make up the product."""
    release = the_cluster(world).release
    rows = [
        {
            "Arch": "amd64",
            "CurrentState": _INSTALLED,
            "Description": text,
            "Origin": "Proxmox",
            "OldVersion": _version(version, release),
            "Package": name,
            "Priority": "optional",
            "Section": "admin",
            "Title": text,
            "Version": _version(version, release),
        }
        for name, version, text in _PACKAGES
    ]
    rows[0]["RunningKernel"] = release.kernel
    rows[1]["ManagerVersion"] = f"{release.version}/{release.repoid}"
    return rows


def _version(text: str, release: Release) -> str:
    return text.format(release=release.release, version=release.version, qemu=release.qemu)


def updates() -> list[dict[str, Any]]:
    """`GET /nodes/{node}/apt/update`: what can be installed."""
    return [
        {
            "Arch": "amd64",
            "Description": text,
            "OldVersion": old,
            "Origin": "Debian",
            "Package": name,
            "Priority": priority,
            "Section": section,
            "Title": text,
            "Version": new,
        }
        for name, old, new, text, section, priority in _UPDATES
    ]


def refresh_steps(addresses: list[str]) -> list[Step]:
    """The task of `POST /nodes/{node}/apt/update`, with the places that are asked."""
    found = tuple(f"Hit:{number} {address}" for number, address in enumerate(addresses, start=1))
    return [
        Step(log=("starting apt-get update",)),
        Step(after=1.2, log=(*found, "Reading package lists...")),
    ]


def changelog(world: World, name: str, version: str | None) -> str:
    """`GET /nodes/{node}/apt/changelog`: the latest entry. Raises `Failure` for an unknown package."""
    known = {row["Package"]: row["Version"] for row in (*versions(world), *updates())}
    if name not in known:
        raise Failure(f"package '{name}' not found")
    if version is not None and version != known[name]:
        raise Failure(f"no changelog of package '{name}' in version '{version}'")
    return f"{name} ({known[name]}) unstable; urgency=medium\n\n  * a release that pvesim made up\n"
