"""Notification targets and matchers, with the two that every cluster has.

A built-in one can be changed, and deleting it brings it back as it was. Secrets are stored apart and never shown.
Sources: `/cluster/notifications`, the recorded exchange `cluster/028`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pvesim.core.errors import ApiError
from pvesim.core.sections import MODIFIED, Section, SectionFile, SectionType, plain_file
from pvesim.core.world import World
from pvesim.nodes.records import Node
from pvesim.notifications.records import Endpoint, Matcher

Options = Mapping[str, Any]
_COMMON = "comment disable"
_MAIL = "author from-address mailto mailto-user"
ENDPOINTS = plain_file(
    Endpoint,
    {
        "gotify": SectionType.of(required="server token", optional=_COMMON),
        "sendmail": SectionType.of(optional=f"{_COMMON} {_MAIL}"),
        "smtp": SectionType.of(
            required="server from-address", optional=f"{_COMMON} {_MAIL} mode password port username"
        ),
        "webhook": SectionType.of(required="url method", optional=f"{_COMMON} body header secret"),
    },
)
MATCHERS = plain_file(
    Matcher,
    {
        "matcher": SectionType.of(
            optional=f"{_COMMON} invert-match match-calendar match-field match-severity mode target"
        )
    },
)
BUILT_IN: Mapping[type[Section], Section] = {
    Endpoint: Endpoint(
        "mail-to-root", "sendmail", {"comment": "Send mails to root@pam's email address", "mailto-user": ["root@pam"]}
    ),
    Matcher: Matcher(
        "default-matcher",
        "matcher",
        {"comment": "Route all notifications to mail-to-root", "mode": "all", "target": ["mail-to-root"]},
    ),
}
_SECRETS = frozenset(("token", "password"))
_KINDS_OF_EVENTS = {
    "fencing": "A node was fenced",
    "package-updates": "Updates can be installed",
    "replication": "A replication job failed",
    "system-mail": "Mail of the system to root",
    "vzdump": "A backup job ended",
}


def _refuse(status: int, text: str) -> ApiError:
    return ApiError(text, status=status)


# -- reading -----------------------------------------------------------------------------------------------------------


def sections(world: World, file: SectionFile[Any]) -> dict[str, Section]:
    """All sections of a file, the built-in one first."""
    built_in = BUILT_IN[file.record]
    return {built_in.id: built_in, **world.rows(file.record)}


def origin(section: Section) -> str:
    """Who made a section."""
    built_in = BUILT_IN[type(section)]
    if section.id != built_in.id:
        return "user-created"
    return "builtin" if section == built_in else "modified-builtin"


def show(section: Section) -> dict[str, Any]:
    """A section without its secrets; of a webhook's, the names are shown."""
    shown = {name: value for name, value in section.options.items() if name not in _SECRETS}
    if "secret" in shown:
        shown["secret"] = [text.partition(",")[0] for text in shown["secret"]]
    return {**shown, "name": section.id}


def listed(world: World, file: SectionFile[Any], type: str) -> list[dict[str, Any]]:
    """The sections of a type, each with who made it."""
    return [
        {**show(section), "origin": origin(section)}
        for section in sections(world, file).values()
        if section.type == type
    ]


def targets(world: World) -> list[dict[str, Any]]:
    """`GET /cluster/notifications/targets`."""
    rows = []
    for section in sections(world, ENDPOINTS).values():
        row = {"name": section.id, "origin": origin(section), "type": section.type}
        rows.append({**row, **{name: section.options[name] for name in _COMMON.split() if name in section.options}})
    return rows


def find(world: World, file: SectionFile[Any], type: str, name: str) -> Section:
    """A section of a type. Raises PVE's 404."""
    found = sections(world, file).get(name)
    if found is None or found.type != type:
        raise _refuse(404, f"{type}{'' if file is MATCHERS else ' endpoint'} '{name}' not found")
    return found


def matcher_values(world: World) -> list[dict[str, str]]:
    """`GET /cluster/notifications/matcher-field-values`."""
    kinds = [{"field": "type", "value": value, "comment": text} for value, text in _KINDS_OF_EVENTS.items()]
    return [*kinds, *({"field": "hostname", "value": name} for name in world.rows(Node))]


# -- writing -----------------------------------------------------------------------------------------------------------


def create(world: World, file: SectionFile[Any], type: str, name: str, options: Options) -> None:
    """`POST` of a target or a matcher. Raises `ApiError`."""
    if name in sections(world, ENDPOINTS) or name in sections(world, MATCHERS):
        raise _refuse(400, f"Cannot create '{name}', an entity with the same name already exists")
    section = file.create(world, type, name, options)
    _check(world, section)


def update(
    world: World,
    file: SectionFile[Any],
    type: str,
    name: str,
    options: Options,
    delete: Sequence[str],
    digest: str | None,
) -> None:
    """`PUT` of a target or a matcher. Raises `ApiError`."""
    if digest and digest != file.digest(world):
        raise _refuse(400, MODIFIED)
    section = find(world, file, type, name)
    _check(world, file.update(world, section, options, delete))


def remove(world: World, file: SectionFile[Any], type: str, name: str) -> None:
    """`DELETE` of a target or a matcher; a built-in one is there again at once. Raises `ApiError` for one in use."""
    section = find(world, file, type, name)
    if file is ENDPOINTS and name != BUILT_IN[Endpoint].id:
        users = [found.id for found in sections(world, MATCHERS).values() if name in found.options.get("target", ())]
        if users:
            raise _refuse(400, f"cannot delete '{name}', referenced by: {', '.join(sorted(users))}")
    file.delete(world, section)


def check_target(world: World, name: str) -> None:
    """Raise PVE's 404 for a target that there is not."""
    if name not in sections(world, ENDPOINTS):
        raise _refuse(404, f"endpoint '{name}' does not exist")


def _check(world: World, section: Section) -> None:
    options = section.options
    for target in options.get("target", ()):
        check_target(world, target)
    mails = section.type in ("sendmail", "smtp")
    if mails and not _given(options, ("mailto", "mailto-user")):
        raise _refuse(400, "must at least provide one recipient, either in mailto or in mailto-user")


def _given(options: Options, names: Iterable[str]) -> bool:
    return any(options.get(name) for name in names)
