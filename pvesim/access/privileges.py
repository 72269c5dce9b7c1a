"""The privileges and the built-in roles of PVE 9 (recorded exchange: `GET /access/roles` of a fresh node)."""

from __future__ import annotations

from pvesim.contract.privilege_names import PRIVILEGES

_MISSING_IN_PVE_ADMIN = frozenset(
    [
        "Mapping.Modify",
        "Permissions.Modify",
        "Realm.Allocate",
        "Sys.AccessNetwork",
        "Sys.Incoming",
        "Sys.Modify",
        "Sys.PowerMgmt",
    ]
)

BUILTIN_ROLES: dict[str, frozenset[str]] = {
    "Administrator": PRIVILEGES,
    "NoAccess": frozenset(),
    "PVEAdmin": PRIVILEGES - _MISSING_IN_PVE_ADMIN,
    "PVEVMAdmin": frozenset(name for name in PRIVILEGES if name.startswith("VM.")),
    "PVEAuditor": frozenset(
        ["Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit", "VM.GuestAgent.Audit"]
    ),
    "PVEDatastoreAdmin": frozenset(
        ["Datastore.Allocate", "Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Datastore.Audit"]
    ),
    "PVEDatastoreUser": frozenset(["Datastore.AllocateSpace", "Datastore.Audit"]),
    "PVEMappingAdmin": frozenset(["Mapping.Audit", "Mapping.Modify", "Mapping.Use"]),
    "PVEMappingUser": frozenset(["Mapping.Audit", "Mapping.Use"]),
    "PVEPoolAdmin": frozenset(["Pool.Allocate", "Pool.Audit"]),
    "PVEPoolUser": frozenset(["Pool.Audit"]),
    "PVESDNAdmin": frozenset(["SDN.Allocate", "SDN.Audit", "SDN.Use"]),
    "PVESDNUser": frozenset(["SDN.Audit", "SDN.Use"]),
    "PVESysAdmin": frozenset(["Sys.Audit", "Sys.Console", "Sys.Syslog"]),
    "PVETemplateUser": frozenset(["VM.Audit", "VM.Clone"]),
    "PVEUserAdmin": frozenset(["Group.Allocate", "Realm.AllocateUser", "User.Modify"]),
    "PVEVMUser": frozenset(
        [
            "VM.Audit",
            "VM.Backup",
            "VM.Config.CDROM",
            "VM.Config.Cloudinit",
            "VM.Console",
            "VM.GuestAgent.Audit",
            "VM.GuestAgent.FileRead",
            "VM.GuestAgent.FileSystemMgmt",
            "VM.GuestAgent.FileWrite",
            "VM.PowerMgmt",
        ]
    ),
}
