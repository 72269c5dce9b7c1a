"""`…/rrddata` of nodes, guests and storages."""

from __future__ import annotations

from typing import Any

from pvesim import statistics
from pvesim.core.errors import Failure
from pvesim.guests.records import Kind
from pvesim.guests.rules import find_guest
from pvesim.nodes.records import Node
from pvesim.routing import Call, route
from pvesim.storage.rules import check_enabled

Rows = list[dict[str, Any]]
DEFAULT = "AVERAGE"


@route("GET", "/nodes/{node}/rrddata")
def node_statistics(call: Call) -> Rows:
    node = call.world.get(Node, call.node)
    if node is None:
        path = f"/var/lib/rrdcached/db/pve-node-9.0/{call.node}"
        raise Failure(f"RRD error: opening '{path}': No such file or directory")
    return statistics.node_rows(call.world, node, call.params["timeframe"], call.params.get("cf", DEFAULT))


@route("GET", "/nodes/{node}/qemu/{vmid}/rrddata")
def machine_statistics(call: Call) -> Rows:
    return _guest_statistics(call, "qemu")


@route("GET", "/nodes/{node}/lxc/{vmid}/rrddata")
def container_statistics(call: Call) -> Rows:
    return _guest_statistics(call, "lxc")


@route("GET", "/nodes/{node}/storage/{storage}/rrddata")
def storage_statistics(call: Call) -> Rows:
    storage = check_enabled(call.world, call.params["storage"], call.node)
    cf = call.params.get("cf", DEFAULT)
    return statistics.storage_rows(call.world, storage, call.node, call.params["timeframe"], cf)


def _guest_statistics(call: Call, kind: Kind) -> Rows:
    guest = find_guest(call.world, kind, call.node, call.params["vmid"])
    return statistics.guest_rows(call.world, guest, call.params["timeframe"], call.params.get("cf", DEFAULT))
