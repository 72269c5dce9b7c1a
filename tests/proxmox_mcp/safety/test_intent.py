from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxmox_mcp.results import Result
from proxmox_mcp.safety.api_twins import ApiCall, known_tools, twin_of
from proxmox_mcp.safety.intent import intent_of
from proxmox_mcp.tooling import Call, Risk, Toolset
from proxmox_mcp.tools import TOOLSETS

made = Toolset("made", "For tests")
DECLARED = {tool.name: tool for toolset in TOOLSETS for tool in toolset.declarations}


@made.tool(risk=Risk.CHANGE, title="Change")
async def change(call: Call) -> Result:
    """Change it."""
    return Result()


@pytest.mark.parametrize(
    ("arguments", "guests"),
    [
        ({"vmid": 100}, {100}),
        ({"vmid": 100, "newid": 101}, {100, 101}),
        ({"target_vmid": 100}, {100}),
        ({"vmids": "100, 101;102"}, {100, 101, 102}),
        ({"vmids": [100, 101]}, {100, 101}),
        ({"volid": "local-lvm:vm-100-disk-0"}, {100}),
        ({"volid": "local:100/vm-101-disk-0.qcow2"}, {100, 101}),
        ({"volid": "local-lvm:base-900-disk-0/vm-100-disk-0"}, {900, 100}),
        ({"volid": "nas:subvol-200-disk-0"}, {200}),
        ({"volid": "nas:backup/vzdump-lxc-200-2026_01_01-00_00_00.tar.zst"}, {200}),
        ({"volid": "pbs:backup/ct/200/2026-01-01T00:00:00Z"}, {200}),
        ({"options": {"scsi1": "local-lvm:vm-100-disk-0,discard=on"}}, {100}),
        ({"options": {"scsi1": "nas:0,import-from=local-lvm:vm-100-disk-0"}}, {100}),
        ({"upid": "UPID:pve1:0000022A:00089A36:6B03C403:qmstart:100:root@pam:"}, {100}),
        ({"job_id": "100-0"}, {100}),
        ({"job_id": "backup-0-1"}, set()),
        ({"sid": "vm:100"}, {100}),
        ({"resources": "vm:100,ct:200"}, {100, 200}),
        ({"volid": "local:iso/debian-13.iso"}, set()),
        ({"name": "web-100", "description": "talk to vm 100"}, set()),
        ({"vmid": None, "node": "pve1"}, set()),
    ],
)
def test_a_guest_is_found_wherever_it_is_named(arguments: dict[str, Any], guests: set[int]) -> None:
    assert intent_of(made.declarations[0], arguments).guests == guests


@pytest.mark.parametrize(
    ("arguments", "nodes", "storages", "pools"),
    [
        ({"node": "pve1", "target": "pve2"}, {"pve1", "pve2"}, set(), set()),
        ({"storage": "nas", "target_storage": "ceph"}, set(), {"nas", "ceph"}, set()),
        ({"disk": "local-lvm:32,ssd=1"}, set(), {"local-lvm"}, set()),
        ({"options": {"ide2": "nas:iso/x.iso,media=cdrom"}}, set(), {"nas"}, set()),
        ({"url": "https://example.com/x.iso"}, set(), set(), set()),
        ({"resources": "vm:101,ct:200"}, set(), set(), set()),
        ({"net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0"}, set(), set(), set()),
        ({"pool": "lab"}, set(), set(), {"lab"}),
    ],
)
def test_places_are_found(arguments: dict[str, Any], nodes: set[str], storages: set[str], pools: set[str]) -> None:
    found = intent_of(made.declarations[0], arguments)
    assert (set(found.nodes), set(found.storages), set(found.pools)) == (nodes, storages, pools)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_arguments_can_be_read(value: Any) -> None:
    intent_of(made.declarations[0], {"options": value})


@pytest.mark.parametrize(
    ("method", "path", "tools", "risk", "interrupts"),
    [
        ("GET", "/nodes/pve1/qemu/100/config", (), Risk.READ, False),
        ("GET", "/nodes/pve1/qemu/100/agent/file-read", ("read_guest_file",), Risk.CHANGE, False),
        ("POST", "/nodes/pve1/qemu/100/status/start", ("manage_vm", "manage_lxc_container"), Risk.OPERATE, False),
        ("POST", "/nodes/pve1/lxc/200/status/reboot", ("manage_vm", "manage_lxc_container"), Risk.OPERATE, True),
        ("POST", "nodes/pve1/qemu/100/snapshot/", ("create_snapshot",), Risk.OPERATE, False),
        ("POST", "/nodes/pve1/qemu/100/snapshot/a/rollback", ("rollback_snapshot",), Risk.DESTROY, False),
        ("DELETE", "/nodes/pve1/lxc/200", ("delete_vm", "delete_lxc"), Risk.DESTROY, False),
        ("PUT", "/nodes/pve1/qemu/100/resize", ("resize_disk",), Risk.CHANGE, False),
        ("POST", "/nodes/pve1/status", ("manage_node_power",), Risk.DESTROY, False),
        ("PUT", "/cluster/options", (), Risk.DESTROY, False),
        ("PATCH", "/version", (), Risk.DESTROY, False),
    ],
)
def test_a_raw_request_has_the_risk_of_its_twin(
    method: str, path: str, tools: tuple[str, ...], risk: Risk, interrupts: bool
) -> None:
    twin = twin_of(ApiCall(method, path))
    assert (twin.tools, twin.risk, twin.interrupts) == (tools, risk, interrupts)


@pytest.mark.parametrize(
    ("path", "params", "risk"),
    [
        ("/nodes/pve1/qemu", {"vmid": 150}, Risk.CHANGE),
        ("/nodes/pve1/qemu", {"vmid": 150, "archive": "x"}, Risk.DESTROY),
        ("/nodes/pve1/lxc", {"vmid": 150, "ostemplate": "x"}, Risk.CHANGE),
        ("/nodes/pve1/lxc", {"vmid": 150, "ostemplate": "x", "force": 1}, Risk.DESTROY),
        ("/nodes/pve1/lxc", {"vmid": 150, "ostemplate": "x", "force": 0}, Risk.CHANGE),
        ("/nodes/pve1/vzdump", {"vmid": "100"}, Risk.DESTROY),
        ("/nodes/pve1/vzdump", {"vmid": "100", "remove": 1}, Risk.DESTROY),
        ("/nodes/pve1/vzdump", {"vmid": "100", "remove": 0}, Risk.OPERATE),
        ("/nodes/pve1/vzdump", {"vmid": "100", "prune-backups": "keep-last=1"}, Risk.DESTROY),
        ("/nodes/pve1/qemu/100/config", {"delete": "scsi0"}, Risk.DESTROY),
    ],
)
def test_a_parameter_can_make_more_of_a_raw_request(path: str, params: dict[str, Any], risk: Risk) -> None:
    assert twin_of(ApiCall("POST", path, params)).risk is risk


def test_a_request_that_is_not_known_may_do_the_work_of_any_tool_that_is_not() -> None:
    """So a rule on such a tool is one on the request, too."""
    intent = intent_of(DECLARED["call_api"], {"method": "PUT", "path": "/cluster/something-new", "params": None})
    writing = {name for name, tool in DECLARED.items() if tool.risk is not Risk.READ}
    assert set(intent.tools) == {"call_api"} | (writing - known_tools())
    assert set(intent_of(DECLARED["call_api"], {"method": "DELETE", "path": "/nodes/n/qemu/100"}).tools) == {
        "call_api",
        "delete_vm",
        "delete_lxc",
    }


@pytest.mark.parametrize(
    ("tool", "given"), [("set_tags", {"vmid": 100, "add": ["x"]}), ("set_tags", {"vmid": 100, "remove": ["x"]})]
)
def test_a_tool_for_labels_changes_labels(tool: str, given: dict[str, Any]) -> None:
    assert intent_of(DECLARED[tool], given).relabels == {"tags"}


def test_no_raw_request_is_milder_than_the_named_tool() -> None:
    """As the tools are declared: a rename, or another risk, of one must be followed here."""
    rank = list(Risk).index
    for method, path in (
        ("POST", "/nodes/n/qemu/100/status/stop"),
        ("POST", "/nodes/n/qemu/100/snapshot"),
        ("POST", "/nodes/n/qemu/100/snapshot/s/rollback"),
        ("DELETE", "/nodes/n/qemu/100/snapshot/s"),
        ("POST", "/nodes/n/qemu/100/clone"),
        ("POST", "/nodes/n/qemu/100/migrate"),
        ("PUT", "/nodes/n/qemu/100/config"),
        ("POST", "/nodes/n/qemu"),
        ("DELETE", "/nodes/n/qemu/100"),
        ("POST", "/nodes/n/qemu/100/agent/exec"),
        ("POST", "/nodes/n/vzdump"),
    ):
        twin = twin_of(ApiCall(method, path))
        for name in twin.tools:
            assert rank(twin.risk) >= rank(DECLARED[name].least), (path, name)


def test_a_call_that_destroys_or_interrupts_needs_approval() -> None:
    stop = DECLARED["manage_vm"]
    assert intent_of(stop, {"vmid": 100, "action": "stop"}).needs_approval
    assert not intent_of(stop, {"vmid": 100, "action": "start"}).needs_approval
    assert intent_of(DECLARED["delete_vm"], {"vmid": 100}).needs_approval
