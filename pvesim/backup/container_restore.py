"""Restoring a container: `POST /nodes/{node}/lxc` with `restore`. Source: recorded exchanges `backup/018-021`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pvesim.backup.archive import contents_of, find_archive, require_archive_id, require_config, volid_of
from pvesim.backup.container import packed_size
from pvesim.backup.restore import (
    check_may_restore,
    duration,
    is_root,
    new_macs,
    put_restored,
    refusal,
    replaced_guest,
    restore_firewall,
    start_restore,
)
from pvesim.backup.texts import packed_amount
from pvesim.core.errors import ApiError, Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.guests.destroy import remove_volumes
from pvesim.guests.newcomers import add_to_pool, check_id_free, check_pool
from pvesim.guests.power import failing
from pvesim.guests.records import Guest
from pvesim.guests.sizes import drive_size
from pvesim.guests.updates import check_protection
from pvesim.guests.volumes import fill
from pvesim.lxc.create import requested_options
from pvesim.lxc.mounts import check_access, check_storage, is_mount, make_mounts, mounts_in, print_mount
from pvesim.lxc.privileges import check_options
from pvesim.routing import Call
from pvesim.storage.records import Volume
from pvesim.storage.volumes import path_of, volume_of

# Parameters that say how to restore, and are no options of the container.
_HOW = frozenset(
    (
        "bwlimit", "force", "ha-managed", "ignore-unpack-errors", "node", "ostemplate", "password", "pool", "restore",
        "ssh-public-keys", "start", "storage", "unique", "unprivileged", "vmid",
    )
)  # fmt: skip
_NOT_TAKEN = frozenset(("lock", "parent", "template", "rootfs", "unprivileged"))
_GIB = 1024**3


def restore_container(call: Call) -> str:
    """Start the restore; the UPID. Raises in PVE's order: the id, pool, rights, options, archive, storages."""
    world, params, vmid = call.world, call.params, call.params["vmid"]
    pool, storage = params.get("pool"), params.get("storage") or "local"
    replaced = replaced_guest(call, "lxc")
    if replaced is None:
        check_id_free(world, vmid)
    elif replaced.running:
        raise Failure("can't overwrite running container")
    else:
        check_protection(replaced, f"unable to restore CT {vmid}")
    check_pool(world, pool)
    whole = check_may_restore(call, replaced, pool)
    given = {key: value for key, value in params.items() if key not in _HOW and not key.startswith("unused")}
    options = requested_options(world, given, storage)
    check_options(call, vmid, pool, options, unprivileged=params.get("unprivileged") is not False)
    require_archive_id(call, params["ostemplate"], vmid)
    if "rootfs" not in options and any(is_mount(key) for key in options):
        raise Failure("mount points configured, but 'rootfs' not set - aborting")
    check_access(call, vmid, options)
    if "rootfs" not in options:
        check_storage(call, storage)
    how = {name: params.get(name) for name in ("ostemplate", "unique", "unprivileged", "pool", "start")}
    request = {**how, "options": options, "storage": storage, "firewall": whole}
    return start_restore(call, "lxc", "backup.restore_container", replaced, request)


@effect("backup.restore_container")
def _unpack(world: World, task: Task, vmid: int, request: Mapping[str, Any]) -> Iterable[Step]:
    """Make the volumes and remove those of the container that is replaced."""
    log = [f"recovering backed-up configuration from '{request['ostemplate']}'"]
    try:
        with world.transaction():
            archive = _open(world, task, request)
            asked = request["options"] if "rootfs" in request["options"] else _mounts_of(archive, request, task)
            log += _make_volumes(world, task, vmid, asked, archive)
            log.append(f"restoring '{request['ostemplate']}' now..")
            log.append(f"extracting archive '{path_of(world, archive)}'")
    except ApiError as error:
        return [failing(refusal("lxc", vmid, error.message).message, log=tuple(log))]
    seconds = duration(sum(contents_of(archive).disk_use.values()))
    return [Step(log=tuple(log)), Step(seconds, effect="backup.container_restored", arguments=(vmid, request))]


def _open(world: World, task: Task, request: Mapping[str, Any]) -> Volume:
    """The archive. Raises `Failure` where it is gone, and where it is not of a container."""
    volid = volid_of(world, task.node, str(request["ostemplate"]))
    archive = find_archive(world, task.node, volid)
    if require_config(archive) != "lxc":
        raise Failure("ERROR: archive contains no configuration file")
    return archive


def _mounts_of(archive: Volume, request: Mapping[str, Any], task: Task) -> dict[str, str]:
    """The mounts that the archive's configuration has, their volumes to be made anew on the storage asked for."""
    mounts: dict[str, str] = {}
    for mount in mounts_in(archive.guest_config):
        if mount.kind != "volume":
            if not is_root(task):
                raise Failure(f"restoring '{mount.key}' to {mount.kind} mount is only possible for root")
            mounts[mount.key] = print_mount(mount, mount.volume, None)
            continue
        if "size" not in mount.options:
            raise Failure(f"unable to detect disk size - please specify {mount.key} (size)")
        gigabytes = drive_size(str(archive.guest_config[mount.key])) / _GIB
        mounts[mount.key] = print_mount(mount, f"{request['storage']}:{gigabytes:g}", None)
    if "rootfs" not in mounts:
        raise Failure("rootfs configuration could not be recovered, please check and specify manually!")
    return mounts


def _make_volumes(world: World, task: Task, vmid: int, asked: Mapping[str, Any], archive: Volume) -> list[str]:
    guest = world.rows(Guest)[vmid]
    log: list[str] = []
    made = make_mounts(world, task.node, vmid, asked, log)
    use = contents_of(archive).disk_use
    elsewhere = sum(used for key, used in use.items() if key not in made)
    for mount in mounts_in(made):
        volume = volume_of(world, task.node, mount.volume) if mount.kind == "volume" else None
        if volume is not None:
            _fill(world, volume, use.get(mount.key, 0) + (elsewhere if mount.key == "rootfs" else 0))
    if len(guest.config) > 1:
        remove_volumes(world, guest)
    kept = {key: value for key, value in guest.config.items() if key == "lock"}
    world.put(replace(guest, config={**kept, **made}, pending={}, snapshots=()))
    return log


def _fill(world: World, volume: Volume, used: int) -> None:
    if volume.size and used > volume.size:
        raise Failure(f"command 'tar xpf - --totals -p --sparse -C {volume.vmid}/rootfs' failed: exit code 2")
    fill(world, volume, used)


@effect("backup.container_restored")
def _restored(world: World, task: Task, vmid: int, request: Mapping[str, Any]) -> Iterable[Step]:
    """The files are there: the archive's configuration comes back, and what was asked for on top of it."""
    guest = world.rows(Guest)[vmid]
    archive = volume_of(world, task.node, volid_of(world, task.node, str(request["ostemplate"])))
    if archive is None:
        raise refusal("lxc", vmid, "the archive went away")
    written = packed_size(sum(contents_of(archive).disk_use.values()))
    speed = f"{world.random_int(60, 250)}MiB/s"
    read = f"Total bytes read: {written} ({packed_amount(written)}, {speed})"
    log = (read, "merging backed-up and given configuration..")
    old = archive.guest_config
    config = _config(world, guest, archive, request)
    put_restored(world, task, replace(guest, config=config, behaviour=contents_of(archive).behaviour))
    add_to_pool(world, request["pool"], vmid)
    if request["firewall"]:
        restore_firewall(world, archive, vmid)
    steps = [Step(log=log)]
    if old.get("template"):
        steps.append(Step(log=("Convert restored container to template...",)))
        steps.append(Step(effect="guests.template", arguments=("lxc", vmid, None)))
    elif request["start"]:
        steps.append(Step(effect="lxc.autostart", arguments=(vmid,)))
    return steps


def _config(world: World, guest: Guest, archive: Volume, request: Mapping[str, Any]) -> dict[str, Any]:
    taken = {
        key: value
        for key, value in archive.guest_config.items()
        if key not in _NOT_TAKEN and not is_mount(key) and not key.startswith("unused")
    }
    if request["unique"]:
        taken = new_macs(world, "lxc", taken)
    mounts = {key: value for key, value in guest.config.items() if is_mount(key)}
    options = {key: value for key, value in request["options"].items() if not is_mount(key)}
    asked = request["unprivileged"]
    unprivileged = archive.guest_config.get("unprivileged") if asked is None else asked
    config = {"hostname": f"CT{guest.vmid}", "memory": 512, "swap": 512, **taken, **options, **mounts}
    return {**config, "unprivileged": 1} if unprivileged else config
