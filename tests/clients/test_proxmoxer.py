"""proxmoxer: what a script of a user asks and does, by password and by token, over verified TLS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.running import PASSWORD, TOKEN, Served, client

SESSION = Path(__file__).parent / "sessions" / "proxmoxer_session.py"


@pytest.fixture(scope="module")
def seen(homelab: Served, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    proxmoxer = client("proxmoxer")
    folder = tmp_path_factory.mktemp("files")
    arguments = [str(homelab.port), str(homelab.authority), PASSWORD, TOKEN, str(folder)]
    result: dict[str, Any] = json.loads(proxmoxer.run(homelab, proxmoxer.program("python"), SESSION, *arguments))
    return result


def test_both_ways_to_log_in(seen: dict[str, Any]) -> None:
    assert seen["version"] == seen["same by token"]
    assert "Couldn't authenticate user: root@pam" in seen["wrong password"]


def test_a_vm_from_birth_to_end(seen: dict[str, Any]) -> None:
    assert seen["task"] == {"node": "pve1", "type": "qmcreate", "id": "107", "user": "root@pam"}
    for step in ("create", "snapshot", "start", "stop", "delete"):
        assert seen[step] == "OK", step
    assert seen["config"]["scsi0"] == "local-lvm:vm-107-disk-0,size=4G"
    assert seen["running"] == "running"
    assert set(seen["snapshots"]) == {"one", "current"}
    assert seen["gone"]["status"] == 500
    assert seen["gone"]["message"] == "Configuration file 'nodes/pve1/qemu-server/107.conf' does not exist"


def test_what_was_written_is_read(seen: dict[str, Any]) -> None:
    config = seen["changed config"]
    assert (config["description"], config["tags"], config["cores"]) == ("two lines\nand an ümlaut", "a;b", 2)
    assert seen["rule"] == "by proxmoxer"


def test_refusals_are_pves(seen: dict[str, Any]) -> None:
    assert (seen["stale"]["status"], seen["delete running"]["status"]) == (500, 500)
    assert seen["delete running"]["message"] == "VM 107 is running - destroy failed"
    assert seen["bad fields"]["status"] == 400
    assert set(seen["bad fields"]["errors"]) == {"cores", "colour"}
    assert seen["carol sees"] == []
    assert seen["carol may not"]["status"] == 403
    assert seen["carol may not"]["message"] == "Permission check failed (/vms/100, VM.PowerMgmt)"


def test_files_arrive_whole(seen: dict[str, Any], homelab: Served) -> None:
    assert (seen["upload"], seen["upload with checksum"]) == ("OK", "OK")
    assert seen["images"]["local:iso/small.iso"] == 600_000
    assert seen["images"]["local:iso/larger.iso"] == 3_000_000
    left = [item["volid"] for item in homelab.api.nodes("pve1").storage("local").content.get(content="iso")]
    assert "local:iso/small.iso" not in left
