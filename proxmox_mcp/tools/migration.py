"""Migration: guests moved to another node, after a look at what stands in the way."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument, Locked, RequestRefused, WrongState
from proxmox_mcp.locate import Guest, Kind
from proxmox_mcp.results import Result, bytes_text
from proxmox_mcp.tasks import State, parse_upid
from proxmox_mcp.tooling import Call, NodeName, Risk, StorageName, Toolset, Vmid, WaitSeconds
from proxmox_mcp.tools.guests import read_status
from proxmox_mcp.tools.writing import STILL_RUNS, word_of

migration = Toolset("migration", "Move guests to another node")

Target = Annotated[NodeName, Field(description="Node to move to")]
TargetStorage = Annotated[StorageName, Field(description="Storage there for its local disks; by default their own")]
CheckOnly = Annotated[bool, Field(description="Only tell what stands in the way")]

_VOLUME_KEY = re.compile(r"rootfs|mp\d+")


class Migration(Result):
    """A migration: what stands in its way, and its task once it was started.

    `obstacles` make it impossible as it was asked for; `warnings` do not.
    """

    vmid: int
    node: str
    target: str
    possible: bool
    running: bool
    obstacles: list[str] | None = None
    warnings: list[str] | None = None
    upid: str | None = None
    state: State | None = None
    exit_status: str | None = None
    note: str | None = None
    log_tail: list[str] | None = None


@migration.tool(risk=Risk.CHANGE, title="Move a VM to another node")
async def migrate_vm(
    call: Call,
    vmid: Vmid,
    target: Target,
    node: NodeName | None = None,
    with_local_disks: Annotated[bool, Field(description="A running VM: copy disks that are not shared, too")] = False,
    target_storage: TargetStorage | None = None,
    check_only: CheckOnly = False,
    wait_seconds: WaitSeconds = 0,
) -> Migration:
    """Move a VM to another node; one that runs goes on running. Says what stands in the way before it starts."""
    params: dict[str, Any] = {"with-local-disks": with_local_disks or None, "targetstorage": target_storage}
    return await _migrate(call, "qemu", vmid, target, node, params, target_storage, check_only, wait_seconds)


@migration.tool(
    risk=Risk.CHANGE,
    title="Move a container to another node",
    interrupts=lambda arguments: bool(arguments["restart"]) and not arguments["check_only"],
)
async def migrate_lxc(
    call: Call,
    vmid: Vmid,
    target: Target,
    node: NodeName | None = None,
    restart: Annotated[bool, Field(description="A running one: shut it down, move it, start it there")] = False,
    target_storage: TargetStorage | None = None,
    check_only: CheckOnly = False,
    wait_seconds: WaitSeconds = 0,
) -> Migration:
    """Move a container to another node; one that runs is restarted there. Says what stands in the way."""
    params: dict[str, Any] = {"restart": restart or None, "target-storage": target_storage}
    return await _migrate(call, "lxc", vmid, target, node, params, target_storage, check_only, wait_seconds)


async def _migrate(
    call: Call,
    kind: Kind,
    vmid: int,
    target: str,
    node: str | None,
    params: dict[str, Any],
    target_storage: str | None,
    check_only: bool,
    wait_seconds: int,
) -> Migration:
    guest = await call.guests.find(vmid, node, kind, check=True)
    plan = await _Plan.read(call, guest, target, params, target_storage)
    obstacles, warnings = list(plan.obstacles()), [*plan.warnings(), *await _ha_warnings(call, plan)]
    found = Migration(
        vmid=vmid,
        node=guest.node,
        target=target,
        possible=not obstacles,
        running=plan.running,
        obstacles=obstacles or None,
        warnings=warnings or None,
    )
    if check_only:
        return found
    if obstacles:
        raise WrongState(f"{word_of(guest)} cannot be moved to {target}: {'; '.join(obstacles)}.", plan.advice())
    if kind == "qemu" and plan.running:
        params = {**params, "online": True}
    upid = await call.pve.post(f"{guest.path}/migrate", target=target, **params)
    task = await call.tasks.follow(upid, wait_seconds, call.report)
    call.guests.forget()
    note = STILL_RUNS if task.state == "running" else None
    if task.state != "running" and parse_upid(upid).type.startswith("ha"):
        note = "The guest is under high availability: its manager was asked, and moves it in a task of its own."
    told = {"upid": upid, "state": task.state, "exit_status": task.exit_status, "log_tail": task.log_tail}
    return found.model_copy(update={**told, "note": note})


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is known of a migration before it starts."""

    guest: Guest
    target: str
    params: Mapping[str, Any]
    target_storage: str | None
    status: Mapping[str, Any]
    found: Mapping[str, Any]
    """What PVE finds out itself (`GET …/migrate`)."""
    config: Mapping[str, Any]
    """Of a container: for a VM, PVE looks at the disks itself."""
    resources: Sequence[dict[str, Any]]

    @classmethod
    async def read(
        cls, call: Call, guest: Guest, target: str, params: Mapping[str, Any], target_storage: str | None
    ) -> "_Plan":
        resources = await call.pve.get("/cluster/resources")
        nodes = sorted(record["node"] for record in resources if record["type"] == "node")
        if target not in nodes:
            raise InvalidArgument(f"There is no node {target}; there are: {', '.join(nodes)}.", "Give one as target.")
        if target == guest.node:
            raise WrongState(f"{word_of(guest)} is on {target} already.", "Nothing is left to do.")
        status = await read_status(call, guest)
        try:
            found = await call.pve.get(f"{guest.path}/migrate", target=target)
        except Locked:
            # PVE tells nothing of a guest that a task holds; that it is held is in its status, too.
            found = {}
        config = await call.pve.get(f"{guest.path}/config") if guest.kind == "lxc" else {}
        return cls(guest, target, params, target_storage, status, found, config, resources)

    @property
    def running(self) -> bool:
        return self.status.get("status") == "running"

    @property
    def _node(self) -> dict[str, Any]:
        return next(record for record in self.resources if record["type"] == "node" and record["node"] == self.target)

    def obstacles(self) -> Iterator[str]:
        """What makes it impossible as it was asked for."""
        if self._node.get("status") != "online":
            yield f"node {self.target} is {self._node.get('status', 'unknown')}"
            return
        if lock := self.status.get("lock"):
            yield f"the guest is locked ({lock})"
        yield from self._refused_by_pve()
        yield from self._bound_to_the_node()
        yield from self._without_storage()
        if self.guest.kind == "lxc" and self.running and not self.params.get("restart"):
            yield "it runs, and a running container is moved by a restart only: set restart"
        disks = [disk for disk in self._local_disks() if not disk.get("cdrom")]
        if self.guest.kind == "qemu" and self.running and disks and not self.params.get("with-local-disks"):
            named = ", ".join(_disk_text(disk) for disk in disks)
            yield f"it runs, and has local disks ({named}): set with_local_disks to copy them"

    def warnings(self) -> Iterator[str]:
        """What does not stand in the way, but should be known."""
        memory, free = int(self.status.get("maxmem") or 0), _free(self._node)
        if self.running and memory > free:
            yield f"it may take {bytes_text(memory)} of memory, and {self.target} has {bytes_text(free)} free"
        disks = [disk for disk in self._local_disks() if not disk.get("cdrom")]
        if disks:
            yield f"{bytes_text(sum(int(disk.get('size') or 0) for disk in disks))} of local disks are copied"

    def advice(self) -> str:
        others = self.found.get("allowed_nodes", self.found.get("allowed-nodes")) or ()
        fitting = sorted(set(others) - {self.target})
        return f"Put that right first; PVE would allow: {', '.join(fitting)}." if fitting else "Put that right first."

    def _local_disks(self) -> list[dict[str, Any]]:
        return list(self.found.get("local_disks") or ())

    def _refused_by_pve(self) -> Iterator[str]:
        refused = self.found.get("not_allowed_nodes", self.found.get("not-allowed-nodes")) or {}
        for reason, what in (refused.get(self.target) or {}).items():
            # A storage that the caller replaces is not needed there.
            if reason == "unavailable_storages" and self.target_storage:
                continue
            named = ", ".join(str(item.get("sid", item)) if isinstance(item, dict) else str(item) for item in what)
            yield f"{reason.replace('_', ' ').replace('-', ' ')}: {named}"

    def _bound_to_the_node(self) -> Iterator[str]:
        devices = [str(device) for device in self.found.get("local_resources") or ()]
        if devices:
            yield f"it uses hardware of its node: {', '.join(devices)}"
        for disk in self._local_disks():
            if disk.get("cdrom") and not disk.get("is_cloudinit"):
                yield f"{disk.get('drivename', 'a CD drive')} holds {disk['volid']}, which is not shared: take it out"
        for key, value in self.config.items():
            if re.fullmatch(r"mp\d+", key) and str(value).startswith("/") and "shared=1" not in str(value):
                yield f"{key} is a directory of its node"

    def _without_storage(self) -> Iterator[str]:
        there = {
            record["storage"]
            for record in self.resources
            if record["type"] == "storage" and record["node"] == self.target and record.get("status") == "available"
        }
        wanted = {self.target_storage} if self.target_storage else _storages(self.config)
        missing = sorted(wanted - there)
        if missing:
            yield f"storage {', '.join(missing)} does not work on {self.target}"


def _storages(config: Mapping[str, Any]) -> set[str]:
    """The storages of a container's volumes."""
    values = [str(value) for key, value in config.items() if _VOLUME_KEY.fullmatch(key)]
    return {value.partition(":")[0] for value in values if ":" in value and not value.startswith("/")}


def _free(node: Mapping[str, Any]) -> int:
    return int(node.get("maxmem") or 0) - int(node.get("mem") or 0)


def _disk_text(disk: Mapping[str, Any]) -> str:
    size = f" {bytes_text(int(disk['size']))}" if disk.get("size") else ""
    return f"{disk.get('drivename', disk.get('volid'))}{size}"


async def _ha_warnings(call: Call, plan: _Plan) -> list[str]:
    """What high availability would make of it: a rule may send the guest elsewhere again."""
    if not (plan.status.get("ha") or {}).get("managed"):
        return []
    sid = f"{'vm' if plan.guest.kind == 'qemu' else 'ct'}:{plan.guest.vmid}"
    try:
        rules = await call.pve.get("/cluster/ha/rules")
    except RequestRefused as error:
        return [f"the rules of high availability could not be read ({error.what})"]
    return list(_against(rules, sid, plan.target))


def _against(rules: Iterable[Mapping[str, Any]], sid: str, target: str) -> Iterator[str]:
    for rule in rules:
        names = str(rule.get("resources", "")).split(",")
        if rule.get("type") != "node-affinity" or rule.get("disable") or sid not in names:
            continue
        priority = {name: int(level or 0) for name, _, level in _nodes(rule)}
        if target not in priority:
            bound = "only" if rule.get("strict") else "rather"
            yield f"HA rule {rule['rule']} keeps it {bound} on {', '.join(sorted(priority))}"
        elif priority[target] < max(priority.values()):
            best = max(priority, key=lambda name: priority[name])
            yield f"HA rule {rule['rule']} prefers {best}, so it may move back"


def _nodes(rule: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for entry in str(rule.get("nodes", "")).split(","):
        yield entry.partition(":")
