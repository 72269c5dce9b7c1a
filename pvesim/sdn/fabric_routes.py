"""`/cluster/sdn/fabrics`."""

from __future__ import annotations

from typing import Any

from pvesim.core.sections import split_changes
from pvesim.routing import Call, route
from pvesim.sdn import fabrics, running
from pvesim.sdn.routes import may_see, view

_FABRICS = "/cluster/sdn/fabrics/fabric"
_NODES = "/cluster/sdn/fabrics/node"
_ONE_NODE = _NODES + "/{fabric_id}/{node_id}"
Rows = list[dict[str, Any]]


def _rows(call: Call, kind: str) -> Rows:
    """The objects that who asks may see, by the fabric that they belong to."""
    rows = running.rows_of(call.world, kind, **view(call)).values()
    name = "id" if kind == "fabrics" else "fabric_id"
    return [row for row in rows if may_see(call, f"/sdn/fabrics/{row[name]}")]


@route("GET", "/cluster/sdn/fabrics/all")
def read_all(call: Call) -> dict[str, Rows]:
    return {"fabrics": _rows(call, "fabrics"), "nodes": _rows(call, "fabric_nodes")}


@route("GET", _FABRICS)
def list_fabrics(call: Call) -> Rows:
    return _rows(call, "fabrics")


@route("POST", _FABRICS)
def create_fabric(call: Call) -> None:
    params = call.params
    options, _, _ = split_changes(params, "id", "protocol", "lock-token")
    fabrics.create_fabric(call.world, params["id"], params["protocol"], options, params.get("lock-token"))


@route("GET", _FABRICS + "/{id}")
def read_fabric(call: Call) -> dict[str, Any]:
    fabrics.find_fabric(call.world, call.params["id"])
    return running.find_row(call.world, "fabrics", call.params["id"])


@route("PUT", _FABRICS + "/{id}")
def update_fabric(call: Call) -> None:
    params = call.params
    changes = split_changes(params, "id", "protocol", "lock-token")
    fabrics.update_fabric(call.world, params["id"], params["protocol"], *changes, params.get("lock-token"))


@route("DELETE", _FABRICS + "/{id}")
def delete_fabric(call: Call) -> None:
    fabrics.delete_fabric(call.world, call.params["id"])


@route("GET", _NODES)
def list_all_nodes(call: Call) -> Rows:
    return _rows(call, "fabric_nodes")


@route("GET", _NODES + "/{fabric_id}")
def list_nodes(call: Call) -> Rows:
    return [row for row in _rows(call, "fabric_nodes") if row["fabric_id"] == call.params["fabric_id"]]


@route("POST", _NODES + "/{fabric_id}")
def create_node(call: Call) -> None:
    params = call.params
    options, _, _ = split_changes(params, "fabric_id", "node_id", "protocol", "lock-token")
    place = (params["fabric_id"], params["node_id"], params["protocol"])
    fabrics.create_node(call.world, *place, options, params.get("lock-token"))


@route("GET", _ONE_NODE)
def read_node(call: Call) -> dict[str, Any]:
    found = fabrics.find_node(call.world, call.params["fabric_id"], call.params["node_id"])
    return running.find_row(call.world, "fabric_nodes", found.id)


@route("PUT", _ONE_NODE)
def update_node(call: Call) -> None:
    params = call.params
    changes = split_changes(params, "fabric_id", "node_id", "protocol", "lock-token")
    place = (params["fabric_id"], params["node_id"], params["protocol"])
    fabrics.update_node(call.world, *place, *changes, params.get("lock-token"))


@route("DELETE", _ONE_NODE)
def delete_node(call: Call) -> None:
    fabrics.delete_node(call.world, call.params["fabric_id"], call.params["node_id"])
