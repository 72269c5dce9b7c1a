"""Making a virtual machine. Source: recorded exchanges `qemu-create/*`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.cluster.records import Cluster, Release
from pvesim.core.errors import ApiError, Failure, ParameterErrors
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.checks import check_encoded_ssh_keys, check_hookscript, check_networks
from pvesim.guests.configfile import check_writable
from pvesim.guests.locks import start_locked, unlock
from pvesim.guests.newcomers import add_to_pool, check_id_free, check_may_create, check_pool
from pvesim.guests.options import option_exists, stored, unique_tags, with_mac
from pvesim.guests.power import failing, run
from pvesim.guests.records import Behaviour, Guest
from pvesim.qemu.drives import boot_order, check_access, default_boot_order, make_drives
from pvesim.qemu.power import BOOT_SECONDS
from pvesim.qemu.privileges import check_options
from pvesim.qemu.shacrypt import salt_of, sha256_crypt
from pvesim.routing import Call

CREATE_SECONDS = 0.6
# Parameters that say how to make the guest, and are no options of it.
_HOW = {"node", "vmid", "archive", "bwlimit", "force", "ha-managed", "import-working-storage", "live-restore"}
_HOW |= {"pool", "start", "storage", "unique"}


def create(call: Call) -> str:
    """`POST /nodes/{node}/qemu`; the UPID. Raises in PVE's order: pool, rights, drives, options, then the id."""
    world, params, vmid = call.world, call.params, call.params["vmid"]
    pool, storage = params.get("pool"), params.get("storage")
    check_encoded_ssh_keys(params.get("sshkeys") or "")
    check_pool(world, pool)
    if storage:
        call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
    check_may_create(call, vmid, pool)
    options = requested_options(world, {key: value for key, value in params.items() if key not in _HOW})
    check_access(call, vmid, options, storage)
    check_options(call, vmid, pool, options)
    check_networks(call, options)
    check_script(call, options)
    try:
        check_id_free(world, vmid)
    except Failure as taken:
        raise Failure(f"unable to create VM {vmid} - {taken.message}") from None
    # Nothing is installed on new disks, so nobody inside heeds a shutdown; an imported disk brings a system.
    heeds = any("import-from=" in str(value) for value in options.values())
    world.put(Guest(vmid, "qemu", call.node, {"lock": "create"}, behaviour=Behaviour(acpi=heeds)))
    step = Step(
        CREATE_SECONDS, effect="qemu.create", arguments=(vmid, options, storage, pool, bool(params.get("start")))
    )
    return start_locked(world, "qemu", call.node, "qmcreate", vmid, call.identity.name, [step], "qemu.create_over")


def requested_options(world: World, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a request as a configuration holds them; drives stay as they were asked for.

    Raises `ParameterErrors` where `cdrom` and `ide2` are both given, and for a missing device in the boot order.
    """
    options = {key: stored(value) for key, value in given.items()}
    if "cdrom" in options:
        text = options.pop("cdrom")
        if "ide2" in options:
            raise ParameterErrors({"cdrom": "conflicts with option 'ide2'"})
        options["ide2"] = text if "media=" in text else f"{text},media=cdrom"
    for key, value in list(options.items()):
        if key.startswith("net") and key[3:].isdigit():
            options[key] = with_mac(world, "qemu", key, value)
        elif key == "tags":
            options[key] = unique_tags(value)
        elif key == "vmgenid" and value == "1":
            options[key] = world.uuid()
        elif key == "cipassword" and not value.startswith(("$5$", "$6$")):
            options[key] = sha256_crypt(value, salt_of(world.random_bytes(8, "salt")))
    return options


def check_script(call: Call, options: Mapping[str, Any]) -> None:
    """Raise `ParameterErrors` for a hook script that is none or not there."""
    if options.get("hookscript"):
        try:
            check_hookscript(call.world, call.node, str(options["hookscript"]))
        except Failure as error:
            raise ParameterErrors({"hookscript": f"{error.message}\n"}) from None


@effect("qemu.create")
def _create(
    world: World, task: Task, vmid: int, options: Mapping[str, Any], storage: str | None, pool: str | None, start: bool
) -> Iterable[Step]:
    guest = world.rows(Guest)[vmid]
    log: list[str] = []
    try:
        with world.transaction():
            drives = make_drives(world, task.node, vmid, options, storage, log)
            check_writable("qemu", options)
            config = with_defaults(world, {**options, **drives})
            check_boot_order(config)
            world.put(replace(guest, config=config))
            add_to_pool(world, pool, vmid)
    except ApiError as error:
        return [failing(f"unable to create VM {vmid} - {error.message}", log=tuple(log))]
    steps = [Step(log=tuple(log))]
    if start:
        steps.append(Step(log=("Execute autostart",), effect="qemu.autostart", arguments=(vmid,)))
    return steps


def check_boot_order(config: Mapping[str, Any]) -> None:
    """Raise `Failure` for a device in the boot order that the configuration does not have."""
    for device in boot_order(config):
        if device not in config:
            raise Failure(f"invalid bootorder: device '{device}' does not exist'")


def with_defaults(world: World, config: dict[str, Any]) -> dict[str, Any]:
    """A new machine's configuration with what PVE adds: identity, origin, boot order."""
    cluster = world.get(Cluster, "cluster")
    release = cluster.release if cluster else Release()
    config = {key: value for key, value in config.items() if option_exists("qemu", key) and value != ""}
    config.setdefault("smbios1", f"uuid={world.uuid()}")
    config.setdefault("vmgenid", world.uuid())
    config["meta"] = f"creation-qemu={release.qemu},ctime={int(world.now)}"
    if not config.get("boot"):
        config["boot"] = default_boot_order(config)
    return config


@effect("qemu.autostart")
def _autostart(world: World, task: Task, vmid: int) -> Iterable[Step]:
    """The start is a task of its own; this one ends when it has."""
    unlock(world, task, vmid)
    run(world, "qemu", task.node, "start", vmid, task.owner)
    return [Step(BOOT_SECONDS)]


@effect("qemu.create_over")
def _create_over(world: World, task: Task, vmid: int) -> None:
    """Where the guest was not made, its place is free again."""
    guest = world.get(Guest, vmid)
    ended = world.get(Task, task.upid)
    if guest is not None and set(guest.config) == {"lock"} and ended is not None and ended.exitstatus != "OK":
        world.remove(Guest, vmid)
    unlock(world, task, vmid)
