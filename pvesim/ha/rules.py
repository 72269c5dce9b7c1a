"""HA resources and rules: what is asked of the HA manager. What the manager does is in `pvesim.ha.manager`.

Source: recorded exchanges `ha/*`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pvesim.contract.formats import split_list
from pvesim.core.errors import Failure
from pvesim.core.sections import SectionFile, SectionType, as_stored
from pvesim.core.tasks import Timer, set_timer
from pvesim.core.world import World
from pvesim.guests.kinds import KINDS
from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource, HaRule
from pvesim.nodes.records import Node

MANAGER_SECONDS = 5.0  # until the manager sees what was asked of it
GROUPS_ARE_GONE = "ha groups have been migrated to rules"
_NOUNS = {"vm": "VM", "ct": "container"}
_OPTIONS = SectionType.of(optional="state max_restart max_relocate failback comment")


def _write_resource(record: HaResource) -> tuple[str, str, Mapping[str, Any]]:
    return record.type, str(record.vmid), record.options


def _read_resource(type: str, id: str, options: Mapping[str, Any], before: HaResource | None) -> HaResource:
    state = _ALIASES.get(options.get("state", "started"), options.get("state", "started"))
    resource = before or HaResource(f"{type}:{id}")
    return replace(resource, state=state, options=options)


def _write_rule(record: HaRule) -> tuple[str, str, Mapping[str, Any]]:
    return record.type, record.rule, record.options


def _read_rule(type: str, id: str, options: Mapping[str, Any], before: HaRule | None) -> HaRule:
    return HaRule(id, type, options)


_ALIASES = {"enabled": "started"}
RESOURCES = SectionFile(HaResource, {"vm": _OPTIONS, "ct": _OPTIONS}, write=_write_resource, read=_read_resource)
RULES = SectionFile(
    HaRule,
    {
        "node-affinity": SectionType.of(required="resources nodes", optional="strict disable comment"),
        "resource-affinity": SectionType.of(required="resources affinity", optional="disable comment"),
    },
    write=_write_rule,
    read=_read_rule,
)
Options = Mapping[str, Any]
_TOO_LONG = 10  # digits: no guest has such an id


# -- resources -----------------------------------------------------------------------------------------------------


def resolve_sid(world: World, sid: str) -> str:
    """The full id of a resource that may be named by the guest's id alone. Raises `Failure` for an unknown guest."""
    if not sid.isdecimal():
        return sid
    guest = _guest_named(world, sid)
    if guest is None:
        raise Failure(f"unable do add resource - VM/CT {sid} does not exist")
    return f"{KINDS[guest.kind].sid}:{sid}"


def _guest_named(world: World, text: str) -> Guest | None:
    return world.get(Guest, int(text)) if text.isdecimal() and len(text) < _TOO_LONG else None


def is_managed(resource: HaResource | None) -> bool:
    """Whether the manager acts on a resource: it is one, and is not to be ignored."""
    return resource is not None and resource.state != "ignored"


def find_resource(world: World, sid: str) -> HaResource:
    """The resource. Raises `Failure` for an unknown one."""
    resource = world.get(HaResource, sid)
    if resource is None:
        raise Failure(f"no such resource '{sid}'")
    return resource


def show_resource(world: World, resource: HaResource) -> dict[str, Any]:
    """A resource as its file has it, with the file's digest."""
    options = dict(resource.options)
    if resource.state != "started":
        options.setdefault("state", resource.state)
    about = {"sid": resource.sid, "type": resource.type, "digest": RESOURCES.digest(world)}
    return {**about, **as_stored(options)}


def check_new_resource(world: World, sid: str, type: str | None, options: Options) -> None:
    """What PVE looks at before it opens the file of resources. Raises `Failure`."""
    kind, _, name = sid.partition(":")
    if type is not None and type != kind:
        raise Failure("types does not match")
    if kind not in RESOURCES.types:
        raise Failure(f"unknown section type '{kind}'")
    refuse_group(options)
    guest = _guest_named(world, name)
    if guest is None:
        raise Failure(f"resource '{sid}' does not exist in cluster")
    if KINDS[guest.kind].sid != kind:
        raise Failure(f"resource '{sid}' - guest with ID {name} is not a {_NOUNS[kind]}")


def create_resource(world: World, sid: str, options: Options) -> None:
    """Put a guest under HA. Raises `Failure` if it is already."""
    if world.get(HaResource, sid) is not None:
        raise Failure(f"resource ID '{sid}' already defined")
    type, _, name = sid.partition(":")
    resource = RESOURCES.create(world, type, name, options)
    _wake_manager(world, resource)


def update_resource(world: World, sid: str, options: Options, delete: Sequence[str], digest: str | None) -> None:
    """Change a resource. Raises `Failure`."""
    RESOURCES.check_digest(world, digest)
    resource = RESOURCES.update(world, find_resource(world, sid), options, delete)
    _wake_manager(world, resource)


def delete_resource(world: World, sid: str, purge: bool) -> None:
    """Take a guest from under HA; with `purge` it also leaves the rules that name it. Raises `Failure`."""
    resource = world.get(HaResource, sid)
    if resource is None:
        raise Failure(f"cannot delete service '{sid}', not HA managed!")
    RESOURCES.delete(world, resource)
    world.remove(Timer, timer_of(resource.vmid))
    for rule in list(world.rows(HaRule).values()) if purge else ():
        _leave_rule(world, rule, sid)


def request_state(world: World, sid: str, state: str) -> None:
    """Ask the manager to start or stop a guest, as a start or stop of a managed guest does. Raises `Failure`."""
    resource = find_resource(world, sid)
    _wake_manager(world, RESOURCES.update(world, resource, {"state": state}))


def timer_of(vmid: int) -> str:
    """The name of the timer at which the manager looks at a guest."""
    return f"ha/{vmid}"


def refuse_group(options: Options) -> None:
    """Raise `Failure` if a group is given: PVE 9 has rules instead."""
    if "group" in options:
        raise Failure(f"invalid parameter 'group': {GROUPS_ARE_GONE}")


def _wake_manager(world: World, resource: HaResource) -> None:
    set_timer(world, timer_of(resource.vmid), world.now + MANAGER_SECONDS, "ha.act", resource.sid)


# -- rules ---------------------------------------------------------------------------------------------------------


def list_rules(world: World, type: str | None, resource: str | None) -> list[dict[str, Any]]:
    """All rules, or those of a type, or those that name a resource."""
    return [
        show_rule(world, rule)
        for rule in world.rows(HaRule).values()
        if type in (None, rule.type) and (resource is None or resource in resources_of(rule))
    ]


def show_rule(world: World, rule: HaRule) -> dict[str, Any]:
    """A rule as its file has it, with the file's digest."""
    return {"rule": rule.rule, "type": rule.type, "digest": RULES.digest(world), **as_stored(rule.options)}


def find_rule(world: World, rule: str) -> HaRule:
    """The rule. Raises `Failure` for an unknown one."""
    found = world.get(HaRule, rule)
    if found is None:
        raise Failure(f"HA rule '{rule}' does not exist")
    return found


def resources_of(rule: HaRule) -> list[str]:
    """The ids of the resources that a rule names."""
    return split_list(rule.options.get("resources", ""))


def create_rule(world: World, rule: str, type: str, options: Options) -> None:
    """Add a rule. Raises `Failure` for one of that name, and for guests or nodes that it cannot be about."""
    if world.get(HaRule, rule) is not None:
        raise Failure(f"HA rule '{rule}' already defined")
    _check_rule(world, options)
    RULES.create(world, type, rule, _in_order(options))


def update_rule(
    world: World, rule: str, type: str, options: Options, delete: Sequence[str], digest: str | None
) -> None:
    """Change a rule. Raises `Failure`."""
    RULES.check_digest(world, digest)
    found = find_rule(world, rule)
    if type != found.type:
        raise Failure(f"HA rule '{rule}' is of type '{found.type}', which cannot be changed")
    _check_rule(world, options)
    RULES.update(world, found, _in_order(options), delete)


def _check_rule(world: World, options: Options) -> None:
    resources = split_list(options.get("resources", ""))
    strangers = sorted(sid for sid in resources if world.get(HaResource, sid) is None)
    if strangers:
        raise Failure(f"cannot use unmanaged resource(s) {', '.join(strangers)}.")
    nodes = (name.partition(":")[0] for name in split_list(options.get("nodes", "")))
    unknown = sorted(name for name in nodes if world.get(Node, name) is None)
    if unknown:
        raise Failure(f"cannot use non-existent node(s) {', '.join(unknown)}.")


def _leave_rule(world: World, rule: HaRule, sid: str) -> None:
    names = resources_of(rule)
    if sid not in names:
        return
    left = [name for name in names if name != sid]
    if left:
        world.put(replace(rule, options={**rule.options, "resources": ",".join(left)}))
    else:
        world.remove(HaRule, rule.rule)


# -- options -------------------------------------------------------------------------------------------------------


def _in_order(options: Options) -> dict[str, Any]:
    """The options with lists of names sorted and each name once, as PVE writes them."""
    sorted_lists = {
        name: ",".join(sorted(set(split_list(options[name])))) for name in ("resources", "nodes") if name in options
    }
    return {**options, **sorted_lists}
