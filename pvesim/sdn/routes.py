"""`/cluster/sdn`: zones, virtual networks, what they need, and applying it all."""

from __future__ import annotations

from typing import Any

from pvesim.core.sections import split_changes
from pvesim.routing import Call, Handler, route
from pvesim.sdn import apply, objects, running, zones
from pvesim.sdn.files import find
from pvesim.sdn.objects import CONTROLLER, DNS, IPAM, ObjectKind
from pvesim.sdn.records import Address, Vnet
from pvesim.sdn.subnets import show_address

Rows = list[dict[str, Any]]


def view(call: Call) -> dict[str, bool]:
    """Which state a request asks for."""
    return {"pending": bool(call.params.get("pending")), "running": bool(call.params.get("running"))}


def may_see(call: Call, path: str) -> bool:
    """Whether who asks may see an object in a list."""
    return call.may(path, "SDN.Audit", "SDN.Allocate", any_of=True)


# -- all of it ---------------------------------------------------------------------------------------------------------


@route("PUT", "/cluster/sdn")
def apply_all(call: Call) -> str:
    running.commit(call.world, call.params.get("lock-token"), call.params.get("release-lock", True))
    return call.start("reloadnetworkall", "", apply.reload_steps(call.world, call.identity.name))


@route("GET", "/cluster/sdn/dry-run")
def dry_run(call: Call) -> dict[str, str]:
    return {"frr-diff": "", "interfaces-diff": apply.interfaces_difference(call.world, call.params["node"])}


@route("POST", "/cluster/sdn/lock")
def lock(call: Call) -> str:
    return running.lock(call.world, bool(call.params.get("allow-pending")))


@route("DELETE", "/cluster/sdn/lock")
def unlock(call: Call) -> None:
    running.unlock(call.world, call.params.get("lock-token"), bool(call.params.get("force")))


@route("POST", "/cluster/sdn/rollback")
def roll_back(call: Call) -> None:
    running.rollback(call.world, call.params.get("lock-token"), call.params.get("release-lock", True))


# -- zones -------------------------------------------------------------------------------------------------------------


@route("GET", "/cluster/sdn/zones")
def list_zones(call: Call) -> Rows:
    rows, wanted = running.rows_of(call.world, "zones", **view(call)), call.params.get("type")
    return [row for id, row in rows.items() if wanted in (None, row["type"]) and may_see(call, f"/sdn/zones/{id}")]


@route("POST", "/cluster/sdn/zones")
def create_zone(call: Call) -> None:
    params = call.params
    options, _, _ = split_changes(params, "zone", "type", "lock-token")
    zones.create_zone(call.world, params["type"], params["zone"], options, params.get("lock-token"))


@route("GET", "/cluster/sdn/zones/{zone}")
def read_zone(call: Call) -> dict[str, Any]:
    return running.find_row(call.world, "zones", call.params["zone"], **view(call))


@route("PUT", "/cluster/sdn/zones/{zone}")
def update_zone(call: Call) -> None:
    changes = split_changes(call.params, "zone", "lock-token")
    zones.update_zone(call.world, call.params["zone"], *changes, call.params.get("lock-token"))


@route("DELETE", "/cluster/sdn/zones/{zone}")
def delete_zone(call: Call) -> None:
    zones.delete_zone(call.world, call.params["zone"], call.params.get("lock-token"))


# -- virtual networks --------------------------------------------------------------------------------------------------


def check_vnet(call: Call, *privileges: str) -> str:
    """The virtual network that the path names. Raises `Failure` for an unknown one, `Forbidden`."""
    vnet = find(call.world, Vnet, call.params["vnet"])
    call.check(f"/sdn/zones/{vnet.options['zone']}/{vnet.id}", *privileges, any_of=True)
    return vnet.id


@route("GET", "/cluster/sdn/vnets")
def list_vnets(call: Call) -> Rows:
    rows = running.rows_of(call.world, "vnets", **view(call))
    return [row for id, row in rows.items() if may_see(call, f"/sdn/zones/{zone_of_row(row)}/{id}")]


def zone_of_row(row: dict[str, Any]) -> str:
    """The zone of a virtual network, which a new one only has among what is pending."""
    return str(row.get("zone") or row["pending"]["zone"])


@route("POST", "/cluster/sdn/vnets")
def create_vnet(call: Call) -> None:
    options, _, _ = split_changes(call.params, "vnet", "type", "lock-token")
    zones.create_vnet(call.world, call.params["vnet"], options, call.params.get("lock-token"))


@route("GET", "/cluster/sdn/vnets/{vnet}")
def read_vnet(call: Call) -> dict[str, Any]:
    row = running.find_row(call.world, "vnets", call.params["vnet"], **view(call))
    path = f"/sdn/zones/{zone_of_row(row)}/{call.params['vnet']}"
    call.check(path, "SDN.Audit", "SDN.Allocate", any_of=True)
    return row


@route("PUT", "/cluster/sdn/vnets/{vnet}")
def update_vnet(call: Call) -> None:
    vnet = check_vnet(call, "SDN.Allocate")
    changes = split_changes(call.params, "vnet", "lock-token")
    zones.update_vnet(call.world, vnet, *changes, call.params.get("lock-token"))


@route("DELETE", "/cluster/sdn/vnets/{vnet}")
def delete_vnet(call: Call) -> None:
    zones.delete_vnet(call.world, check_vnet(call, "SDN.Allocate"), call.params.get("lock-token"))


# -- controllers, address managers, name servers -----------------------------------------------------------------------


@route("GET", "/cluster/sdn/controllers")
def list_controllers(call: Call) -> Rows:
    rows, wanted = running.rows_of(call.world, "controllers", **view(call)), call.params.get("type")
    return [
        row for id, row in rows.items() if wanted in (None, row["type"]) and may_see(call, f"/sdn/controllers/{id}")
    ]


@route("GET", "/cluster/sdn/controllers/{controller}")
def read_controller(call: Call) -> dict[str, Any]:
    return running.find_row(call.world, "controllers", call.params["controller"], **view(call))


def _writes(kind: ObjectKind) -> dict[tuple[str, str], Handler]:
    """The handlers that create, update and delete one of the three kinds, by verb and path below `/cluster/sdn`."""
    place = kind.name if kind is DNS else f"{kind.name}s"

    def create(call: Call) -> None:
        options, _, _ = split_changes(call.params, kind.name, "type", "lock-token")
        params = call.params
        objects.create(call.world, kind, params["type"], params[kind.name], options, params.get("lock-token"))

    def update(call: Call) -> None:
        changes = split_changes(call.params, kind.name, "lock-token")
        objects.update(call.world, kind, call.params[kind.name], *changes, call.params.get("lock-token"))

    def delete(call: Call) -> None:
        objects.delete(call.world, kind, call.params[kind.name], call.params.get("lock-token"))

    one = f"{place}/{{{kind.name}}}"
    return {("POST", place): create, ("PUT", one): update, ("DELETE", one): delete}


def _reads(kind: ObjectKind) -> dict[tuple[str, str], Handler]:
    place = kind.name if kind is DNS else f"{kind.name}s"

    def read_all(call: Call) -> Rows:
        rows, wanted = objects.listed(call.world, kind), call.params.get("type")
        seen = (row for row in rows if may_see(call, f"/sdn/{place}/{row[kind.name]}"))
        return [row for row in seen if wanted in (None, row["type"])]

    def read_one(call: Call) -> dict[str, Any]:
        return objects.show(call.world, kind, objects.find_object(call.world, kind, call.params[kind.name]))

    return {("GET", place): read_all, ("GET", f"{place}/{{{kind.name}}}"): read_one}


for _handlers in (_writes(CONTROLLER), _writes(IPAM), _writes(DNS), _reads(IPAM), _reads(DNS)):
    for (_verb, _place), _handler in _handlers.items():
        route(_verb, f"/cluster/sdn/{_place}")(_handler)


@route("GET", "/cluster/sdn/ipams/{ipam}/status")
def list_addresses(call: Call) -> Rows:
    objects.check_own_ipam(call.params["ipam"])
    addresses = call.world.rows(Address).values()
    return [show_address(found) for found in addresses if may_see(call, f"/sdn/zones/{found.zone}/{found.vnet}")]
