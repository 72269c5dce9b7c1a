"""`/nodes/{node}/vzdump`, `/cluster/backup` and `/cluster/backup-info`."""

from __future__ import annotations

from pvesim.backup import archive, rules
from pvesim.routing import Call, route


@route("POST", "/nodes/{node}/vzdump")
def back_up(call: Call) -> str:
    return rules.back_up(call)


@route("GET", "/nodes/{node}/vzdump/extractconfig")
def extract_config(call: Call) -> str:
    return archive.extract_config(call, call.params["volume"])
