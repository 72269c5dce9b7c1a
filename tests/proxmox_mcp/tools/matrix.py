"""What every tool is tried with, and which kinds of ways to go ask something of it.

`CASES` has a call of each tool that works in the world of `matrix_world.yaml`. What a kind asks of a tool follows from
that call and from the tool's declaration; where a kind asks nothing of it, `left_out` says why.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from proxmox_mcp.tooling import Declaration
from proxmox_mcp.tools import TOOLSETS

WORLD = Path(__file__).with_name("matrix_world.yaml")
DECLARED: dict[str, Declaration] = {tool.name: tool for toolset in TOOLSETS for tool in toolset.declarations}

NEAR, FAR = "pve1", "pve3"
"""The node that a case works on, and the one that is switched off for `Kind.OFFLINE_NODE`."""
FAR_BY = 200
"""So much higher is the id of the guest on `FAR` that is made as one on `NEAR` is."""


class Kind(StrEnum):
    """The ways in which a call can go that every tool must be good at."""

    SUCCESS = "success"
    POLICY = "refused by policy"
    PERMISSION = "refused by PVE"
    FAILED_TASK = "failed task"
    UNKNOWN_GUEST = "unknown guest"
    WRONG_NODE = "wrong node"
    OFFLINE_NODE = "offline node"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


TRIED = (Kind.SUCCESS, Kind.FAILED_TASK, Kind.OFFLINE_NODE, Kind.TIMEOUT, Kind.CANCELLED)
"""Those that `test_matrix.py` tries; the others are shown by the contracts, for every tool."""


@dataclass(frozen=True)
class Case:
    """A call that works in the world, and what is different in some kinds.

    Attributes:
        arguments: of the call.
        far: what differs when it is about `FAR`, beside node and guest, which follow by a rule; None takes one out.
            Empty means that no single node is asked.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    far: Mapping[str, Any] | None = None


def guest(vmid: int, **more: Any) -> Case:
    """A call about one guest."""
    return Case({"vmid": vmid, **more})


def node(**more: Any) -> Case:
    """A call about one node."""
    return Case({"node": NEAR, **more})


def cluster(**more: Any) -> Case:
    """A call about the cluster as a whole."""
    return Case(more, far={})


OF_NODE: Mapping[str, Any] = {"vmid": None, "node": FAR}

CASES: dict[str, Case] = {
    "add_firewall_rule": Case({"vmid": 101, "type": "in", "action": "ACCEPT"}, far=OF_NODE),
    "apply_node_network": node(),
    "apply_sdn": cluster(),
    "attach_disk": guest(101, size=1, storage="thin"),
    "call_api": Case(
        {"method": "POST", "path": "/nodes/pve1/qemu/101/status/start"},
        far={"path": "/nodes/pve3/qemu/301/status/start"},
    ),
    "clone_lxc": guest(201),
    "clone_vm": guest(101),
    "create_backup": guest(101, storage="nas"),
    "create_backup_job": cluster(job_id="weekly", schedule="sat 02:00", storage="nas", vmids=[101]),
    "create_lxc": node(
        hostname="fresh", template="local:vztmpl/alpine-3.22-default_20250617_amd64.tar.xz", storage="thin"
    ),
    "create_pool": cluster(poolid="fresh"),
    "create_sdn_subnet": cluster(vnet="vlab", cidr="10.9.0.0/24"),
    "create_sdn_vnet": cluster(vnet="vnew", zone="lab"),
    "create_sdn_zone": cluster(zone="fresh", type="simple"),
    "create_snapshot": guest(101, name="now"),
    "create_storage": cluster(storage="fresh", type="dir", options={"path": "/fresh"}, content=["iso"]),
    "create_token": cluster(userid="someone@pve", name="fresh"),
    "create_user": cluster(userid="fresh@pve"),
    "create_vm": node(name="fresh", storage="thin"),
    "delete_backup_job": cluster(job_id="nightly"),
    "delete_disk": guest(105, disk="unused0"),
    "delete_firewall_rule": Case({"vmid": 101, "pos": 0}, far=OF_NODE),
    "delete_ha_rule": cluster(rule="home"),
    "delete_lxc": guest(201),
    "delete_node_interface": node(iface="vmbr7"),
    "delete_pool": cluster(poolid="empty"),
    "delete_replication_job": cluster(job_id="104-0"),
    "delete_sdn": cluster(kind="vnet", name="vlab"),
    "delete_sdn_subnet": cluster(vnet="vsub", cidr="10.8.0.0/24"),
    "delete_snapshot": guest(101, name="old"),
    "delete_storage": cluster(storage="spare"),
    "delete_token": cluster(userid="someone@pve", name="bot"),
    "delete_user": cluster(userid="someone@pve"),
    "delete_vm": guest(105),
    "delete_volume": node(volid="local:iso/spare.iso"),
    "describe_api": cluster(path="/version"),
    "detach_disk": guest(105, disk="scsi0"),
    "diagnose_cluster": cluster(),
    "diagnose_guest": guest(101),
    "download_container_template": node(template="debian-13-standard_13.1-2_amd64.tar.zst", storage="local"),
    "download_from_url": node(url="https://mirror.example/small.iso", content="iso", storage="local"),
    "execute_vm_command": guest(100, command="uname -a"),
    "explain_permission": cluster(who="someone@pve", privilege="VM.PowerMgmt"),
    "find_guests": cluster(),
    "get_backup_status": cluster(),
    "get_backup_storage_locations": cluster(),
    "get_cluster_firewall_rules": cluster(),
    "get_cluster_ha_status": cluster(),
    "get_cluster_log": cluster(),
    "get_cluster_status": cluster(),
    "get_cluster_tasks": Case({"node": NEAR}),
    "get_ha_setup": cluster(),
    "get_lxc_container_info": guest(200),
    "get_lxc_containers": cluster(),
    "get_lxc_firewall_rules": guest(201),
    "get_lxc_status": guest(200),
    "get_metrics": Case({"vmid": 100}, far={}),
    "get_node_firewall_rules": node(),
    "get_node_network": node(),
    "get_node_services": node(),
    "get_node_status": node(),
    "get_node_time": node(),
    "get_nodes": cluster(),
    "get_sdn": cluster(),
    "get_storage": cluster(),
    "get_storage_content": node(storage="local"),
    "get_storage_list": cluster(),
    "get_task_log": Case({"upid": "101"}, far={"upid": "301"}),
    "get_task_status": Case({"upid": "101"}, far={"upid": "301"}),
    "get_vm_agent_info": guest(100),
    "get_vm_command_result": guest(100, pid=1),
    "get_vm_firewall_rules": guest(101),
    "get_vm_info": guest(100),
    "get_vm_status": guest(100),
    "get_vms": cluster(),
    "list_acl": cluster(),
    "list_backup_jobs": cluster(),
    "list_backups": cluster(),
    "list_container_templates": node(),
    "list_node_updates": node(),
    "list_pools": cluster(),
    "list_replication_jobs": Case({"node": NEAR}),
    "list_roles": cluster(),
    "list_snapshots": guest(101),
    "list_unprotected_guests": cluster(),
    "list_users": cluster(),
    "manage_lxc_container": guest(201, action="start"),
    "manage_node_power": node(action="reboot"),
    "manage_node_service": node(service="chrony", action="restart"),
    "manage_vm": guest(101, action="start"),
    "migrate_lxc": guest(201, target="pve2"),
    "migrate_vm": guest(105, target="pve2"),
    "move_disk": guest(105, disk="scsi0", storage="nas"),
    "preview_prune": node(storage="local", keep="keep-last=1"),
    "provision_vm": Case({"name": "fresh", "template": 102, "node": NEAR, "wait_seconds": 0}, far={"template": 302}),
    "prune_backups": node(storage="nas", keep="keep-last=1"),
    "read_guest_file": guest(100, file="/etc/hostname"),
    "refresh_node_updates": node(),
    "remove_ha_resource": cluster(vmid=103),
    "remove_nic": guest(105, nic="net0"),
    "resize_disk": guest(105, disk="scsi0", size="+1G"),
    "restore_backup": Case({"volid": "the newest", "node": NEAR, "storage": "thin"}),
    "rollback_snapshot": guest(101, name="old"),
    "run_backup_job": Case({"job_id": "nightly", "node": NEAR}),
    "search_api": cluster(phrase="migrate a vm"),
    "search_node_log": node(),
    "set_acl": cluster(path="/vms/101", role="PVEVMUser", who="someone@pve"),
    "set_firewall_options": Case({"vmid": 101, "enable": True}, far=OF_NODE),
    "set_ha_resource": cluster(vmid=101, state="ignored"),
    "set_ha_rule": cluster(rule="fresh", guests=[103], nodes=["pve1"]),
    "set_nic": guest(101, vlan=30),
    "set_node_interface": node(iface="vmbr8"),
    "set_notes": guest(101, text="fresh"),
    "set_replication_job": cluster(job_id="104-0", schedule="*/30"),
    "set_tags": guest(101, add=["fresh"]),
    "stop_task": Case({"upid": "running"}, far={"upid": "301"}),
    "update_backup_job": cluster(job_id="nightly", enabled=False),
    "update_firewall_rule": Case({"vmid": 101, "pos": 0, "enable": False}, far=OF_NODE),
    "update_lxc_config": guest(201, options={"cores": 2}),
    "update_pool": cluster(poolid="team", comment="fresh"),
    "update_sdn": cluster(kind="vnet", name="vlab", options={"alias": "fresh"}),
    "update_snapshot": guest(101, name="old", description="fresh"),
    "update_storage": cluster(storage="spare", disable=False),
    "update_user": cluster(userid="someone@pve", comment="fresh"),
    "update_vm_config": guest(101, options={"cores": 2}),
    "upload_file": node(filename="small.iso", content="iso", storage="local"),
    "wait_for_task": Case({"upid": "101"}, far={"upid": "301"}),
    "write_guest_file": guest(100, file="/tmp/fresh", content="fresh"),
}


_HAS_NO_REQUEST = {"search_api", "describe_api"}
FOR_EVERYBODY = {"get_nodes", "get_node_network", "list_container_templates", "list_roles"}
"""The tools that work without any right in PVE."""
_WAITS_UNASKED = {"prune_backups", "update_vm_config", "set_notes", "set_tags", "set_nic", "remove_nic"}
_WAITS_UNASKED |= {"attach_disk", "detach_disk", "delete_disk"}


def takes(tool: str, argument: str) -> bool:
    """Whether a tool has an argument of that name."""
    return argument in inspect.signature(DECLARED[tool].function).parameters


def left_out(tool: str, kind: Kind) -> str | None:
    """Why a kind asks nothing of a tool; None where it asks something."""
    if tool in _HAS_NO_REQUEST and kind not in (Kind.SUCCESS, Kind.POLICY):
        return "asks nothing of PVE"
    if tool == "stop_task" and kind in (Kind.FAILED_TASK, Kind.CANCELLED):
        return "ends tasks itself"
    match kind:
        case Kind.PERMISSION:
            return "PVE tells it everybody" if tool in FOR_EVERYBODY else None
        case Kind.FAILED_TASK | Kind.CANCELLED:
            return None if takes(tool, "wait_seconds") or tool in _WAITS_UNASKED else "waits for no task"
        case Kind.UNKNOWN_GUEST:
            return None if "vmid" in CASES[tool].arguments else "is about no guest"
        case Kind.WRONG_NODE:
            return None if takes(tool, "node") else "takes no node"
        case Kind.OFFLINE_NODE:
            return "asks no single node" if CASES[tool].far == {} else None
    return None


def arguments(tool: str, kind: Kind) -> dict[str, Any]:
    """What a tool is called with for a kind, of those that take bad luck or a node that is off."""
    case = CASES[tool]
    given = dict(case.arguments)
    match kind:
        case Kind.OFFLINE_NODE:
            if "vmid" in given:
                given["vmid"] += FAR_BY
            if "node" in given:
                given["node"] = FAR
            given |= case.far or {}
            given = {name: value for name, value in given.items() if value is not None}
        case Kind.FAILED_TASK | Kind.CANCELLED if takes(tool, "wait_seconds"):
            given["wait_seconds"] = 600
            if "upid" in given:
                given["upid"] = "201"
    return given
