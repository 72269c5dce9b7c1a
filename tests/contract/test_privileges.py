"""The role that the doctor proposes lets every tool do what it says, and gives nothing that no tool needs."""

import re

import anyio
import pytest

from proxmox_mcp.safety.doctor import role_lines
from proxmox_mcp.safety.privileges import needed_by, needed_by_all
from proxmox_mcp.tools import TOOLSETS
from pvesim import Simulator
from pvesim.core.errors import ApiError
from tests.contract.privileges import Check, Observed, observe

TOOLS = {tool.name: tool for toolset in TOOLSETS for tool in toolset.declarations}
# Tried one by one below.
OF_OPTIONS = {f"VM.Config.{kind}" for kind in ("CDROM", "CPU", "Disk", "HWType", "Memory", "Network", "Options")}
# The token's user is one more than the contract counts.
ONE_MORE = ("contract/access", "list users", "list_users")


@pytest.fixture(scope="module")
def with_the_role() -> Observed:
    """Every call of the contracts, by a token with the role that is printed for all tools."""
    [line] = [line for line in role_lines("mcp@pve", "admin", TOOLS.values()) if line.startswith("pveum role add")]
    found = re.search(r"--privs '([^']+)'", line)
    assert found is not None
    return anyio.run(observe, found[1].split())


def test_every_tool_works_with_the_role_that_is_printed(with_the_role: Observed) -> None:
    assert {step: why for step, why in with_the_role.failed.items() if step != ONE_MORE} == {}


def test_every_tool_has_all_that_it_is_asked_for(with_the_role: Observed) -> None:
    """With a role for that tool alone: no check that must be passed fails with it and passes with the whole."""
    for tool, checks in with_the_role.of_tools().items():
        held = needed_by(TOOLS[tool])
        lacking = {check for check in checks if check.any_of and not check.passes(held)}
        assert not lacking, tool


def test_without_any_one_privilege_something_would_not_work(with_the_role: Observed) -> None:
    """Leaving one out turns the answer to a check round: it is refused, or something is left out of what is shown."""
    whole = set(needed_by_all(TOOLS.values()))
    for privilege in whole - OF_OPTIONS:
        told = [
            check for checks in with_the_role.checks.values() for check in checks if _turns(check, whole, privilege)
        ]
        assert told, f"nothing asks for {privilege}"


def _turns(check: Check, held: set[str], privilege: str) -> bool:
    return check.passes(held) and not check.passes(held - {privilege})


def test_every_tool_is_known() -> None:
    """One that is not in the file asks for nothing: the API's description, and what is one's own."""
    free = {name for name, tool in TOOLS.items() if not needed_by(tool)}
    assert free == {
        "describe_api", "get_task_status", "list_container_templates", "list_roles", "search_api", "stop_task",
        "wait_for_task",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("privilege", "option"),
    [
        ("VM.Config.CDROM", {"ide2": "none,media=cdrom"}),
        ("VM.Config.CPU", {"cores": "2"}),
        ("VM.Config.Disk", {"scsi1": "local-lvm:1"}),
        ("VM.Config.HWType", {"machine": "q35"}),
        ("VM.Config.Memory", {"memory": "512"}),
        ("VM.Config.Network", {"net1": "virtio,bridge=vmbr0"}),
        ("VM.Config.Options", {"onboot": "1"}),
    ],
)
def test_every_kind_of_option_takes_its_privilege(privilege: str, option: dict[str, str]) -> None:
    """Which of them a call needs is its caller's choice, so the contracts do not try them one by one."""
    whole = needed_by_all([TOOLS["update_vm_config"], TOOLS["attach_disk"], TOOLS["set_nic"]])
    assert privilege in whole
    simulator = Simulator("homelab")
    for role, rest in (("Whole", whole), ("Less", [one for one in whole if one != privilege])):
        simulator.request("POST", "/access/roles", {"roleid": role, "privs": ",".join(rest)})
        simulator.request("POST", "/access/users", {"userid": f"{role}@pve"})
        simulator.request("PUT", "/access/acl", {"path": "/", "roles": role, "users": f"{role}@pve"})
    path = "/nodes/pve2/qemu/105/config"
    with pytest.raises(ApiError):
        simulator.request("PUT", path, option, user="Less@pve")
    simulator.request("PUT", path, option, user="Whole@pve")
