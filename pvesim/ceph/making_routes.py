"""Making and removing what Ceph is made of, below `/nodes/{node}/ceph`. A scrub leaves no trace: not modelled."""

from __future__ import annotations

from typing import Any, NoReturn

from pvesim.ceph import daemons, pools
from pvesim.ceph.cluster import Ceph, find_ceph
from pvesim.ceph.records import Kind
from pvesim.core.errors import NotModelled
from pvesim.core.sections import split_changes
from pvesim.routing import Call, refusal, route

_PLACE = "/nodes/{node}/ceph"
_IDS: dict[Kind, str] = {"mon": "monid", "mgr": "id", "mds": "name"}


def _ceph(call: Call) -> Ceph:
    return find_ceph(call.world, call.node)


def _register(kind: Kind, parameter: str) -> None:
    path = f"{_PLACE}/{kind}/{{{parameter}}}"

    @route("POST", path)
    def make(call: Call) -> str:
        id = call.params.get(parameter) or call.node
        return call.start(f"cephcreate{kind}", id, daemons.making_steps(_ceph(call), kind, call.node, id))

    @route("DELETE", path)
    def remove(call: Call) -> str:
        id = call.params[parameter]
        return call.start(f"cephdestroy{kind}", id, daemons.removal_steps(_ceph(call), kind, call.node, id))


for _kind, _parameter in _IDS.items():
    _register(_kind, _parameter)


def _register_command(command: str) -> None:
    @route("POST", f"{_PLACE}/{command}")
    def run(call: Call) -> str:
        service = call.params.get("service") or "ceph"
        return call.start(f"srv{command}", service, daemons.service_steps(_ceph(call), call.node, service, command))


for _command in ("start", "stop", "restart"):
    _register_command(_command)


@route("POST", f"{_PLACE}/osd")
def make_osd(call: Call) -> str:
    path = call.params["dev"]
    return call.start("cephcreateosd", path.rpartition("/")[2], daemons.osd_steps(call.world, call.node, path))


@route("DELETE", f"{_PLACE}/osd/{{osdid}}")
def remove_osd(call: Call) -> str:
    number, cleanup = call.params["osdid"], bool(call.params.get("cleanup"))
    steps = daemons.osd_removal_steps(_ceph(call), call.node, number, cleanup)
    return call.start("cephdestroyosd", f"osd.{number}", steps)


@route("POST", f"{_PLACE}/pool")
def make_pool(call: Call) -> str:
    ceph, name, add = _ceph(call), call.params["name"], bool(call.params.get("add_storages"))
    if add:
        call.check("/storage", "Datastore.Allocate")
    if call.params.get("erasure-coding"):
        raise NotModelled("erasure-coded pools are not modelled by pvesim")
    settings, _, _ = split_changes(call.params, "node", "name", "add_storages", "application")
    steps = pools.pool_steps(ceph, name, call.params.get("application", "rbd"), settings, add)
    return call.start("cephcreatepool", name, steps)


@route("DELETE", f"{_PLACE}/pool/{{name}}")
def remove_pool(call: Call) -> str:
    ceph, params = _ceph(call), call.params
    if params.get("remove_storages"):
        call.check("/storage", "Datastore.Allocate")
    options: dict[str, Any] = {name: bool(params.get(name)) for name in ("force", "remove_storages")}
    steps = pools.pool_removal_steps(call.world, ceph, params["name"], **options)
    return call.start("cephdestroypool", params["name"], steps)


@route("POST", f"{_PLACE}/fs/{{name}}")
def make_filesystem(call: Call) -> str:
    params, add = call.params, bool(call.params.get("add-storage"))
    name = params.get("name", "cephfs")
    steps = pools.filesystem_steps(call.world, _ceph(call), name, params.get("pg_num", 128), add)
    return call.start("cephfscreate", name, steps)


@route("POST", f"{_PLACE}/init")
def initialize(call: Call) -> None:
    _ceph(call)
    pools.set_networks(call.world, call.params.get("network"), call.params.get("cluster-network"))


@refusal("POST", f"{_PLACE}/osd/{{osdid}}/scrub")
def scrub(call: Call) -> NoReturn:
    """Without Ceph it answers as PVE does; with it it is not modelled."""
    _ceph(call)
    raise NotModelled(f"{call.method.verb} {call.method.path} is not modelled by pvesim")
