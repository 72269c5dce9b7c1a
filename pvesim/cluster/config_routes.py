"""Writes below `/cluster/config`."""

from __future__ import annotations

from pvesim.cluster import removal
from pvesim.cluster.creation import creation_steps
from pvesim.routing import Call, route


@route("POST", "/cluster/config")
def create_cluster(call: Call) -> str:
    name = call.params["clustername"]
    return call.start("clustercreate", name, creation_steps(call.world, name, call.params.get("nodeid", 1)))


@route("DELETE", "/cluster/config/nodes/{node}")
def remove_node(call: Call) -> None:
    removal.remove_node(call.world, call.local_node, call.params["node"])
