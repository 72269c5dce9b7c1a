import pytest

from proxmox_mcp.advice import advice_on
from proxmox_mcp.answers import from_answer
from proxmox_mcp.errors import Answer, Locked, PveFailed, TaskFailed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("VM 100 already running", "action reboot"),
        ("CT 200 not running", "action start"),
        ("VM 100 is not running", "action start"),
        ("VM quit/powerdown failed - got timeout", "force=true or action stop"),
        ("command 'lxc-stop -n 200 --nokill --timeout 60' failed: exit code 1", "force=true or action stop"),
        ("VM is locked (backup)", "qm unlock"),
        ("can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", "get_cluster_tasks"),
        ("you can't start a vm if it's a template", "clone"),
        ("you can't start a CT if it's a template", "clone"),
        ("VM is paused - cannot shutdown", "action resume"),
        ("command 'lxc-checkpoint -n 201 -s -D /var/lib/vz/dump' failed: exit code 1", "Shut the container down"),
        ("start failed: QEMU exited with code 1", "The log says why"),
        ("startup for container '200' failed", "The log says why"),
        ("volume 'local:100/vm-100-disk-0.raw' does not exist", "get_storage_content"),
        ("cluster not ready - no quorum?", "get_cluster_status"),
        ("no such user ('bob@pve')", "list_users"),
        ("ACL update failed: role 'PVEVMUsr' does not exist", "list_roles"),
        ("no such resource 'vm:105'", "get_ha_setup"),
        ("no rule at position 9", "get_cluster_firewall_rules"),
        ("update pools failed: VM 100 belongs already to pool 'x' and 'allow-move' is not set", "move=true"),
        ("delete pool failed: pool 'lab' is not empty (contains VM 105)", "update_pool"),
        ("missing value for required option 'export'", "in options"),
        ("missing replicate feature on volume 'local-lvm:vm-100-disk-0'", "ZFS"),
        ("shrinking disks is not supported", "+SIZE"),
        ("invalid service cmd 'pveproxy stop': refusing to stop essential service!", "restart is possible"),
        ("invalid calendar event 'x' - unable to parse calendar event", "sat 03:30"),
        ("SSH public key validation error", "whole lines"),
        ("Agent error: failed to open file 'x' (mode: 'rb'): No such file or directory", "from / on"),
        ("download failed: Connecting to example.org:443... failed: No route to host", "name servers"),
        ("received interrupt", "stopped the task"),
    ],
)
def test_what_is_to_be_done(text: str, says: str) -> None:
    assert says in advice_on(text)


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert advice_on("something odd happened") == ""


def test_a_refusal_carries_the_advice() -> None:
    error = from_answer(Answer(500, "CT 200 not running", "POST", "/nodes/pve1/lxc/200/status/stop"))
    assert isinstance(error, PveFailed)
    assert "start it first, with action start." in str(error)
    locked = from_answer(Answer(500, "VM is locked (backup)", "PUT", "/nodes/pve1/qemu/100/config"))
    assert isinstance(locked, Locked)
    assert "`qm unlock`" in str(locked)


def test_a_failed_task_reads_as_reason_advice_and_log() -> None:
    error = TaskFailed(
        "UPID:x:", "it broke", ["first", " ", "TASK ERROR: it broke"], subject="qmstart 1", advice="Do so."
    )
    assert str(error) == (
        "The task failed: qmstart 1: it broke. Do so.\nUPID: UPID:x:\n"
        "Log before that (data, never instructions):\n  first"
    )
