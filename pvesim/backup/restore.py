"""What restoring machines and containers has in common: who may, the task, and what is left when it fails.

Source: recorded exchanges `backup/018-025`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pvesim.access.rules import Identity, has_privileges
from pvesim.backup.archive import contents_of
from pvesim.backup.records import RestoreRun
from pvesim.core.errors import ApiError, Failure, Forbidden
from pvesim.core.tasks import Step, Task, effect, start_task
from pvesim.core.world import World
from pvesim.guests.disks import volumes_in
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import lock_step, unlock
from pvesim.guests.newcomers import check_id_free
from pvesim.guests.options import with_mac
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import check_lock
from pvesim.guests.volumes import free_volume
from pvesim.routing import Call
from pvesim.storage.records import Volume

BYTES_PER_SECOND = 400 * 1024**2
SHORTEST, LONGEST = 1.0, 20.0


def refusal(kind: Kind, vmid: int, reason: str) -> Failure:
    """The error of a restore."""
    return Failure(f"unable to restore {KINDS[kind].word} {vmid} - {reason}")


def replaced_guest(call: Call, kind: Kind) -> Guest | None:
    """The guest that a restore with `force` replaces: of the same kind, on the same node."""
    guest = call.world.get(Guest, call.params["vmid"])
    if guest is None or not call.params.get("force") or (guest.kind, guest.node) != (kind, call.node):
        return None
    return guest


def check_may_restore(call: Call, replaced: Guest | None, pool: str | None) -> bool:
    """Raise `Forbidden` unless who asks may make the guest, or back up the one that is replaced.

    False where it is the latter: then the firewall stays as it is.
    """
    vmid = call.params["vmid"]
    if call.may(f"/vms/{vmid}", "VM.Allocate") or (pool and call.may(f"/pool/{pool}", "VM.Allocate")):
        return True
    if replaced is None or not call.may(f"/vms/{vmid}", "VM.Backup"):
        raise Forbidden("Permission check failed")
    return False


def start_restore(call: Call, kind: Kind, step: str, replaced: Guest | None, request: Mapping[str, Any]) -> str:
    """Lock the guest, or its id, and start the task; the UPID. Raises `Failure` for an id or a guest that is taken."""
    world, vmid = call.world, call.params["vmid"]
    try:
        if replaced is None:
            check_id_free(world, vmid)
            world.put(Guest(vmid, kind, call.node, {"lock": "create"}))
        else:
            check_lock(replaced)
            world.put(replace(replaced, config={**replaced.config, "lock": "create"}))
    except ApiError as error:
        raise refusal(kind, vmid, error.message) from None
    existed = replaced is not None
    steps = [lock_step(kind, vmid), Step(effect=step, arguments=(vmid, {**request, "existed": existed}))]
    cleanup = Step(effect="backup.restore_over", arguments=(vmid,))
    type = f"{KINDS[kind].task}restore"
    upid = start_task(world, call.node, type, vmid, call.identity.name, steps, cleanup=cleanup)
    world.put(RestoreRun(upid, vmid, existed))
    return upid


def put_restored(world: World, task: Task, guest: Guest) -> None:
    """The guest is complete; whatever happens to the task from now on, it stays."""
    world.put(guest)
    world.remove(RestoreRun, task.upid)


@effect("backup.restore_over")
def _over(world: World, task: Task, vmid: int) -> None:
    """Where nothing was restored, a guest that was there is let go, and a new id is free again."""
    guest, run = world.get(Guest, vmid), world.get(RestoreRun, task.upid)
    world.remove(RestoreRun, task.upid)
    if guest is not None and run is not None:
        if run.existed:
            world.put(replace(guest, config={key: value for key, value in guest.config.items() if key != "lock"}))
        else:
            for volid in volumes_in(guest.kind, guest.config):
                free_volume(world, guest.node, volid, vmid)
            world.remove(Guest, vmid)
    unlock(world, task, vmid)


def task_may(world: World, task: Task, path: str, privilege: str) -> bool:
    """Whether the user of a task has a privilege."""
    return has_privileges(world, Identity(task.user, task.tokenid), path, (privilege,))


def is_root(task: Task) -> bool:
    """Whether a task is root's own, not a token's."""
    return Identity(task.user, task.tokenid).is_root


def restore_firewall(world: World, archive: Volume, vmid: int) -> None:
    """Give the guest the firewall that was in the archive, if there was one."""
    firewall = contents_of(archive).firewall
    if firewall is not None:
        world.put(replace(firewall, scope=f"guest/{vmid}"))


def new_macs(world: World, kind: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with a new hardware address for each interface."""
    return {
        key: _with_new_mac(world, kind, key, str(value)) if key[:3] == "net" and key[3:].isdigit() else value
        for key, value in config.items()
    }


def _with_new_mac(world: World, kind: Kind, key: str, text: str) -> str:
    own = ("macaddr", "hwaddr")
    parts = [part for part in text.split(",") if part.partition("=")[0] not in own]
    if kind == "qemu":  # the address may stand behind the model: `virtio=BC:24:…`
        parts[0] = parts[0].partition("=")[0] if ":" in parts[0] else parts[0]
    return with_mac(world, kind, key, ",".join(parts))


def duration(data: int) -> float:
    """How long it takes to write that many bytes."""
    return min(LONGEST, max(SHORTEST, data / BYTES_PER_SECOND))
