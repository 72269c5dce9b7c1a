"""`/version` and `/cluster`."""

from __future__ import annotations

from typing import Any

import orjson

from pvesim.cluster import options, rules
from pvesim.cluster.resources import list_resources
from pvesim.cluster.rounds import watch_round
from pvesim.cluster.rules import the_cluster
from pvesim.guests.bulk import bulk_action
from pvesim.nodes.power import watch_nodes
from pvesim.routing import Call, route


@route("GET", "/version")
def version(call: Call) -> dict[str, Any]:
    release = the_cluster(call.world).release
    return {"release": release.release, "version": release.version, "repoid": release.repoid}


@route("GET", "/cluster/resources")
def resources(call: Call) -> orjson.Fragment:
    watch_round(call)
    watch_nodes(call)
    return list_resources(call.world, call.identity, call.params.get("type"))


@route("GET", "/cluster/status")
def status(call: Call) -> list[dict[str, Any]]:
    watch_nodes(call)
    return rules.status(call.world, call.local_node)


@route("GET", "/cluster/nextid")
def next_id(call: Call) -> str:
    return rules.next_vmid(call.world, call.params.get("vmid"))


@route("GET", "/cluster/log")
def log(call: Call) -> list[dict[str, Any]]:
    sees_all = call.may("/", "Sys.Syslog")
    return rules.read_log(call.world, call.params.get("max"), None if sees_all else call.identity.name)


@route("GET", "/cluster/options")
def read_options(call: Call) -> dict[str, Any]:
    return options.show_options(call.world, call.identity)


@route("PUT", "/cluster/options")
def change_options(call: Call) -> None:
    options.change_options(call.world, call.params)


@route("GET", "/cluster/config/nodes")
def config_nodes(call: Call) -> list[dict[str, Any]]:
    return rules.corosync_nodes(call.world)


@route("GET", "/cluster/config/totem")
def config_totem(call: Call) -> dict[str, Any] | None:
    return rules.totem(call.world)


@route("GET", "/cluster/config/apiversion")
def config_apiversion(call: Call) -> int:
    return 1


@route("GET", "/cluster/config/qdevice")
def config_qdevice(call: Call) -> dict[str, Any]:
    return {}  # what a cluster without an external vote answers; one with it is not modelled


@route("GET", "/cluster/config/join")
def join_information(call: Call) -> dict[str, Any]:
    return rules.join_information(call.world, call.params.get("node", call.local_node))


@route("GET", "/cluster/jobs/schedule-analyze")
def analyze_schedule(call: Call) -> list[dict[str, Any]]:
    params = call.params
    start = params.get("starttime", int(call.world.now))
    return rules.occurrences(params["schedule"], start, params.get("iterations", 10))


# -- many guests at once -----------------------------------------------------------------------------------------------


@route("POST", "/cluster/bulk-action/guest/start")
def start_guests(call: Call) -> str:
    return bulk_action(call, "start")


@route("POST", "/cluster/bulk-action/guest/shutdown")
def shut_guests_down(call: Call) -> str:
    return bulk_action(call, "stop")


@route("POST", "/cluster/bulk-action/guest/suspend")
def suspend_guests(call: Call) -> str:
    return bulk_action(call, "suspend")


@route("POST", "/cluster/bulk-action/guest/migrate")
def migrate_guests(call: Call) -> str:
    return bulk_action(call, "migrate")
