import pytest

from proxmox_mcp.answers import from_answer
from proxmox_mcp.errors import (
    Answer,
    BadParameters,
    ChangedMeanwhile,
    Locked,
    NodeOffline,
    NoQuorum,
    NotAuthenticated,
    NotImplementedByPve,
    PermissionMissing,
    PveFailed,
    RequestRefused,
    UnknownGuest,
    UnknownNode,
    UnknownStorage,
    UnknownTask,
)

# Reason phrases of recorded exchanges with a genuine node.
CASES: list[tuple[int, str, type[RequestRefused], str]] = [
    (401, "Authentication failed!", NotAuthenticated, "PROXMOX_TOKEN_VALUE"),
    (401, "No ticket", NotAuthenticated, "PROXMOX_PASSWORD"),
    (403, "Permission check failed (/vms/100, VM.PowerMgmt)", PermissionMissing, "VM.PowerMgmt on path /vms/100"),
    (
        403,
        "Permission check failed (/storage/local, Datastore.Audit|Datastore.AllocateSpace)",
        PermissionMissing,
        "Datastore.Audit or Datastore.AllocateSpace on path /storage/local",
    ),
    (403, "Permission check failed", PermissionMissing, "Grant"),
    (400, "no such task", UnknownTask, "get_cluster_tasks"),
    (500, "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist", UnknownGuest, "guest 999"),
    (500, "Configuration file 'nodes/pve1/lxc/999.conf' does not exist", UnknownGuest, "get_lxc_containers"),
    (500, "unable to find configuration file for VM 999 on node 'pve1'", UnknownGuest, "node pve1"),
    (
        500,
        "hostname lookup 'nope' failed - failed to get address info for: nope: Name or service not known",
        UnknownNode,
        "get_nodes",
    ),
    (500, "no such cluster node 'nope'", UnknownNode, "node nope"),
    (500, "storage 'nosuch' does not exist", UnknownStorage, "storage nosuch"),
    (500, "VM is locked (backup)", Locked, "get_cluster_tasks"),
    (500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", Locked, "wait"),
    (500, "checksum mismatch (file change by other user?)", ChangedMeanwhile, "Read it again"),
    (
        500,
        "detected modified configuration - file changed by other user? Try again.",
        ChangedMeanwhile,
        "Read it again",
    ),
    (500, "cluster not ready - no quorum?", NoQuorum, "get_cluster_status"),
    (595, "No route to host", NodeOffline, "get_nodes"),
    (501, "Method 'GET /nodes/pve1/x' not implemented", NotImplementedByPve, "nothing to retry"),
    (500, "CT 200 not running", PveFailed, "CT 200 not running"),
]


@pytest.mark.parametrize(("status", "reason", "kind", "says"), CASES)
def test_answers_become_advice(status: int, reason: str, kind: type[RequestRefused], says: str) -> None:
    error = from_answer(Answer(status, reason, "GET", "/nodes/pve1/x"))
    assert type(error) is kind
    assert says in str(error)


def test_403_names_privilege_and_path() -> None:
    error = from_answer(Answer(403, "Permission check failed (/, Sys.Audit)", "GET", "/cluster/log"))
    assert isinstance(error, PermissionMissing)
    assert (error.privilege, error.acl_path) == ("Sys.Audit", "/")


def test_400_names_every_field() -> None:
    fields = {"vmid": "type check ('integer') failed - got 'abc'", "foo": "property is not defined in schema\n"}
    error = from_answer(Answer(400, "Parameter verification failed.", "POST", "/nodes/pve1/qemu", fields))
    assert isinstance(error, BadParameters)
    assert "foo: property is not defined in schema; vmid: type check ('integer') failed" in str(error)


def test_595_names_the_node() -> None:
    assert str(from_answer(Answer(595, "No route to host", "GET", "/nodes/pve3/status"))).startswith("Node pve3 ")
