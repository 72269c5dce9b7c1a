"""Changing the configuration of a virtual machine. Source: recorded exchanges `qemu-config/*`, `qemu-power/025-047`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pvesim.contract import split_list
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect, next_due, run_until
from pvesim.core.world import World
from pvesim.guests.checks import check_encoded_ssh_keys, check_networks
from pvesim.guests.configfile import check_writable, digest_of
from pvesim.guests.locks import require_unlocked, start_locked
from pvesim.guests.options import UPDATE_ONLY, option_exists
from pvesim.guests.records import Guest
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.updates import check_protection, really_pending, release, take_back, without_empty
from pvesim.guests.volumes import drop_readded, free_volume, in_use
from pvesim.qemu.cloudinit import with_change
from pvesim.qemu.create import check_script, requested_options
from pvesim.qemu.drives import boot_order, check_access, is_drive, make_drives, print_boot_order, read_drive
from pvesim.qemu.hotplug import takes_at_once
from pvesim.qemu.privileges import check_options
from pvesim.routing import Call

CONFIG_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Update:
    """One verified update: what to set, what to delete (`force`: with its volume), what to take back."""

    options: Mapping[str, Any]
    delete: tuple[str, ...] = ()
    revert: tuple[str, ...] = ()
    force: bool = False
    log: str = ""


def update_now(call: Call) -> None:
    """`PUT …/config`: the change is made when this returns."""
    update = _checked(call)
    log: list[str] = []
    _apply(call.world, call.node, call.params["vmid"], update, log)


def update_in_task(call: Call) -> str | None:
    """`POST …/config`: the change is made by a task; its UPID.

    With `background_delay` the answer waits some seconds for the task, always longer than it takes, and is empty if it
    has ended well. Raises `Failure` if it has not.
    """
    update, vmid = _checked(call), call.params["vmid"]
    arguments = (vmid, dict(update.options), update.delete, update.revert, update.force)
    step = Step(CONFIG_SECONDS, (update.log,), "qemu.configure", arguments)
    upid = start_locked(call.world, "qemu", call.node, "qmconfig", vmid, call.identity.name, [step])
    if not call.params.get("background_delay"):
        return upid
    while (due := next_due(call.world, upid)) is not None:
        run_until(call.world, due)
    status = call.world.rows(Task)[upid].exitstatus
    if status != "OK":
        raise Failure(f"failed to update VM {vmid}: {status}")
    return None


def unlink(call: Call) -> None:
    """`PUT …/unlink`: an update that only deletes; PVE takes any option here, not only drives."""
    asked = {"vmid": call.params["vmid"], "delete": call.params["idlist"], "force": call.params.get("force")}
    update = _checked(call, asked)
    _apply(call.world, call.node, call.params["vmid"], update, [])


@effect("qemu.configure")
def _configure(
    world: World,
    task: Task,
    vmid: int,
    options: Mapping[str, Any],
    delete: Sequence[str],
    revert: Sequence[str],
    force: bool,
) -> Iterable[Step]:
    log: list[str] = []
    _apply(world, task.node, vmid, Update(options, tuple(delete), tuple(revert), force), log)
    return [Step(log=tuple(log))] if log else []


def _guest(call: Call) -> Guest:
    return find_guest(call.world, "qemu", call.node, call.params["vmid"])


# -- what may be asked ---------------------------------------------------------------------------------------------


def _checked(call: Call, params: Mapping[str, Any] | None = None) -> Update:
    """The update that a request or `params` ask for. Raises in PVE's order: names, rights, the guest, digest, lock."""
    call.root_only("skiplock")
    params = call.params if params is None else params
    given = {key: value for key, value in params.items() if key not in UPDATE_ONLY and value is not None}
    if not given and not params.get("delete") and not params.get("revert"):
        raise Failure("no options specified")
    check_encoded_ssh_keys(given.get("sshkeys") or "")
    log = _log_line(params["vmid"], given)
    options = requested_options(call.world, given)
    revert = _names(params.get("revert"), "revert", options, ())
    delete = _names(params.get("delete"), "delete", options, revert)
    check_options(call, params["vmid"], None, delete)
    check_options(call, params["vmid"], None, options)
    check_access(call, params["vmid"], options, None)
    check_networks(call, options)
    check_script(call, options)
    guest = _guest(call)
    require_unlocked(call.world, "qemu", guest.vmid)
    if params.get("digest") and params["digest"] != digest_of(call.world, guest):
        raise Failure("checksum mismatch (file change by other user?)")
    check_lock(guest, skip=bool(params.get("skiplock")))
    _check_memory(guest, options)
    _check_drive_rights(call, options, delete, guest)
    options, delete = without_empty(guest, options, delete)
    return Update(options, delete, revert, bool(params.get("force")), log)


def _log_line(vmid: int, given: Mapping[str, Any]) -> str:
    shown = {key: "<hidden>" if key == "cipassword" else value for key, value in given.items()}
    words = [f"-{key} {_written(value)}" for key, value in sorted(shown.items())]
    return f"update VM {vmid}: {' '.join(words)}"


def _written(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _names(text: str | None, what: str, options: Mapping[str, Any], reverted: Sequence[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for given in split_list(text or ""):
        name = "ide2" if given == "cdrom" and what == "delete" else given
        if what == "delete" and name in options:
            raise ParameterErrors({"delete": f"you can't use '-{name}' and -delete {name}' at the same time"})
        if name in reverted:
            raise ParameterErrors({"revert": f"you can't use '-{name}' and '-revert {name}' at the same time"})
        if not option_exists("qemu", name):
            raise ParameterErrors({what: f"unknown option '{name}'"})
        if what == "revert" and name in options:
            raise ParameterErrors({"delete": f"you can't use '-{name}' and -revert {name}' at the same time"})
        names[name] = None
    return tuple(names)


def _check_memory(guest: Guest, options: Mapping[str, Any]) -> None:
    if "memory" not in options and "balloon" not in options:
        return
    merged = {**guest.config, **{key: value for key, value in guest.pending.items() if value is not None}, **options}
    memory = int(str(merged.get("memory", 512)).removeprefix("current="))
    if int(merged.get("balloon") or 0) > memory:
        raise Failure("balloon value too large (must be smaller than assigned memory)")


def _check_drive_rights(call: Call, options: Mapping[str, Any], delete: Sequence[str], guest: Guest) -> None:
    path = f"/vms/{guest.vmid}"
    for key, text in options.items():
        if is_drive(key):
            call.check(path, "VM.Config.CDROM" if read_drive(key, str(text)).cdrom else "VM.Config.Disk")
    for key in delete:
        if is_drive(key) or key.startswith("unused"):
            call.check(path, "VM.Config.Disk")


# -- what it does --------------------------------------------------------------------------------------------------


def _apply(world: World, node: str, vmid: int, update: Update, log: list[str]) -> None:
    guest = find_guest(world, "qemu", node, vmid)
    check_writable("qemu", update.options)
    config, pending = take_back(world, guest, update.revert)
    guest = replace(guest, config=config, pending=pending)
    world.put(guest)
    changed: list[str] = []
    for key in update.delete:
        guest = _delete(world, guest, key, changed, log)
    for key, value in update.options.items():
        guest = _set(world, guest, key, value, update, changed, log)
    world.put(guest)
    for key in changed:
        guest = _settle(world, guest, key, update.force and key in update.delete)
    world.put(replace(guest, config=drop_readded("qemu", dict(guest.config)), pending=really_pending(guest)))


def _delete(world: World, guest: Guest, key: str, changed: list[str], log: list[str]) -> Guest:
    config, pending = dict(guest.config), dict(guest.pending)
    value = config.get(key) if key in config else pending.get(key)
    if value is None:
        log.append(f"cannot delete '{key}' - not set in current configuration!")
        return guest
    if key.startswith("unused"):
        check_protection(guest, f"can't remove unused disk '{value}'")
        if not in_use(guest, str(value), besides=key):
            free_volume(world, guest.node, str(value), guest.vmid)
        del config[key]
        return replace(guest, config=config)
    if is_drive(key):
        check_protection(guest, f"can't remove drive '{key}'")
    config, pending = take_back(world, guest, [key])
    if key in config:
        pending[key] = None
        changed.append(key)
    devices = _devices(config, pending)
    if key in devices:
        pending["boot"] = print_boot_order([device for device in devices if device != key])
        changed.append("boot")
    return replace(guest, config=config, pending=pending)


def _devices(config: Mapping[str, Any], pending: Mapping[str, Any]) -> list[str]:
    return boot_order({"boot": pending.get("boot") or config.get("boot", "")})


def _set(world: World, guest: Guest, key: str, value: Any, update: Update, changed: list[str], log: list[str]) -> Guest:
    config, pending = dict(guest.config), dict(guest.pending)
    if is_drive(key):
        config, pending = take_back(world, guest, [key])
        asked = read_drive(key, str(value))
        value = make_drives(world, guest.node, guest.vmid, {key: value}, None, log)[key]
        devices = _devices(config, pending)
        if devices and asked.cdrom and not asked.cloudinit and key not in devices and "boot" not in update.options:
            pending["boot"] = print_boot_order([*devices, key])
            changed.append("boot")
    elif key == "boot" and str(value).startswith("order="):
        present = {*config, *(name for name, text in pending.items() if text is not None), *update.options}
        for device in boot_order({"boot": value}):
            if device not in present or device in update.delete:
                raise Failure(f"invalid bootorder: device '{device}' does not exist'")
        if config.get("bootdisk"):
            pending["bootdisk"] = None
            changed.append("bootdisk")
    pending[key] = value
    changed.append(key)
    return replace(guest, config=config, pending=pending)


def _settle(world: World, guest: Guest, key: str, force: bool) -> Guest:
    """The guest with one pending change made real, unless it runs and cannot take it."""
    if key not in guest.pending:
        return guest
    value = guest.pending[key]
    if guest.running and not takes_at_once(guest.config, key, value):
        return guest
    config = dict(guest.config)
    before = config.pop(key, None)
    if value is not None:
        config[key] = value
    if is_drive(key) and before is not None:
        release(world, guest, config, key, str(before), force=force)
    pending = {name: waiting for name, waiting in guest.pending.items() if name != key}
    return replace(guest, config=config, pending=pending, cloudinit=with_change(guest, key, value))
