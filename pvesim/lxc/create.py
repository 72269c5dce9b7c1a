"""Making a container from a template. Source: recorded exchanges `lxc/001-016`, `lxc/066`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.core.errors import ApiError, Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.checks import check_hookscript, check_networks, check_ssh_keys
from pvesim.guests.configfile import check_writable
from pvesim.guests.disks import volumes_in
from pvesim.guests.locks import start_locked, unlock
from pvesim.guests.newcomers import add_to_pool, check_id_free, check_may_create, check_pool
from pvesim.guests.options import stored, unique_tags, with_mac
from pvesim.guests.power import failing, run
from pvesim.guests.records import Guest
from pvesim.guests.volumes import existing_volume, fill, free_volume
from pvesim.lxc.mounts import check_access, check_storage, is_mount, make_mounts
from pvesim.lxc.power import BOOT_SECONDS
from pvesim.lxc.privileges import check_options
from pvesim.routing import Call
from pvesim.storage.access import check_volume_access
from pvesim.storage.names import parse_volid
from pvesim.storage.volumes import path_of, volume_of

FORMAT_SECONDS = 0.4
UNPACK_SECONDS = 0.8
DEFAULT_ROOT_GIGABYTES = 4
_UNPACKED = 2.5  # how much larger the content of a template is than its archive
# Parameters that say how to make the guest, and are no options of it.
_HOW = {"node", "vmid", "bwlimit", "force", "ha-managed", "ignore-unpack-errors", "ostemplate", "password", "pool"}
_HOW |= {"restore", "ssh-public-keys", "start", "storage", "unique", "unprivileged"}
_DISTRIBUTIONS = r"alpine|archlinux|centos|debian|devuan|fedora|gentoo|nixos|opensuse|ubuntu"


def create(call: Call) -> str:
    """`POST /nodes/{node}/lxc`; the UPID. Raises in PVE's order: the id, pool, rights, options, template, storages."""
    world, params, vmid = call.world, call.params, call.params["vmid"]
    pool, storage = params.get("pool"), params.get("storage") or "local"
    check_id_free(world, vmid)
    check_ssh_keys(params.get("ssh-public-keys") or "")
    check_pool(world, pool)
    check_may_create(call, vmid, pool)
    unprivileged = params.get("unprivileged") is not False
    given = {key: value for key, value in params.items() if key not in _HOW and not key.startswith("unused")}
    options = requested_options(world, given, storage)
    check_options(call, vmid, pool, options, unprivileged=unprivileged)
    check_networks(call, options)
    if options.get("hookscript"):
        check_hookscript(world, call.node, options["hookscript"])
    _check_template(call, params["ostemplate"], vmid)
    if "rootfs" not in options and any(is_mount(key) for key in options):
        raise Failure("mount points configured, but 'rootfs' not set - aborting")
    check_access(call, vmid, options)
    if "rootfs" not in options:
        check_storage(call, storage)
        options["rootfs"] = f"{storage}:{DEFAULT_ROOT_GIGABYTES}"
    if unprivileged:
        options["unprivileged"] = 1
    return _start(call, options, pool)


def _start(call: Call, options: dict[str, Any], pool: str | None) -> str:
    vmid, template, start = call.params["vmid"], call.params["ostemplate"], bool(call.params.get("start"))
    call.world.put(Guest(vmid, "lxc", call.node, {"lock": "create"}))
    steps = [
        Step(FORMAT_SECONDS, effect="lxc.create_disks", arguments=(vmid, options)),
        Step(effect="lxc.open_template", arguments=(vmid, template)),
        Step(UNPACK_SECONDS, effect="lxc.unpack", arguments=(vmid, template, options, pool, start)),
    ]
    return start_locked(call.world, "lxc", call.node, "vzcreate", vmid, call.identity.name, steps, "lxc.create_over")


def requested_options(world: World, given: Mapping[str, Any], storage: str | None = None) -> dict[str, Any]:
    """The options of a request as a configuration holds them; mounts stay as they were asked for.

    A mount that is only a number is that many gigabytes of `storage`.
    """
    options = {key: stored(value) for key, value in given.items()}
    for key, value in list(options.items()):
        if re.fullmatch(r"net\d+", key):
            options[key] = with_mac(world, "lxc", key, value)
        elif key == "tags":
            options[key] = unique_tags(value)
        elif storage and is_mount(key) and re.fullmatch(r"\d+(\.\d+)?", str(value)):
            options[key] = f"{storage}:{value}"
    return options


def _check_template(call: Call, template: str, vmid: int) -> None:
    if template == "-":
        raise Failure("pipe requires cli environment")
    if ":" in template and not template.startswith("/"):
        check_volume_access(call, template, vmid, "vztmpl")
    elif not call.identity.is_root:
        raise Failure("Only root can pass arbitrary filesystem paths.")


@effect("lxc.create_disks")
def _create_disks(world: World, task: Task, vmid: int, options: Mapping[str, Any]) -> list[Step]:
    log: list[str] = []
    guest = world.rows(Guest)[vmid]
    try:
        with world.transaction():
            check_writable("lxc", options)
            mounts = make_mounts(world, task.node, vmid, options, log)
            world.put(replace(guest, config={"lock": "create", **mounts}))
    except ApiError as error:
        return [failing(_refusal(vmid, error), log=tuple(log))]
    return [Step(log=tuple(log))] if log else []


def _refusal(vmid: int, error: ApiError) -> str:
    return f"unable to create CT {vmid} - {error.message}"


@effect("lxc.open_template")
def _open_template(world: World, task: Task, vmid: int, template: str) -> list[Step]:
    try:
        if ":" not in template:
            raise Failure(f"can't find file '{template}'")
        volume = existing_volume(world, task.node, template)
    except ApiError as error:
        return [failing(_refusal(vmid, error), log=(error.message,))]
    return [Step(log=(f"extracting archive '{path_of(world, volume)}'",))]


@effect("lxc.unpack")
def _unpack(
    world: World, task: Task, vmid: int, template: str, options: Mapping[str, Any], pool: str | None, start: bool
) -> Iterable[Step]:
    guest = world.rows(Guest)[vmid]
    mounts = {key: value for key, value in guest.config.items() if key != "lock"}
    root = volume_of(world, task.node, str(mounts["rootfs"]).partition(",")[0])
    archive = volume_of(world, task.node, template)
    if root is None or archive is None:
        raise Failure(f"unable to create CT {vmid} - a volume of it went away")
    content = int(archive.size * _UNPACKED)
    fill(world, root, content)
    arch = "arm64" if "arm64" in template else "amd64"
    defaults = {"arch": arch, "ostype": distribution(template), "hostname": f"CT{vmid}", "memory": 512, "swap": 512}
    given = {key: value for key, value in options.items() if value != ""}
    world.put(replace(guest, config={**defaults, **given, **mounts}))
    add_to_pool(world, pool, vmid)
    speed = f"Total bytes read: {content} ({content / 2**20:.1f}MiB, {world.random_int(60, 180)}MiB/s)"
    steps = [Step(log=(speed, f"Detected container architecture: {arch}"))]
    if start:
        steps.append(Step(effect="lxc.autostart", arguments=(vmid,)))
    return steps


def distribution(template: str) -> str:
    """The `ostype` of a template, read off its name."""
    name = parse_volid(template)[1].rpartition("/")[2].lower()
    match = re.match(_DISTRIBUTIONS, name)
    return match[0] if match else "unmanaged"


@effect("lxc.autostart")
def _autostart(world: World, task: Task, vmid: int) -> Iterable[Step]:
    """The start is a task of its own; this one ends when it has."""
    unlock(world, task, vmid)
    run(world, "lxc", task.node, "start", vmid, task.owner)
    return [Step(BOOT_SECONDS)]


@effect("lxc.create_over")
def _create_over(world: World, task: Task, vmid: int) -> None:
    """Where the container was not made, its place is free again, and what was made of its disks is gone."""
    guest, ended = world.get(Guest, vmid), world.get(Task, task.upid)
    if guest is not None and guest.lock == "create" and ended is not None and ended.exitstatus != "OK":
        for volid in volumes_in("lxc", guest.config):
            free_volume(world, guest.node, volid, vmid)
        world.remove(Guest, vmid)
    unlock(world, task, vmid)
