"""Ansible's collection `community.proxmox`: playbooks as people write them, each in `playbooks/`.

Left out, because the module fails before any node, simulated or genuine, would be asked:

- `proxmox_kvm` with `state: paused` or `hibernated`: it hands its own function an argument that this does not take.

And where the module cannot tell whether there is something to do, a second run reports a change on a genuine node too:
`proxmox_user` with a password, `proxmox_disk` with a format, `proxmox` (containers) with `update: true`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.clients.running import PASSWORD, TOKEN, Client, Served, client

PLAYBOOKS = Path(__file__).parent / "playbooks"
Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ansible() -> Client:
    return client("ansible")


BY_PASSWORD = {"PROXMOX_PASSWORD": PASSWORD}
BY_TOKEN = {"PROXMOX_TOKEN_ID": "automation", "PROXMOX_TOKEN_SECRET": TOKEN}


def play(
    ansible: Client,
    served: Served,
    folder: Path,
    playbook: str,
    credentials: Mapping[str, str] = BY_PASSWORD,
    **given_to_play: str,
) -> Results:
    """Run a playbook; what each of its tasks returned, by the task's name. No task may fail."""
    given = [part for name, value in given_to_play.items() for part in ("-e", f"{name}={value}")]
    # As JSON: the path of an environment may hold a space.
    interpreter = json.dumps({"ansible_python_interpreter": str(ansible.program("python"))})
    inventory = ["-i", "localhost,", "-c", "local", "-e", interpreter]
    variables = {
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "PROXMOX_HOST": "127.0.0.1",
        "PROXMOX_PORT": str(served.port),
        "PROXMOX_VALIDATE_CERTS": "true",
        "PROXMOX_USER": "root@pam",
        **credentials,
    }
    program = ansible.program("ansible-playbook")
    printed = ansible.run(
        served, program, *inventory, *given, PLAYBOOKS / f"{playbook}.yaml", variables=variables, cwd=folder
    )
    (done,) = json.loads(printed)["plays"]
    return {task["task"]["name"]: task["hosts"]["localhost"] for task in done["tasks"]}


def changed(results: Results) -> list[str]:
    return [name for name, result in results.items() if result["changed"]]


def test_a_vm_is_made_once(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    first = play(ansible, homelab, tmp_path, "vm")
    assert changed(first) == list(first)
    config = homelab.api.nodes("pve1").qemu(300).config.get()
    assert config["scsi0"] == f"{first['create']['devices']['scsi0']},discard=on,size=8G"
    assert config["scsi1"] == "local-lvm:vm-300-disk-1,size=6G"
    assert config["net0"] == f"virtio={first['create']['mac']['net0']},bridge=vmbr0,firewall=1"
    assert config["net1"] == "virtio=BC:24:11:0A:0B:0C,bridge=vmbr0,tag=30"
    assert (config["tags"], config["parent"]) == ("prod;shop", "fresh")
    running = homelab.guest(300)
    assert running is not None
    assert (running["status"], running["maxmem"]) == ("running", 1024**3)

    again = play(ansible, homelab, tmp_path, "vm")
    assert changed(again) == []
    assert homelab.api.nodes("pve1").qemu(300).config.get() == config


def test_a_vm_lives_and_goes(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    if homelab.guest(300) is None:
        play(ansible, homelab, tmp_path, "vm")
    done = play(ansible, homelab, tmp_path, "vm_life")
    asked = {"is it running", "info", "stopped already", "clone again", "remove while it runs", "removed already"}
    assert set(done) - set(changed(done)) == asked
    assert done["is it running"]["status"] == "running"
    (info,) = done["info"]["proxmox_vms"]
    assert (info["name"], info["status"], info["config"]["cores"]) == ("shop", "running", 2)
    assert done["clone again"]["msg"] == "vmid 301 with VM name shop-copy already exists"
    assert [vmid for vmid in (300, 301, 302) if homelab.guest(vmid)] == []
    for node in ("pve1", "pve2"):
        for storage in ("local-lvm", "nas"):
            left = homelab.api.nodes(node).storage(storage).content.get()
            assert [volume["volid"] for volume in left if volume.get("vmid") in (300, 301, 302)] == []


def test_a_cloud_image_becomes_a_machine(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    done = play(ansible, homelab, tmp_path, "cloud")
    assert changed(done) == list(done)
    assert homelab.guest(320) is None
    tasks = homelab.api.cluster.tasks.get()
    ended = {task["type"]: task["status"] for task in tasks if task["id"] == "320"}
    # A clone is a task of what was cloned, and options are set without one.
    assert ended == dict.fromkeys(["resize", "qmstart", "qmreboot", "qmigrate", "qmshutdown", "qmdestroy"], "OK")


def test_a_container_is_made_once(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    first = play(ansible, homelab, tmp_path, "container")
    assert changed(first) == list(first)
    config = homelab.api.nodes("pve1").lxc(310).config.get()
    assert (config["hostname"], config["features"], config["unprivileged"]) == ("proxy", "nesting=1", 1)
    assert config["rootfs"] == "local-lvm:vm-310-disk-0,size=4G"
    assert config["mp0"] == "local-lvm:vm-310-disk-1,mp=/srv,size=2G"
    assert homelab.api.nodes("pve1").lxc(310).status.current.get()["status"] == "running"

    again = play(ansible, homelab, tmp_path, "container")
    assert changed(again) == []
    assert homelab.api.nodes("pve1").lxc(310).config.get() == config


def test_a_container_lives_and_goes(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    if homelab.guest(310) is None:
        play(ansible, homelab, tmp_path, "container")
    done = play(ansible, homelab, tmp_path, "container_life")
    assert set(done) - set(changed(done)) == {"info", "stopped already", "removed already"}
    (info,) = done["info"]["proxmox_vms"]
    assert (info["vmid"], info["status"]) == (310, "running")
    assert {interface["name"] for interface in info["network"]} >= {"lo", "eth0"}
    assert [vmid for vmid in (310, 311, 312) if homelab.guest(vmid)] == []


def test_people_and_pools(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    first = play(ansible, homelab, tmp_path, "access")
    assert changed(first) == list(first)
    bob = homelab.api.access.users("bob@pve").get()
    assert (bob["firstname"], bob["groups"], bob["enable"]) == ("Bob", ["developers"], 1)
    (pool,) = homelab.api.pools.get(poolid="shop")
    assert {member["id"] for member in pool["members"]} >= {"qemu/104", "storage/pve1/local-lvm"}
    rights = homelab.api.access.permissions.get(userid="bob@pve", path="/vms/104")["/vms/104"]
    assert "VM.PowerMgmt" in rights
    assert changed(play(ansible, homelab, tmp_path, "access")) == []

    undone = play(ansible, homelab, tmp_path, "access_undone")
    same = {"pool with members", "pool again", "user again", "group again"}
    assert set(undone) - set(changed(undone)) == same
    assert "bob@pve" not in [user["userid"] for user in homelab.api.access.users.get()]
    assert "shop" not in [pool["poolid"] for pool in homelab.api.pools.get()]
    assert "/pool/shop" not in [entry["path"] for entry in homelab.api.access.acl.get()]


def test_storages_and_what_lies_in_them(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    image = tmp_path / "tiny-linux.iso"
    image.write_bytes(bytes(range(256)) * 4000)
    appliance = "alpine-3.22-default_20250617_amd64.tar.xz"
    done = play(ansible, homelab, tmp_path, "storage", image=str(image), appliance=appliance)
    assert set(done) - set(changed(done)) == {"upload again", "removed already"}
    templates = homelab.api.nodes("pve2").storage("nas").content.get(content="vztmpl")
    assert f"nas:vztmpl/{appliance}" in [volume["volid"] for volume in templates]
    assert "archive" not in [storage["storage"] for storage in homelab.api.storage.get()]


def test_backups(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    done = play(ansible, homelab, tmp_path, "backup")
    assert done["of some guests"]["changed"]
    archives = homelab.api.nodes("pve2").storage("nas").content.get(content="backup")
    notes = {archive["vmid"]: archive["notes"] for archive in archives if "playbook" in archive.get("notes", "")}
    assert notes == {105: "staging by playbook", 202: "sandbox by playbook"}
    assert {archive["vmid"] for archive in archives} >= {100, 101, 203}


def test_everything_can_be_asked(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    done = play(ansible, homelab, tmp_path, "info", BY_TOKEN)
    assert changed(done) == []
    assert {node["node"] for node in done["nodes"]["proxmox_nodes"]} == {"pve1", "pve2", "pve3"}
    shown = {guest["vmid"]: guest["status"] for guest in done["guests"]["proxmox_vms"]}
    lists = [
        getattr(homelab.api.nodes(node), kind).get() for node in ("pve1", "pve2", "pve3") for kind in ("qemu", "lxc")
    ]
    assert shown == {guest["vmid"]: guest["status"] for guests in lists for guest in guests}
    assert {guest["vmid"] for guest in done["containers of a node"]["proxmox_vms"]} >= {200, 910}
    assert [storage["storage"] for storage in done["storage of a type"]["proxmox_storages"]] == ["nas"]
    assert len(done["images"]["proxmox_storage_content"]) == 3
    assert {user["userid"] for user in done["users of a realm"]["proxmox_users"]} >= {"alice@pve", "mcp@pve"}
    assert [group["users"] for group in done["group"]["proxmox_groups"]] == [["alice@pve"]]
    assert {realm["realm"] for realm in done["realms"]["proxmox_domains"]} == {"pam", "pve"}
    assert any(task["type"] == "vzdump" and task["id"] == "101" for task in done["tasks"]["proxmox_tasks"])
    assert [rule["type"] for rule in done["firewall of a VM"]["firewall_rules"]] == ["group", "in"]


def test_what_belongs_to_the_cluster(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    first = play(ansible, homelab, tmp_path, "cluster")
    assert changed(first) == list(first)
    ha = homelab.api.cluster.ha
    assert {resource["sid"] for resource in ha.resources.get()} == {"vm:101", "vm:102"}
    assert ha.rules("apart").get()["affinity"] == "negative"
    (subnet,) = homelab.api.cluster.sdn.vnets("backyard").subnets.get()
    assert (subnet["cidr"], subnet["gateway"], subnet["dhcp-range"]) == ("10.20.0.0/24", "10.20.0.1", [])
    # The module applies what it changes.
    assert homelab.api.cluster.sdn.zones.get(pending=1) == [{"zone": "inner", "type": "simple"}]
    (rule,) = homelab.api.cluster.firewall.groups("database").get()
    assert (rule["dport"], rule["source"]) == ("5432", "10.10.10.0/24")
    assert changed(play(ansible, homelab, tmp_path, "cluster")) == []

    undone = play(ansible, homelab, tmp_path, "cluster_undone")
    assert set(undone) - set(changed(undone)) == {"zones", "networks", "addresses", "group"}
    assert [zone["zone"] for zone in undone["zones"]["zones"]] == ["inner"]
    assert [zone["zone"] for zone in homelab.api.cluster.sdn.zones.get()] == []
    assert {resource["sid"] for resource in ha.resources.get()} == {"vm:102"}
    assert "database" not in [group["group"] for group in homelab.api.cluster.firewall.groups.get()]


def test_a_job_takes_a_guest_in_and_out(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    job = {"id": "nightly", "schedule": "02:30", "storage": "nas", "vmid": "100,101", "mode": "snapshot", "enabled": 1}
    homelab.api.cluster.backup.post(**job)
    done = play(ansible, homelab, tmp_path, "schedule")
    assert changed(done) == ["in the job", "out of the job"]
    (found,) = done["jobs of the VM"]["backup_info"]
    assert (found["id"], found["schedule"], found["vm_name"]) == ("nightly", "02:30", "staging")
    assert found["next-run"].endswith("02:30:00")
    assert [job["vmid"] for job in done["jobs"]["backup_info"]] == ["100,101,105"]
    assert homelab.api.cluster.backup("nightly").get()["vmid"] == "100,101"


def test_the_inventory_groups_guests(ansible: Client, homelab: Served, tmp_path: Path) -> None:
    source = tmp_path / "lab.proxmox.yml"
    credentials = {"user": "mcp@pve", "token_id": "auditor", "token_secret": "00000000-0000-4000-8000-00000000000a"}
    facts = {"want_facts": True, "qemu_extended_statuses": True, "validate_certs": True}
    groups = {"keyed_groups": [{"key": "proxmox_tags_parsed", "prefix": "tag"}]}
    url = f"https://127.0.0.1:{homelab.port}"
    # JSON is YAML too.
    source.write_text(json.dumps({"plugin": "community.proxmox.proxmox", "url": url, **credentials, **facts, **groups}))
    variables = {"ANSIBLE_HOME": str(tmp_path / "ansible")}
    program = ansible.program("ansible-inventory")
    inventory = json.loads(ansible.run(homelab, program, "-i", source, "--list", variables=variables))

    shown = {
        host for group in inventory for host in inventory[group].get("hosts", []) if group.startswith("proxmox_all_")
    }
    rows = homelab.api.cluster.resources.get(type="vm")
    assert shown == {row["name"] for row in rows if not row["template"]}
    assert set(inventory["tag_prod"]["hosts"]) == {"web", "db", "git"}
    assert inventory["proxmox_all_paused"]["hosts"] == ["win11"]
    assert set(inventory["proxmox_pool_production"]["hosts"]) == {"web", "db", "git"}
    web = inventory["_meta"]["hostvars"]["web"]
    addresses = [address for card in web["proxmox_agent_interfaces"] for address in card["ip-addresses"]]
    assert "10.10.10.100/24" in json.dumps(addresses)
