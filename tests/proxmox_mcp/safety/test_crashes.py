"""What is left when a server dies in the middle of a call, its clock jumps, or its policy is changed under it."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.approval import Approvals
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.server import build_server
from proxmox_mcp.settings import Settings
from pvesim import Simulator
from tests.proxmox_mcp.safety.test_approval import act

pytestmark = pytest.mark.anyio


def server(folder: Path, simulator: Simulator, **options: Any) -> Any:
    settings = Settings(access="admin", state_dir=folder / "state", retries=0, **options)
    return build_server(settings, Pve(settings, simulator.connect, cluster="lab", user="root@pam"))


async def _die_at_the_request(folder: Path) -> None:
    simulator = Simulator("homelab")

    class Dying(Pve):
        async def request(self, method: Any, *args: Any, **kwargs: Any) -> Any:
            if method != "GET":
                os._exit(9)
            return await super().request(method, *args, **kwargs)

    settings = Settings(access="admin", state_dir=folder / "state", retries=0)
    pve = Dying(settings, simulator.connect, cluster="lab", user="root@pam")
    async with Client(build_server(settings, pve)) as client:
        await client.call_tool("create_snapshot", {"vmid": 105, "name": "now"})


def _run(folder: Path) -> None:
    anyio.run(_die_at_the_request, folder)


async def test_a_server_that_dies_leaves_what_it_was_about_to_do_on_record(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 9
    audit = Audit(tmp_path / "state")
    [begun] = audit.records()
    assert (begun["event"], begun["tool"], begun["guests"]) == ("begin", "create_snapshot", [105])
    # The next server goes on with the chain, and the guest counts against its limits.
    policy = tmp_path / "policy.toml"
    policy.write_text("[limits]\nguests_per_hour = 1\n")
    async with Client(server(tmp_path, Simulator("homelab"), policy=policy)) as client:
        refused = await client.call_tool("create_snapshot", {"vmid": 102, "name": "now"})
        assert refused.is_error
        assert not (await client.call_tool("create_snapshot", {"vmid": 105, "name": "now"})).is_error
    assert audit.verify().problem == ""
    assert [record["event"] for record in audit.records()] == ["begin", "refused", "begin", "end"]


@pytest.mark.parametrize(("jump", "state"), [(-3600.0, "pending"), (-30.0, "approved"), (3600.0, "pending")])
def test_an_approval_does_not_outlive_a_clock_that_jumps(tmp_path: Path, jump: float, state: str) -> None:
    """Back by more than a minute it is dated in the future, and might be anybody's; forward it has expired."""
    now = [1_000_000.0]
    store = Approvals(tmp_path / "state", 600, lambda: now[0])
    _, request = store.take(act())
    store.decide(request.code, True)
    now[0] += jump
    assert store.take(act())[0] == state


async def test_a_policy_that_is_changed_counts_from_the_next_start(tmp_path: Path) -> None:
    simulator = Simulator("homelab")
    policy = tmp_path / "policy.toml"
    policy.write_text("protected = [105]\n")
    async with Client(server(tmp_path, simulator, policy=policy)) as client:
        policy.write_text("")
        still = await client.call_tool("update_vm_config", {"vmid": 105, "options": {"onboot": 1}})
        assert "guest 105 is protected" in str(still.content)
    async with Client(server(tmp_path, simulator, policy=policy)) as client:
        assert not (await client.call_tool("update_vm_config", {"vmid": 105, "options": {"onboot": 1}})).is_error
