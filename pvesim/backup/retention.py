"""How many backups of a guest there may be: limits before a backup, the retention after it.

Source: the texts that a genuine node logs; the rules themselves are those of `pvesim.storage.prune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.guests.records import Guest
from pvesim.storage.prune import marks_of, retention
from pvesim.storage.records import Storage, Volume
from pvesim.storage.volumes import free, volumes_at


def keep_rules(storage: Storage, options: Mapping[str, Any]) -> dict[str, int]:
    """The retention that follows a backup; empty where everything is kept or nothing is to be removed."""
    rules = _rules(storage, options)
    return rules if options.get("remove", 1) and not rules.get("keep-all") else {}


def _rules(storage: Storage, options: Mapping[str, Any]) -> dict[str, int]:
    given = options.get("prune-backups") or storage.options.get("prune-backups")
    rules = retention(storage, given) if given else {}
    return {name: value for name, value in rules.items() if value}


def check_limits(world: World, storage: Storage, guest: Guest, options: Mapping[str, Any]) -> None:
    """Raise `Failure` where the guest has as many backups as it may have, and none may be removed."""
    there = _backups(world, storage, guest.node, guest.kind, guest.vmid)
    rules = _rules(storage, options)
    limit = 0 if rules.get("keep-all") else sum(rules.values())
    if limit and not options.get("remove", 1) and sum(not volume.protected for volume in there) >= limit:
        raise Failure(
            f"There is a max backup limit of {limit} enforced by the target storage or the vzdump parameters."
            " Either increase the limit or delete old backups."
        )
    most = int(storage.options.get("max-protected-backups", -1))
    if options.get("protected") and 0 <= most <= sum(volume.protected for volume in there):
        raise Failure(f"The number of protected backups per guest is limited to {most} on storage '{storage.storage}'")


def _backups(world: World, storage: Storage, node: str, kind: str, vmid: int | None) -> list[Volume]:
    return [
        volume
        for volume in volumes_at(world, storage, node)
        if volume.content == "backup" and volume.vmid == vmid and volume.subtype == kind
    ]


def prune(world: World, storage: Storage, archive: Volume, rules: Mapping[str, int]) -> list[str]:
    """Remove the backups of the archive's guest that the rules do not keep; what the log says."""
    group = [
        volume
        for volume in world.rows(Volume).values()
        if (volume.storage, volume.place) == (archive.storage, archive.place)
        and volume.content == "backup"
        and (volume.vmid, volume.subtype) == (archive.vmid, archive.subtype)
    ]
    marks = marks_of(storage, group, rules)
    doomed = sorted((volume for volume in group if marks[volume.name] == "remove"), key=lambda volume: volume.ctime)
    kept = ", ".join(f"{name}={rules[name]}" for name in sorted(rules))
    log = [f"prune older backups with retention: {kept}"]
    for volume in doomed:
        free(world, volume)
        log.append(f"removing backup '{volume.volid}'")
    reason = " not covered by keep-retention policy" if doomed else ""
    return [*log, f"pruned {len(doomed)} backup(s){reason}"]
