"""`/pools`: pools by parameter, and in the older way by path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pvesim.cluster.rounds import watch_round
from pvesim.core.errors import Failure, Forbidden
from pvesim.core.sections import under
from pvesim.pools import rules
from pvesim.routing import Call, route


@route("GET", "/pools")
def list_pools(call: Call) -> list[dict[str, Any]]:
    poolid = call.params.get("poolid")
    if poolid is None:
        return rules.list_pools(call.world, call.identity)
    call.check(f"/pool/{poolid}", "Pool.Audit")
    pool = rules.find_pool(call.world, poolid)
    watch_round(call)
    return [rules.describe(call.world, pool, call.params.get("type"), call.local_node)]


@route("GET", "/pools/{poolid}")
def read_pool(call: Call) -> dict[str, Any]:
    pool = rules.find_pool(call.world, call.params["poolid"])
    watch_round(call)
    return rules.describe(call.world, pool, call.params.get("type"), call.local_node)


@route("POST", "/pools")
def create_pool(call: Call) -> None:
    with under("create pool failed"):
        rules.create_pool(call.world, call.params["poolid"], call.params.get("comment", ""))


@route("PUT", "/pools")
@route("PUT", "/pools/{poolid}")
def update_pool(call: Call) -> None:
    with under("update pools failed"), _refusals_as_failures():
        rules.update_pool(call.world, call.identity, call.params["poolid"], call.params)


@route("DELETE", "/pools")
@route("DELETE", "/pools/{poolid}")
def delete_pool(call: Call) -> None:
    with under("delete pool failed"):
        rules.delete_pool(call.world, call.params["poolid"])


@contextmanager
def _refusals_as_failures() -> Iterator[None]:
    """PVE looks at the rights on members while it holds the lock, where every error becomes a failure."""
    try:
        yield
    except Forbidden as refusal:
        raise Failure(f"403 {refusal.message}") from refusal
