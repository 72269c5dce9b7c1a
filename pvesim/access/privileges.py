"""The privileges and the built-in roles of PVE 9 (recorded exchange: `GET /access/roles` of a fresh node)."""

from __future__ import annotations

PRIVILEGES: frozenset[str] = frozenset(
    """
    Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit Group.Allocate
    Mapping.Audit Mapping.Modify Mapping.Use Permissions.Modify Pool.Allocate Pool.Audit Realm.Allocate
    Realm.AllocateUser SDN.Allocate SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console
    Sys.Incoming Sys.Modify Sys.PowerMgmt Sys.Syslog User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone
    VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType VM.Config.Memory
    VM.Config.Network VM.Config.Options VM.Console VM.GuestAgent.Audit VM.GuestAgent.FileRead
    VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.GuestAgent.Unrestricted VM.Migrate
    VM.PowerMgmt VM.Replicate VM.Snapshot VM.Snapshot.Rollback
    """.split()
)

_MISSING_IN_PVE_ADMIN = frozenset(
    """
    Mapping.Modify Permissions.Modify Realm.Allocate Sys.AccessNetwork Sys.Incoming Sys.Modify
    Sys.PowerMgmt
    """.split()
)

BUILTIN_ROLES: dict[str, frozenset[str]] = {
    "Administrator": PRIVILEGES,
    "NoAccess": frozenset(),
    "PVEAdmin": PRIVILEGES - _MISSING_IN_PVE_ADMIN,
    "PVEVMAdmin": frozenset(name for name in PRIVILEGES if name.startswith("VM.")),
    "PVEAuditor": frozenset(
        """
        Datastore.Audit Mapping.Audit Pool.Audit SDN.Audit Sys.Audit VM.Audit VM.GuestAgent.Audit
        """.split()
    ),
    "PVEDatastoreAdmin": frozenset(
        """
        Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit
        """.split()
    ),
    "PVEDatastoreUser": frozenset(
        """
        Datastore.AllocateSpace Datastore.Audit
        """.split()
    ),
    "PVEMappingAdmin": frozenset(
        """
        Mapping.Audit Mapping.Modify Mapping.Use
        """.split()
    ),
    "PVEMappingUser": frozenset(
        """
        Mapping.Audit Mapping.Use
        """.split()
    ),
    "PVEPoolAdmin": frozenset(
        """
        Pool.Allocate Pool.Audit
        """.split()
    ),
    "PVEPoolUser": frozenset(
        """
        Pool.Audit
        """.split()
    ),
    "PVESDNAdmin": frozenset(
        """
        SDN.Allocate SDN.Audit SDN.Use
        """.split()
    ),
    "PVESDNUser": frozenset(
        """
        SDN.Audit SDN.Use
        """.split()
    ),
    "PVESysAdmin": frozenset(
        """
        Sys.Audit Sys.Console Sys.Syslog
        """.split()
    ),
    "PVETemplateUser": frozenset(
        """
        VM.Audit VM.Clone
        """.split()
    ),
    "PVEUserAdmin": frozenset(
        """
        Group.Allocate Realm.AllocateUser User.Modify
        """.split()
    ),
    "PVEVMUser": frozenset(
        """
        VM.Audit VM.Backup VM.Config.CDROM VM.Config.Cloudinit VM.Console VM.GuestAgent.Audit
        VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.PowerMgmt
        """.split()
    ),
}
