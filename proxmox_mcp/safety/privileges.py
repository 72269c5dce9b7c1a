"""Which privileges of PVE the tools need, for the doctor and for the role that it proposes.

Source: the permission checks of the API's methods, as the published schema names them, and recorded refusals.
"""

from collections.abc import Iterable

from proxmox_mcp.tooling import Declaration, Risk

_LOOK = ("Sys.Audit", "VM.Audit", "Datastore.Audit", "Pool.Audit")
_CONFIG = (
    "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Cloudinit", "VM.Config.Disk", "VM.Config.HWType",
    "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options",
)  # fmt: skip
_NEW = ("VM.Allocate", "Datastore.AllocateSpace", "SDN.Use", "Pool.Allocate", *_CONFIG)

_BY_TOOL: dict[str, tuple[str, ...]] = {
    "create_backup": ("VM.Backup", "Datastore.AllocateSpace"),
    "restore_backup": ("VM.Backup", "Datastore.Audit", *_NEW),
    "rollback_snapshot": ("VM.Snapshot.Rollback",),
    "delete_vm": ("VM.Allocate",),
    "delete_lxc": ("VM.Allocate",),
    "clone_vm": ("VM.Clone", *_NEW),
    "clone_lxc": ("VM.Clone", *_NEW),
    "execute_vm_command": ("VM.GuestAgent.Unrestricted",),
    "get_vm_command_result": ("VM.GuestAgent.Unrestricted",),
    "refresh_node_updates": ("Sys.Modify",),
    "search_node_log": ("Sys.Syslog",),
    "list_node_updates": ("Sys.Modify",),
    "get_vm_agent_info": ("VM.GuestAgent.Audit",),
    "get_sdn": ("SDN.Audit",),
}
# What changes something, by toolset; what only looks needs `_LOOK`.
_BY_TOOLSET: dict[str, tuple[str, ...]] = {
    "lifecycle": ("VM.PowerMgmt",),
    "snapshots": ("VM.Snapshot",),
    "config": _CONFIG,
    "creation": _NEW,
    "migration": ("VM.Migrate",),
    "hardware": (*_CONFIG, "Datastore.AllocateSpace", "SDN.Use"),
    "library": ("Datastore.AllocateTemplate", "Datastore.AllocateSpace", "Sys.AccessNetwork"),
    "provisioning": ("VM.Clone", "VM.PowerMgmt", "VM.GuestAgent.Audit", *_NEW),
    "backup_jobs": ("Sys.Modify", "VM.Backup", "Datastore.AllocateSpace"),
    "pools": ("Pool.Allocate", "Datastore.Allocate"),
    "access": ("Realm.AllocateUser", "User.Modify", "Permissions.Modify"),
    "firewall_rules": ("VM.Config.Network", "Sys.Modify"),
    "availability": ("Sys.Console", "VM.Replicate"),
    "node_admin": ("Sys.Modify", "Sys.PowerMgmt"),
    "guest_inside": ("VM.GuestAgent.FileRead", "VM.GuestAgent.FileWrite"),
    "networking": ("Sys.Modify", "SDN.Allocate"),
    "agent": ("VM.GuestAgent.Audit", "VM.GuestAgent.FileRead", "VM.GuestAgent.FileWrite"),
}
_OF_RISK: dict[Risk, tuple[str, ...]] = {
    Risk.READ: _LOOK,
    Risk.OPERATE: ("VM.PowerMgmt", "VM.Snapshot"),
    Risk.CHANGE: ("Sys.Modify",),
    Risk.DESTROY: ("Sys.Modify",),
}


def needed_by(tool: Declaration) -> tuple[str, ...]:
    """The privileges that a tool needs to do all that it can; on `/`, or on the guests and storages it is used on."""
    if tool.risk is Risk.READ:
        return _BY_TOOL.get(tool.name, _LOOK)
    return _BY_TOOL.get(tool.name) or _BY_TOOLSET.get(tool.toolset) or _OF_RISK[tool.risk]


def needed_by_all(tools: Iterable[Declaration]) -> tuple[str, ...]:
    """The privileges that a set of tools needs, in order of their names."""
    return tuple(sorted({privilege for tool in tools for privilege in needed_by(tool)}))
