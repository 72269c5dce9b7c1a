"""What of a scenario a node can be brought to, and what its names are called there."""

import json
import re
from collections.abc import Iterator
from typing import Any

from proxmox_mcp.tools import TOOLSETS
from pvesim.scenario import Scenario
from pvesim.scenario.firewall_model import FirewallModel
from pvesim.scenario.model import GuestModel, StorageModel
from pvesim.scenario.steps import ContractStepModel
from tests.real.names import PREFIX, Names, ids_of, mapped_ids
from tests.real.node import Found

_READS = frozenset(tool.name for toolset in TOOLSETS for tool in toolset.declarations if tool.risk == "read")
# Their writes are not about the run's own guests, storages and users.
_NODE_WIDE = {
    "networking": "it would change the node's own network",
    "node_admin": "it would change the node itself",
    "availability": "high availability would arm the node's watchdog",
}
_WRITES = {
    tool.name: why
    for toolset in TOOLSETS
    for tool in toolset.declarations
    if tool.name not in _READS and (why := _NODE_WIDE.get(toolset.name))
}
_WATCHED = frozenset(name for name, why in _WRITES.items() if why == _NODE_WIDE["availability"])
_TOO_LOW = "is not available at access level"
_HA_READS = frozenset(("get_cluster_ha_status", "get_ha_setup"))
_FIREWALL_WRITES = frozenset(("add_firewall_rule", "update_firewall_rule", "delete_firewall_rule"))
_SNAPSHOT_TOOLS = frozenset(
    ("create_snapshot", "list_snapshots", "update_snapshot", "rollback_snapshot", "delete_snapshot")
)
_REFERENCE = re.compile(r"\$\{([^.}]+)")
_USER = re.compile(r"(?<![\w.-])[a-z][\w.-]*@pve(?![\w.-])")
FOLDER = "/var/tmp/pvemcp-test"
"""Where the run's directory storages lie on the node. PVE's API removes no directory: empty ones stay there."""
# What a freshly installed node has; scenarios that name no storages mean these.
_USUAL: dict[str, StorageModel] = {
    "local": StorageModel(type="dir", config={"content": "backup,iso,vztmpl"}),
    "local-lvm": StorageModel(type="lvmthin", config={"content": "images,rootdir"}),
}


class Plan:
    """One scenario on one node.

    Attributes:
        storages, vms, containers: what of the scenario is made there; the rest is about other nodes, or other storage.
        absent: the names of what is not, and cannot be spoken of.
    """

    def __init__(self, scenario: Scenario, found: Found) -> None:
        self.scenario, self.found = scenario, found
        self.node = next(iter(scenario.nodes), "pve1")
        every = _USUAL if scenario.storages is None else scenario.storages
        self.storages = {name: model for name, model in every.items() if _possible(model)}
        gone = every.keys() - self.storages.keys()
        self.vms = {vmid: model for vmid, model in scenario.vms.items() if self._is_here(model, gone)}
        self.containers = {vmid: model for vmid, model in scenario.containers.items() if self._is_here(model, gone)}
        self.absent = {*gone, *(scenario.nodes.keys() - {self.node}), *filter(None, [scenario.cluster.name])}
        self.absent_ids = {*scenario.vms, *scenario.containers} - {*self.vms, *self.containers}
        self._left_out: dict[str, str] = dict(self._steps_left_out())

    def _is_here(self, guest: GuestModel, gone: set[str]) -> bool:
        disks = [str(value).partition(":")[0] for value in guest.config.values()]
        return guest.node in (None, self.node) and not gone.intersection(disks)

    def hindrance(self) -> str | None:
        """Why the scenario as a whole cannot be on that node; None if it can."""
        scenario, found = self.scenario, self.found
        guests = [*self.vms.values(), *self.containers.values()]
        locked = any("lock" in guest.config for guest in guests)
        tools = {step.call.tool for step in scenario.contract}
        filtered = scenario.firewall != FirewallModel() or bool(tools & _FIREWALL_WRITES)
        cards = any(key.startswith("net") for guest in guests for key in guest.config)
        reasons = {
            "it has guests that are made in numbers": bool(scenario.fleet.vms or scenario.fleet.containers),
            "it injects faults": bool(scenario.faults or scenario.timeline),
            "it has realms or roles of its own": bool(scenario.realms or scenario.roles),
            "the node has no container template": bool(self.containers) and found.template is None,
            "the node has no bridge": cards and found.bridge is None,
            "only root@pam, with its password, can lock guests": locked and not found.is_root,
            "the node has firewall rules of its own": filtered and found.firewall_in_use,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def left_out(self, step: ContractStepModel) -> str | None:
        """Why a step cannot be run on that node; None if it can."""
        return self.hindrance() or self._left_out.get(step.name)

    def _steps_left_out(self) -> Iterator[tuple[str, str]]:
        known: set[str] = set()
        for step in self.scenario.contract:
            why = step.simulated_only or self._why(step)
            used = set(_REFERENCE.findall(_text(step)))
            if why is None and used & known:
                why = f"it goes on from a step that is left out ({', '.join(sorted(used & known))})"
            if why is not None:
                known.add(step.name)
                yield step.name, why

    def _why(self, step: ContractStepModel) -> str | None:
        tool, arguments = step.call.tool, step.call.arguments
        refused = step.error is not None and (step.user is not None or _TOO_LOW in step.error)
        bearable = self.found.throwaway and tool not in _WATCHED
        if tool in _WRITES and not refused and not bearable:
            return _WRITES[tool]
        if tool in _HA_READS and (self.scenario.ha.resources or len(self.scenario.nodes) > 1):
            return _NODE_WIDE["availability"]
        # Rules do nothing while the firewall is off, which it stays.
        if tool == "set_firewall_options" and "vmid" not in arguments and not refused:
            return "it would change the firewall of the node itself"
        if tool in _SNAPSHOT_TOOLS and arguments.get("vmid") in self.containers and self.found.thin_pool is None:
            return "a directory holds no snapshots of containers, and the node has no thin pool"
        text = _text(step)
        if self.found.thin_pool is None and any(f"{name}:vm-" in json.dumps(arguments) for name in self._thin()):
            return "a disk in a directory has another name, and the node has no thin pool"
        for name in sorted(self.absent):
            if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
                return f"it speaks of {name}, which a single node with its own disks does not have"
        for vmid in sorted(self.absent_ids):
            if re.search(rf"(?<!\w){vmid}(?!\w)", text):
                return f"it speaks of guest {vmid}, which is not on the one node"
        return None

    def _thin(self) -> list[str]:
        return [name for name, model in self.storages.items() if model.type == "lvmthin"]

    def names(self, first: int, last: int, identity: str) -> Names:
        """The names of the scenario and of the node, both ways.

        Raises:
            RangeTooSmall: the scenario has more ids than the range.
        """
        found, scenario = self.found, self.scenario
        words = {"vmbr0": found.bridge} if found.bridge and found.bridge != "vmbr0" else {}
        for storage, model in self.storages.items():
            for volume in model.volumes:
                if volume.name.startswith("vztmpl/") and found.template:
                    words[f"{storage}:{volume.name}"] = found.template
        made = [step.call.arguments for step in scenario.contract if step.call.tool == "create_storage"]
        words |= {arguments["options"]["path"]: f"{FOLDER}{arguments['options']['path']}" for arguments in made}
        storages = {*self.storages, *(arguments["storage"] for arguments in made)}
        users = {*scenario.users, *(name for step in scenario.contract for name in _USER.findall(_text(step)))}
        pools = {*scenario.pools, *_named(scenario, "poolid"), *_named(scenario, "pool")}
        return Names(
            ids=mapped_ids(ids_of(scenario), first, last),
            storages={name: f"{PREFIX}{name}" for name in storages},
            nodes=(self.node, found.node),
            users={userid: f"{PREFIX}{userid}" for userid in users},
            pools={pool: f"{PREFIX}s-{pool}" for pool in pools},
            groups={group: f"{PREFIX}{group}" for group in scenario.groups},
            volumes=words,
            identity=identity,
        )


def _possible(storage: StorageModel) -> bool:
    return storage.type in ("dir", "lvmthin") and storage.active


def _text(step: ContractStepModel) -> str:
    """All that a step says but its name, to look for words in."""
    return json.dumps(step.model_dump(exclude={"name", "simulated_only"}), ensure_ascii=False)


def _named(scenario: Scenario, key: str) -> set[str]:
    found: set[Any] = {step.call.arguments.get(key) for step in scenario.contract}
    return {name for name in found if isinstance(name, str)}
