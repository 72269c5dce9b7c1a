"""What a node finds when it looks around: servers with storages, its devices, a report of itself."""

from __future__ import annotations

from typing import Any

from pvesim.nodes import hardware, scan
from pvesim.nodes.report import report
from pvesim.routing import Call, route

_SCAN = "/nodes/{node}/scan"
Rows = list[dict[str, str]]


@route("GET", f"{_SCAN}/nfs")
def scan_nfs(call: Call) -> Rows:
    return scan.nfs(call.world, call.params["server"])


@route("GET", f"{_SCAN}/cifs")
def scan_cifs(call: Call) -> Rows:
    return scan.cifs(call.world, call.params["server"])


@route("GET", f"{_SCAN}/iscsi")
def scan_iscsi(call: Call) -> Rows:
    return scan.iscsi(call.world, call.params["portal"])


@route("GET", f"{_SCAN}/pbs")
def scan_backup_server(call: Call) -> Rows:
    return scan.backup_server(call.world, call.params["server"], call.params.get("port", 8007))


@route("GET", f"{_SCAN}/lvmthin")
def scan_thin_pools(call: Call) -> Rows:
    return scan.thin_pools(call.world, call.node, call.params["vg"])


@route("GET", "/nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev")
def list_mediated_devices(call: Call) -> list[dict[str, Any]]:
    return hardware.mediated_devices(call.world, call.params["pci-id-or-mapping"])


@route("GET", "/nodes/{node}/report")
def read_report(call: Call) -> str:
    return report(call.world, call.node)
