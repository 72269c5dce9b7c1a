"""`/version` and `/cluster`."""

from __future__ import annotations

from typing import Any

from pvesim.cluster.rules import the_cluster
from pvesim.routing import Call, route


@route("GET", "/version")
def version(call: Call) -> dict[str, Any]:
    release = the_cluster(call.world).release
    return {"release": release.release, "version": release.version, "repoid": release.repoid}
