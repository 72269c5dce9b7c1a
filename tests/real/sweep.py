"""Leaves a node as it was before a run: by the range of ids, the prefix of names, and the run's journal."""

import re
from collections.abc import Iterator
from typing import Any

from proxmoxer import ResourceException

from tests.real import ground, journal
from tests.real.found import look
from tests.real.names import PREFIX
from tests.real.node import NodeUnfit, RealNode, SetupFailed

_PATIENCE = 120.0
# Tasks that name no guest, and may still work on what is about to be removed.
_WAITED_FOR = frozenset(("vzdump", "download", "imgcopy", "imgdel"))


def sweep(node: RealNode, pool: str | None = None) -> list[str]:
    """Remove everything that runs made and left, and put the rest back.

    Args:
        pool: that of one run; otherwise all that have a run's mark.

    Returns:
        What was removed, a line for each.

    Raises:
        NodeUnfit: the node has no such mark: guests in a range of ids would be someone's own.
        SetupFailed: something cannot be removed.
    """
    look(node)
    marked = {name: kept for name, kept in journal.begun(node).items() if pool in (None, name)}
    if not marked:
        which = f"pool {pool}" if pool else "pool"
        raise NodeUnfit(f"There is no {which} with the mark of a run on the node, so nothing is removed.")
    removed: list[str] = []
    for name, kept in marked.items():
        removed += [*clear(node, *kept["range"]), *end(node, name)]
    return removed


def end(node: RealNode, pool: str) -> list[str]:
    """End a run whose scenarios are cleared away: remove what it made for all of them, and put back what was."""
    removed = list(_storages(node, kept=()))
    journal.end(node, pool)
    return [*removed, f"pool {pool}"]


def clear(node: RealNode, first: int, last: int) -> list[str]:
    """Remove what a scenario made; the journal, and what is for all scenarios, stay."""
    _wait_for_tasks(node, first, last)
    removed = [*_jobs(node), *_kept(node, first, last), *_guests(node, first, last), *_firewall(node)]
    removed += _storages(node, kept=(ground.STORAGE,), first=first, last=last)
    return [*removed, *_access(node), *_pools(node)]


def _wait_for_tasks(node: RealNode, first: int, last: int) -> None:
    """Tasks of the run's guests and storages end by themselves, or are stopped when they take too long."""
    if node.until(lambda: not _active(node, first, last), _PATIENCE) is None:
        # A task that names nothing of the run's may be someone else's.
        for task in _active(node, first, last):
            if _names_ours(task, first, last):
                node.delete(f"nodes/{node.name}/tasks/{task['upid']}")
        node.until(lambda: not _active(node, first, last), _PATIENCE)


def _active(node: RealNode, first: int, last: int) -> list[dict[str, Any]]:
    tasks = [task for task in node.get(f"nodes/{node.name}/tasks", source="active") if not task.get("endtime")]
    return [task for task in tasks if _names_ours(task, first, last) or _is_one_of_ours(node, task)]


def _names_ours(task: dict[str, Any], first: int, last: int) -> bool:
    what, _, where = str(task.get("id", "")).partition("@")
    ours = what.isdecimal() and first <= int(what) <= last
    return ours or what.startswith(PREFIX) or where.startswith(PREFIX)


def _is_one_of_ours(node: RealNode, task: dict[str, Any]) -> bool:
    user = node.connection.identity
    return task.get("type") in _WAITED_FOR and not task.get("id") and task.get("user") in (user, user.partition("!")[0])


def _jobs(node: RealNode) -> Iterator[str]:
    for job in node.get("cluster/backup"):
        if str(job.get("storage", "")).startswith(PREFIX):
            node.delete(f"cluster/backup/{job['id']}")
            yield f"backup job {job['id']}"


def _kept(node: RealNode, first: int, last: int) -> Iterator[str]:
    """Guests under high availability, and the rules for them."""
    mine = re.compile(r"(?:vm|ct):(\d+)")
    if node.major >= 9:
        for rule in node.get("cluster/ha/rules"):
            if all(first <= int(vmid) <= last for vmid in mine.findall(rule["resources"])):
                node.delete(f"cluster/ha/rules/{rule['rule']}")
                yield f"HA rule {rule['rule']}"
    for resource in node.get("cluster/ha/resources"):
        if first <= int(resource["sid"].partition(":")[2]) <= last:
            node.delete(f"cluster/ha/resources/{resource['sid']}")
            yield f"HA resource {resource['sid']}"


def _guests(node: RealNode, first: int, last: int) -> Iterator[str]:
    # The node's own lists, for those of the cluster lag behind.
    paths = [
        f"nodes/{node.name}/{kind}/{guest['vmid']}"
        for kind in ("qemu", "lxc")
        for guest in node.get(f"nodes/{node.name}/{kind}")
        if first <= int(guest["vmid"]) <= last
    ]
    templates = {path: bool(_unlocked(node, path).get("template")) for path in paths}
    running = [path for path in paths if node.get(f"{path}/status/current")["status"] == "running"]
    node.together(("post", f"{path}/status/stop", {}) for path in running)
    whole = {"purge": 1, "destroy-unreferenced-disks": 1}
    # What was cloned from a template goes before it.
    for template in (False, True):
        node.together(("delete", path, whole) for path in paths if templates[path] == template)
    yield from (" ".join(path.split("/")[2:]) for path in paths)


def _unlocked(node: RealNode, path: str) -> dict[str, Any]:
    """The configuration of a guest that nothing keeps from being removed any more."""
    config: dict[str, Any] = node.get(f"{path}/config")
    hinders = [key for key in ("lock", "protection") if config.get(key)]
    if hinders:
        skip = {"skiplock": 1} if "lock" in hinders and "/qemu/" in path else {}
        node.put(f"{path}/config", delete=",".join(hinders), **skip)
    return config


def _firewall(node: RealNode) -> Iterator[str]:
    """Groups that the run made; the journal knows whether there were rules and options of cluster and node."""
    for group in node.get("cluster/firewall/groups"):
        if str(group.get("comment", "")).startswith(PREFIX):
            for _ in node.get(f"cluster/firewall/groups/{group['group']}"):
                node.delete(f"cluster/firewall/groups/{group['group']}/0")
            node.delete(f"cluster/firewall/groups/{group['group']}")
            yield f"security group {group['group']}"


def _storages(node: RealNode, *, kept: tuple[str, ...], first: int = 0, last: int = 0) -> Iterator[str]:
    """Storages that the run made. What lies in a directory is the run's; a thin pool is shared with others."""
    for storage in node.get("storage"):
        name = storage["storage"]
        if not name.startswith(PREFIX) or name in kept:
            continue
        if not storage.get("disable"):
            for volume in node.get(f"nodes/{node.name}/storage/{name}/content"):
                if storage["type"] == "dir" or first <= int(volume.get("vmid") or 0) <= last:
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
