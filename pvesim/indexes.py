"""Index methods: a GET that lists what is below it, such as `GET /nodes/pve1`.

The schema marks them by a child link whose name is a key of the listed objects. What they list are the literal
children of the path, except where a genuine node lists something else (recorded exchanges).
"""

from __future__ import annotations

import re
from typing import Any

from pvesim.contract.schema import Contract, Method

_LINK = re.compile(r"^\{(\w+)\}$")

# What a genuine node lists where that is not what the schema has below the path.
_LISTED: dict[str, str] = {
    "/": "version cluster nodes storage access pools",
    "/access": "users groups roles acl domains openid tfa ticket password",
    "/capabilities": "qemu",
    "/nodes/{node}/capabilities": "qemu",
    "/cluster/config": "nodes totem join qdevice apiversion",
    "/nodes/{node}/qemu/{vmid}": (
        "config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd rrddata monitor agent "
        "snapshot spiceproxy sendkey firewall mtunnel remote_migrate"
    ),
    "/nodes/{node}/qemu/{vmid}/status": "current start stop reset shutdown suspend reboot",
    "/nodes/{node}/lxc/{vmid}": (
        "config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone rrd rrddata firewall snapshot "
        "resize interfaces"
    ),
    "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}": "rollback config",
    "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}": "rollback config",
}


def index_of(contract: Contract, method: Method) -> list[dict[str, Any]] | None:
    """What an index method answers, or None where the method is no index."""
    if method.verb != "GET":
        return None
    key = _child_key(method)
    if key is None:
        return None
    listed = _LISTED.get(method.path)
    names = listed.split() if listed else contract.children(method.path)
    return [{key: name} for name in names] if names else None


def _child_key(method: Method) -> str | None:
    for link in method.returns.get("links", ()):
        match = _LINK.match(link.get("href", ""))
        if link.get("rel") == "child" and match:
            return match[1]
    return None
