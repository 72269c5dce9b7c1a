"""What the policy forbids is tried by another way: a raw request, a volume, a clone, a backup, another label."""

from typing import Any

import pytest

from tests.proxmox_mcp.redteam.conftest import YES, Lab, text_of

pytestmark = pytest.mark.anyio

PROTECTED = "protected = [100]\n"
FORBIDS = ("policy forbids", "100 is protected")


RAW: dict[str, tuple[str, str, dict[str, Any]]] = {
    "delete": ("DELETE", "/nodes/pve1/qemu/100", {}),
    "delete, no slash": ("DELETE", "nodes/pve1/qemu/100", {}),
    "delete, slash behind": ("DELETE", "/nodes/pve1/qemu/100/", {}),
    "delete, as a container": ("DELETE", "/nodes/pve1/lxc/100", {}),
    "delete, by another node": ("DELETE", "/nodes/pve3/qemu/100", {}),
    "delete, zeros before": ("DELETE", "/nodes/pve1/qemu/0100", {}),
    "delete, full-width digits": ("DELETE", "/nodes/pve1/qemu/１００", {}),
    "stop": ("POST", "/nodes/pve1/qemu/100/status/stop", {}),
    "shutdown": ("POST", "/nodes/pve1/qemu/100/status/shutdown", {}),
    "configure": ("PUT", "/nodes/pve1/qemu/100/config", {"memory": 64}),
    "roll back": ("POST", "/nodes/pve1/qemu/100/snapshot/before-tls/rollback", {}),
    "delete a snapshot": ("DELETE", "/nodes/pve1/qemu/100/snapshot/before-tls", {}),
    "delete its volume": ("DELETE", "/nodes/pve1/storage/local-lvm/content/local-lvm:vm-100-disk-0", {}),
    "delete its volume by name": ("DELETE", "/nodes/pve1/storage/local-lvm/content/vm-100-disk-0", {}),
    "attach its disk elsewhere": ("PUT", "/nodes/pve2/qemu/105/config", {"scsi5": "local-lvm:vm-100-disk-0"}),
    "import its disk": ("PUT", "/nodes/pve2/qemu/105/config", {"scsi5": "nas:0,import-from=local-lvm:vm-100-disk-0"}),
    "move its disk away": ("POST", "/nodes/pve1/qemu/100/move_disk", {"disk": "scsi0", "target-vmid": 105}),
    "move a disk over it": ("POST", "/nodes/pve2/qemu/105/move_disk", {"disk": "scsi0", "target-vmid": 100}),
    "clone it": ("POST", "/nodes/pve1/qemu/100/clone", {"newid": 150}),
    "restore over it": ("POST", "/nodes/pve1/qemu", {"vmid": 100, "archive": "nas:backup/x.vma.zst", "force": 1}),
    "restore its backup as another": (
        "POST",
        "/nodes/pve1/qemu",
        {"vmid": 150, "archive": "nas:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst"},
    ),
    "restore its backup from a backup server": (
        "POST",
        "/nodes/pve1/qemu",
        {"vmid": 150, "archive": "pbs:backup/vm/100/2026-01-01T00:00:00Z"},
    ),
    "delete its backup": (
        "DELETE",
        "/nodes/pve1/storage/nas/content/nas:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst",
        {},
    ),
    "run a command in it": ("POST", "/nodes/pve1/qemu/100/agent/exec", {"command": ["id"]}),
    "write a file in it": ("POST", "/nodes/pve1/qemu/100/agent/file-write", {"file": "/etc/passwd", "content": "x"}),
    "set a password in it": ("POST", "/nodes/pve1/qemu/100/agent/set-user-password", {"username": "root"}),
    "open its console": ("POST", "/nodes/pve1/qemu/100/vncproxy", {}),
    "make a template of it": ("POST", "/nodes/pve1/qemu/100/template", {}),
    "migrate it": ("POST", "/nodes/pve1/qemu/100/migrate", {"target": "pve2"}),
    "drop its firewall": ("PUT", "/nodes/pve1/qemu/100/firewall/options", {"enable": 0}),
    "stop all of its node": ("POST", "/nodes/pve1/stopall", {}),
    "stop it among all": ("POST", "/nodes/pve1/stopall", {"vms": "100"}),
    "shut down all there are": ("POST", "/cluster/bulk-action/guest/shutdown", {}),
    "shut it down among some": ("POST", "/cluster/bulk-action/guest/shutdown", {"vms": [105, 100]}),
    "turn its node off": ("POST", "/nodes/pve1/status", {"command": "shutdown"}),
    "take it out of its pool": ("PUT", "/pools/production", {"vms": "100", "delete": 1}),
    "stop it by HA": ("PUT", "/cluster/ha/resources/vm:100", {"state": "stopped"}),
    "stop it by HA, without its kind": ("PUT", "/cluster/ha/resources/100", {"state": "stopped"}),
    "put it in a rule of HA": ("POST", "/cluster/ha/rules", {"rule": "x", "resources": "vm:105,vm:100"}),
    "replicate it": ("POST", "/cluster/replication", {"id": "100-0", "target": "pve2", "type": "local"}),
    "end its replication": ("DELETE", "/cluster/replication/100-0", {}),
    "give rights on it away": ("PUT", "/access/acl", {"path": "/vms/100", "roles": "PVEAdmin", "users": "alice@pve"}),
    "stop its task": ("DELETE", "/nodes/pve1/tasks/UPID:pve1:0000022A:00089A36:6B03C403:vzdump:100:root@pam:", {}),
}


@pytest.mark.parametrize("asked", RAW.values(), ids=RAW.keys())
async def test_a_protected_guest_is_out_of_reach_of_raw_requests(
    lab: Lab, asked: tuple[str, str, dict[str, Any]]
) -> None:
    method, path, params = asked
    async with lab.client(PROTECTED, answer=YES) as attacker:
        await attacker.refused("call_api", *FORBIDS, method=method, path=path, params=params)


OF_OTHER_TOOLSETS: dict[str, tuple[str, dict[str, Any]]] = {
    "attach its disk to another": ("attach_disk", {"vmid": 105, "volume": "local-lvm:vm-100-disk-0"}),
    "detach its disk": ("detach_disk", {"vmid": 100, "disk": "scsi0"}),
    "take its network away": ("remove_nic", {"vmid": 100, "nic": "net0"}),
    "take its label away": ("set_tags", {"vmid": 100, "remove": ["prod"]}),
    "delete its backup": ("delete_volume", {"volid": "nas:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst"}),
    "delete its disk as a volume": ("delete_volume", {"volid": "local-lvm:vm-100-disk-0"}),
    "prune its backups": ("prune_backups", {"storage": "nas", "keep": "keep-last=1", "vmid": 100}),
    "stop it by HA": ("set_ha_resource", {"vmid": 100, "state": "stopped"}),
    "bind it by a rule": ("set_ha_rule", {"rule": "bound", "guests": [100, 105], "nodes": ["pve3"]}),
    "end its replication": ("delete_replication_job", {"job_id": "100-0"}),
    "open its firewall": ("add_firewall_rule", {"vmid": 100, "type": "in", "action": "ACCEPT"}),
    "turn its firewall off": ("set_firewall_options", {"vmid": 100, "enable": False}),
    "read a file in it": ("read_guest_file", {"vmid": 100, "file": "/etc/shadow"}),
    "turn its node off": ("manage_node_power", {"node": "pve1", "action": "shutdown"}),
    "cut its node off": ("apply_node_network", {"node": "pve1"}),
    "prune all backups": ("prune_backups", {"storage": "nas", "keep": "keep-last=1"}),
}


@pytest.mark.parametrize("asked", OF_OTHER_TOOLSETS.values(), ids=OF_OTHER_TOOLSETS.keys())
async def test_a_protected_guest_is_out_of_reach_of_tools_on_request(
    lab: Lab, asked: tuple[str, dict[str, Any]]
) -> None:
    tool, arguments = asked
    async with lab.client(PROTECTED, answer=YES, toolsets=("all",)) as attacker:
        await attacker.refused(tool, *FORBIDS, **arguments)


NAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "delete": ("delete_vm", {"vmid": 100}),
    "delete as a container": ("delete_lxc", {"vmid": 100}),
    "stop": ("manage_vm", {"vmid": 100, "action": "stop"}),
    "change": ("update_vm_config", {"vmid": 100, "options": {"memory": 64}}),
    "change on pretence": ("update_vm_config", {"vmid": 105, "options": {"scsi5": "local-lvm:vm-100-disk-0"}}),
    "clone": ("clone_vm", {"vmid": 100}),
    "roll back": ("rollback_snapshot", {"vmid": 100, "name": "before-tls"}),
    "delete a snapshot": ("delete_snapshot", {"vmid": 100, "name": "before-tls"}),
    "migrate": ("migrate_vm", {"vmid": 100, "target": "pve2"}),
    "run a command": ("execute_vm_command", {"vmid": 100, "command": "uname -a"}),
    "restore over it": (
        "restore_backup",
        {"volid": "nas:backup/vzdump-qemu-105-2026_01_01-00_00_00.vma.zst", "vmid": 100, "overwrite": True},
    ),
    "restore it as another": (
        "restore_backup",
        {"volid": "nas:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst", "vmid": 150},
    ),
    "stop it for a backup": ("create_backup", {"vmid": 100, "storage": "nas", "mode": "stop"}),
}


@pytest.mark.parametrize("asked", NAMED.values(), ids=NAMED.keys())
async def test_a_protected_guest_is_out_of_reach_of_tools(lab: Lab, asked: tuple[str, dict[str, Any]]) -> None:
    tool, arguments = asked
    async with lab.client(PROTECTED, answer=YES) as attacker:
        await attacker.refused(tool, *FORBIDS, **arguments)


async def test_a_protected_guest_is_looked_at(lab: Lab) -> None:
    async with lab.client(PROTECTED) as attacker:
        await attacker.done("get_vm_info", vmid=100)
        await attacker.done("call_api", method="GET", path="/nodes/pve1/qemu/100/config")


@pytest.mark.parametrize(
    "path",
    ["/nodes//pve1/qemu/105", "/nodes/pve1/../pve2/qemu/105", "/./nodes/pve2/qemu/105", "/nodes/pve2/qemu/105\n"],
)
async def test_a_path_that_is_none_reaches_nothing(lab: Lab, path: str) -> None:
    async with lab.client('[[rules]]\neffect = "allow"\nguests = [105]\n', answer=YES) as attacker:
        await attacker.refused("call_api", method="DELETE", path=path)


@pytest.mark.parametrize("path", ["/nodes/pve1/qemu/%31%30%30", "/nodes/pve2/qemu/105%2F..%2F..%2Fpve1%2Fqemu%2F100"])
async def test_what_is_escaped_stays_escaped(lab: Lab, path: str) -> None:
    async with lab.client(PROTECTED, answer=YES) as attacker:
        result = await attacker.call("call_api", method="DELETE", path=path)
        assert result.is_error
    assert lab.api().nodes("pve1").qemu(100).config.get()["name"] == "web"


DENIED_TOOL = '[[rules]]\neffect = "deny"\ntools = ["{}"]\n'


@pytest.mark.parametrize(
    ("tool", "method", "path"),
    [
        ("delete_vm", "DELETE", "/nodes/pve2/qemu/105"),
        ("delete_*", "DELETE", "/nodes/pve2/lxc/202"),
        ("manage_vm", "POST", "/nodes/pve2/qemu/101/status/stop"),
        ("rollback_snapshot", "POST", "/nodes/pve2/qemu/105/snapshot/clean/rollback"),
        ("clone_vm", "POST", "/nodes/pve2/qemu/105/clone"),
        ("update_vm_config", "PUT", "/nodes/pve2/qemu/105/config"),
        ("update_vm_config", "POST", "/nodes/pve2/qemu/105/config"),
        ("execute_vm_command", "POST", "/nodes/pve1/qemu/100/agent/exec"),
        ("restore_backup", "POST", "/nodes/pve2/qemu"),
        ("call_api", "POST", "/cluster/options"),
    ],
)
async def test_a_tool_that_is_denied_is_denied_as_a_raw_request(lab: Lab, tool: str, method: str, path: str) -> None:
    async with lab.client(DENIED_TOOL.format(tool), answer=YES) as attacker:
        params = {"vmid": 150, "archive": "nas:backup/x"} if tool == "restore_backup" else {}
        await attacker.refused("call_api", "policy forbids", method=method, path=path, params=params)


async def test_to_allow_a_tool_does_not_allow_raw_requests(lab: Lab) -> None:
    async with lab.client('[[rules]]\neffect = "allow"\ntools = ["delete_vm"]\n') as attacker:
        await attacker.refused("call_api", "needs a person's", method="DELETE", path="/nodes/pve2/qemu/105")
        await attacker.done("delete_vm", vmid=105)


SANDBOX = '[[rules]]\neffect = "allow"\ntags = ["test"]\n'


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("update_vm_config", {"vmid": 101, "options": {"tags": "test"}}),
        ("update_vm_config", {"vmid": 101, "delete": ["tags"]}),
        ("set_tags", {"vmid": 101, "add": ["test"]}),
        ("call_api", {"method": "PUT", "path": "/nodes/pve2/qemu/101/config", "params": {"tags": "test"}}),
        ("call_api", {"method": "PUT", "path": "/nodes/pve2/qemu/101/config", "params": {"delete": "tags"}}),
    ],
)
async def test_a_label_that_the_policy_goes_by_is_not_changed_unasked(
    lab: Lab, tool: str, arguments: dict[str, Any]
) -> None:
    async with lab.client(SANDBOX, toolsets=("all",)) as attacker:
        await attacker.refused(tool, "needs a person's approval", **arguments)
        await attacker.done("delete_lxc", vmid=202)


async def test_a_pool_that_the_policy_goes_by_is_not_changed_unasked(lab: Lab) -> None:
    policy = '[[rules]]\neffect = "deny"\npools = ["production"]\n'
    async with lab.client(policy) as attacker:
        await attacker.refused("delete_vm", "policy forbids", vmid=101)
        out = {"vms": "101", "delete": 1}
        await attacker.refused("call_api", "policy forbids", method="PUT", path="/pools/production", params=out)
        moved = {"vms": "101", "allow-move": 1}
        await attacker.refused("call_api", "policy forbids", method="PUT", path="/pools/lab", params=moved)


async def test_one_allowed_guest_does_not_open_the_door_for_another(lab: Lab) -> None:
    policy = '[[rules]]\neffect = "allow"\nguests = [105]\n'
    async with lab.client(policy) as attacker:
        both = {"disk": "scsi0", "target-vmid": 101}
        await attacker.refused("call_api", method="POST", path="/nodes/pve2/qemu/105/move_disk", params=both)
        await attacker.refused("delete_vm", vmid=101)


async def test_a_new_guest_does_not_get_an_allowed_label_by_its_own_word(lab: Lab) -> None:
    async with lab.client(SANDBOX + '[[rules]]\neffect = "ask"\n') as attacker:
        await attacker.refused("call_api", method="POST", path="/nodes/pve1/qemu", params={"vmid": 150, "tags": "test"})


async def test_a_guest_that_the_server_may_not_see_is_judged_as_the_worst(lab: Lab) -> None:
    policy = '[[rules]]\neffect = "deny"\ntags = ["prod"]\n[[rules]]\neffect = "allow"\ntools = ["*"]\n'
    async with lab.client(policy, user="alice@pve", answer=YES) as attacker:
        await attacker.refused("call_api", "policy forbids", method="DELETE", path="/nodes/pve3/qemu/102")


async def test_what_cannot_be_judged_is_not_done(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no list of guests")

    async with lab.client(PROTECTED, answer=YES) as attacker:
        monkeypatch.setattr("proxmox_mcp.locate.Guests.records", broken)
        await attacker.refused("delete_vm", vmid=105)


@pytest.mark.parametrize(("access", "tool"), [("read", "delete_vm"), ("operate", "delete_vm"), ("read", "manage_vm")])
async def test_a_tool_above_the_access_level_does_not_exist(lab: Lab, access: str, tool: str) -> None:
    async with lab.client(access=access, answer=YES) as attacker:
        assert tool not in {one.name for one in (await attacker.client.list_tools()).tools}
        await attacker.refused(tool, "not available at access level", vmid=105)


@pytest.mark.parametrize("access", ["read", "operate"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_raw_write_is_above_all_but_the_highest_level(lab: Lab, access: str, method: str) -> None:
    async with lab.client(access=access, answer=YES) as attacker:
        await attacker.done("call_api", method="GET", path="/version")
        await attacker.refused("call_api", "does not allow", method=method, path="/nodes/pve2/qemu/105/config")


async def test_files_inside_guests_are_no_look_at_the_cluster(lab: Lab) -> None:
    async with lab.client(access="read") as attacker:
        path = "/nodes/pve1/qemu/100/agent/file-read"
        await attacker.refused("call_api", "does not allow", method="GET", path=path, params={"file": "/etc/hostname"})


async def test_a_tool_that_was_not_chosen_cannot_be_called(lab: Lab) -> None:
    async with lab.client(toolsets=("inventory",), answer=YES) as attacker:
        await attacker.refused("delete_vm", "not among the tools that the operator chose", vmid=105)
        result = await attacker.call("call_api", method="GET", path="/version")
        assert result.is_error, text_of(result)


EXEC = '[exec]\nallow = ["uname **", "systemctl status *"]\n[[rules]]\neffect = "allow"\ntools = ["*"]\n'


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /",
        "sh -c 'uname; rm -rf /'",
        "/tmp/uname -a",
        "./uname",
        "systemctl stop nginx",
        "systemctl status nginx extra",
        "env uname",
        ["uname -a"],
        ["sudo", "uname"],
        "UNAME -a",
        "unamex",
    ],
)
async def test_a_command_that_is_not_on_the_list_is_not_run(lab: Lab, command: Any) -> None:
    async with lab.client(EXEC) as attacker:
        await attacker.refused("execute_vm_command", "exec.allow", vmid=100, command=command)
        raw = {"command": command.split() if isinstance(command, str) else command}
        path = "/nodes/pve1/qemu/100/agent/exec"
        await attacker.refused("call_api", "policy forbids", method="POST", path=path, params=raw)


async def test_a_command_on_the_list_is_run(lab: Lab) -> None:
    async with lab.client(EXEC) as attacker:
        await attacker.done("execute_vm_command", vmid=100, command="uname -a")


@pytest.mark.parametrize("path", ["file-write", "set-user-password"])
async def test_a_list_of_commands_is_not_got_round_by_the_agent(lab: Lab, path: str) -> None:
    async with lab.client(EXEC) as attacker:
        path = f"/nodes/pve1/qemu/100/agent/{path}"
        await attacker.refused("call_api", "a way past it", method="POST", path=path, params={"file": "/etc/cron.d/x"})


@pytest.mark.parametrize(
    ("command", "stdin"),
    [
        ("rm -rf /", None),
        ("/bin/rm -rf /", None),
        ("RM -rf /", None),
        ("sudo rm -rf /", None),
        ("sh -c 'cd /; rm -rf *'", None),
        ('bash -c "$(echo rm) ; rm x"', None),
        ("env A=1 rm x", None),
        ("xargs rm", None),
        ("sh", "rm -rf /"),
        ("bash -s", "cd /\nrm -rf ."),
    ],
)
async def test_a_command_that_is_denied_is_found_where_it_hides(lab: Lab, command: str, stdin: str | None) -> None:
    policy = '[exec]\ndeny = ["rm **"]\n[[rules]]\neffect = "allow"\ntools = ["*"]\n'
    async with lab.client(policy) as attacker:
        given = {"input_data": stdin} if stdin else {}
        await attacker.refused("execute_vm_command", "exec.deny", vmid=100, command=command, **given)


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("PUT", "/access/acl", {"path": "/", "roles": "Administrator", "tokens": "mcp@pve!auditor"}),
        ("PUT", "access/acl", {"path": "/", "roles": "Administrator", "users": "mcp@pve"}),
        ("POST", "/access/users", {"userid": "evil@pve"}),
        ("POST", "/access/users/root@pam/token/evil", {"privsep": 0}),
        ("PUT", "/access/roles/PowerUser", {"privs": "Sys.Modify"}),
        ("PUT", "/access/password", {"userid": "alice@pve", "password": "a-new-password"}),
    ],
)
async def test_rights_are_not_given_unasked(lab: Lab, method: str, path: str, params: dict[str, Any]) -> None:
    async with lab.client() as attacker:
        await attacker.refused("call_api", "needs a person's approval", method=method, path=path, params=params)


async def test_a_model_cannot_raise_its_own_rights_with_a_tool(lab: Lab) -> None:
    async with lab.client(toolsets=("all",)) as attacker:
        there = {tool.name for tool in (await attacker.client.list_tools()).tools}
        assert {"set_acl", "create_token", "create_user"} <= there
        arguments = {"path": "/", "role": "Administrator", "who": "mcp@pve"}
        await attacker.refused("set_acl", "needs a person's approval", **arguments)
        await attacker.refused("create_token", "needs a person's approval", userid="mcp@pve", name="evil")
