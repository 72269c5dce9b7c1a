"""`/cluster/metrics`."""

from __future__ import annotations

from typing import Any

from pvesim.contract import split_list
from pvesim.core.sections import split_changes
from pvesim.metric_servers import rules
from pvesim.metric_servers.export import export
from pvesim.nodes.records import Node
from pvesim.routing import Call, route

_ONE = "/cluster/metrics/server/{id}"


@route("GET", "/cluster/metrics/server")
def list_servers(call: Call) -> list[dict[str, Any]]:
    return rules.listed(call.world)


@route("GET", _ONE)
def read_server(call: Call) -> dict[str, Any]:
    return rules.show(call.world, call.params["id"])


@route("POST", _ONE)
def create_server(call: Call) -> None:
    options, _, _ = split_changes(call.params, "id", "type")
    rules.create(call.world, call.params["type"], call.params["id"], options)


@route("PUT", _ONE)
def update_server(call: Call) -> None:
    rules.update(call.world, call.params["id"], *split_changes(call.params, "id"))


@route("DELETE", _ONE)
def delete_server(call: Call) -> None:
    rules.delete(call.world, call.params["id"])


@route("GET", "/cluster/metrics/export")
def export_metrics(call: Call) -> dict[str, Any]:
    params = call.params
    nodes = split_list(params.get("node-list", "")) or list(call.world.rows(Node))
    wanted = [call.local_node] if params.get("local-only") else nodes
    return {"data": export(call.world, wanted, params.get("start-time", 0), bool(params.get("history")))}
