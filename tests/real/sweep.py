"""Leaves a node as it was before a run: by the range of ids, the prefix of names, and the run's journal."""

import time
from collections.abc import Iterator
from typing import Any

from proxmoxer import ResourceException

from tests.real import journal
from tests.real.names import PREFIX
from tests.real.node import NodeUnfit, RealNode, SetupFailed, look

_PATIENCE = 120.0


def sweep(node: RealNode, pool: str, first: int, last: int) -> list[str]:
    """Remove everything that a run made, and put the rest back.

    Returns:
        What was removed, a line for each.

    Raises:
        NodeUnfit: the node has no journal of a run: guests in the range would be someone's own.
        SetupFailed: something cannot be removed.
    """
    look(node)
    if not journal.begun(node, pool):
        raise NodeUnfit(f"There is no pool {pool} with the mark of a run on the node, so nothing is removed.")
    removed = clear(node, first, last)
    journal.end(node, pool)
    return [*removed, f"pool {pool}"]


def clear(node: RealNode, first: int, last: int) -> list[str]:
    """Remove what a scenario made; the journal stays."""
    _wait_for_tasks(node, first, last)
    removed = [*_jobs(node), *_guests(node, first, last), *_firewall(node), *_storages(node)]
    return [*removed, *_access(node), *_pools(node)]


def _wait_for_tasks(node: RealNode, first: int, last: int) -> None:
    """Tasks of the run's guests end by themselves, or are stopped when they take too long."""
    until, pause = time.monotonic() + _PATIENCE, 0.05
    while running := [task["upid"] for task in node.get(f"nodes/{node.name}/tasks", source="active") if _is_ours(
            task, first, last)]:  # fmt: skip
        if time.monotonic() > until:
            for upid in running:
                node.delete(f"nodes/{node.name}/tasks/{upid}")
            until += _PATIENCE
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _is_ours(task: dict[str, Any], first: int, last: int) -> bool:
    id = str(task.get("id", ""))
    return not task.get("endtime") and id.isdecimal() and first <= int(id) <= last


def _jobs(node: RealNode) -> Iterator[str]:
    for job in node.get("cluster/backup"):
        if str(job.get("storage", "")).startswith(PREFIX):
            node.delete(f"cluster/backup/{job['id']}")
            yield f"backup job {job['id']}"


def _guests(node: RealNode, first: int, last: int) -> Iterator[str]:
    guests = [guest for guest in node.get("cluster/resources", type="vm") if first <= guest["vmid"] <= last]
    # What was cloned from a template goes before it.
    for guest in sorted(guests, key=lambda guest: bool(guest.get("template"))):
        path = f"nodes/{guest['node']}/{guest['type']}/{guest['vmid']}"
        _unlock(node, path)
        if node.get(f"{path}/status/current")["status"] == "running":
            node.run("post", f"{path}/status/stop")
        node.run("delete", path, purge=1, **{"destroy-unreferenced-disks": 1})
        yield f"{guest['type']} {guest['vmid']}"


def _unlock(node: RealNode, path: str) -> None:
    config = node.get(f"{path}/config")
    hinders = [key for key in ("lock", "protection") if config.get(key)]
    if not hinders:
        return
    skip = {"skiplock": 1} if "lock" in hinders and "/qemu/" in path else {}
    node.put(f"{path}/config", delete=",".join(hinders), **skip)


def _firewall(node: RealNode) -> Iterator[str]:
    """Groups that the run made; the journal knows whether there were rules and options of cluster and node."""
    for group in node.get("cluster/firewall/groups"):
        if str(group.get("comment", "")).startswith(PREFIX):
            for _ in node.get(f"cluster/firewall/groups/{group['group']}"):
                node.delete(f"cluster/firewall/groups/{group['group']}/0")
            node.delete(f"cluster/firewall/groups/{group['group']}")
            yield f"security group {group['group']}"


def _storages(node: RealNode) -> Iterator[str]:
    for storage in node.get("storage"):
        name = storage["storage"]
        if not name.startswith(PREFIX):
            continue
        if storage["type"] == "dir":
            for volume in node.get(f"nodes/{node.name}/storage/{name}/content"):
                _remove_volume(node, name, volume)
        node.delete(f"storage/{name}")
        yield f"storage {name}"


def _remove_volume(node: RealNode, storage: str, volume: dict[str, Any]) -> None:
    path = f"nodes/{node.name}/storage/{storage}/content/{volume['volid']}"
    if volume.get("protected"):
        node.put(path, protected=0)
    try:
        node.run("delete", path)
    except ResourceException as error:
        raise SetupFailed(f"{volume['volid']} cannot be removed: {error.content}") from None


def _access(node: RealNode) -> Iterator[str]:
    for user in node.get("access/users"):
        if user["userid"].startswith(PREFIX):
            node.delete(f"access/users/{user['userid']}")
            yield f"user {user['userid']}"
    for group in node.get("access/groups"):
        if group["groupid"].startswith(PREFIX):
            node.delete(f"access/groups/{group['groupid']}")
            yield f"group {group['groupid']}"


def _pools(node: RealNode) -> Iterator[str]:
    for entry in node.get("pools"):
        name = entry["poolid"]
        if name.startswith(f"{PREFIX}s-"):
            _remove_pool(node, name)
            yield f"pool {name}"


def _remove_pool(node: RealNode, name: str) -> None:
    members = node.get("pools", poolid=name)[0]["members"]
    storages = [member["storage"] for member in members if member["type"] == "storage"]
    if storages:
        node.put("pools", poolid=name, delete=1, storage=",".join(storages))
    node.delete("pools", poolid=name)
