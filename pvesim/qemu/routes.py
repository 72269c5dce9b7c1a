"""The power actions of virtual machines."""

from __future__ import annotations

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.guests.power import require_running, run, run_or_ask_ha
from pvesim.guests.records import Guest
from pvesim.guests.rules import guest_at, is_paused, managed_by_ha, require_existing
from pvesim.qemu.power import state_storage
from pvesim.routing import Call, route
from pvesim.storage.rules import find_storage

_STATUS = "/nodes/{node}/qemu/{vmid}/status"
_ROOT_ONLY_AT_START = (
    "skiplock",
    "stateuri",
    "migratedfrom",
    "migration_type",
    "migration_network",
    "targetstorage",
    "force-cpu",
    "nets-host-mtu",
    "with-conntrack-state",
)


def _root_only(call: Call, *parameters: str) -> None:
    for parameter in parameters:
        call.root_only(parameter)


def _guest(call: Call) -> Guest | None:
    return guest_at(call.world, "qemu", call.node, call.params["vmid"])


def _running(call: Call) -> Guest:
    vmid = call.params["vmid"]
    return require_running(require_existing(call.world, "qemu", call.node, vmid), "qemu", vmid)


def _run(call: Call, action: str, *arguments: object) -> str:
    return run(call.world, "qemu", call.node, action, call.params["vmid"], call.identity.name, *arguments)


@route("POST", f"{_STATUS}/start")
def start(call: Call) -> str:
    _root_only(call, *_ROOT_ONLY_AT_START)
    if call.params.get("targetstorage") and not call.params.get("migratedfrom"):
        raise ParameterErrors({"targetstorage": "targetstorage can only by used with migratedfrom."})
    return run_or_ask_ha(call, "qemu", "start", _guest(call), bool(call.params.get("skiplock")))


@route("POST", f"{_STATUS}/stop")
def stop(call: Call) -> str:
    _root_only(call, "skiplock", "keepActive", "migratedfrom")
    overrule = bool(call.params.get("overrule-shutdown"))
    return run_or_ask_ha(call, "qemu", "stop", _guest(call), bool(call.params.get("skiplock")), overrule=overrule)


@route("POST", f"{_STATUS}/shutdown")
def shutdown(call: Call) -> str:
    _root_only(call, "skiplock", "keepActive")
    guest, skiplock, force = _guest(call), bool(call.params.get("skiplock")), bool(call.params.get("forceStop"))
    if guest is not None and is_paused(guest):  # it could not heed the request before it is resumed
        if not force:
            raise Failure("VM is paused - cannot shutdown")
        return run_or_ask_ha(call, "qemu", "stop", guest, skiplock)
    return run_or_ask_ha(call, "qemu", "shutdown", guest, skiplock, call.params.get("timeout"), force)


@route("POST", f"{_STATUS}/reboot")
def reboot(call: Call) -> str:
    guest = _guest(call)
    if guest is not None and is_paused(guest):
        raise Failure("VM is paused - cannot shutdown")
    _running(call)
    return _run(call, "reboot", call.params.get("timeout"))


@route("POST", f"{_STATUS}/reset")
def reset(call: Call) -> str:
    _root_only(call, "skiplock")
    _running(call)
    return _run(call, "reset", bool(call.params.get("skiplock")))


@route("POST", f"{_STATUS}/suspend")
def suspend(call: Call) -> str:
    _root_only(call, "skiplock")
    guest, skiplock = _running(call), bool(call.params.get("skiplock"))
    if call.params.get("todisk"):
        storage = _storage_for_state(call, guest)
        return _run(call, "suspend_to_disk", skiplock, storage)
    return _run(call, "suspend", skiplock)


def _storage_for_state(call: Call, guest: Guest) -> str:
    if managed_by_ha(call.world, guest):
        raise Failure("Cannot suspend HA managed VM to disk")
    name: str = call.params.get("statestorage") or state_storage(call.world, guest)
    call.check(f"/storage/{name}", "Datastore.AllocateSpace")
    return find_storage(call.world, name).storage


@route("POST", f"{_STATUS}/resume")
def resume(call: Call) -> str:
    _root_only(call, "skiplock", "nocheck")
    guest = _guest(call)
    if guest is None or guest.lock != "suspended":
        _running(call)
    return _run(call, "resume", bool(call.params.get("skiplock")))
