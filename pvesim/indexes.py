"""Index methods: a GET that lists what is below it, such as `GET /nodes/pve1`.

The schema marks them by a child link whose name is a key of the listed objects. What they list are the literal
children of the path, except where a genuine node lists something else (recorded exchanges).
"""

from __future__ import annotations

from typing import Any

from pvesim.contract import Contract, Method

# What a genuine node lists where that is not what the schema has below the path.
_LISTED: dict[str, str] = {
    "/": "version cluster nodes storage access pools",
    "/access": "users groups roles acl domains openid tfa ticket password",
    "/cluster": (
        "acme backup backup-info bulk-action ceph config firewall ha jobs log mapping metrics notifications nextid "
        "options qemu replication resources status tasks sdn"
    ),
    "/nodes/{node}": (
        "aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal lxc migrateall "
        "netstat network qemu query-oci-repo-tags query-url-metadata replication report rrd rrddata scan sdn services "
        "spiceshell startall status stopall storage subscription suspendall syslog tasks termproxy time version "
        "vncshell vzdump wakeonlan"
    ),
    "/nodes/{node}/capabilities": "qemu",
    "/cluster/config": "nodes totem join qdevice apiversion",
    "/cluster/sdn": "vnets zones controllers ipams dns fabrics",
    "/nodes/{node}/qemu/{vmid}": (
        "config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd rrddata monitor agent "
        "snapshot spiceproxy sendkey firewall mtunnel remote_migrate"
    ),
    "/nodes/{node}/qemu/{vmid}/status": "current start stop reset shutdown suspend reboot",
    "/nodes/{node}/lxc/{vmid}": (
        "config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone rrd rrddata firewall snapshot "
        "resize interfaces"
    ),
    "/nodes/{node}/lxc/{vmid}/status": "current start stop shutdown migrate",
    "/nodes/{node}/qemu/{vmid}/firewall": "rules aliases ipset refs options",
    "/nodes/{node}/lxc/{vmid}/firewall": "rules aliases ipset refs options",
    "/nodes/{node}/scan": "cifs iscsi lvm nfs pbs zfs",
    "/nodes/{node}/storage/{storage}": (
        "content download-url file-restore import-metadata identity oci-registry-pull prunebackups rrd rrddata status "
        "upload"
    ),
    "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}": "rollback config",
    "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}": "rollback config",
}


# The top of the tree answers too, though the published schema has no method for it.
TOP = Method(
    "GET",
    "/",
    {
        "parameters": {},
        "permissions": {"user": "all"},
        "allowtoken": 1,
        "returns": {"type": "array", "links": [{"rel": "child", "href": "{subdir}"}]},
    },
)


def index_of(contract: Contract, method: Method) -> list[dict[str, Any]] | None:
    """What an index method answers, or None where the method is no index."""
    if method.verb != "GET" or method.child_link is None:
        return None
    listed = _LISTED.get(method.path)
    names = listed.split() if listed else contract.children(method.path)
    return [{method.child_link: name} for name in names] if names else None
