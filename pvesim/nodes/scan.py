"""What storage servers offer: `/nodes/{node}/scan`. The network holds the servers that storages are defined on.

A server that no storage names does not answer, and the programs that PVE asks with fail as they do then.
"""

from __future__ import annotations

from collections.abc import Iterator

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.storage.records import Storage


def _on(world: World, type: str, option: str, value: str) -> Iterator[Storage]:
    for storage in world.rows(Storage).values():
        if storage.type == type and storage.options.get(option) == value:
            yield storage


def _host(portal: str) -> str:
    return portal.rpartition(":")[0] if portal.count(":") == 1 else portal


def nfs(world: World, server: str) -> list[dict[str, str]]:
    """The exports of an NFS server. Raises `Failure`."""
    paths = dict.fromkeys(str(storage.options["export"]) for storage in _on(world, "nfs", "server", server))
    if not paths:
        raise Failure(f"command '/sbin/showmount --no-headers --exports {server}' failed: exit code 1")
    return [{"options": "*", "path": path} for path in paths]


def cifs(world: World, server: str) -> list[dict[str, str]]:
    """The shares of an SMB server. Raises `Failure`."""
    shares = dict.fromkeys(str(storage.options["share"]) for storage in _on(world, "cifs", "server", server))
    if not shares:
        raise Failure(f"unable to list shares of '{server}': NT_STATUS_HOST_UNREACHABLE")
    return [{"description": "", "share": share} for share in shares]


def iscsi(world: World, portal: str) -> list[dict[str, str]]:
    """The targets at an iSCSI portal. Raises `Failure`."""
    found = [
        storage
        for storage in world.rows(Storage).values()
        if storage.type in ("iscsi", "iscsidirect") and _host(str(storage.options["portal"])) == _host(portal)
    ]
    if not found:
        command = f"/usr/bin/iscsiadm --mode discovery --type sendtargets --portal {portal}"
        raise Failure(f"command '{command}' failed: exit code 4")
    address = portal if ":" in portal else f"{portal}:3260"
    targets = dict.fromkeys(str(storage.options["target"]) for storage in found)
    return [{"portal": address, "target": target} for target in targets]


def backup_server(world: World, server: str, port: int) -> list[dict[str, str]]:
    """The datastores of a Proxmox Backup Server. Raises `Failure`."""
    stores = dict.fromkeys(str(storage.options["datastore"]) for storage in _on(world, "pbs", "server", server))
    if not stores:
        raise Failure(f"error fetching datastores - 500 Can't connect to {server}:{port} (No route to host)")
    return [{"store": store} for store in stores]


def thin_pools(world: World, node: str, group: str) -> list[dict[str, str]]:
    """The thin pools of a volume group. Raises `Failure` for a group that the node does not have."""
    here = [storage for storage in world.rows(Storage).values() if storage.on(node)]
    groups = {str(storage.options.get("vgname")) for storage in here if storage.type in ("lvm", "lvmthin")}
    if group not in groups:
        raise Failure(f"no such volume group '{group}'")
    pools = (str(storage.options["thinpool"]) for storage in here if storage.options.get("vgname") == group
             and storage.type == "lvmthin")  # fmt: skip
    return [{"lv": pool} for pool in dict.fromkeys(pools)]
