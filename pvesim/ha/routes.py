"""`/cluster/ha`."""

from __future__ import annotations

from typing import Any, NoReturn

from pvesim.core.errors import Failure
from pvesim.core.sections import split_changes, under
from pvesim.core.tasks import next_due
from pvesim.ha import manager, rules, status
from pvesim.ha.commands import request_move
from pvesim.ha.records import HaArming, HaResource, HaRule
from pvesim.routing import Call, route


@route("GET", "/cluster/ha/status/current")
def current_status(call: Call) -> list[dict[str, Any]]:
    _watch_manager(call)
    return status.current_status(call.world, call.local_node)


@route("GET", "/cluster/ha/status/manager_status")
def manager_status(call: Call) -> dict[str, Any]:
    _watch_manager(call)
    return status.manager_status(call.world, call.local_node)


@route("POST", "/cluster/ha/status/disarm-ha")
def disarm(call: Call) -> None:
    call.world.put(HaArming(call.params["resource-mode"]))


@route("POST", "/cluster/ha/status/arm-ha")
def arm(call: Call) -> None:
    call.world.remove(HaArming, "ha")
    manager.wake(call.world)


def _watch_manager(call: Call) -> None:
    """In auto mode, who looks at the manager sees it act."""
    timers = (rules.timer_of(resource.vmid) for resource in call.world.rows(HaResource).values())
    due = [(moment, timer) for timer in timers if (moment := next_due(call.world, timer)) is not None]
    if due:
        call.watch(min(due)[1])


# -- resources -----------------------------------------------------------------------------------------------------


@route("GET", "/cluster/ha/resources")
def list_resources(call: Call) -> list[dict[str, Any]]:
    wanted = call.params.get("type")
    resources = call.world.rows(HaResource).values()
    return [rules.show_resource(call.world, found) for found in resources if wanted in (None, found.type)]


@route("POST", "/cluster/ha/resources")
def create_resource(call: Call) -> None:
    options, _, _ = split_changes(call.params, "sid", "type")
    sid = rules.resolve_sid(call.world, call.params["sid"])
    rules.check_new_resource(call.world, sid, call.params.get("type"), options)
    with under("create resource failed"):
        rules.create_resource(call.world, sid, options)


@route("GET", "/cluster/ha/resources/{sid}")
def read_resource(call: Call) -> dict[str, Any]:
    sid = rules.resolve_sid(call.world, call.params["sid"])
    return rules.show_resource(call.world, rules.find_resource(call.world, sid))


@route("PUT", "/cluster/ha/resources/{sid}")
def update_resource(call: Call) -> None:
    options, delete, digest = split_changes(call.params, "sid")
    sid = rules.resolve_sid(call.world, call.params["sid"])
    rules.refuse_group(options)
    with under("update resources config failed"):
        rules.update_resource(call.world, sid, options, delete, digest)


@route("DELETE", "/cluster/ha/resources/{sid}")
def delete_resource(call: Call) -> None:
    sid = rules.resolve_sid(call.world, call.params["sid"])
    rules.delete_resource(call.world, sid, bool(call.params.get("purge")))


@route("POST", "/cluster/ha/resources/{sid}/migrate")
def migrate_resource(call: Call) -> dict[str, Any]:
    sid = rules.resolve_sid(call.world, call.params["sid"])
    return request_move(call.world, sid, "migrate", call.params["node"])


@route("POST", "/cluster/ha/resources/{sid}/relocate")
def relocate_resource(call: Call) -> dict[str, Any]:
    sid = rules.resolve_sid(call.world, call.params["sid"])
    return request_move(call.world, sid, "relocate", call.params["node"])


# -- rules ---------------------------------------------------------------------------------------------------------


@route("GET", "/cluster/ha/rules")
def list_rules(call: Call) -> list[dict[str, Any]]:
    return rules.list_rules(call.world, call.params.get("type"), call.params.get("resource"))


@route("POST", "/cluster/ha/rules")
def create_rule(call: Call) -> None:
    options, _, _ = split_changes(call.params, "rule", "type")
    with under("create ha rule failed"):
        rules.create_rule(call.world, call.params["rule"], call.params["type"], options)


@route("GET", "/cluster/ha/rules/{rule}")
def read_rule(call: Call) -> dict[str, Any]:
    return rules.show_rule(call.world, rules.find_rule(call.world, call.params["rule"]))


@route("PUT", "/cluster/ha/rules/{rule}")
def update_rule(call: Call) -> None:
    options, delete, digest = split_changes(call.params, "rule", "type")
    with under("update ha rule failed"):
        rules.update_rule(call.world, call.params["rule"], call.params["type"], options, delete, digest)


@route("DELETE", "/cluster/ha/rules/{rule}")
def delete_rule(call: Call) -> None:
    call.world.remove(HaRule, call.params["rule"])


# -- groups --------------------------------------------------------------------------------------------------------


@route("GET", "/cluster/ha/groups")
def list_groups(call: Call) -> NoReturn:
    raise Failure(f"cannot index groups: {rules.GROUPS_ARE_GONE}")


@route("POST", "/cluster/ha/groups")
def create_group(call: Call) -> NoReturn:
    raise Failure(f"cannot create group: {rules.GROUPS_ARE_GONE}")


@route("GET", "/cluster/ha/groups/{group}")
def read_group(call: Call) -> NoReturn:
    raise Failure(f"cannot read group: {rules.GROUPS_ARE_GONE}")


@route("PUT", "/cluster/ha/groups/{group}")
def update_group(call: Call) -> NoReturn:
    raise Failure(f"cannot update group: {rules.GROUPS_ARE_GONE}")


@route("DELETE", "/cluster/ha/groups/{group}")
def delete_group(call: Call) -> NoReturn:
    raise Failure(f"cannot delete group: {rules.GROUPS_ARE_GONE}")
