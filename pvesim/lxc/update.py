"""Changing the configuration of a container. Source: recorded exchanges `lxc/027-036`, `lxc/067-075`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pvesim.contract import split_list
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.guests.checks import check_hookscript, check_networks
from pvesim.guests.configfile import check_writable, digest_of
from pvesim.guests.locks import require_unlocked
from pvesim.guests.options import UPDATE_ONLY, option_exists
from pvesim.guests.records import Guest
from pvesim.guests.rules import check_lock, find_guest
from pvesim.guests.updates import check_protection, really_pending, release, take_back, without_empty
from pvesim.guests.volumes import drop_readded, free_volume, in_use
from pvesim.lxc.create import requested_options
from pvesim.lxc.mounts import check_access, is_mount, make_mounts
from pvesim.lxc.privileges import check_options
from pvesim.routing import Call

MODIFIED = "detected modified configuration - file changed by other user? Try again."
_REQUIRED = ("hostname", "memory", "rootfs")
_AT_ONCE = {"cores", "cpulimit", "cpuunits", "description", "hookscript", "hostname", "lock", "memory", "onboot"}
_AT_ONCE |= {"protection", "startup", "swap", "tags"}


def update(call: Call) -> None:
    """`PUT …/config`. Raises in PVE's order: names, rights, the guest, lock, digest."""
    params, world, vmid = call.params, call.world, call.params["vmid"]
    given = {key: value for key, value in params.items() if key not in UPDATE_ONLY and value is not None}
    if not given and not params.get("delete") and not params.get("revert"):
        raise Failure("no options specified")
    options = requested_options(world, given)
    delete = _names(params.get("delete"), "delete", options)
    revert = _names(params.get("revert"), "revert", options)
    guest = find_guest(world, "lxc", call.node, vmid)
    unprivileged = bool(guest.config.get("unprivileged"))
    check_options(call, vmid, None, delete, unprivileged=unprivileged)
    check_options(call, vmid, None, options, unprivileged=unprivileged)
    check_networks(call, options)
    check_access(call, vmid, options)
    require_unlocked(world, "lxc", vmid)
    check_lock(guest)
    if params.get("digest") and params["digest"] != digest_of(world, guest):
        raise Failure(MODIFIED)
    if options.get("hookscript"):
        check_hookscript(world, call.node, str(options["hookscript"]))
    options, delete = without_empty(guest, options, delete)
    _apply(world, guest, options, delete, revert)


def _names(text: str | None, what: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(split_list(text or "")))
    for name in names:
        if name in options:
            raise ParameterErrors({what: f"you can't use '-{name}' and -{what} {name}' at the same time"})
        if not option_exists("lxc", name):
            raise ParameterErrors({what: f"unknown option '{name}'"})
    return names


def _apply(
    world: World, guest: Guest, options: Mapping[str, Any], delete: Sequence[str], revert: Sequence[str]
) -> None:
    check_writable("lxc", options)
    for key in delete:
        _check_deletion(guest, key)
    for key in options:
        if key == "unprivileged" and bool(options[key]) != bool(guest.config.get(key)):
            raise Failure(f"unable to modify read-only option: '{key}'")
        if is_mount(key):
            check_protection(guest, f"can't update CT {guest.vmid} drive '{key}'")
    config, pending = take_back(world, guest, (*revert, *delete, *options))
    deletions = {key: None for key in delete if key in config}
    made = {**options, **make_mounts(world, guest.node, guest.vmid, options, [])}
    guest = replace(guest, config=config, pending={**pending, **deletions, **made})
    for key in (*delete, *options):
        guest = _settle(world, guest, key)
    config = drop_readded("lxc", dict(guest.config))
    world.put(replace(guest, config=config, pending=really_pending(replace(guest, config=config))))


def _check_deletion(guest: Guest, key: str) -> None:
    if key in _REQUIRED:
        raise Failure(f"unable to delete required option '{key}'")
    if key == "unprivileged":
        raise Failure(f"unable to delete read-only option '{key}'")
    if key.startswith("unused"):
        check_protection(guest, f"can't remove unused volume '{key}'")
    elif is_mount(key):
        check_protection(guest, f"can't remove CT {guest.vmid} drive '{key}'")


def _takes_at_once(guest: Guest, key: str, value: Any) -> bool:
    """Whether a running container takes the new value (None: its removal) at once."""
    if key in _AT_ONCE or key.startswith("unused") or re.fullmatch(r"net\d+", key):
        return True
    return is_mount(key) and value is not None and key not in guest.config


def _settle(world: World, guest: Guest, key: str) -> Guest:
    """The guest with one pending change made real, unless it runs and cannot take it."""
    if key not in guest.pending or (guest.running and not _takes_at_once(guest, key, guest.pending[key])):
        return guest
    value = guest.pending[key]
    config = dict(guest.config)
    before = config.pop(key, None)
    if value is not None:
        config[key] = value
    if before is not None and is_mount(key):
        release(world, guest, config, key, str(before))
    elif before is not None and key.startswith("unused") and not in_use(guest, str(before), config=config):
        free_volume(world, guest.node, str(before), guest.vmid)
    pending = {name: waiting for name, waiting in guest.pending.items() if name != key}
    return replace(guest, config=config, pending=pending)
