"""Files that come into a storage from outside: uploads and downloads.

Sources: the recorded exchanges `storage/052` to `storage/062`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.multipart import UploadedFile
from pvesim.nodes.records import Node
from pvesim.storage.names import folder_of, parse_name
from pvesim.storage.records import Download, Storage, Volume
from pvesim.storage.rules import check_enabled, space_of
from pvesim.storage.types import TYPES

_BYTES_PER_SECOND = 100 * 1024**2
_EXTENSIONS = {
    "iso": re.compile(r".+\.(?:iso|img)", re.IGNORECASE),
    "vztmpl": re.compile(r".+\.tar(?:\.(?:gz|xz|zst|bz2))?"),
    "import": re.compile(r".+\.(?:ova|ovf|qcow2|raw|vmdk)"),
}


def check_target(world: World, node: str, storage: str, content: str, filename: str) -> tuple[Storage, str]:
    """The storage and the cleaned file name of something that comes in. Raises `Failure` or `ParameterErrors`."""
    found = check_enabled(world, storage, node)
    if not TYPES[found.type].has_files:
        raise Failure(f"cannot upload to storage type '{found.type}', not a file based storage!")
    if content not in found.content:
        raise Failure(f"storage '{storage}' does not support '{content}' content")
    name = clean_name(filename)
    if _EXTENSIONS[content].fullmatch(name) is None:
        raise ParameterErrors({"filename": "wrong file extension"})
    return found, name


def clean_name(filename: str) -> str:
    """A file name without its folders; other characters than letters, digits and `-_.` become `_`."""
    return re.sub(r"[^a-zA-Z0-9_.\-]", "_", re.split(r"[/\\]", filename.rstrip("\n"))[-1])


# -- uploads -----------------------------------------------------------------------------------------------------------


def check_reach(world: World, local: str, node: str, folder: str) -> None:
    """That the node which was connected to, and which has the file, can hand it on to another. Raises `Failure`."""
    if node == local:
        return
    other = world.get(Node, node)
    if other is None:
        reason = f"failed to get address info for: {node}: Name or service not known"
        raise Failure(f"hostname lookup '{node}' failed - {reason}")
    if not other.online:
        command = f"/usr/bin/ssh -e none -o 'BatchMode=yes' {other.ip} -- /bin/mkdir -p -- {folder}"
        raise Failure(f"mkdir failed: command '{command}' failed: exit code 255")


def upload_steps(
    world: World, node: str, storage: Storage, name: str, params: dict[str, Any], given: UploadedFile
) -> list[Step]:
    """The task of an upload: it checks the checksum, if there is one, and copies the file into its folder."""
    content = params["content"]
    source = f"/var/tmp/pveupload-{world.random_bytes(16, 'upload').hex()}"  # noqa: S108 (a text only)
    target = f"{folder_of(storage, content)}/{name}"
    size = len(given.content)
    log = [
        f"starting file import from: {source}",
        f"target node: {node}",
        f"target file: {target}",
        f"file size is: {size}",
    ]
    steps = [Step(log=tuple(log))]
    expected = params.get("checksum")
    if expected:
        algorithm = params["checksum-algorithm"]
        found = hashlib.new(algorithm, given.content, usedforsecurity=False).hexdigest()
        steps.append(Step(log=("calculating checksum...",)))
        steps.append(Step(effect="storage.checksum", arguments=(found, expected)))
    place = storage.place(node)
    return [
        *steps,
        Step(log=(f"command: cp -- {source} {target}",), effect="storage.import",
             arguments=(storage.storage, node, place, content, name, size)),
        Step(after=0.2, log=("finished file import successfully",)),
    ]  # fmt: skip


@effect("storage.checksum")
def compare_checksums(world: World, task: Task, found: str, expected: str) -> list[Step]:
    """Fail the task unless the checksum is the expected one."""
    if found != expected.lower():
        raise Failure(f"checksum mismatch: got '{found}' != expect '{expected}'")
    return [Step(log=("OK, checksum verified",))]


@effect("storage.import")
def import_file(
    world: World, task: Task, storage: str, node: str, place: str, content: str, name: str, size: int
) -> None:
    """Put a file in its place; one of the same name is replaced."""
    key = (storage, place, f"{content}/{name}")
    before = world.get(Volume, key)
    if size > space_of(world, storage, node).avail + (before.used if before else 0):
        raise Failure(f"import failed: write '{name}' - No space left on device")
    found = world.get(Storage, storage)
    if found is None:
        raise Failure(f"storage '{storage}' does not exist")
    format = parse_name(found, f"{content}/{name}").format
    world.put(Volume(storage, place, f"{content}/{name}", content, format, size, size, world.now))


# -- downloads ---------------------------------------------------------------------------------------------------------


def download_steps(world: World, storage: Storage, node: str, name: str, params: Mapping[str, Any]) -> list[Step]:
    """The task of a download. Only what the world has under its URL can be had: no node has a way out."""
    url, content = params["url"], params["content"]
    target = f"{folder_of(storage, content)}/{name}"
    checksum = params.get("checksum-algorithm", ""), params.get("checksum", "")
    known = world.get(Download, url)
    if known is None:
        begin = Step(log=(f"downloading {url} to {target}",))
        return [begin, Step(after=1.0, effect="storage.no_route", arguments=(host_of(url),))]
    arguments = (storage.storage, node, content, name, url, target, *checksum)
    return [Step(effect="storage.download", arguments=arguments)]


def host_of(url: str) -> str:
    """Host and port of a URL."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:  # beyond all ports
        port = None
    return f"{parts.hostname}:{port or (443 if parts.scheme == 'https' else 80)}"


@effect("storage.no_route")
def no_route(world: World, task: Task, host: str) -> None:
    """Fail a download as the node's program does when it cannot reach the host."""
    raise Failure(f"download failed: Connecting to {host}... failed: No route to host.")


@effect("storage.download")
def fetch(
    world: World,
    task: Task,
    storage: str,
    node: str,
    content: str,
    name: str,
    url: str,
    target: str,
    algorithm: str,
    expected: str,
) -> list[Step]:
    """Download a file that the world has, unless the right one is there already."""
    known, found = world.rows(Download)[url], world.get(Storage, storage)
    if found is None:
        raise Failure(f"storage '{storage}' does not exist")
    checksum = known.checksums.get(algorithm) or hashlib.new("sha256", f"{algorithm}:{url}".encode()).hexdigest()
    if algorithm and world.get(Volume, (storage, found.place(node), f"{content}/{name}")) is not None:
        if checksum != expected.lower():
            raise Failure(f"mismatch (got '{checksum}' != expect '{expected}'), aborting")
        said = "calculating checksum of existing file...OK, got correct file already, no need to download"
        return [Step(log=(said,))]
    steps = [
        Step(log=(f"downloading {url} to {target}",)),
        Step(after=max(0.5, known.size / _BYTES_PER_SECOND), log=(f"{host_of(url)}: {known.size} bytes received",)),
    ]
    if algorithm:
        steps.append(Step(log=("calculating checksum...",), effect="storage.checksum", arguments=(checksum, expected)))
    place = found.place(node)
    steps.append(Step(effect="storage.import", arguments=(storage, node, place, content, name, known.size)))
    return [*steps, Step(log=(f"download of '{url}' to '{target}' finished",))]


def metadata_of(world: World, url: str) -> dict[str, Any]:
    """`GET /nodes/{node}/query-url-metadata`: what a server says of a file. Raises `Failure` where none answers."""
    known = world.get(Download, url)
    if known is None:
        raise Failure(f"invalid server response: '500 Can't connect to {host_of(url)} (No route to host)'")
    name = known.filename or clean_name(urlsplit(url).path)
    return {"filename": name, "mimetype": known.mimetype, "size": known.size}
