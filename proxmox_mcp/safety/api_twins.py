"""Which named tool a raw request to the API does the work of, so that both have the same risk and obey the same rules.

A GET is a read, unless it brings out what is inside a guest or has a node speak to an address of the caller's choice. A
write that is not in the table has the highest risk there is.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from proxmox_mcp.safety.api_table import GUEST, WRITES, Twin
from proxmox_mcp.safety.reach import unplugs
from proxmox_mcp.tasks import stops_in_peace
from proxmox_mcp.tooling import Risk

__all__ = ["ApiCall", "Twin", "known_tools", "twin_of"]


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A raw request: `path` is below `/api2/json`; each of `params` a text or number, or a list of several."""

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

    @property
    def given(self) -> frozenset[str]:
        """The names of the parameters that are switched on, or have a value."""
        return frozenset(name for name, value in self.params.items() if value not in (None, False, 0, "0", ""))

    def is_off(self, name: str) -> bool:
        """Whether a switch is given, and off."""
        return name in self.params and self.params[name] in (False, 0, "0")


_NAMES = {
    "nodes": "node", "qemu": "vmid", "lxc": "vmid", "storage": "storage", "pools": "pool", "content": "volid",
    "resources": "sid", "replication": "guest", "tasks": "upid",
}  # fmt: skip

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
        "skiplock",
    }
)
_HARMLESS_WITH = {"ostemplate": "/lxc"}
# A GET that brings out what is inside a guest, or in its backups, is no look at the cluster.
_READS_GUESTS = re.compile(
    GUEST + r"/agent/(?:file-read|exec-status|get-users)|/nodes/[^/]+/storage/[^/]+/file-restore/(?:list|download)"
)
# By these a node speaks to the address that is given, and says what it heard.
_DIALS = re.compile(
    r"/nodes/[^/]+/(?:query-url-metadata|query-oci-repo-tags|scan/(?:nfs|cifs|pbs|iscsi|glusterfs))"
    r"|/cluster/acme/(?:meta|tos|directories)"
)
_UNUSED = re.compile(r"unused\d+")
# These set a disk or a card where there was none, or say themselves that they do not.
_IN_FREE_SLOTS = frozenset({"attach_disk", "provision_vm", "set_nic"})
# Services that can be stopped for a while, and nobody notices.
_QUIET_SERVICES = frozenset({"chrony", "cron", "ksmtuned", "postfix", "rsyslog", "spiceproxy", "systemd-timesyncd"})


def twin_of(asked: ApiCall, by_tool: str = "") -> Twin:
    """What a raw request amounts to.

    Args:
        asked: the request.
        by_tool: the product's own tool that makes it, so that its parameters mean what they do there; otherwise the
            names alone of those that can destroy something, or that no tool sends, make it destroy.
    """
    path = "/" + re.sub(r"/{2,}", "/", asked.path.strip("/"))
    if asked.method == "GET":
        return _twin_of_get(path)
    for method, pattern, twin in WRITES:
        found = pattern.fullmatch(path) if method.fullmatch(asked.method) else None
        if found and twin.tools == ("stop_task",):
            return replace(twin, risk=Risk.OPERATE) if stops_in_peace(found["upid"]) else twin
        if found:
            exact = _by_meaning(twin, asked, path, by_tool)
            return (
                exact
                if by_tool
                else _by_names(replace(exact, interrupts=exact.interrupts or twin.interrupts), asked, path)
            )
    return Twin(worst=True)


def _twin_of_get(path: str) -> Twin:
    if _READS_GUESTS.fullmatch(path):
        return Twin(("read_guest_file",), Risk.CHANGE)
    if _DIALS.fullmatch(path):
        return Twin(("download_from_url",), Risk.CHANGE, grants=True)
    return Twin((), Risk.READ)


def _by_names(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """As the worst that a parameter of such a name can do."""
    given = asked.given & _DESTROYING
    telling = {name for name in given if not path.endswith(_HARMLESS_WITH.get(name, "\0"))}
    if "create_vm" in twin.tools and "restore" in asked.given:
        telling.add("restore")
    also = twin.also
    if "update_vm_config" in twin.tools and "delete" in given and "delete_disk" not in also:
        also = (*also, "delete_disk")
    if twin.takes is not None:
        telling |= asked.params.keys() - twin.takes
    risk = Risk.DESTROY if telling and twin.risk is not Risk.READ else twin.risk
    return replace(twin, risk=risk, also=also)


def _by_meaning(twin: Twin, asked: ApiCall, path: str, by_tool: str) -> Twin:
    """As its parameters say, and as PVE takes it where they say nothing."""
    if "update_vm_config" in twin.tools:
        return _configuration(twin, asked, by_tool)
    for names, sharpen in _SHARPENED:
        if names.intersection(twin.tools):
            return sharpen(twin, asked, path)
    return twin


def _backup(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """PVE removes the backups that the storage's retention marks, unless it is told not to."""
    removes = not asked.is_off("remove") or "prune-backups" in asked.given or "maxfiles" in asked.given
    stops = str(asked.params.get("mode", "snapshot")) != "snapshot" or "stop" in asked.given
    risk = Risk.DESTROY if removes else twin.risk
    return replace(twin, risk=risk, interrupts=stops, everywhere="vmid" not in asked.given)


def _backup_job(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """A job removes, whenever it runs, what its retention or the storage's marks."""
    stops = str(asked.params.get("mode", "snapshot")) != "snapshot"
    switched = asked.method == "PUT" and asked.params.keys() <= {"enabled", "comment", "digest"}
    risk = twin.risk if switched or asked.is_off("remove") else Risk.DESTROY
    everywhere = asked.method == "POST" and "vmid" not in asked.given
    return replace(twin, risk=risk, interrupts=stops, everywhere=everywhere or "all" in asked.given)


def _configuration(twin: Twin, asked: ApiCall, by_tool: str) -> Twin:
    unset = [word for word in re.split(r"[\s,;]+", str(asked.params.get("delete") or "")) if word]
    destroys = any(_UNUSED.fullmatch(word) for word in unset) or bool({"force", "revert"} & asked.given)
    given = {name: value for name, value in asked.params.items() if name in asked.given}
    interrupts = unplugs({} if by_tool in _IN_FREE_SLOTS else given, unset)
    also = ("delete_disk",) if destroys and unset else ()
    return replace(twin, risk=Risk.DESTROY if destroys else twin.risk, interrupts=interrupts, also=also)


def _new_guest(twin: Twin, asked: ApiCall, path: str) -> Twin:
    source = str(asked.params.get("ostemplate") or "")
    restores = bool({"archive", "restore"} & asked.given) or "vzdump-" in source or "backup/" in source
    risk = Risk.DESTROY if "force" in asked.given else twin.risk
    return replace(twin, risk=risk, also=("restore_backup",) if restores or "force" in asked.given else ())


def _moved_disk(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """The old copy is removed once the new one is there; a disk of another guest may be in its way."""
    return replace(twin, risk=Risk.DESTROY if "target-vmid" in asked.given else twin.risk)


def _storage_definition(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """Where a storage is off, or not what it was, guests that use it stop or do not start."""
    cuts = not asked.params.keys() <= {"digest", "prune-backups", "maxfiles"}
    destroys = bool({"prune-backups", "maxfiles"} & asked.given)
    return replace(twin, interrupts=cuts, everywhere=cuts, risk=Risk.DESTROY if destroys else twin.risk)


def _pool_members(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """Rights that come with a pool come and go with its members."""
    return replace(twin, grants=bool({"vms", "storage"} & asked.given))


def _firewall(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """Whether connections may end that were let through before; of the cluster's, those of all guests."""
    if "add_firewall_rule" in twin.tools:
        cuts = str(asked.params.get("action", "")).upper() != "ACCEPT"
    else:
        changed = {name for name in asked.params if name != "digest" and not name.startswith("log")}
        cuts = not changed <= {"comment"}
    return replace(twin, interrupts=cuts, everywhere=cuts and path.startswith(("/cluster", "/nodes")))


def _high_availability(twin: Twin, asked: ApiCall, path: str) -> Twin:
    return replace(twin, interrupts=asked.params.get("state") in {"stopped", "disabled"})


def _service(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """Without some of its services a node is fenced, or nobody reaches it any more."""
    *_, service, action = path.split("/")
    cuts = action in {"stop", "restart"} and service not in _QUIET_SERVICES
    return replace(twin, interrupts=cuts, everywhere=cuts)


def _migration(twin: Twin, asked: ApiCall, path: str) -> Twin:
    """PVE moves a VM that runs while it runs, or not at all; a container it restarts."""
    return replace(twin, interrupts="/lxc/" in path and "restart" in asked.given)


_SHARPENED = (
    (frozenset({"create_backup"}), _backup),
    (frozenset({"create_backup_job", "update_backup_job"}), _backup_job),
    (frozenset({"create_vm"}), _new_guest),
    (frozenset({"move_disk"}), _moved_disk),
    (frozenset({"update_storage"}), _storage_definition),
    (frozenset({"update_pool"}), _pool_members),
    (frozenset({"add_firewall_rule", "update_firewall_rule", "set_firewall_options"}), _firewall),
    (frozenset({"set_ha_resource"}), _high_availability),
    (frozenset({"manage_node_service"}), _service),
    (frozenset({"migrate_vm"}), _migration),
)


def known_tools() -> frozenset[str]:
    """The named tools that do the work of some raw request."""
    return frozenset(name for _, _, twin in WRITES for name in twin.tools) | {"restore_backup", "delete_disk"}
