"""Which named tool does the work of which write to the API: the table behind `api_twins`.

A path is a pattern of the whole path; of several that fit, the first counts.
"""

import re
from dataclasses import dataclass

from proxmox_mcp.tooling import Risk


@dataclass(frozen=True, slots=True)
class Twin:
    """What a raw request amounts to.

    Attributes:
        tools: the named tools that do the same, any one of them.
        also: further tools, whose work it does besides.
        worst: it is none that is known, and counts as the worst.
        everywhere: without guests named, it is for all of them.
        grants: it gives rights, or has the cluster reach something new.
        takes: the parameters that those tools send; with any other, a raw request is worse than they are. None: what
            they send is their caller's choice.
    """

    tools: tuple[str, ...] = ()
    risk: Risk = Risk.DESTROY
    interrupts: bool = False
    worst: bool = False
    everywhere: bool = False
    grants: bool = False
    also: tuple[str, ...] = ()
    takes: frozenset[str] | None = None


GUEST = r"/nodes/[^/]+/(?P<kind>qemu|lxc)/[^/]+"
_NODE = r"/nodes/[^/]+"
_FIREWALL = rf"(?:/cluster|{_NODE}|{GUEST})/firewall"
_POWER = ("manage_vm", "manage_lxc_container")
_CONFIGURE = (
    "update_vm_config", "update_lxc_config", "attach_disk", "detach_disk", "set_nic", "remove_nic", "set_tags",
    "set_notes",
)  # fmt: skip


def _takes(names: str) -> frozenset[str]:
    return frozenset({*names.split(), "digest"})


_STOP = _takes("timeout forceStop overrule-shutdown")
_CLONE = _takes("newid name hostname full target storage snapname pool description format")
_MIGRATE = _takes("target online restart with-local-disks targetstorage target-storage timeout")
_BACKUP = _takes("vmid all pool exclude storage mode compress remove notes-template protected prune-backups fleecing")
_HA_RESOURCE = _takes("sid state max_restart max_relocate comment")
_HA_RULE = _takes("rule type resources nodes strict affinity comment")
_REPLICATION = _takes("id type target schedule rate comment disable")
_SUBNET = _takes("subnet type gateway snat dhcp-range")

_GUESTS = (
    ("POST", GUEST + r"/status/(?:start|resume)", Twin(_POWER, Risk.OPERATE, takes=_takes("timeout"))),
    (
        "POST",
        GUEST + r"/status/(?:stop|shutdown|reboot|reset|suspend)",
        Twin(_POWER, Risk.OPERATE, interrupts=True, takes=_STOP),
    ),
    (
        "POST",
        GUEST + r"/snapshot",
        Twin(("create_snapshot",), Risk.OPERATE, takes=_takes("snapname description vmstate")),
    ),
    ("PUT", GUEST + r"/snapshot/[^/]+/config", Twin(("update_snapshot",), Risk.OPERATE, takes=_takes("description"))),
    ("POST", GUEST + r"/snapshot/[^/]+/rollback", Twin(("rollback_snapshot",))),
    ("DELETE", GUEST + r"/snapshot/[^/]+", Twin(("delete_snapshot",))),
    ("POST", GUEST + r"/clone", Twin(("clone_vm", "clone_lxc"), Risk.CHANGE, takes=_CLONE)),
    ("POST", GUEST + r"/migrate", Twin(("migrate_vm", "migrate_lxc"), Risk.CHANGE, interrupts=True, takes=_MIGRATE)),
    ("PUT|POST", GUEST + r"/config", Twin(_CONFIGURE, Risk.CHANGE)),
    ("PUT", GUEST + r"/resize", Twin(("resize_disk",), Risk.CHANGE, takes=_takes("disk size"))),
    (
        "POST",
        GUEST + r"/(?:move_disk|move_volume)",
        Twin(("move_disk",), Risk.CHANGE, takes=_takes("disk volume storage format delete")),
    ),
    ("POST", GUEST + r"/agent/ping", Twin((), Risk.READ)),
    ("POST", GUEST + r"/agent/exec", Twin(("execute_vm_command",))),
    ("POST", GUEST + r"/agent/file-write", Twin(("write_guest_file",))),
    ("POST", GUEST + r"/agent/set-user-password", Twin(("set_guest_password",))),
    ("POST|PUT", GUEST + r"/(?:vncproxy|termproxy|spiceproxy|monitor|sendkey|agent)", Twin(("open_console",))),
    ("DELETE", GUEST, Twin(("delete_vm", "delete_lxc"))),
    ("POST", _NODE + r"/(?:qemu|lxc)", Twin(("create_vm", "create_lxc"), Risk.CHANGE)),
)
_STORED = (
    ("POST", _NODE + r"/vzdump", Twin(("create_backup", "run_backup_job"), Risk.OPERATE, takes=_BACKUP)),
    ("DELETE", _NODE + r"/storage/[^/]+/content/.+", Twin(("delete_volume", "delete_disk"))),
    ("DELETE", _NODE + r"/storage/[^/]+/prunebackups", Twin(("prune_backups",), everywhere=True)),
    ("POST", _NODE + r"/storage/[^/]+/download-url", Twin(("download_from_url",), Risk.CHANGE, grants=True)),
    ("POST", _NODE + r"/storage/[^/]+/upload", Twin(("upload_file",))),
    (
        "POST",
        _NODE + r"/aplinfo",
        Twin(("download_container_template",), Risk.CHANGE, takes=_takes("storage template")),
    ),
    ("POST", r"/storage", Twin(("create_storage",), Risk.CHANGE, grants=True)),
    ("PUT", r"/storage/[^/]+", Twin(("update_storage",), Risk.CHANGE)),
    ("DELETE", r"/storage/[^/]+", Twin(("delete_storage",), everywhere=True)),
    ("POST", r"/cluster/backup", Twin(("create_backup_job",), Risk.CHANGE)),
    ("PUT", r"/cluster/backup/[^/]+", Twin(("update_backup_job",), Risk.CHANGE)),
    ("DELETE", r"/cluster/backup/[^/]+", Twin(("delete_backup_job",))),
)
_RIGHTS = (
    ("POST", r"/pools", Twin(("create_pool",), Risk.CHANGE)),
    ("PUT", r"/pools(?:/[^/]+)?", Twin(("update_pool",), Risk.CHANGE)),
    ("DELETE", r"/pools(?:/[^/]+)?", Twin(("delete_pool",), Risk.CHANGE)),
    ("POST", r"/access/users", Twin(("create_user",), Risk.CHANGE)),
    ("PUT", r"/access/users/[^/]+", Twin(("update_user",), Risk.CHANGE)),
    ("DELETE", r"/access/users/[^/]+", Twin(("delete_user",))),
    ("POST", r"/access/users/[^/]+/token/[^/]+", Twin(("create_token",), Risk.CHANGE)),
    ("DELETE", r"/access/users/[^/]+/token/[^/]+", Twin(("delete_token",))),
    ("PUT", r"/access/acl", Twin(("set_acl",), Risk.CHANGE)),
)
_CLUSTER = (
    ("POST", _FIREWALL + r"/rules|/cluster/firewall/groups/[^/]+", Twin(("add_firewall_rule",), Risk.CHANGE)),
    ("PUT", _FIREWALL + r"/(?:rules|groups/[^/]+)/\d+", Twin(("update_firewall_rule",), Risk.CHANGE)),
    ("DELETE", _FIREWALL + r"/(?:rules|groups/[^/]+)/\d+", Twin(("delete_firewall_rule",))),
    ("PUT", _FIREWALL + r"/options", Twin(("set_firewall_options",), Risk.CHANGE)),
    ("POST|PUT", r"/cluster/ha/resources(?:/[^/]+)?", Twin(("set_ha_resource",), Risk.CHANGE, takes=_HA_RESOURCE)),
    ("DELETE", r"/cluster/ha/resources/[^/]+", Twin(("remove_ha_resource",))),
    ("POST|PUT", r"/cluster/ha/rules(?:/[^/]+)?", Twin(("set_ha_rule",), Risk.CHANGE, takes=_HA_RULE)),
    ("DELETE", r"/cluster/ha/rules/[^/]+", Twin(("delete_ha_rule",))),
    ("POST|PUT", r"/cluster/replication(?:/[^/]+)?", Twin(("set_replication_job",), Risk.CHANGE, takes=_REPLICATION)),
    ("DELETE", r"/cluster/replication/[^/]+", Twin(("delete_replication_job",))),
    ("POST", r"/cluster/sdn/zones", Twin(("create_sdn_zone",), Risk.CHANGE)),
    ("POST", r"/cluster/sdn/vnets", Twin(("create_sdn_vnet",), Risk.CHANGE, takes=_takes("vnet zone tag alias"))),
    ("POST", r"/cluster/sdn/vnets/[^/]+/subnets", Twin(("create_sdn_subnet",), Risk.CHANGE, takes=_SUBNET)),
    ("PUT", r"/cluster/sdn/(?:zones|vnets)/[^/]+", Twin(("update_sdn",), Risk.CHANGE)),
    ("DELETE", r"/cluster/sdn/(?:zones|vnets)/[^/]+", Twin(("delete_sdn",))),
    ("DELETE", r"/cluster/sdn/vnets/[^/]+/subnets/[^/]+", Twin(("delete_sdn_subnet",))),
    ("PUT", r"/cluster/sdn", Twin(("apply_sdn",))),
    ("POST", r"/cluster/bulk-action/guest/[^/]+", Twin(everywhere=True)),
)
_NODES = (
    ("POST", _NODE + r"/network", Twin(("set_node_interface",), Risk.CHANGE)),
    ("PUT", _NODE + r"/network/[^/]+", Twin(("set_node_interface",), Risk.CHANGE)),
    ("DELETE", _NODE + r"/network/[^/]+", Twin(("delete_node_interface",), everywhere=True)),
    ("PUT", _NODE + r"/network", Twin(("apply_node_network",), everywhere=True)),
    ("POST", _NODE + r"/services/[^/]+/(?:start|stop|restart|reload)", Twin(("manage_node_service",), Risk.CHANGE)),
    ("POST", _NODE + r"/status", Twin(("manage_node_power",), everywhere=True)),
    ("POST", _NODE + r"/wakeonlan", Twin(("manage_node_power",), Risk.OPERATE, takes=_takes(""))),
    ("POST", _NODE + r"/apt/update", Twin(("refresh_node_updates",), Risk.OPERATE, takes=_takes(""))),
    ("DELETE", _NODE + r"/tasks/(?P<upid>[^/]+)", Twin(("stop_task",))),
    ("POST", _NODE + r"/(?:stopall|suspendall|migrateall)", Twin(everywhere=True)),
    ("POST", _NODE + r"/(?:vncshell|termproxy|spiceshell)", Twin(("open_console",))),
)

WRITES: tuple[tuple[re.Pattern[str], re.Pattern[str], Twin], ...] = tuple(
    (re.compile(method), re.compile(pattern), twin)
    for method, pattern, twin in (*_GUESTS, *_STORED, *_RIGHTS, *_CLUSTER, *_NODES)
)
"""Method, path and what such a write amounts to."""
