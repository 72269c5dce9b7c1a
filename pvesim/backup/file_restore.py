"""Single files out of backups on a Proxmox Backup Server: what a snapshot holds, as a tree to walk down.

The files are those that the software in the guest had when it was backed up; of disks in a virtual machine they lie on
the first partition of the first drive. Source: `/nodes/{node}/storage/{storage}/file-restore`.
"""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pvesim.core.errors import Failure, NotModelled, ParameterErrors
from pvesim.core.world import World
from pvesim.routing import Call
from pvesim.storage.access import check_volume_access
from pvesim.storage.names import parse_volid
from pvesim.storage.records import Volume
from pvesim.storage.rules import activate, check_enabled

_CONTAINER = "root.pxar.didx"
_PARTITION = "part/1"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One node of the tree: an archive (`v`), a directory (`d`) or a file (`f`) with its content."""

    path: str
    type: str
    content: str = ""
    size: int = 0

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def find_snapshot(call: Call) -> Volume:
    """The backup that a request is about. Raises `ApiError`."""
    storage = check_enabled(call.world, call.params["storage"], call.node)
    volid = _volume_id(storage.storage, call.params["volume"])
    check_volume_access(call, volid, content="backup")
    if storage.type != "pbs":
        raise ParameterErrors({"storage": "Only PBS storages supported for file-restore."})
    activate(call.world, storage.storage, call.node)
    name = parse_volid(volid)[1]
    volume = call.world.get(Volume, (storage.storage, storage.place(call.node), name))
    if volume is None:
        raise Failure(f"proxmox-file-restore failed: Error: unable to open snapshot '{name.removeprefix('backup/')}'")
    return volume


def _volume_id(storage: str, volume: str) -> str:
    """The id of a snapshot that is named by its id, or by what follows the storage in it."""
    if volume.startswith("backup/"):
        return f"{storage}:{volume}"
    named, separator, _ = volume.partition(":")
    if not separator or "/" in named:  # the colons are those of the snapshot's time
        return f"{storage}:backup/{volume}"
    if named != storage:
        raise ParameterErrors({"volume": f"storage ID mismatch ({named} != {storage})"})
    return volume


def _tree(world: World, volume: Volume) -> dict[str, Entry]:
    """Everything in a snapshot, by path."""
    files = volume.contents.behaviour.files if volume.contents else {}
    sizes = dict(volume.contents.disk_use) if volume.contents else {}
    entries: dict[str, Entry] = {}
    if volume.subtype == "lxc":
        roots = [(f"/{_CONTAINER}", f"/{_CONTAINER}")]
        entries[f"/{_CONTAINER}"] = Entry(f"/{_CONTAINER}", "v", size=sum(sizes.values()))
    else:
        roots = []
        for drive, used in sizes.items():
            archive = f"/drive-{drive}.img.fidx"
            entries[archive] = Entry(archive, "v", size=used)
            roots.append((archive, f"{archive}/{_PARTITION}"))
    for archive, root in roots[:1]:
        for path in [root, *(f"{root}/{name.strip('/')}" for name in files)]:
            entries.update({folder: Entry(folder, "d") for folder in _above(path, archive)})
        if root != archive:
            entries[root] = Entry(root, "d")
        for name, content in files.items():
            path = f"{root}/{name.strip('/')}"
            entries[path] = Entry(path, "f", content, len(content.encode()))
    return entries


def _above(path: str, archive: str) -> Iterator[str]:
    """The folders between an archive and what lies in it."""
    folder = path.rpartition("/")[0]
    while len(folder) > len(archive):
        yield folder
        folder = folder.rpartition("/")[0]


def _decoded(path: str) -> str:
    """A path as requests give it: `/`, or in Base64. Raises `Failure`."""
    if path == "/":
        return ""
    try:
        text = base64.b64decode(path, validate=True).decode()
    except ValueError:
        raise Failure("proxmox-file-restore failed: Error: Failed to decode base64-encoded path") from None
    return "/" + text.strip("/") if text.strip("/") else ""


def listing(world: World, volume: Volume, path: str) -> list[dict[str, Any]]:
    """What is directly below a path. Raises `Failure` for a path that is not there."""
    tree, place = _tree(world, volume), _decoded(path)
    if place and place not in tree:
        raise Failure(f"proxmox-file-restore failed: Error: no such file or directory: {place}")
    below = [entry for name, entry in sorted(tree.items()) if name.rpartition("/")[0] == place]
    return [_row(entry, volume) for entry in below]


def _row(entry: Entry, volume: Volume) -> dict[str, Any]:
    row: dict[str, Any] = {
        "filepath": base64.b64encode(entry.path.encode()).decode(),
        "leaf": int(entry.type == "f"),
        "text": entry.name,
        "type": entry.type,
    }
    if entry.type != "d":
        row["size"] = entry.size
    return row if entry.type == "v" else {**row, "mtime": int(volume.ctime)}


def download(world: World, volume: Volume, path: str, as_tar: bool) -> bytes:
    """A file, or a directory packed as a ZIP archive. Raises `Failure` for a path that is not there."""
    tree, place = _tree(world, volume), _decoded(path)
    entry = tree.get(place)
    if entry is None:
        raise Failure(f"proxmox-file-restore failed: Error: no such file or directory: {place}")
    if entry.type == "f":
        return entry.content.encode()
    if as_tar:
        raise NotModelled("directories as tar archives are not modelled by pvesim: leave `tar` out for a ZIP archive")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, each in sorted(tree.items()):
            if each.type == "f" and name.startswith(f"{place}/"):
                archive.writestr(zipfile.ZipInfo(name[len(place) + 1 :], _ZIP_TIME), each.content)
    return packed.getvalue()
