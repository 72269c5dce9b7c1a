"""Which named tool a raw request to the API does the work of, so that both have the same risk and obey the same rules.

A GET is a read. A write that is not in the table has the highest risk there is.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from proxmox_mcp.tasks import stops_in_peace
from proxmox_mcp.tooling import Risk


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A raw request: `path` is below `/api2/json`."""

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)

    def places(self) -> Iterator[tuple[str, str]]:
        """What the path names, each with the name that an argument of a tool would have."""
        parts = self.path.strip("/").split("/")
        for before, part in itertools.pairwise(parts):
            if key := _NAMES.get(before):
                yield key, part
        for part in parts:
            yield "", part


_NAMES = {
    "nodes": "node", "qemu": "vmid", "lxc": "vmid", "storage": "storage", "pools": "pool", "content": "volid",
    "resources": "sid", "replication": "guest",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Twin:
    """What a raw request amounts to.

    Attributes:
        tools: the named tools that do the same.
        worst: it is none that is known, and counts as the worst.
        everywhere: without guests named, it is for all of them.
    """

    tools: tuple[str, ...] = ()
    risk: Risk = Risk.DESTROY
    interrupts: bool = False
    worst: bool = False
    everywhere: bool = False


_GUEST = r"/nodes/[^/]+/(?P<kind>qemu|lxc)/[^/]+"
_TASK = r"/nodes/[^/]+/tasks/(?P<upid>[^/]+)"
_POWER = ("manage_vm", "manage_lxc_container")

_CONFIGURE = (
    "update_vm_config", "update_lxc_config", "attach_disk", "detach_disk", "set_nic", "remove_nic", "set_tags",
    "set_notes",
)  # fmt: skip

_WRITES: tuple[tuple[str, re.Pattern[str], Twin], ...] = tuple(
    (method, re.compile(pattern), twin)
    for method, pattern, twin in (
        ("POST", _GUEST + r"/status/(?:start|resume)", Twin(_POWER, Risk.OPERATE)),
        (
            "POST",
            _GUEST + r"/status/(?:stop|shutdown|reboot|reset|suspend)",
            Twin(_POWER, Risk.OPERATE, interrupts=True),
        ),
        ("POST", _GUEST + r"/snapshot", Twin(("create_snapshot",), Risk.OPERATE)),
        ("PUT", _GUEST + r"/snapshot/[^/]+/config", Twin(("update_snapshot",), Risk.OPERATE)),
        ("POST", _GUEST + r"/snapshot/[^/]+/rollback", Twin(("rollback_snapshot",))),
        ("DELETE", _GUEST + r"/snapshot/[^/]+", Twin(("delete_snapshot",))),
        ("POST", _GUEST + r"/clone", Twin(("clone_vm", "clone_lxc"), Risk.CHANGE)),
        ("POST", _GUEST + r"/migrate", Twin(("migrate_vm", "migrate_lxc"), Risk.CHANGE, interrupts=True)),
        ("PUT|POST", _GUEST + r"/config", Twin(_CONFIGURE, Risk.CHANGE)),
        ("PUT", _GUEST + r"/resize", Twin(("resize_disk",), Risk.CHANGE)),
        ("POST", _GUEST + r"/agent/ping", Twin((), Risk.READ)),
        ("POST", _GUEST + r"/agent/exec", Twin(("execute_vm_command",))),
        ("POST", _GUEST + r"/agent/file-write", Twin(("write_guest_file",))),
        ("POST", _GUEST + r"/agent/set-user-password", Twin(("set_guest_password",))),
        ("POST", _GUEST + r"/(?:vncproxy|termproxy|spiceproxy)", Twin(("open_console",))),
        ("DELETE", _GUEST, Twin(("delete_vm", "delete_lxc"))),
        ("POST", r"/nodes/[^/]+/vzdump", Twin(("create_backup", "run_backup_job"), Risk.OPERATE)),
        ("POST", r"/nodes/[^/]+/(?:qemu|lxc)", Twin(("create_vm", "create_lxc"), Risk.CHANGE)),
        ("POST", _GUEST + r"/(?:move_disk|move_volume)", Twin(("move_disk",), Risk.CHANGE)),
        ("DELETE", r"/nodes/[^/]+/storage/[^/]+/content/.+", Twin(("delete_volume", "delete_disk"))),
        ("DELETE", r"/nodes/[^/]+/storage/[^/]+/prunebackups", Twin(("prune_backups",), everywhere=True)),
        ("POST", r"/nodes/[^/]+/storage/[^/]+/download-url", Twin(("download_from_url",), Risk.CHANGE)),
        ("POST", r"/nodes/[^/]+/storage/[^/]+/upload", Twin(("upload_file",))),
        ("POST", r"/nodes/[^/]+/aplinfo", Twin(("download_container_template",), Risk.CHANGE)),
        ("POST", r"/pools", Twin(("create_pool",), Risk.CHANGE)),
        ("PUT", r"/pools(?:/[^/]+)?", Twin(("update_pool",), Risk.CHANGE)),
        ("DELETE", r"/pools(?:/[^/]+)?", Twin(("delete_pool",), Risk.CHANGE)),
        ("POST", r"/access/users", Twin(("create_user",), Risk.CHANGE)),
        ("PUT", r"/access/users/[^/]+", Twin(("update_user",), Risk.CHANGE)),
        ("DELETE", r"/access/users/[^/]+", Twin(("delete_user",))),
        ("POST", r"/access/users/[^/]+/token/[^/]+", Twin(("create_token",), Risk.CHANGE)),
        ("DELETE", r"/access/users/[^/]+/token/[^/]+", Twin(("delete_token",))),
        ("PUT", r"/access/acl", Twin(("set_acl",), Risk.CHANGE)),
        ("POST", r"/storage", Twin(("create_storage",), Risk.CHANGE)),
        ("PUT", r"/storage/[^/]+", Twin(("update_storage",), Risk.CHANGE)),
        ("DELETE", r"/storage/[^/]+", Twin(("delete_storage",), everywhere=True)),
        ("POST", r"/cluster/backup", Twin(("create_backup_job",), Risk.CHANGE)),
        ("PUT", r"/cluster/backup/[^/]+", Twin(("update_backup_job",), Risk.CHANGE)),
        ("DELETE", r"/cluster/backup/[^/]+", Twin(("delete_backup_job",))),
        ("DELETE", _TASK, Twin(("stop_task",))),
        ("POST", r"/nodes/[^/]+/(?:stopall|suspendall|migrateall)", Twin(everywhere=True)),
        ("POST", r"/cluster/bulk-action/guest/[^/]+", Twin(everywhere=True)),
    )
)
# What makes more of a request than its path says: PVE does these beside what was asked.
_DESTROYING = frozenset(
    {
        "archive",
        "ostemplate",
        "force",
        "delete",
        "revert",
        "remove",
        "prune-backups",
        "maxfiles",
        "overrule-shutdown",
        "target-vmid",
    }
)
_HARMLESS_WITH = {"ostemplate": "/lxc"}
# A GET that brings out what is inside a guest is no look at the cluster.
_READS_GUESTS = re.compile(_GUEST + r"/agent/(?:file-read|exec-status|get-users)")


def twin_of(asked: ApiCall) -> Twin:
    """What a raw request amounts to."""
    path = "/" + asked.path.strip("/")
    if asked.method == "GET":
        return Twin(("read_guest_file",), Risk.CHANGE) if _READS_GUESTS.fullmatch(path) else Twin((), Risk.READ)
    for method, pattern, twin in _WRITES:
        found = pattern.fullmatch(path) if re.fullmatch(method, asked.method) else None
        if found and twin.tools == ("stop_task",) and stops_in_peace(found["upid"]):
            return replace(twin, risk=Risk.OPERATE)
        if found:
            return _sharpened(twin, asked, path)
    return Twin(worst=True)


def _sharpened(twin: Twin, asked: ApiCall, path: str) -> Twin:
    given = {name for name, value in asked.params.items() if value not in (None, False, 0, "0", "")}
    telling = {name for name in given & _DESTROYING if not path.endswith(_HARMLESS_WITH.get(name, "\0"))}
    tools = twin.tools
    if "create_vm" in tools and given & {"archive", "restore", "force"}:
        tools = (*tools, "restore_backup")
        telling.add("restore")
    if "update_vm_config" in tools and "delete" in given:
        tools = (*tools, "delete_disk")
    stops = "create_backup" in tools and asked.params.get("mode") in ("stop", "suspend")
    if not telling and not stops:
        return twin
    risk = Risk.DESTROY if telling and twin.risk is not Risk.READ else twin.risk
    return Twin(tools, risk, twin.interrupts or stops, twin.worst, twin.everywhere)


def known_tools() -> frozenset[str]:
    """The named tools that do the work of some raw request."""
    return frozenset(name for _, _, twin in _WRITES for name in twin.tools) | {"restore_backup", "delete_disk"}
