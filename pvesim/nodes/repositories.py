"""The package repositories of a node, which are files in APT's folder: `/nodes/{node}/apt/repositories`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.sections import MODIFIED
from pvesim.core.world import World

_FOLDER = "/etc/apt/sources.list.d"
_DEBIAN = f"{_FOLDER}/debian.sources"
_SUITE = "trixie"
_ENTERPRISE, _OPEN = "https://enterprise.proxmox.com/debian", "http://download.proxmox.com/debian"


@dataclass(frozen=True, slots=True)
class Repository:
    """One entry of a file."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """A file with its entries in order."""

    node: str
    path: str
    entries: tuple[Repository, ...]

    @property
    def key(self) -> tuple[str, str]:
        return (self.node, self.path)


# The repositories of Proxmox by handle: file, place, component, name.
_STANDARD = {
    "enterprise": ("pve-enterprise", f"{_ENTERPRISE}/pve", "pve-enterprise", "Enterprise"),
    "no-subscription": ("proxmox", f"{_OPEN}/pve", "pve-no-subscription", "No-Subscription"),
    "test": ("pve-test", f"{_OPEN}/pve", "pve-test", "Test"),
    "ceph-squid-enterprise": ("ceph", f"{_ENTERPRISE}/ceph-squid", "enterprise", "Ceph Squid Enterprise"),
    "ceph-squid-no-subscription": ("ceph", f"{_OPEN}/ceph-squid", "no-subscription", "Ceph Squid No-Subscription"),
    "ceph-squid-test": ("ceph", f"{_OPEN}/ceph-squid", "test", "Ceph Squid Test"),
}


def files_of(world: World, node: str) -> list[RepositoryFile]:
    """The files of a node; those of the installer where nothing was changed."""
    changed = [file for file in world.rows(RepositoryFile).values() if file.node == node]
    paths = {file.path for file in changed}
    return sorted(
        [*changed, *(file for file in _installed(node) if file.path not in paths)], key=lambda file: file.path
    )


def _installed(node: str) -> Iterator[RepositoryFile]:
    parts = ("main", "contrib", "non-free-firmware")
    yield RepositoryFile(
        node,
        _DEBIAN,
        (
            Repository("http://deb.debian.org/debian", (_SUITE, f"{_SUITE}-updates"), parts),
            Repository("http://security.debian.org/debian-security", (f"{_SUITE}-security",), parts),
        ),
    )
    yield RepositoryFile(node, f"{_FOLDER}/pve-enterprise.sources", (_standard("enterprise"),))


def _standard(handle: str) -> Repository:
    _, uri, component, _ = _STANDARD[handle]
    return Repository(uri, (_SUITE,), (component,))


def addresses(world: World, node: str) -> list[str]:
    """What a refresh of the package lists asks."""
    entries = (entry for file in files_of(world, node) for entry in file.entries if entry.enabled)
    return [f"{entry.uri} {suite} InRelease" for entry in entries for suite in entry.suites]


# -- reading -----------------------------------------------------------------------------------------------------------


def show(world: World, node: str) -> dict[str, Any]:
    """`GET /nodes/{node}/apt/repositories`."""
    files = files_of(world, node)
    return {
        "digest": _digest(files),
        "errors": [],
        "files": [_show_file(file) for file in files],
        "infos": [
            {"index": str(index), "kind": "origin", "message": _origin(entry), "path": file.path}
            for file in files
            for index, entry in enumerate(file.entries)
        ],
        "standard-repos": [_standard_row(files, handle) for handle in _STANDARD],
    }


def _digest(files: list[RepositoryFile]) -> str:
    return hashlib.sha256("".join(_text(file) for file in files).encode()).hexdigest()


def _text(file: RepositoryFile) -> str:
    return f"# {file.path}\n" + "\n".join(
        f"Types: deb\nURIs: {entry.uri}\nSuites: {' '.join(entry.suites)}\nComponents: {' '.join(entry.components)}\n"
        f"Enabled: {'yes' if entry.enabled else 'no'}\n"
        for entry in file.entries
    )


def _show_file(file: RepositoryFile) -> dict[str, Any]:
    return {
        "digest": list(hashlib.sha256(_text(file).encode()).digest()),
        "file-type": "sources",
        "path": file.path,
        "repositories": [
            {
                "Components": list(entry.components),
                "Enabled": int(entry.enabled),
                "FileType": "sources",
                "Suites": list(entry.suites),
                "Types": ["deb"],
                "URIs": [entry.uri],
            }
            for entry in file.entries
        ],
    }


def _origin(entry: Repository) -> str:
    return "Proxmox" if "proxmox.com" in entry.uri else "Debian"


def _standard_row(files: list[RepositoryFile], handle: str) -> dict[str, Any]:
    wanted = _standard(handle)
    found = [
        entry
        for file in files
        for entry in file.entries
        if (entry.uri, entry.components) == (wanted.uri, wanted.components)
    ]
    row: dict[str, Any] = {"handle": handle, "name": _STANDARD[handle][3]}
    return {**row, "status": int(any(entry.enabled for entry in found))} if found else row


# -- writing -----------------------------------------------------------------------------------------------------------


def _check_digest(world: World, node: str, digest: str | None) -> None:
    if digest and digest != _digest(files_of(world, node)):
        raise Failure(MODIFIED)


def switch(world: World, node: str, path: str, index: int, enabled: bool | None, digest: str | None) -> None:
    """`POST`: switch one entry of a file on or off. Raises `Failure`."""
    _check_digest(world, node, digest)
    file = next((file for file in files_of(world, node) if file.path == path), None)
    if file is None:
        raise Failure(f"file '{path}' does not exist")
    if not 0 <= index < len(file.entries):
        raise Failure(f"invalid repository index {index}")
    if enabled is not None:
        entries = list(file.entries)
        entries[index] = replace(entries[index], enabled=enabled)
        world.put(replace(file, entries=tuple(entries)))


def add(world: World, node: str, handle: str, digest: str | None) -> None:
    """`PUT`: add one of Proxmox's own repositories, or switch it on. Raises `Failure`."""
    _check_digest(world, node, digest)
    if handle not in _STANDARD:
        raise Failure(f"unknown repository handle '{handle}'")
    wanted, path = _standard(handle), f"{_FOLDER}/{_STANDARD[handle][0]}.sources"
    file = next((file for file in files_of(world, node) if file.path == path), RepositoryFile(node, path, ()))
    others = tuple(entry for entry in file.entries if replace(entry, enabled=True) != wanted)
    if wanted in file.entries:
        raise Failure(f"standard repository '{handle}' is already configured")
    world.put(replace(file, entries=(*others, wanted)))
