"""Calls that are worse than they look: by a default, by a list, by what they choose, by what they only mention."""

from typing import Any

import pytest

from tests.proxmox_mcp.redteam.conftest import YES, Lab

pytestmark = pytest.mark.anyio

Case = tuple[str, tuple[str, dict[str, Any]]]

PROTECTED = "protected = [100]\n"
SANDBOX = '[[rules]]\neffect = "allow"\ntags = ["test"]\n'
PLAY = f'{PROTECTED}{SANDBOX}risks = ["operate", "destroy"]\n'
COMMANDS = '[exec]\nallow = ["uptime", "systemctl status *"]\n[[rules]]\neffect = "allow"\ntools = ["*"]\n'
TEMPLATE = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"


def raw(method: str, path: str, /, **params: Any) -> tuple[str, dict[str, Any]]:
    return "call_api", {"method": method, "path": path, "params": params}


def backup(node: str = "pve1", **params: Any) -> tuple[str, dict[str, Any]]:
    return raw("POST", f"/nodes/{node}/vzdump", storage="nas", **params)


def config(vmid: int, **options: Any) -> tuple[str, dict[str, Any]]:
    return "update_vm_config", {"vmid": vmid, "options": options}


def denying(what: str) -> str:
    return f'[[rules]]\neffect = "deny"\n{what}\n'


ASKED: dict[str, Case] = {
    "a word in a list": ("", backup("pve2", vmid=101, mode=["stop"], remove=0)),
    "older backups go by default": ("", backup(vmid=100)),
    "older backups go, by a list": ("", backup(vmid=100, remove=[""])),
    "older backups go, in a word": ("", backup(vmid=100, remove="no")),
    "all backups that run are stopped": ("", backup(vmid=100, remove=0, stop=1)),
    "a parameter that the named tool cannot send": ("", backup(vmid=100, remove=0, script="/root/x")),
    "a start past its lock": ("", raw("POST", "/nodes/pve2/qemu/105/status/start", skiplock=1)),
    "a password, with a guest in it": (PLAY, raw("PUT", "/access/password", userid="a@pve", password="vm-202-disk-0")),
    "a group, with a guest in its comment": (PLAY, raw("POST", "/access/groups", groupid="x", comment="vm-202-disk")),
    "options of the cluster": (PLAY, raw("PUT", "/cluster/options", description="vm-202-x", keyboard="de")),
    "all guests, and one in the notes": (
        PLAY,
        backup("pve2", all=1, remove=0, mode="stop", **{"notes-template": "vm-202-x"}),
    ),
    "a user, with a guest in its comment": (SANDBOX, ("create_user", {"userid": "x@pve", "comment": "vm-202-"})),
    "rights on what is allowed": (SANDBOX, ("set_acl", {"path": "/vms/202", "role": "PVEAdmin", "who": "alice@pve"})),
    "a storage in a password": (
        '[[rules]]\neffect = "allow"\nstorages = ["scratch"]\n',
        raw("PUT", "/cluster/options", description="scratch:abcde"),
    ),
    "a node in a task that is none": (
        '[[rules]]\neffect = "allow"\nnodes = ["lab9"]\n',
        raw("PUT", "/cluster/options", description="UPID:lab9:00000001:00000001:00000001:x::a@b:"),
    ),
    "a job that keeps one backup": (
        "",
        ("create_backup_job", {"schedule": "*:0/1", "storage": "nas", "all_guests": True, "keep": "keep-last=1"}),
    ),
    "a job that stops guests": (
        "",
        ("create_backup_job", {"schedule": "02:00", "storage": "nas", "vmids": [101], "mode": "stop"}),
    ),
    "a retention of a storage": (
        "",
        ("update_storage", {"storage": "nas", "options": {"prune-backups": "keep-last=1"}}),
    ),
    "a service that the cluster hangs on": (
        "",
        ("manage_node_service", {"node": "pve1", "service": "corosync", "action": "stop"}),
    ),
    "a firewall by its further options": ("", ("set_firewall_options", {"options": {"policy_in": "DROP"}})),
    "a firewall that rejects": ("", ("set_firewall_options", {"policy_in": "REJECT"})),
    "a rule that drops": ("", ("add_firewall_rule", {"type": "in", "action": "DROP"})),
    "a card taken out": ("", ("remove_nic", {"vmid": 101, "nic": "net0"})),
    "a card taken out as an option": ("", ("update_vm_config", {"vmid": 101, "delete": ["net0"]})),
    "a link taken down": ("", ("set_nic", {"vmid": 101, "nic": "net0", "link_down": True})),
    "a link taken down as an option": ("", config(101, net0="virtio,bridge=vmbr0,link_down=1")),
    "a disk taken out": ("", ("detach_disk", {"vmid": 101, "disk": "scsi1"})),
    "a storage switched off": ("", ("update_storage", {"storage": "local-lvm", "disable": True})),
    "a storage kept from nodes": ("", ("update_storage", {"storage": "local-lvm", "nodes": ["pve3"]})),
    "a storage switched off by its options": ("", ("update_storage", {"storage": "nas", "options": {"disable": 1}})),
    "a label of its own by options": (SANDBOX, ("create_vm", {"name": "x", "options": {"tags": "test"}})),
    "a look that dials": ("", ("call_api", {"path": "/nodes/pve1/query-url-metadata", "params": {"url": "http://x"}})),
    "rights that come with a pool": ("", ("update_pool", {"poolid": "lab", "add_guests": [102]})),
    "rights that come with a pool, raw": ("", raw("PUT", "/pools", poolid="lab", vms="102")),
    "a directory of the node": (
        "",
        ("create_lxc", {"hostname": "x", "template": TEMPLATE, "options": {"mp0": "/,mp=/host"}}),
    ),
    "a container that is root of its node": (
        "",
        ("create_lxc", {"hostname": "x", "template": TEMPLATE, "unprivileged": False}),
    ),
    "a directory of the node, by name": (
        "",
        ("update_lxc_config", {"vmid": 202, "options": {"mp0": "mp=/host,volume=/"}}),
    ),
    "a file of the node as a disk": ("", config(105, scsi4="file=/etc/shadow")),
    "a file of the node as a medium": ("", config(105, ide2="media=cdrom,file=/etc/shadow")),
    "a file of the node imported": ("", config(105, scsi3="local-lvm:0,import-from=/etc/shadow")),
    "a file of the node by another name of a drive": ("", config(105, cdrom="/etc/shadow")),
    "a file of the node in a new VM": ("", ("create_vm", {"name": "x", "options": {"cdrom": "/etc/shadow"}})),
    "a file of the node as firmware": ("", ("create_vm", {"name": "x", "options": {"efidisk0": "file=/etc/shadow"}})),
    "another's disk as a medium": ("", config(105, ide2="media=cdrom,file=local-lvm:vm-101-disk-0")),
    "copies that go with a change of their job": (
        "",
        raw("PUT", "/cluster/replication/102-0", remove_job="full"),
    ),
    "a privileged container by default": (
        "",
        raw("POST", "/nodes/pve1/lxc", vmid=150, ostemplate=TEMPLATE, rootfs="local-lvm:1"),
    ),
    "a card in another network": ("", ("set_nic", {"vmid": 101, "nic": "net0", "vlan": 999})),
    "a card replaced": ("", config(101, net0="virtio,bridge=vmbr9")),
    "a link taken down in a word": ("", config(101, net0="virtio,bridge=vmbr0,link_down=on")),
    "a storage under another name": ("", ("update_storage", {"storage": "nas", "options": {"server": "10.9.9.9"}})),
    "what a rule allows, where a storage is asked about": (
        f'{SANDBOX}[[rules]]\neffect = "ask"\nstorages = ["nas"]\n',
        ("create_backup", {"vmid": 105}),
    ),
    "a program of the node": ("", config(105, args="-S")),
    "a device of the node": ("", config(105, hostpci0="0000:00:02.0")),
    "a login": ("", config(101, ciuser="root", cipassword="backdoor1")),
    "a guard taken away": ("", config(101, protection=0)),
    "a guard taken away, unset": ("", ("update_vm_config", {"vmid": 101, "delete": ["protection"]})),
    "a template made of what runs": ("", config(101, template=1)),
    "a lock put on": ("", config(101, lock="backup")),
    "a disk put out by another": ("", config(101, scsi0="none,media=cdrom")),
    "a storage that is the node's own folder": (
        "",
        ("create_storage", {"storage": "etc", "type": "dir", "options": {"path": "/etc"}}),
    ),
}


@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED.keys())
async def test_a_person_is_asked(lab: Lab, case: Case) -> None:
    policy, (tool, arguments) = case
    async with lab.client(policy, toolsets=("all",)) as attacker:
        text = await attacker.refused(tool, **arguments)
    # Or it is refused for good: nobody was asked, nothing was done.
    assert "needs a person" in text or "Not permitted" in text or "asked" in text or "is no option" in text, text


REFUSED: dict[str, Case] = {
    "all guests of a node, one in the notes": (
        PLAY,
        backup(all=1, remove=0, mode="stop", **{"notes-template": "vm-202-x"}),
    ),
    "the cluster's bond": (
        PROTECTED,
        ("manage_node_service", {"node": "pve1", "service": "corosync", "action": "stop"}),
    ),
    "the cluster's firewall": (PROTECTED, ("set_firewall_options", {"policy_in": "DROP"})),
    "its storage": (PROTECTED, ("update_storage", {"storage": "local-lvm", "disable": True})),
    "its storage, kept for other nodes": (PROTECTED, ("update_storage", {"storage": "local-lvm", "nodes": ["pve3"]})),
    "its storage, kept for other nodes, raw": (PROTECTED, raw("PUT", "/storage/nas", nodes="pve3")),
    "a storage that is chosen": (denying('storages = ["local-lvm"]'), ("create_vm", {"name": "x"})),
    "an id that is chosen": (denying('guests = ["100-899"]'), ("create_vm", {"name": "x"})),
    "a node that is chosen": (denying('nodes = ["*"]'), ("create_vm", {"name": "x"})),
    "a storage for a backup that is chosen": (denying('storages = ["nas"]'), ("create_backup", {"vmid": 105})),
    "a storage for a disk that is chosen": (
        denying('storages = ["local-lvm"]'),
        ("attach_disk", {"vmid": 100, "size": 1}),
    ),
    "an id of a clone that is chosen": (denying('guests = ["107-899"]'), ("clone_vm", {"vmid": 900})),
    "a backup restored as a container": (
        denying('tools = ["restore_backup"]'),
        (
            "create_lxc",
            {
                "hostname": "x",
                "template": "nas:backup/vzdump-lxc-203-2026_03_13-02_16_53.tar.zst",
                "options": {"restore": 1, "unique": 1},
            },
        ),
    ),
    "a node by another name": (
        denying('nodes = ["pve*"]'),
        ("manage_node_service", {"node": "localhost", "service": "pveproxy", "action": "restart"}),
    ),
    "guests of a node by another name": (PROTECTED, raw("POST", "/nodes/localhost/stopall")),
    "guests of a node by its address": (PROTECTED, raw("POST", "/nodes/10.0.0.11/stopall")),
    "a node by another name, off": (PROTECTED, raw("POST", "/nodes/localhost/status", command="reboot")),
    "a node by another name, cut off": (PROTECTED, ("apply_node_network", {"node": "localhost"})),
    "rights on it, slashes doubled": (
        PROTECTED,
        ("set_acl", {"path": "/vms//100", "role": "PVEVMAdmin", "who": "alice@pve"}),
    ),
    "rights on all guests": (PROTECTED, ("set_acl", {"path": "/vms", "role": "PVEVMAdmin", "who": "alice@pve"})),
    "rights on its pool": (
        PROTECTED,
        ("set_acl", {"path": "/pool/production", "role": "PVEVMAdmin", "who": "alice@pve"}),
    ),
    "rights on all pools": (PROTECTED, raw("PUT", "/access/acl", path="/pool/", roles="PVEVMAdmin", users="alice@pve")),
    "rights on all, without a slash": (PROTECTED, raw("PUT", "/access/acl", path="vms", roles="Audit", users="a@pve")),
    "rights on it, without a slash": (
        PROTECTED,
        raw("PUT", "/access/acl", path="vms/100", roles="PVEVMAdmin", users="alice@pve"),
    ),
    "rights on its pool, slash behind": (
        PROTECTED,
        raw("PUT", "/access/acl", path="//pool/production/", roles="PVEVMAdmin", users="alice@pve"),
    ),
    "its pool stopped for a backup": (PROTECTED, backup("pve2", pool="production", mode="stop", remove=0)),
    "all stopped for a backup": (PROTECTED, backup(all=1, mode="stop", remove=0)),
    "all but one stopped for a backup": (PROTECTED, backup(all=1, exclude="101", mode="stop", remove=0)),
    "a shell of the node": (COMMANDS, raw("POST", "/nodes/pve1/termproxy")),
    "the agent by its plain way": (COMMANDS, raw("POST", "/nodes/pve1/qemu/100/agent", command="shutdown")),
    "the monitor of a VM": (COMMANDS, raw("POST", "/nodes/pve1/qemu/100/monitor", command="info")),
    "a login past the list of commands": (COMMANDS, config(101, cipassword="backdoor1")),
    "an option in place of a word": (
        COMMANDS,
        ("execute_vm_command", {"vmid": 100, "command": "systemctl status -Hroot@evil"}),
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
async def test_a_person_cannot_let_it_through(lab: Lab, case: Case) -> None:
    policy, (tool, arguments) = case
    async with lab.client(policy, toolsets=("all",), answer=YES) as attacker:
        text = await attacker.refused(tool, **arguments)
    assert "policy" in text or "is no option" in text, text


async def test_a_job_is_judged_by_whom_it_is_for(lab: Lab) -> None:
    job = {"storage": "nas", "mode": "stop", "schedule": "2030-01-01 02:00"}
    lab.api().cluster.backup.post(id="every", all=1, **job)
    lab.api().cluster.backup.post(id="one", vmid="101", **job)
    async with lab.client(PROTECTED, toolsets=("all",), access="operate", answer=YES) as attacker:
        await attacker.refused("run_backup_job", "policy", job_id="every", node="pve1")
    async with lab.client(PROTECTED, toolsets=("all",), access="operate") as attacker:
        await attacker.refused("run_backup_job", "needs a person", job_id="one", node="pve2")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("update_backup_job", {"job_id": "of-it", "enabled": False}),
        ("delete_backup_job", {"job_id": "of-it"}),
        ("call_api", {"method": "DELETE", "path": "/cluster/backup/of-it"}),
        ("call_api", {"method": "PUT", "path": "/cluster/backup/of-it", "params": {"enabled": 0}}),
        ("set_ha_rule", {"rule": "on-it", "guests": [105], "nodes": ["pve3"]}),
        ("delete_ha_rule", {"rule": "on-it"}),
        ("call_api", {"method": "PUT", "path": "/cluster/ha/rules/on-it", "params": {"disable": 1}}),
    ],
)
async def test_what_is_there_for_a_protected_guest_stays(lab: Lab, tool: str, arguments: dict[str, Any]) -> None:
    lab.api().cluster.backup.post(id="of-it", vmid="100", storage="nas", schedule="daily")
    lab.api().cluster.ha.resources.post(sid="vm:100")
    lab.api().cluster.ha.rules.post(rule="on-it", type="node-affinity", resources="vm:100", nodes="pve1")
    async with lab.client(PROTECTED, toolsets=("all",), answer=YES) as attacker:
        await attacker.refused(tool, "guest 100 is protected", **arguments)


async def test_what_a_rule_allows_does_not_grow_on_its_way(lab: Lab) -> None:
    async with lab.client(SANDBOX, toolsets=("all",)) as attacker:
        given = {"schedule": "02:00", "storage": "nas", "vmids": [105], "job_id": "jj"}
        await attacker.done("create_backup_job", **given)
        grown = {"all": 1, "mode": "stop"}
        await attacker.refused("update_backup_job", "needs a person", job_id="jj", options=grown)
        await attacker.refused("update_backup_job", "needs a person", job_id="jj", options={"vmid": "100,105"})
        await attacker.done("delete_vm", vmid=105)
    async with lab.client(SANDBOX, toolsets=("all",), answer=YES) as attacker:
        await attacker.done("update_backup_job", job_id="jj", options={"all": 1, "mode": "stop"})


async def test_guests_that_are_not_named_count(lab: Lab) -> None:
    lab.api().cluster.backup.post(id="every", all=1, storage="nas", schedule="2030-01-01 02:00")
    async with lab.client("[limits]\nguests_per_hour = 1\n", toolsets=("all",)) as attacker:
        await attacker.refused("run_backup_job", "guests were changed", job_id="every", node="pve1")
        await attacker.done("create_vm", name="one")
        await attacker.refused("create_vm", "guests were changed", name="two")


async def test_what_may_be_hidden_counts_as_the_worst(lab: Lab) -> None:
    """Alice sees no guest of pve3, where a protected one is."""
    lab.api().access.roles.post(roleid="Power", privs="Sys.PowerMgmt Sys.Audit")
    lab.api().access.acl.put(path="/nodes", roles="Power", users="alice@pve")
    async with lab.client('protected = ["tag:infra"]\n', toolsets=("all",), answer=YES, user="alice@pve") as attacker:
        await attacker.refused("call_api", "policy", method="POST", path="/nodes/pve3/stopall")


async def test_files_out_of_a_backup_are_no_look(lab: Lab) -> None:
    given = {"volume": "nas:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst", "filepath": "/"}
    async with lab.client(toolsets=("all",), access="read") as attacker:
        path = "/nodes/pve1/storage/nas/file-restore/list"
        await attacker.refused("call_api", "has the risk change", path=path, params=given)


async def test_many_ids_cost_few_requests(lab: Lab) -> None:
    ids = ",".join(str(vmid) for vmid in range(300, 1300))
    async with lab.client(PROTECTED, toolsets=("all",)) as attacker:
        await attacker.call("call_api", method="POST", path="/nodes/pve1/stopall", params={"vms": ids})
        assert len(lab.simulator.requests) < 50
