"""Asking for a guest to be moved to another node; the way itself is in `pvesim.guests.journey`.

Source: recorded exchanges `qemu-migrate/*`, `qemu-config/020`, `qemu-config/066`, `qemu-lock/011`, `lxc/077-078`,
`offline-node/009`; the order of the checks is PVE's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect, start_task
from pvesim.core.world import World
from pvesim.guests.journey import journey_of
from pvesim.guests.kinds import KINDS
from pvesim.guests.newcomers import check_node
from pvesim.guests.records import Guest, Kind
from pvesim.guests.replicas import check_live_target
from pvesim.guests.rules import check_lock, disks_of, find_guest, managed_by_ha
from pvesim.guests.travel import storage_map
from pvesim.ha.commands import request_move
from pvesim.routing import Call
from pvesim.storage.rules import check_enabled

_ROOT_ONLY = ("force", "migration_type", "migration_network")
_CONTENT = {"qemu": ("images", "vm images"), "lxc": ("rootdir", "container directories")}
DEFAULT_TIMEOUT = 180  # seconds that a container may take to shut down before it is moved


def migrate(kind: Kind, call: Call) -> str:
    """`POST …/migrate`; the UPID. Raises what can be seen before the task begins."""
    params, world, target = call.params, call.world, call.params["target"]
    if target in (call.node, "localhost"):
        raise ParameterErrors({"target": "target is local node."})
    check_node(world, target)
    if kind == "qemu":
        for name in _ROOT_ONLY:
            call.root_only(name)
    guest = find_guest(world, kind, call.node, params["vmid"])
    _check_state(guest, params)
    if kind == "qemu" and guest.running and not params.get("force"):
        check_live_target(world, guest, target)
    mapping = params.get("targetstorage") or params.get("target-storage")
    _check_storages(call, guest, target, mapping)
    word = KINDS[kind].word
    if managed_by_ha(world, guest):
        log = (f"Requesting HA migration for {word} {guest.vmid} to node {target}",)
        step = Step(0.3, log, "guests.ask_ha_to_move", (f"{KINDS[kind].sid}:{guest.vmid}", target))
        return call.start("hamigrate", guest.vmid, [step])
    return start_migration(world, guest, call.identity.name, target, params)


def _check_state(guest: Guest, params: Mapping[str, Any]) -> None:
    if guest.kind == "lxc":
        if guest.running and not (params.get("online") or params.get("restart")):
            raise Failure("can't migrate running container without --online or --restart")
        return
    check_lock(guest)
    if guest.running and not params.get("online"):
        raise Failure("can't migrate running VM without --online")


def _check_storages(call: Call, guest: Guest, target: str, mapping: str | None) -> None:
    """Raise unless the storages that volumes would go to are there on the target and may be written to."""
    pairs = storage_map(mapping)
    if pairs:
        call.check(f"/vms/{guest.vmid}", "VM.Config.Disk")
    content, words = _CONTENT[guest.kind]
    for name in pairs.values():
        storage = check_enabled(call.world, name, target)
        call.check(f"/storage/{name}", "Datastore.AllocateSpace")
        if content not in storage.content:
            raise Failure(f"storage '{name}' does not support {words}")
    if guest.kind == "qemu" and not pairs:
        for disk in disks_of("qemu", guest.config):
            if disk.storage and not disk.unused:
                check_enabled(call.world, disk.storage, target)


def start_migration(world: World, guest: Guest, user: str, target: str, params: Mapping[str, Any]) -> str:
    """Start the task that moves a guest; the UPID. `params` are those of `POST …/migrate`."""
    wanted = {
        "online": bool(params.get("online")),
        "restart": bool(params.get("restart")),
        "with-local-disks": bool(params.get("with-local-disks")),
        "targetstorage": params.get("targetstorage") or params.get("target-storage"),
        "force": bool(params.get("force")),
        "timeout": params.get("timeout") or DEFAULT_TIMEOUT,
        "bwlimit": int(params.get("bwlimit") or 0),
    }
    steps, cleanup = journey_of(guest, target, wanted)
    type = "qmigrate" if guest.kind == "qemu" else "vzmigrate"
    return start_task(world, guest.node, type, guest.vmid, user, steps, cleanup=cleanup)


@effect("guests.ask_ha_to_move")
def _ask_ha(world: World, task: Task, sid: str, target: str) -> None:
    request_move(world, sid, "migrate", target)
