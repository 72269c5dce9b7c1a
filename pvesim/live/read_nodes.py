"""Nodes: what they are, their network, name servers and services."""

from __future__ import annotations

from typing import Any

from pvesim.live.reader import Reader, without
from pvesim.scenario.defaults import services

_SHOWN_ONLY = (
    *("active", "altnames", "bridge_fd", "bridge_stp", "exists", "families", "iface"),
    *("link-type", "method", "method6", "priority"),
)
_DERIVED = ("address", "address6", "netmask", "netmask6")  # from cidr


def read_nodes(reader: Reader, scenario: dict[str, Any]) -> list[str]:
    """Fill in the cluster, its release and its nodes; the answer are those that can be asked."""
    rows = reader.must("/cluster/status")
    names = [row["name"] for row in sorted(rows, key=lambda row: row.get("nodeid", 0)) if row["type"] == "node"]
    online = {row["name"]: bool(row.get("online")) for row in rows if row["type"] == "node"}
    ips = {row["name"]: row.get("ip") for row in rows if row["type"] == "node"}
    cluster = next((row for row in rows if row["type"] == "cluster"), None)
    options = without(reader.mapping("/cluster/options"), ("allowed-tags", "digest"))
    options = {option: _option_text(value) for option, value in options.items()}
    scenario["cluster"] = {**({"name": cluster["name"]} if cluster else {}), "options": options}
    asked = [name for name in names if online[name]]
    reader.offline = set(names) - set(asked)
    reader.now = float(next(iter(reader.mapping(f"/nodes/{name}/time") for name in asked), {}).get("time", 0))
    scenario["start"] = int(reader.now)
    scenario["nodes"] = {}
    for name in names:
        node: dict[str, Any] = {"ip": ips[name]} if ips[name] else {}
        if name in asked:
            node.update(_node(reader, name, scenario, clustered=cluster is not None))
        else:
            node["online"] = False
        scenario["nodes"][name] = node
    return asked


def _option_text(value: Any) -> Any:
    """An option as it is written; some are shown in parts (`migration`), some as a list (`registered-tags`)."""
    if isinstance(value, dict):
        return ",".join(f"{name}={part}" for name, part in value.items())
    return ";".join(map(str, value)) if isinstance(value, list) else value


def _node(reader: Reader, name: str, scenario: dict[str, Any], *, clustered: bool) -> dict[str, Any]:
    status = reader.mapping(f"/nodes/{name}/status")
    node: dict[str, Any] = {"uptime": int(status.get("uptime", 0))}
    if status:
        node["hardware"] = _hardware(status)
        kernel = status.get("current-kernel", {})
        if kernel:
            scenario["release"] = {
                **scenario["release"],
                "kernel": kernel.get("release", ""),
                "kernel_version": kernel.get("version", ""),
            }
    time = reader.mapping(f"/nodes/{name}/time")
    if time:
        node["timezone"] = time["timezone"]
    dns = reader.mapping(f"/nodes/{name}/dns")
    if dns:
        node["dns"] = {key: dns[key] for key in ("search", "dns1", "dns2", "dns3") if dns.get(key)}
    hosts = reader.mapping(f"/nodes/{name}/hosts")
    if hosts.get("data"):
        node["hosts"] = hosts["data"]
    config = without(reader.mapping(f"/nodes/{name}/config"), ("digest",))
    if config:
        node["config"] = config
    interfaces = reader.list(f"/nodes/{name}/network")
    if interfaces:
        node["network"] = {row["iface"]: _interface(row) for row in interfaces}
    changed = _services(reader, name, clustered=clustered)
    if changed:
        node["services"] = changed
    return node


def _hardware(status: dict[str, Any]) -> dict[str, Any]:
    cpu, memory = status.get("cpuinfo", {}), status.get("memory", {})
    root, swap = status.get("rootfs", {}), status.get("swap", {})
    hardware = {
        "cores": cpu.get("cores"),
        "cpus": cpu.get("cpus"),
        "sockets": cpu.get("sockets"),
        "cpu_model": cpu.get("model"),
        "cpu_vendor": cpu.get("vendor"),
        "cpu_family": cpu.get("family"),
        "cpu_flags": cpu.get("flags"),
        "mhz": cpu.get("mhz"),
        "memory": memory.get("total"),
        "memory_used": memory.get("used"),
        "swap": swap.get("total"),
        "root_size": root.get("total"),
        "root_used": root.get("used"),
        "boot_mode": status.get("boot-info", {}).get("mode"),
    }
    texts = ("cpu_model", "cpu_vendor", "cpu_family", "cpu_flags", "mhz")
    return {key: str(value) if key in texts else value for key, value in hardware.items() if value is not None}


def _interface(row: dict[str, Any]) -> dict[str, Any]:
    options = without(row, _SHOWN_ONLY)
    for name in _DERIVED:
        if f"cidr{'6' if name.endswith('6') else ''}" in options:
            options.pop(name, None)
    if not row.get("active", 1):
        options["active"] = False
    return {key: value.rstrip("\n") if isinstance(value, str) else value for key, value in options.items()}


def _services(reader: Reader, name: str, *, clustered: bool) -> dict[str, Any]:
    """Those that are not as on a freshly installed node."""
    usual = {service.name: service for service in services(name, clustered)}
    changed = {}
    for row in reader.list(f"/nodes/{name}/services"):
        known = usual.get(row["name"])
        if known is None or (known.state, known.unit_state) != (row.get("state"), row.get("unit-state")):
            changed[row["name"]] = {
                "description": row.get("desc", ""),
                "state": row.get("state"),
                "unit_state": row.get("unit-state"),
            }
    return changed
