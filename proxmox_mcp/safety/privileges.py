"""Which privileges of PVE the tools need, for the doctor and for the role that it proposes.

Source: `privileges.json`, found out by making every call of the contracts with each privilege left away in turn; the
checks are those of the published schema and of PVE's code, as the simulator makes them.
"""

import json
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import TypedDict

from proxmox_mcp.tooling import Declaration


class Need(TypedDict):
    """What a tool needs: all of some privileges, and one of each of several."""

    all: list[str]
    any: list[list[str]]


FILE = Path(__file__).with_name("privileges.json")

# What the contracts do not show, for the simulator answers from what it made for another tool just before.
_BESIDES: dict[str, Need] = {
    "get_lxc_containers": {"all": ["VM.Audit"], "any": []},
    "get_backup_storage_locations": {"all": ["Datastore.Audit"], "any": []},
    "get_node_network": {"all": [], "any": [["SDN.Audit", "SDN.Use"]]},
}
# Of several of which any will do, those that give more than the others.
_WIDE = frozenset({"VM.GuestAgent.Unrestricted", "VM.Snapshot", "Datastore.Allocate", "Datastore.AllocateSpace"})
# Without these a tool shows less, and works.
_MORE = {"get_cluster_log": frozenset({"Sys.Syslog"})}
# Those of cloud-init take VM.Config.Network as well.
_OF_OPTIONS = tuple(f"VM.Config.{kind}" for kind in ("CDROM", "CPU", "Disk", "HWType", "Memory", "Network", "Options"))
# Tools with options of their caller's choice: which privilege it takes depends on the option.
_BY_OPTION = frozenset({"update_vm_config", "update_lxc_config", "create_vm", "create_lxc", "restore_backup"})


@cache
def _found() -> dict[str, Need]:
    found: dict[str, Need] = json.loads(FILE.read_text(encoding="utf-8"))
    return {**found, **_BESIDES}


def needed_by(tool: Declaration) -> tuple[str, ...]:
    """The privileges that a tool needs to do all that it can; on `/`, or on the guests and storages it is used on."""
    return needed_by_all([tool])


def needed_by_all(tools: Iterable[Declaration]) -> tuple[str, ...]:
    """The privileges that a set of tools needs, in order of their names; of several that would do, one."""
    named = [tool.name for tool in tools]
    needs = [_found()[name] for name in named if name in _found()]
    held = {privilege for need in needs for privilege in need["all"]}
    if _BY_OPTION.intersection(named):
        held.update(_OF_OPTIONS)
    for choice in (choice for need in needs for choice in need["any"]):
        if not held.intersection(choice):
            held.add(min(choice, key=lambda name: (name in _WIDE, not name.endswith(".Audit"))))
    return tuple(sorted(held))


def missed_by(tool: Declaration, held: Collection[str]) -> tuple[str, ...]:
    """The privileges without which a tool fails for who holds these."""
    need = _found().get(tool.name, {"all": [], "any": []})
    spared = {*_MORE.get(tool.name, ()), *held}
    for choice in need["any"]:
        if not spared.isdisjoint(choice):
            spared.update(choice)
    return tuple(privilege for privilege in needed_by(tool) if privilege not in spared)
