"""The npm package proxmox-api, on Node, which verifies the server's certificate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.running import PASSWORD, TOKEN, Served, client

SESSION = Path(__file__).parent / "sessions" / "proxmox_api_session.mjs"


@pytest.fixture(scope="module")
def seen(homelab: Served) -> dict[str, Any]:
    npm = client("npm")
    # Node looks for a package from where the script lies.
    script = shutil.copy(SESSION, npm.folder)
    result: dict[str, Any] = json.loads(npm.run(homelab, "node", script, str(homelab.port), PASSWORD, TOKEN))
    return result


def test_what_is_there(seen: dict[str, Any], homelab: Served) -> None:
    assert seen["version"] == homelab.api.version.get()["version"]
    assert seen["nodes"] == ["pve1", "pve2", "pve3"]
    rows = homelab.api.cluster.resources.get(type="vm")
    vms = {str(row["vmid"]): row["name"] for row in rows if row["type"] == "qemu"}
    assert {vmid: name for vmid, (name, _) in seen["guests"].items()} == vms
    assert seen["guests"]["100"] == ["web", "running"]
    assert set(seen["filter"]) == {"storage"}


def test_a_vm_from_birth_to_end(seen: dict[str, Any]) -> None:
    assert [seen[step] for step in ("create", "start", "current", "stop", "delete")] == [
        "OK",
        "OK",
        "running",
        "OK",
        "OK",
    ]
    assert (seen["config"]["description"], seen["config"]["cores"], seen["config"]["onboot"]) == (
        "schön\nund gut",
        2,
        1,
    )
    assert "500 VM 107 is running - destroy failed" in seen["deleteRunning"]
    assert "qemu-server/107.conf' does not exist" in seen["gone"]


def test_refusals_carry_the_field(seen: dict[str, Any]) -> None:
    assert "400 Parameter verification failed." in seen["badField"]
    assert '"cores":"type check (\'integer\') failed' in seen["badField"]


def test_the_agent_answers(seen: dict[str, Any]) -> None:
    assert seen["agent"] == {"host-name": "web"}


def test_a_broken_ticket_is_refused(seen: dict[str, Any]) -> None:
    # The client would renew a ticket if the reason were the one that its author knew; a node of today gives another.
    assert "401 Authentication failed!" in seen["brokenTicket"]


def test_a_wrong_password_is_refused(seen: dict[str, Any]) -> None:
    assert "login failed with 401: authentication failure" in seen["wrongPassword"]
