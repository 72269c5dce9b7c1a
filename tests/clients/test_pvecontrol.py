"""pvecontrol: the commands by which an operator looks at a cluster and empties a node."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.running import PASSWORD, Served, client

Command = Callable[..., str]


@pytest.fixture(scope="module")
def pvecontrol(homelab: Served, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Runs a command of pvecontrol; returns what it printed."""
    installed = client("pvecontrol")
    folder = tmp_path_factory.mktemp("pvecontrol")
    config = folder / "config.yaml"
    cluster = {"name": "lab", "host": f"127.0.0.1:{homelab.port}", "user": "root@pam", "password": PASSWORD}
    # JSON is YAML too.
    config.write_text(json.dumps({"clusters": [{**cluster, "ssl_verify": True}]}))

    def run(*arguments: str, ends_with: int = 0) -> str:
        options = ["--config", str(config), "--cluster", "lab"]
        program, variables = installed.program("pvecontrol"), {"HOME": str(folder), "TERM": "dumb"}
        return installed.run(homelab, program, *options, *arguments, variables=variables, ends_with=ends_with)

    return run


def rows(pvecontrol: Command, *arguments: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(pvecontrol("--output", "json", *arguments))
    return listed


def test_status(pvecontrol: Command) -> None:
    shown = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in pvecontrol("status").splitlines())
    }
    assert (shown["Name"], shown["Status"], shown["Online"], shown["Offline"]) == ("homelab", "healthy", "3", "0")
    assert (shown["VMs"], shown["Templates"]) == ("7", "1")


def test_lists_show_what_the_api_shows(pvecontrol: Command, homelab: Served) -> None:
    assert {row["node"]: row["maxcpu"] for row in rows(pvecontrol, "node", "list")} == {
        "pve1": 16,
        "pve2": 16,
        "pve3": 16,
    }
    vms = {row["vmid"]: row["name"] for row in homelab.api.cluster.resources.get(type="vm") if row["type"] == "qemu"}
    assert {row["vmid"]: row["name"] for row in rows(pvecontrol, "vm", "list")} == vms
    assert {row["storage"] for row in rows(pvecontrol, "storage", "list")} == {
        "local",
        "local-lvm",
        "nas",
        "backup-usb",
    }
    assert {row["userid"] for row in rows(pvecontrol, "user", "list")} >= {"root@pam", "alice@pve"}
    assert [row["groupid"] for row in rows(pvecontrol, "group", "list")] == ["operators"]
    assert len(rows(pvecontrol, "acl", "list")) == len(homelab.api.access.acl.get())


def test_a_task_of_the_past_is_explained(pvecontrol: Command, homelab: Served) -> None:
    listed = rows(pvecontrol, "task", "list")
    (failed,) = [task["upid"] for task in listed if task["exitstatus"] == "job errors"]
    assert "No space left on device" in pvecontrol("task", "get", failed)


def test_a_running_vm_is_migrated_and_its_log_followed(pvecontrol: Command, homelab: Served) -> None:
    shown = pvecontrol("vm", "migrate", "101", "--target", "pve1", "--online", "--follow")
    assert "starting migration of VM 101 to node 'pve1'" in shown
    assert "TASK OK" in shown
    moved = homelab.guest(101)
    assert moved is not None
    assert (moved["node"], moved["status"]) == ("pve1", "running")


def test_a_migration_that_cannot_be_says_why(pvecontrol: Command, homelab: Served) -> None:
    shown = pvecontrol("vm", "migrate", "105", "--target", "pve1", "--follow")
    assert "can't migrate local disk 'local-lvm:vm-105-disk-0': non-migratable snapshot exists" in shown
    stayed = homelab.guest(105)
    assert stayed is not None
    assert stayed["node"] == "pve2"


def test_checks_find_what_is_wrong(pvecontrol: Command) -> None:
    shown = pvecontrol("sanitycheck", ends_with=1)  # as something critical is among it
    assert "Node 'pve1' isn't in mem overcommit" in shown
    assert "HA Group checked" in shown
    assert "VM '103/legacy' is running but 'startonboot' is set to false" in shown
    assert "Storage 'pve1/local-lvm' have 6/6 disk used" in shown
    assert "Vm 104 (win11) is not associated to any backup job" in shown


def test_the_report_names_every_vm(pvecontrol: Command) -> None:
    shown = pvecontrol("report")
    for name in ("web", "db", "staging", "legacy"):
        assert name in shown


def test_a_vm_comes_back_from_a_backup(pvecontrol: Command, homelab: Served) -> None:
    kept = homelab.api.nodes("pve2").storage("nas").content.get(content="backup", vmid=100)
    newest = max(kept, key=lambda archive: archive["ctime"])["volid"]
    shown = pvecontrol("vm", "restore", "140", "--target", "pve2", "--archive", newest, "--storage", "nas", "--follow")
    assert "TASK OK" in shown
    restored = homelab.api.nodes("pve2").qemu(140).config.get()
    original = homelab.api.nodes("pve1").qemu(100).config.get()
    assert (restored["name"], restored["net0"]) == (original["name"], original["net0"])
    assert restored["scsi0"].startswith("nas:140/vm-140-disk-0.")
