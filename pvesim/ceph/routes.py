"""`/nodes/{node}/ceph` and `/cluster/ceph`: what there is, flags and settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pvesim.ceph import cluster, views
from pvesim.ceph.cluster import Ceph, find_ceph, find_osd, find_pool
from pvesim.ceph.pools import RULE, check_rule
from pvesim.core.sections import split_changes
from pvesim.core.tasks import MISSING_LOG, Step
from pvesim.routing import Answer, Call, route

_PLACE = "/nodes/{node}/ceph"
Rows = list[dict[str, Any]]


def _ceph(call: Call) -> Ceph:
    return find_ceph(call.world, call.node)


# -- the cluster -------------------------------------------------------------------------------------------------------


@route("GET", "/cluster/ceph/status")
@route("GET", f"{_PLACE}/status")
def read_status(call: Call) -> dict[str, Any]:
    return views.status(call.world, _ceph(call))


@route("GET", "/cluster/ceph/metadata")
def read_metadata(call: Call) -> dict[str, Any]:
    return views.metadata(_ceph(call))


@route("GET", "/cluster/ceph/flags")
def list_flags(call: Call) -> Rows:
    return views.flags(_ceph(call))


@route("PUT", "/cluster/ceph/flags")
def set_flags(call: Call) -> str:
    _ceph(call)
    cluster.set_flags(call.world, {name: value for name, value in call.params.items() if name in cluster.FLAGS})
    return call.start("cephsetflags", "", [Step(after=0.5)])


@route("GET", "/cluster/ceph/flags/{flag}")
def read_flag(call: Call) -> int:
    return int(call.params["flag"] in _ceph(call).state.flags)


@route("PUT", "/cluster/ceph/flags/{flag}")
def set_flag(call: Call) -> None:
    _ceph(call)
    cluster.set_flags(call.world, {call.params["flag"]: call.params["value"]})


# -- daemons -----------------------------------------------------------------------------------------------------------


@route("GET", f"{_PLACE}/mon")
def list_monitors(call: Call) -> Rows:
    return views.monitors(_ceph(call))


@route("GET", f"{_PLACE}/mgr")
def list_managers(call: Call) -> Rows:
    return views.managers(_ceph(call))


@route("GET", f"{_PLACE}/mds")
def list_metadata_servers(call: Call) -> Rows:
    return views.metadata_servers(_ceph(call))


@route("GET", f"{_PLACE}/osd")
def list_osds(call: Call) -> dict[str, Any]:
    return views.osd_tree(_ceph(call))


@route("POST", f"{_PLACE}/osd/{{osdid}}/in")
def take_in(call: Call) -> None:
    cluster.move_osd(call.world, _ceph(call), call.params["osdid"], True)


@route("POST", f"{_PLACE}/osd/{{osdid}}/out")
def take_out(call: Call) -> None:
    cluster.move_osd(call.world, _ceph(call), call.params["osdid"], False)


@route("GET", f"{_PLACE}/osd/{{osdid}}/lv-info")
def read_osd_volume(call: Call) -> dict[str, Any]:
    ceph = _ceph(call)
    created = datetime.fromtimestamp(call.world.started, UTC).strftime("%Y-%m-%d %H:%M:%S +0000")
    return views.osd_volume(ceph, find_osd(ceph, call.params["osdid"]), call.params.get("type", "block"), created)


@route("GET", f"{_PLACE}/osd/{{osdid}}/metadata")
def read_osd(call: Call) -> dict[str, Any]:
    ceph = _ceph(call)
    return views.osd_details(find_osd(ceph, call.params["osdid"]))


@route("GET", f"{_PLACE}/cmd-safety")
def read_safety(call: Call) -> dict[str, Any]:
    return views.safety(_ceph(call), call.params["service"], call.params["id"])


# -- pools and file systems --------------------------------------------------------------------------------------------


@route("GET", f"{_PLACE}/pool")
def list_pools(call: Call) -> Rows:
    return [views.pool_row(pool) for pool in _ceph(call).pools]


@route("GET", f"{_PLACE}/pool/{{name}}/status")
def read_pool(call: Call) -> dict[str, Any]:
    return views.pool_status(find_pool(_ceph(call), call.params["name"]))


@route("PUT", f"{_PLACE}/pool/{{name}}")
def set_pool(call: Call) -> str:
    pool = find_pool(_ceph(call), call.params["name"])
    settings, _, _ = split_changes(call.params, "node", "name")
    check_rule(settings)
    step = Step(after=0.5, effect="ceph.set_pool", arguments=(pool.name, settings))
    return call.start("cephsetpool", pool.name, [step])


@route("GET", f"{_PLACE}/fs")
def list_filesystems(call: Call) -> Rows:
    return views.filesystems(_ceph(call))


@route("GET", f"{_PLACE}/rules")
def list_rules(call: Call) -> Rows:
    _ceph(call)
    return [{"name": RULE}]


# -- configuration and log ---------------------------------------------------------------------------------------------


@route("GET", f"{_PLACE}/cfg/raw")
def read_configuration(call: Call) -> str:
    return views.configuration(_ceph(call))


@route("GET", f"{_PLACE}/cfg/db")
def list_settings(call: Call) -> Rows:
    _ceph(call)
    return []


@route("GET", f"{_PLACE}/cfg/value")
def read_settings(call: Call) -> dict[str, Any]:
    return views.configured_values(_ceph(call), call.params["config-keys"])


@route("GET", f"{_PLACE}/crush")
def read_crush_map(call: Call) -> str:
    return views.crush_map(_ceph(call))


@route("GET", f"{_PLACE}/log")
def read_log(call: Call) -> Answer:
    _ceph(call)
    return Answer([{"n": 1, "t": MISSING_LOG}], {"total": 1})
