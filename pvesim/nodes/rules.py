"""What a node says of itself and what is set on it: list, status, version, time, DNS, hosts, configuration.

Sources: `/nodes`, `/nodes/{node}/{status,version,time,dns,hosts,config}`, the recorded exchanges `nodes/*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pvesim.cluster.rules import the_cluster
from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.sections import as_stored, check_digest, digest_of
from pvesim.core.world import World
from pvesim.metrics import node_figures
from pvesim.nodes import power
from pvesim.nodes.certificates import node_fingerprint
from pvesim.nodes.records import Node
from pvesim.storage.rules import root_space


def find_node(world: World, name: str) -> Node:
    """The record of a node that the cluster has. Raises `Failure` for others."""
    node = world.get(Node, name)
    if node is None:
        raise Failure(f"no such cluster node '{name}'")
    return node


# -- list and status -----------------------------------------------------------------------------------------------


def list_row(world: World, node: Node, audit: bool) -> dict[str, Any]:
    """One element of `GET /nodes`; the figures only for who may audit the node, and only while it is online."""
    row: dict[str, Any] = {
        "id": f"node/{node.name}",
        "level": "",
        "node": node.name,
        "ssl_fingerprint": node_fingerprint(world, node),
        "status": "online" if node.online else "offline",
        "type": "node",
    }
    if node.online and audit:
        figures, root = node_figures(world, node), root_space(world, node)
        row |= {
            "cpu": figures.cpu,
            "disk": root.used,
            "maxcpu": node.hardware.cpus,
            "maxdisk": root.total,
            "maxmem": node.hardware.memory,
            "mem": figures.mem,
            "uptime": figures.uptime,
        }
    return row


def status(world: World, name: str) -> dict[str, Any]:
    """`GET /nodes/{node}/status`."""
    node = find_node(world, name)
    release, hardware = the_cluster(world).release, node.hardware
    figures, root = node_figures(world, node), root_space(world, node)
    free = hardware.memory - figures.mem
    return {
        "boot-info": {"mode": hardware.boot_mode},
        "cpu": figures.cpu,
        "cpuinfo": _cpu_info(node),
        "current-kernel": {
            "machine": "x86_64",
            "release": release.kernel,
            "sysname": "Linux",
            "version": release.kernel_version,
        },
        "idle": 0,
        "ksm": {"shared": 0},
        "kversion": f"Linux {release.kernel} {release.kernel_version}",
        "loadavg": [f"{load:.2f}" for load in figures.loadavg],
        "memory": {"available": free, "free": free, "total": hardware.memory, "used": figures.mem},
        "pveversion": f"pve-manager/{release.version}/{release.repoid}",
        "rootfs": {"avail": root.avail, "free": root.avail, "total": root.total, "used": root.used},
        "swap": {
            "free": hardware.swap - figures.swap_used,
            "total": hardware.swap,
            "used": figures.swap_used,
        },
        "uptime": figures.uptime,
        "wait": figures.iowait,
    }


def _cpu_info(node: Node) -> dict[str, Any]:
    hardware = node.hardware
    flags = hardware.cpu_flags.split()
    return {
        "cores": hardware.cores,
        "cpus": hardware.cpus,
        "family": hardware.cpu_family,
        "flags": hardware.cpu_flags,
        "hvm": "1" if "vmx" in flags or "svm" in flags else "",
        "mhz": hardware.mhz,
        "model": hardware.cpu_model,
        "sockets": hardware.sockets,
        "user_hz": 100,
        "vendor": hardware.cpu_vendor,
    }


def version(world: World) -> dict[str, str]:
    """`GET /nodes/{node}/version`."""
    release = the_cluster(world).release
    return {"release": release.release, "repoid": release.repoid, "version": release.version}


# -- time ----------------------------------------------------------------------------------------------------------


def time_of(world: World, name: str) -> dict[str, Any]:
    """`GET /nodes/{node}/time`: `localtime` is the time of day there, counted as if it were UTC."""
    node = find_node(world, name)
    now = int(world.now + node.clock_offset)
    local = datetime.fromtimestamp(now, _zone(node.timezone) or UTC)
    offset = local.utcoffset()
    return {"localtime": now + (int(offset.total_seconds()) if offset else 0), "time": now, "timezone": node.timezone}


def set_timezone(world: World, name: str, timezone: str) -> None:
    """`PUT /nodes/{node}/time`. Raises `ParameterErrors` for a time zone that there is not."""
    if _zone(timezone) is None:
        raise ParameterErrors({"timezone": "No such timezone"})
    world.put(replace(find_node(world, name), timezone=timezone))


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no key at all, a folder of the database
        return None


# -- dns and hosts -------------------------------------------------------------------------------------------------


def set_dns(world: World, name: str, given: Mapping[str, Any]) -> None:
    """`PUT /nodes/{node}/dns`: the search domain and the servers given replace what was there."""
    dns = {key: str(given[key]) for key in ("search", "dns1", "dns2", "dns3") if given.get(key)}
    world.put(replace(find_node(world, name), dns=dns))


def hosts(world: World, name: str) -> dict[str, str]:
    """`GET /nodes/{node}/hosts`."""
    text = find_node(world, name).hosts
    return {"data": text, "digest": digest_of(text)}


def set_hosts(world: World, name: str, text: str, digest: str | None) -> None:
    """`POST /nodes/{node}/hosts`. Raises `Failure` when the client has read an older state."""
    node = find_node(world, name)
    check_digest(digest_of(node.hosts), digest)
    world.put(replace(node, hosts=text))


# -- configuration -------------------------------------------------------------------------------------------------


def read_config(world: World, name: str, wanted: str = "all") -> dict[str, Any]:
    """`GET /nodes/{node}/config`; a node on which nothing was ever set has no digest either."""
    config = as_stored(find_node(world, name).config)
    if not config:
        return {}
    shown = {key: str(value) for key, value in config.items()}  # PVE does not read numbers from this file as such
    if "description" in shown:
        shown["description"] = _lines(shown["description"])
    if wanted != "all":
        return {wanted: shown[wanted]} if wanted in shown else {}
    return {**shown, "digest": digest_of(_config_text(config))}


def change_config(world: World, name: str, given: Mapping[str, Any], delete: list[str], digest: str | None) -> None:
    """`PUT /nodes/{node}/config`. Raises `Failure` when the client has read an older state."""
    node = find_node(world, name)
    check_digest(digest_of(_config_text(node.config)), digest)
    kept = {key: value for key, value in node.config.items() if key not in delete}
    world.put(replace(node, config={**kept, **given}))


def _lines(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _config_text(config: Mapping[str, Any]) -> str:
    comment = "".join(f"#{line}\n" for line in str(config.get("description", "")).splitlines())
    return comment + "".join(f"{key}: {value}\n" for key, value in sorted(config.items()) if key != "description")


# -- waking --------------------------------------------------------------------------------------------------------


def wake(world: World, name: str, local: str) -> str:
    """`POST /nodes/{node}/wakeonlan`: the MAC address that the packet went to. Raises `Failure`."""
    if name == local:
        raise Failure(f"'{name}' is local node, cannot wake my self!")
    node = find_node(world, name)
    fields = list(_fields(str(node.config.get("wakeonlan", ""))))
    mac = next((value for key, value in fields if key == "mac" and value), None)
    if mac is None:
        raise Failure(f"No wake on LAN MAC address defined for '{name}'!")
    power.wake(world, name)
    return mac


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        key, equals, value = part.partition("=")
        yield (key, value) if equals else ("mac", part)
