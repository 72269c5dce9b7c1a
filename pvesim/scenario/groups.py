"""From a scenario to what puts guests together: pools and high availability."""

from __future__ import annotations

from typing import Any

from pvesim.guests.records import Guest
from pvesim.ha.records import HaResource, HaRule
from pvesim.pools.records import Pool
from pvesim.scenario.context import Context, known_names
from pvesim.scenario.model import PoolModel
from pvesim.scenario.reading import Location
from pvesim.storage.records import Storage

_SID_KINDS = {"vm": "qemu", "ct": "lxc"}


def build_pools(context: Context) -> None:
    """The pools; a guest is in one at most, and a nested pool has a parent."""
    homes: dict[int, str] = {}
    for poolid, model in context.scenario.pools.items():
        location: Location = ("pools", poolid)
        context.verified("POST", "/pools", location, {}, poolid=poolid)
        parent = poolid.rpartition("/")[0]
        if parent and parent not in context.scenario.pools:
            context.problem(location, f"no pool '{parent}' that it could be in")
        _check_members(context, poolid, model, homes, location)
        context.world.put(Pool(poolid, model.comment, tuple(model.guests), tuple(model.storages)))


def _check_members(context: Context, poolid: str, model: PoolModel, homes: dict[int, str], location: Location) -> None:
    for position, vmid in enumerate(model.guests):
        place = (*location, "guests", position)
        if context.world.get(Guest, vmid) is None:
            context.problem(place, f"no guest {vmid}")
        if vmid in homes:
            context.problem(place, f"guest {vmid} is in the pool '{homes[vmid]}' already")
        homes[vmid] = poolid
    for position, storage in enumerate(model.storages):
        if context.world.get(Storage, storage) is None:
            names = known_names(context.world.rows(Storage))
            context.problem((*location, "storages", position), f"no storage '{storage}': {names}")


def build_ha(context: Context) -> None:
    """HA resources, as the manager has settled them, and rules."""
    model = context.scenario.ha
    for sid, options in model.resources.items():
        _build_resource(context, sid, options)
    for rule, options in model.rules.items():
        values = context.verified("POST", "/cluster/ha/rules", ("ha", "rules", rule), options, rule=rule)
        type = str(values.pop("type", ""))
        context.world.put(HaRule(rule, type, values))


def _build_resource(context: Context, sid: str, options: dict[str, Any]) -> None:
    location: Location = ("ha", "resources", sid)
    values = context.verified("POST", "/cluster/ha/resources", location, options, sid=sid)
    prefix, _, number = sid.partition(":")
    guest = context.world.get(Guest, int(number)) if number.isdigit() else None
    if guest is None or guest.kind != _SID_KINDS.get(prefix):
        context.problem(location, f"no guest '{sid}': VMs are written vm:100, containers ct:100")
        return
    state = str(values.pop("state", "started"))
    settled = {"started": guest.running, "stopped": not guest.running, "disabled": not guest.running}
    if not settled.get(state, True):
        context.problem(location, f"guest {guest.vmid} is {guest.status}: its HA state cannot be '{state}'")
    context.world.put(HaResource(sid, state, values, crm_state=state))
