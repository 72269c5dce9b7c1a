"""Copying a volume by hand, under another name or to another node: `POST …/content/{volume}`."""

from __future__ import annotations

from dataclasses import replace

from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.storage.names import parse_name, path_of
from pvesim.storage.records import Storage, Volume
from pvesim.storage.rules import activate, space_of

_BYTES_PER_SECOND = 200 * 1024**2


def copy_steps(world: World, storage: Storage, node: str, name: str, target_node: str, target: str) -> list[Step]:
    """The task of a copy; what is wrong with the volume shows in it."""
    volume = world.get(Volume, (storage.storage, storage.place(node), name))
    after = max(0.5, volume.used / _BYTES_PER_SECOND) if volume else 0.2
    arguments = (storage.storage, node, name, target_node, target)
    return [Step(after=after, effect="storage.copy", arguments=arguments)]


@effect("storage.copy")
def copy(world: World, task: Task | None, storage_id: str, node: str, name: str, target_node: str, target: str) -> None:
    """Put the copy in its place. Raises `Failure`: nothing to copy, another format, the name is taken, no room."""
    storage = activate(world, storage_id, node)
    source = world.get(Volume, (storage_id, storage.place(node), name))
    if source is None:
        raise Failure(f"volume '{storage_id}:{name}' does not exist")
    if world.get(Node, target_node) is None:
        raise Failure(f"no such cluster node '{target_node}'")
    activate(world, storage_id, target_node)
    parsed = parse_name(storage, target)
    if parsed.content != source.content and "rootdir" not in (parsed.content, source.content):
        raise Failure(f"cannot copy a volume of type '{source.content}' to one of type '{parsed.content}'")
    if parsed.format != source.format:
        raise Failure(f"cannot import format {source.format} into a volume of format {parsed.format}")
    place = storage.place(target_node)
    if world.get(Volume, (storage_id, place, target)) is not None:
        raise Failure(f"file '{path_of(storage, target)}' already exists")
    if source.used > space_of(world, storage, target_node).avail:
        raise Failure("import failed: No space left on device")
    world.put(
        replace(source, place=place, name=target, vmid=parsed.vmid, ctime=world.now, parent=None, protected=False)
    )
