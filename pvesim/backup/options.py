"""What may be asked of a backup, and by whom: the checks that the schema does not make.

Shared by `POST /nodes/{node}/vzdump` and the backup jobs. Source: recorded exchanges `backup/001-009`,
`backup/029-034`; the privileges that PVE's documentation names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from pvesim.contract.formats import split_list
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.world import World
from pvesim.guests.disks import read_options
from pvesim.guests.newcomers import check_pool
from pvesim.pools.records import Pool
from pvesim.routing import Call

DEFAULT_STORAGE = "local"
_CONFLICTS = (("all", "vmid"), ("exclude", "vmid"), ("pool", "vmid"), ("prune-backups", "maxfiles"))
_ROOT_ONLY = ("tmpdir", "dumpdir", "script", "job-id")
_HOST_LOAD = ("bwlimit", "ionice", "performance")
_VARIABLES = ("cluster", "guestname", "node", "vmid")
_NOT_ON_COMMAND_LINE = frozenset(("id", "vmid", "stdout", "enabled", "schedule", "type", "comment", "repeat-missed"))


def storage_of(options: Mapping[str, Any]) -> str | None:
    """The storage that a backup goes to, or None where it goes to a folder."""
    if options.get("dumpdir"):
        return None
    return str(options.get("storage") or DEFAULT_STORAGE)


def verified(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as PVE completes them: `exclude` means all others, `maxfiles` is a retention.

    Raises `ParameterErrors` where two exclude each other, for bad notes, and where nothing is chosen.
    """
    for name, other in _CONFLICTS:
        if options.get(name) and options.get(other):
            raise ParameterErrors({name: f"option conflicts with option '{other}'"})
    given = dict(options)
    if "maxfiles" in given:
        given["prune-backups"] = f"keep-last={given.pop('maxfiles')}"
    if given.get("notes-template"):
        check_notes_template(str(given["notes-template"]))
    if given.get("exclude") is not None and not given.get("pool"):
        given["all"] = 1
    if not any(given.get(name) for name in ("all", "stop", "pool", "vmid")):
        raise ParameterErrors({"vmid": "property is missing"})
    return given


def check_notes_template(template: str) -> None:
    """Raise `ParameterErrors` for a line feed, an unknown escape sequence or an unknown variable."""
    if "\n" in template:
        raise ParameterErrors({"notes-template": "contains a line feed\n"})
    unknown = [
        f"escape sequence '{match[0]}' at char {match.start()}"
        for match in re.finditer(r"\\(.)", template)
        if match[1] not in ("n", "\\")
    ]
    unknown += [
        f"variable '{match[1]}' at char {match.start(1)}"
        for match in re.finditer(r"\{\{([^\s{}]+)\}\}", template)
        if match[1] not in _VARIABLES
    ]
    if unknown:
        raise ParameterErrors({"notes-template": f"found unknown: {', '.join(unknown)}\n"})


def render_notes(template: str, values: Mapping[str, str]) -> str:
    """The notes of one backup; a backslash and an `n` in the template are a line feed."""
    text = re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], template)
    return re.sub(r"\{\{([^\s{}]+)\}\}", lambda match: values.get(match[1], match[0]), text)


def command_line(options: Mapping[str, Any]) -> str:
    """The command that a task's log names, such as `vzdump 100 --node pve1 --storage local`."""
    words = ["vzdump", *split_list(str(options.get("vmid", "")))]
    for name, value in options.items():
        if name in _NOT_ON_COMMAND_LINE or value in (None, ""):
            continue
        values = value if name == "exclude-path" else [value]
        words += [f"--{name} {_quoted(str(each))}" for each in values]
    return " ".join(words)


def _quoted(text: str) -> str:
    """A word as a shell takes it; PVE quotes an equals sign too."""
    if re.fullmatch(r"[\w!%+,\-./:@^]+", text, re.ASCII):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


# -- who may -------------------------------------------------------------------------------------------------------


def check_may_set(call: Call, options: Collection[str], *, fleecing: str | None = None) -> None:
    """Raise unless who asks may set (or delete) these options; `fleecing` is its new value."""
    if call.identity.is_root:
        return
    for name in _ROOT_ONLY:
        if name in options:
            raise ParameterErrors({name: "Only root may set this option."})
    if any(name in options for name in _HOST_LOAD):
        call.check("/", "Sys.Modify")
    target = read_options(fleecing, "enabled").get("storage") if fleecing else None
    if target:
        call.check(f"/storage/{target}", "Datastore.AllocateSpace")


def check_may_back_up(call: Call, options: Mapping[str, Any]) -> None:
    """Raise unless who asks may make a backup with these options; the guests are looked at in the task."""
    check_may_set(call, options.keys(), fleecing=options.get("fleecing"))
    storage = storage_of(options)
    if storage is not None and ("prune-backups" in options or "maxfiles" in options):
        call.check(f"/storage/{storage}", "Datastore.Allocate")


def check_job_pool(call: Call, options: Mapping[str, Any]) -> None:
    """Raise `Forbidden` for a pool that is not there, and unless who asks may back it up."""
    pool = options.get("pool")
    if pool is not None:
        check_pool(call.world, pool)
        call.check(f"/pool/{pool}", "VM.Backup")


def find_pool(world: World, poolid: str) -> Pool:
    """The pool. Raises `Failure` for an unknown one."""
    pool = world.get(Pool, poolid)
    if pool is None:
        raise Failure(f"pool '{poolid}' does not exist")
    return pool
