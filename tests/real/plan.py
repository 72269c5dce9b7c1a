"""What of a scenario a node can be brought to, and what its names are called there."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pvesim.scenario import Scenario
from pvesim.scenario.firewall_model import FirewallModel
from pvesim.scenario.model import ContainerModel, GuestModel, StorageModel
from pvesim.scenario.steps import ContractStepModel
from tests.real.found import Found
from tests.real.names import PREFIX, Names, ids_of, mapped_ids
from tests.real.risks import is_refused, risk_of

_FIREWALL_WRITES = frozenset(("add_firewall_rule", "update_firewall_rule", "delete_firewall_rule"))
_SNAPSHOT_TOOLS = frozenset(
    ("create_snapshot", "list_snapshots", "update_snapshot", "rollback_snapshot", "delete_snapshot")
)
_HA_RULES = frozenset(("set_ha_rule", "delete_ha_rule", "get_ha_setup"))
# What these name is made by one step and gone on with by others.
_MADE = ("job_id", "rule", "zone", "vnet", "iface", "newid")
_ANY_CONTENT = "backup,images,iso,rootdir,vztmpl"
_REFERENCE = re.compile(r"\$\{([^.}]+)")
_USER = re.compile(r"(?<![\w.-])[a-z][\w.-]*@pve(?![\w.-])")
FOLDER = "/var/tmp/pvemcp-test"
"""Where the run's directory storages lie on the node. PVE's API removes no directory: empty ones stay there."""
# What a freshly installed node has; scenarios that name no storages mean these.
_USUAL: dict[str, StorageModel] = {
    "local": StorageModel(type="dir", config={"content": "backup,iso,vztmpl"}),
    "local-lvm": StorageModel(type="lvmthin", config={"content": "images,rootdir"}),
}


BACKING_UP = frozenset(("create_backup", "run_backup_job"))
_TELLS_OF_BACKUPS = frozenset(
    (
        *("list_backups", "get_backup_status", "get_storage_content", "preview_prune", "prune_backups"),
        *("diagnose_guest", "diagnose_cluster"),
    )
)
NO_VM_BACKUPS = "the node cannot back up virtual machines"


class Plan:
    """One scenario on one node.

    Attributes:
        storages, vms, containers: what of the scenario is made there; the rest is about other nodes, or other storage.
        absent: the names of what is not, and cannot be spoken of.
        not_locked: guests that are made, though not locked as the scenario has them.
    """

    def __init__(self, scenario: Scenario, found: Found) -> None:
        self.scenario, self.found = scenario, found
        self.node = next(iter(scenario.nodes), "pve1")
        every = _USUAL if scenario.storages is None else scenario.storages
        self.storages = {name: model for name, model in every.items() if _possible(model)}
        thin = [name for name, model in self.storages.items() if model.type == "lvmthin"]
        # Two storages on one pool would show each other's disks, so that only one is on it.
        self.on_thin_pool = thin[0] if thin and found.thin_pool is not None else None
        gone = every.keys() - self.storages.keys()
        self.vms = {vmid: model for vmid, model in scenario.vms.items() if self._is_here(model, gone)}
        containers = {} if found.no_containers else scenario.containers
        self.containers = {vmid: model for vmid, model in containers.items() if self._is_here(model, gone)}
        self.absent = {*gone, *(scenario.nodes.keys() - {self.node}), *filter(None, [scenario.cluster.name])}
        self.absent_ids = {*scenario.vms, *scenario.containers} - {*self.vms, *self.containers}
        guests = {**self.vms, **self.containers}
        self.not_locked = {vmid for vmid in guests if "lock" in guests[vmid].config and not found.is_root}
        self._left_out: dict[str, str] = dict(self._steps_left_out())

    def _is_here(self, guest: GuestModel, gone: set[str]) -> bool:
        disks = [str(value).partition(":")[0] for value in guest.config.values()]
        return guest.node in (None, self.node) and not gone.intersection(disks)

    def hindrance(self) -> str | None:
        """Why the scenario as a whole cannot be on that node; None if it can."""
        scenario, found = self.scenario, self.found
        guests = [*self.vms.values(), *self.containers.values()]
        tools = {step.call.tool for step in scenario.contract}
        filtered = scenario.firewall != FirewallModel() or bool(tools & _FIREWALL_WRITES)
        cards = any(key.startswith("net") for guest in guests for key in guest.config)
        switched_on = bool(scenario.firewall.cluster.options.get("enable"))
        reasons = {
            "it has guests that are made in numbers": bool(scenario.fleet.vms or scenario.fleet.containers),
            "it injects faults": bool(scenario.faults or scenario.timeline),
            "it has realms or roles of its own": bool(scenario.realms or scenario.roles),
            "the node has no bridge": cards and found.bridge is None,
            "the node has firewall rules of its own": filtered and found.firewall_in_use,
            "it switches the firewall on, which other guests on the node would notice": switched_on
            and bool(found.guests),
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def left_out(self, step: ContractStepModel) -> str | None:
        """Why a step cannot be run on that node; None if it can."""
        return self.hindrance() or self._left_out.get(step.name)

    def _steps_left_out(self) -> Iterator[tuple[str, str]]:
        known: set[str] = set()
        missing: set[str] = set()
        for step in self.scenario.contract:
            why = step.simulated_only or self._why(step)
            used = set(_REFERENCE.findall(_text(step))) & known
            if why is None and used:
                why = f"it goes on from a step that is left out ({', '.join(sorted(used))})"
            about_it = step.error is None or step.user is not None
            if why is None and about_it and (name := _named_in(_text(step), missing)):
                why = f"it goes on with {name}, which a step that is left out would make"
            if why is not None:
                known.add(step.name)
                if step.error is None and step.call.tool not in BACKING_UP:
                    missing |= {str(value) for key, value in step.call.arguments.items() if key in _MADE}
                yield step.name, why

    def _why(self, step: ContractStepModel) -> str | None:
        tool, arguments = step.call.tool, step.call.arguments
        if why := risk_of(step, self.scenario, self.found) or self._not_before_9(step):
            return why
        if tool == "list_unprotected_guests" and self.found.backs_up_all and step.error is None:
            return "the node has a backup job that takes all guests"
        if tool in _SNAPSHOT_TOOLS and self._in_a_folder(arguments.get("vmid")):
            return "a directory holds no snapshots of containers, and the node has no thin pool"
        text = _text(step)
        if self.found.vm_backups_fail is not None and (
            self._backs_up_a_vm(step) or self._needs_a_vm_backup(step, text)
        ):
            return NO_VM_BACKUPS
        thin = [name for name, model in self.storages.items() if model.type == "lvmthin" and self.is_folder(name)]
        if any(f"{name}:vm-" in json.dumps(arguments) for name in thin):
            return "a disk in a directory has another name, and the node has no thin pool for it"
        if name := _named_in(text, self.absent):
            return f"it speaks of {name}, which a single node with its own disks does not have"
        if self.found.no_containers and (tool == "create_lxc" or _named_in(text, map(str, self.scenario.containers))):
            return "the node makes no containers of the template that was brought along"
        if vmid := _named_in(text, {str(vmid) for vmid in self.absent_ids}):
            return f"it speaks of guest {vmid}, which is not on the one node"
        if _named_in(text, {str(vmid) for vmid in self.not_locked}):
            return "only root@pam, with its password, can lock guests"
        return None

    def _not_before_9(self, step: ContractStepModel) -> str | None:
        if self.found.major >= 9:
            return None
        if step.call.tool in _HA_RULES and step.error is None:
            return f"PVE {self.found.major} has groups for high availability, no rules"
        if "VM.GuestAgent" in (step.error or ""):
            return f"PVE {self.found.major} has one privilege for all that an agent does"
        return None

    def _backs_up_a_vm(self, step: ContractStepModel) -> bool:
        """A step that comes to making a backup; a job is taken to have a machine among its guests."""
        vmid = step.call.arguments.get("vmid")
        about = vmid is None or vmid in self.vms
        return step.call.tool in BACKING_UP and about and not is_refused(step, self.scenario)

    def _needs_a_vm_backup(self, step: ContractStepModel, text: str) -> bool:
        """A step that is told of backups which the scenario has, and the node could not make."""
        if not any(backup.guest in self.vms for model in self.storages.values() for backup in model.backups):
            return False
        return "vzdump" in text or (step.call.tool in _TELLS_OF_BACKUPS and step.error is None)

    def is_folder(self, name: str) -> bool:
        """Whether a storage of the scenario is a directory there, and not the thin pool."""
        return name != self.on_thin_pool

    def _in_a_folder(self, vmid: Any) -> bool:
        container = self.containers.get(vmid)
        return container is not None and self.is_folder(self.storage_of(container))

    def storage_of(self, container: ContainerModel) -> str:
        """Where a container's root file system is: where the scenario says, else on the first that takes one."""
        said = str(container.config.get("rootfs", "")).partition(":")[0]
        return said or next(name for name in self.storages if "rootdir" in self.content_of(name).split(","))

    def content_of(self, name: str) -> str:
        """What a storage of the scenario takes, as PVE writes it."""
        content = self.storages[name].config.get("content", _ANY_CONTENT)
        return ",".join(content) if isinstance(content, list) else str(content)

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
            jobs={job: f"{PREFIX}{job}" for job in self._backup_jobs()},
            groups={group: f"{PREFIX}{group}" for group in scenario.groups},
            volumes=words,
            identity=identity,
        )

    def _backup_jobs(self) -> set[str]:
        steps = [step.call for step in self.scenario.contract if "backup_job" in step.call.tool]
        return {call.arguments["job_id"] for call in steps if "job_id" in call.arguments}


def _possible(storage: StorageModel) -> bool:
    """Directories are made, and stand in for file systems of the node that it may not have."""
    return storage.type in ("dir", "lvmthin", "zfspool") and storage.active


def _named_in(text: str, names: Iterable[str]) -> str | None:
    return next((name for name in sorted(names) if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)), None)


def _text(step: ContractStepModel) -> str:
    """All that a step says but its name, to look for words in."""
    return json.dumps(step.model_dump(exclude={"name", "simulated_only"}), ensure_ascii=False)


def _named(scenario: Scenario, key: str) -> set[str]:
    found: set[Any] = {step.call.arguments.get(key) for step in scenario.contract}
    return {name for name in found if isinstance(name, str)}
