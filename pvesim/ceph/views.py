"""What Ceph's own programs and PVE tell about the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pvesim.ceph.cluster import COMMIT, COPIES, FLAGS, RELEASE, VERSION, Ceph, Daemon, Osd, Pool
from pvesim.ceph.records import Kind
from pvesim.contract.formats import parse_size
from pvesim.core.errors import Failure
from pvesim.core.world import World
from pvesim.nodes.records import Node

Row = dict[str, Any]
_FULL_VERSION = f"ceph version {VERSION} ({COMMIT}) {RELEASE} (stable)"
_OBJECT = 4 * 1024**2


# -- state -------------------------------------------------------------------------------------------------------------


def status(world: World, ceph: Ceph) -> Row:
    """`GET /cluster/ceph/status`: what `ceph status` says."""
    monitors, managers = ceph.of("mon"), [manager for manager in ceph.of("mgr") if manager.up]
    servers = [server for server in ceph.of("mds") if server.up]
    quorum = [number for number, monitor in enumerate(monitors) if monitor.up]
    up, active = [osd for osd in ceph.osds if osd.up], [osd for osd in ceph.osds if osd.is_in]
    return {
        "fsid": ceph.fsid,
        "health": _health(ceph),
        "monmap": {
            "epoch": 1,
            "min_mon_release_name": RELEASE,
            "mons": [{"name": monitor.id, "rank": rank} for rank, monitor in enumerate(monitors)],
            "num_mons": len(monitors),
        },
        "quorum": quorum,
        "quorum_age": int(world.now - min((monitor.node.started for monitor in monitors), default=world.now)),
        "quorum_names": [monitors[number].id for number in quorum],
        "mgrmap": {"available": bool(managers), "num_standbys": max(0, len(managers) - 1), "services": {}},
        "osdmap": {
            "epoch": 100,
            "num_in_osds": len(active),
            "num_osds": len(ceph.osds),
            "num_remapped_pgs": 0,
            "num_up_osds": len(up),
        },
        "pgmap": _placement(ceph),
        "fsmap": {"by_rank": [], "epoch": 1, "up:standby": max(0, len(servers) - len(ceph.filesystems))},
        "progress_events": {},
        "servicemap": {"epoch": 1, "services": {}},
    }


def _placement(ceph: Ceph) -> Row:
    """How data lies: bytes with all copies, but for `data_bytes`."""
    groups, data = sum(pool.pg_num for pool in ceph.pools), sum(pool.used for pool in ceph.pools)
    state = "active+clean" if _complete(ceph) else "active+undersized"
    return {
        "bytes_avail": ceph.raw_total - ceph.raw_used,
        "bytes_total": ceph.raw_total,
        "bytes_used": ceph.raw_used,
        "data_bytes": data,
        "num_objects": -(-data // _OBJECT),
        "num_pgs": groups,
        "num_pools": len(ceph.pools),
        "pgs_by_state": [{"count": groups, "state_name": state}],
    }


def _complete(ceph: Ceph) -> bool:
    return all(osd.up and osd.is_in for osd in ceph.osds)


def _health(ceph: Ceph) -> Row:
    down, monitors = [osd for osd in ceph.osds if not osd.up], ceph.of("mon")
    away = [monitor.id for monitor in monitors if not monitor.up]
    checks = {}
    if down:
        checks["OSD_DOWN"] = _check(f"{len(down)} osds down", len(down))
    if away:
        checks["MON_DOWN"] = _check(f"{len(away)}/{len(monitors)} mons down", len(away))
    if ceph.state.flags:
        checks["OSDMAP_FLAGS"] = _check(f"{','.join(ceph.state.flags)} flag(s) set", len(ceph.state.flags))
    return {"checks": checks, "mutes": [], "status": "HEALTH_WARN" if checks else "HEALTH_OK"}


def _check(message: str, count: int) -> Row:
    return {"muted": False, "severity": "HEALTH_WARN", "summary": {"count": count, "message": message}}


def flags(ceph: Ceph) -> list[Row]:
    """`GET /cluster/ceph/flags`."""
    return [{"description": text, "name": name, "value": int(name in ceph.state.flags)} for name, text in FLAGS.items()]


def metadata(ceph: Ceph) -> Row:
    """`GET /cluster/ceph/metadata`."""
    version = {"parts": VERSION.split("."), "str": VERSION}
    return {
        "mds": {name: {**row, "addr": ip} for name, ip, row in _described(ceph, "mds")},
        "mgr": {name: {**row, "addr": ip} for name, ip, row in _described(ceph, "mgr")},
        "mon": {name: {**row, "addrs": _address(ip)} for name, ip, row in _described(ceph, "mon")},
        "node": {node.name: {"buildcommit": COMMIT, "version": version} for node in ceph.nodes},
        "osd": [_osd_metadata(osd) for osd in ceph.osds],
    }


def _described(ceph: Ceph, kind: Kind) -> Iterator[tuple[str, str, Row]]:
    """Each daemon of a kind: the name under which it is listed, its address, and what it says of itself."""
    for daemon in ceph.of(kind):
        yield f"{daemon.id}@{daemon.node.name}", daemon.node.ip, {**_daemon(daemon.node), "name": daemon.id}


def _address(ip: str) -> str:
    return f"[v2:{ip}:3300/0,v1:{ip}:6789/0]"


def _daemon(node: Node) -> Row:
    memory = {"mem_swap_kb": node.hardware.swap // 1024, "mem_total_kb": node.hardware.memory // 1024}
    version = {"ceph_release": RELEASE, "ceph_version": _FULL_VERSION, "ceph_version_short": VERSION}
    return {**memory, **version, "hostname": node.name}


def _osd_metadata(osd: Osd) -> Row:
    about = _daemon(osd.node)
    address = f"[v2:{osd.node.ip}:{6800 + 4 * osd.id}/1]"
    store = {"device_id": f"PVESIM_SSD_{osd.id}", "osd_data": f"/var/lib/ceph/osd/ceph-{osd.id}"}
    return {**about, **store, "back_addr": address, "front_addr": address, "id": osd.id, "osd_objectstore": "bluestore"}


# -- daemons -----------------------------------------------------------------------------------------------------------


def monitors(ceph: Ceph) -> list[Row]:
    """`GET /nodes/{node}/ceph/mon`."""
    return [
        {
            "addr": f"{monitor.node.ip}:6789/0",
            "ceph_version": _FULL_VERSION,
            "ceph_version_short": VERSION,
            "direxists": 1,
            "host": monitor.node.name,
            "name": monitor.id,
            "quorum": int(monitor.up),
            "rank": rank,
            "service": 1,
            "state": "running" if monitor.up else "stopped",
        }
        for rank, monitor in enumerate(ceph.of("mon"))
    ]


def managers(ceph: Ceph) -> list[Row]:
    """`GET /nodes/{node}/ceph/mgr`: the first that answers is active."""
    return [row for row, _ in _with_states(ceph.of("mgr"), 1)]


def metadata_servers(ceph: Ceph) -> list[Row]:
    """`GET /nodes/{node}/ceph/mds`: each file system has an active one, as far as there are some."""
    rows = _with_states(ceph.of("mds"), len(ceph.filesystems))
    return [row if rank is None else {**row, "rank": rank} for row, rank in rows]


def _with_states(daemons: list[Daemon], wanted: int) -> list[tuple[Row, int | None]]:
    """The rows of daemons, each with its number among the active ones."""
    rows: list[tuple[Row, int | None]] = []
    active = 0
    for daemon in daemons:
        rank = active if daemon.up and active < wanted else None
        active += rank is not None
        state = "stopped" if not daemon.up else "standby" if rank is None else "active"
        rows.append(({"addr": daemon.node.ip, "host": daemon.node.name, "name": daemon.id, "state": state}, rank))
    return rows


def osd_tree(ceph: Ceph) -> Row:
    """`GET /nodes/{node}/ceph/osd`: the OSDs below their nodes."""
    used = ceph.raw_used // max(1, sum(osd.is_in for osd in ceph.osds))
    hosts = []
    for position, node in enumerate(ceph.nodes):
        leaves = [_osd_row(osd, used) for osd in ceph.osds if osd.node is node]
        host = {"id": str(-2 - position), "leaf": 0, "name": node.name, "type": "host", "version": VERSION}
        hosts.append({**host, "children": leaves})
    root = {"children": [{"children": hosts, "id": "-1", "leaf": 0, "name": "default", "type": "root"}], "leaf": 0}
    return {"flags": ",".join(ceph.state.flags), "root": root}


def _osd_row(osd: Osd, used: int) -> Row:
    size = osd.size
    share = used / size if osd.is_in and size else 0.0
    return {
        "blfsdev": "",
        "bytes_used": used if osd.is_in else 0,
        "ceph_version": _FULL_VERSION,
        "ceph_version_short": VERSION,
        "crush_weight": round(size / 1024**4, 5),
        "device_class": "ssd",
        "host": osd.node.name,
        "id": str(osd.id),
        "in": int(osd.is_in),
        "leaf": 1,
        "name": f"osd.{osd.id}",
        "osdtype": "bluestore",
        "percent_used": 100 * share,
        "reweight": 1 if osd.is_in else 0,
        "status": "up" if osd.up else "down",
        "total_space": size,
        "type": "osd",
    }


def osd_volume(ceph: Ceph, osd: Osd, type: str, created: str) -> Row:
    """`GET …/osd/{osdid}/lv-info`. Raises `Failure` for a device that the OSD does not have."""
    if type != "block":
        raise Failure(f"osd '{osd.id}' has no '{type}' device")
    group, name = f"ceph-{ceph.fsid}", f"osd-block-{osd.id}"
    return {
        "creation_time": created,
        "lv_name": name,
        "lv_path": f"/dev/{group}/{name}",
        "lv_size": osd.size,
        "lv_uuid": f"{ceph.fsid[:-4]}{osd.id:04}",
        "vg_name": group,
    }


def osd_details(osd: Osd) -> Row:
    """`GET …/osd/{osdid}/metadata`."""
    about = _osd_metadata(osd)
    block = {"device": "block", "type": "ssd", "size": osd.size, "support_discard": 1}
    device = osd.device or f"sd{chr(ord('a') + osd.id % 24)}"
    addresses = {"hb_back_addr": about["back_addr"], "hb_front_addr": about["front_addr"]}
    shown = ("back_addr", "front_addr", "hostname", "id", "osd_data", "osd_objectstore")
    own = {"mem_usage": 2 * 1024**3, "pid": 1500 + osd.id, "version": f"{VERSION} ({COMMIT})"}
    return {
        "devices": [{**block, "dev_node": f"/dev/dm-{osd.id}", "devices": device}],
        "osd": {**{name: about[name] for name in shown}, **addresses, **own},
    }


# -- pools -------------------------------------------------------------------------------------------------------------


def pool_row(pool: Pool) -> Row:
    """One element of `GET /nodes/{node}/ceph/pool`."""
    free = max(0, pool.total - pool.used)
    row: Row = {
        "application_metadata": {pool.application: {}},
        "bytes_used": pool.size * pool.used,
        "crush_rule": 0,
        "crush_rule_name": "replicated_rule",
        "min_size": int(pool.settings.get("min_size", 2)),
        "percent_used": pool.used / (pool.used + free) if pool.used + free else 0,
        "pg_autoscale_mode": pool.settings.get("pg_autoscale_mode", "on"),
        "pg_num": pool.pg_num,
        "pg_num_final": pool.pg_num,
        "pool": pool.number,
        "pool_name": pool.name,
        "size": pool.size,
        "type": "replicated",
    }
    if "target_size" in pool.settings:
        row["target_size"] = parse_size(str(pool.settings["target_size"]))
    return row | {name: pool.settings[name] for name in ("pg_num_min", "target_size_ratio") if name in pool.settings}


def pool_status(pool: Pool) -> Row:
    """`GET /nodes/{node}/ceph/pool/{name}/status`."""
    listed = pool_row(pool)
    switches = ("fast_read", "nodeep-scrub", "nodelete", "nopgchange", "noscrub", "nosizechange", "use_gmt_hitset")
    return {
        **dict.fromkeys(switches, 0),
        "application": pool.settings.get("application", pool.application),
        "application_list": [pool.application],
        "crush_rule": listed["crush_rule_name"],
        "hashpspool": 1,
        "id": pool.number,
        "min_size": listed["min_size"],
        "name": pool.name,
        "pg_autoscale_mode": listed["pg_autoscale_mode"],
        "pg_num": pool.pg_num,
        "pgp_num": pool.pg_num,
        "size": pool.size,
        "write_fadvise_dontneed": 0,
    }


def filesystems(ceph: Ceph) -> list[Row]:
    """`GET /nodes/{node}/ceph/fs`."""
    return [
        {"data_pool": f"{name}_data", "metadata_pool": f"{name}_metadata", "name": name} for name in ceph.filesystems
    ]


# -- configuration -----------------------------------------------------------------------------------------------------


def configuration(ceph: Ceph) -> str:
    """`GET /nodes/{node}/ceph/cfg/raw`: the file that all nodes share."""
    lines = [f"\t{name} = {value}" for name, value in _settings(ceph).items()]
    return "\n".join(["[global]", *lines, ""])


def _settings(ceph: Ceph) -> dict[str, str]:
    hosts = " ".join(monitor.node.ip for monitor in ceph.of("mon"))
    known = {"fsid": ceph.fsid, "mon_host": hosts, "osd_pool_default_size": str(COPIES), **ceph.state.networks}
    return dict(sorted(known.items()))


def configured_values(ceph: Ceph, keys: str) -> Row:
    """`GET …/cfg/value`: the values asked for as `section:key`, by section."""
    known = _settings(ceph)
    found: dict[str, Row] = {}
    for item in keys.replace(";", ",").replace(" ", ",").split(","):
        section, _, key = item.partition(":")
        name = key.replace("-", "_")
        if section == "global" and name in known:
            found.setdefault(section, {})[name] = known[name]
    return found


def crush_map(ceph: Ceph) -> str:
    """`GET …/crush`: the devices and hosts in the form of Ceph's compiler."""
    lines = ["# begin crush map", *(f"device {osd.id} osd.{osd.id} class ssd" for osd in ceph.osds)]
    for position, node in enumerate(ceph.nodes):
        items = [f"\titem osd.{osd.id} weight 1.000" for osd in ceph.osds if osd.node is node]
        lines += [f"host {node.name} {{", f"\tid {-2 - position}", *items, "}"]
    return "\n".join([*lines, "# end crush map", ""])


def safety(ceph: Ceph, service: str, id: str) -> Row:
    """`GET …/cmd-safety`: whether the cluster can do without a daemon."""
    if service == "osd":
        safe = _complete(ceph) and len(ceph.osds) > COPIES
    else:
        fellows = [each for each in ceph.of("mon") if each.up]
        safe = len(fellows) > len(ceph.of("mon")) // 2 + (service == "mon")
    return {"safe": int(safe), "status": "" if safe else f"{service}.{id} is needed"}
