"""Guests: configuration, state, snapshots, what is pending, and how busy they are."""

from __future__ import annotations

from typing import Any

from pvesim.live.reader import Reader, without

_OF_SNAPSHOTS = ("description", "digest", "parent", "runningcpu", "runningmachine", "snaptime", "snapstate")


def read_guests(reader: Reader, scenario: dict[str, Any]) -> None:
    """Fill in the guests, and settle which volumes are theirs."""
    scenario["vms"], scenario["containers"] = {}, {}
    for row in sorted(reader.must("/cluster/resources", type="vm"), key=lambda row: row["vmid"]):
        section = "vms" if row["type"] == "qemu" else "containers"
        if row["node"] in reader.offline:
            reader.notes.append(f"not read: guest {row['vmid']} is on {row['node']}, which is offline")
            continue
        base = f"/nodes/{row['node']}/{row['type']}/{row['vmid']}"
        config = reader.get(f"{base}/config", current=1)
        if config is None:
            continue
        scenario[section][row["vmid"]] = _guest(reader, base, row, without(config, ("digest",)))
    _list_other_disks(scenario)
    _settle_backups(scenario)


def _guest(reader: Reader, base: str, row: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    status = reader.mapping(f"{base}/status/current")
    guest: dict[str, Any] = {"node": row["node"], "config": _written(config)}
    if status.get("status") == "running":
        paused = status.get("qmpstatus") == "paused"
        guest["state"] = "paused" if paused else "running"
        guest["uptime"] = status.get("uptime", 0)
        guest["behaviour"] = _behaviour(status)
    pending = _pending(reader.list(f"{base}/pending"))
    if pending:
        guest["pending"] = pending
    snapshots = _snapshots(reader, base, row, guest["config"])
    if snapshots:
        guest["snapshots"] = snapshots
    return guest


def _written(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as it is written, without how it was made and a container's raw lines."""
    return {key: value for key, value in config.items() if key not in ("lxc", "meta")}


def _behaviour(status: dict[str, Any]) -> dict[str, Any]:
    """How busy the guest is, on average since its start."""
    uptime = max(1, status.get("uptime") or 1)
    rates = {"net_in": "netin", "net_out": "netout", "disk_read": "diskread", "disk_write": "diskwrite"}
    behaviour = {name: round((status.get(counter) or 0) / uptime, 1) for name, counter in rates.items()}
    behaviour["cpu_load"] = min(1.0, round(status.get("cpu") or 0.0, 4))
    if status.get("maxmem"):
        behaviour["memory_load"] = min(1.0, round((status.get("mem") or 0) / status["maxmem"], 4))
    if status.get("type") == "lxc" and status.get("maxdisk"):
        behaviour["disk_used"] = min(1.0, round((status.get("disk") or 0) / status["maxdisk"], 4))
    return behaviour


def _pending(rows: list[dict[str, Any]]) -> dict[str, Any]:
    waiting = {row["key"]: row["pending"] for row in rows if "pending" in row and row["key"] != "digest"}
    waiting.update({row["key"]: None for row in rows if row.get("delete")})
    return waiting


def _snapshots(reader: Reader, base: str, row: dict[str, Any], config: dict[str, Any]) -> list[dict[str, Any]]:
    """The snapshots, a parent before its children."""
    waiting = {item["name"]: item for item in reader.list(f"{base}/snapshot") if item["name"] != "current"}
    done: list[dict[str, Any]] = []
    names: set[str] = set()
    while waiting:
        ready = [item for item in waiting.values() if item.get("parent") not in waiting]
        for item in ready or list(waiting.values()):
            del waiting[item["name"]]
            done.append(_snapshot(reader, base, row, config, item, names, first=not done))
            names.add(item["name"])
    return done


def _snapshot(
    reader: Reader,
    base: str,
    row: dict[str, Any],
    config: dict[str, Any],
    item: dict[str, Any],
    names: set[str],
    *,
    first: bool,
) -> dict[str, Any]:
    snapshot: dict[str, Any] = {"name": item["name"], "ago": max(0.0, reader.now - item.get("snaptime", reader.now))}
    if item.get("description"):
        snapshot["description"] = item["description"]
    if item.get("parent") in names:
        snapshot["parent"] = item["parent"]
    elif not first:
        reader.notes.append(f"left out: snapshot {item['name']} of guest {row['vmid']} has no parent there")
    if item.get("vmstate"):
        snapshot["vmstate"] = True
    then = reader.get(f"{base}/snapshot/{item['name']}/config")
    if then is not None:
        then = without(_written(then), (*_OF_SNAPSHOTS, "vmstate"))
        now = without(config, ("description", "lock", "parent"))
        changed = {key: value for key, value in then.items() if now.get(key) != value}
        changed.update(dict.fromkeys(now.keys() - then.keys()))
        if changed:
            snapshot["config"] = changed
    return snapshot


def _list_other_disks(scenario: dict[str, Any]) -> None:
    """A guest's disk that no configuration gives a size (unused, or left behind) is listed with its storage."""
    sized = {
        str(value).partition(",")[0]
        for section in ("vms", "containers")
        for guest in scenario[section].values()
        for value in guest["config"].values()
        if "size=" in str(value)
    }
    for storage, model in scenario["storages"].items():
        for disk in model.pop("_disks", []):
            volid = f"{storage}:{disk['name']}"
            del disk["vmid"]
            if volid not in sized and "-state-" not in volid:  # a snapshot's memory comes with the snapshot
                model.setdefault("volumes", []).append(disk)


def _settle_backups(scenario: dict[str, Any]) -> None:
    """A backup of a guest that is there holds its present configuration, as far as anybody can tell from outside."""
    sections = {"qemu": scenario["vms"], "lxc": scenario["containers"]}
    for model in scenario["storages"].values():
        for backup in model.get("backups", []):
            if backup["guest"] in sections[backup["kind"]]:
                del backup["kind"], backup["config"]
