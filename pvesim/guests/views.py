"""Guests as lists and `status/current` show them.

Source: recorded exchanges `qemu-config/001-009`, `qemu-power/018-039`, `qemu-lock/013`, `lxc/017-021`, `lxc/056`,
`lxc/074`. Keys that PVE leaves out stay out.
"""

from __future__ import annotations

import re
from typing import Any

from pvesim.cluster.records import Cluster, Release
from pvesim.core.world import World
from pvesim.guests.disks import disks_of, read_options
from pvesim.guests.kinds import KINDS
from pvesim.guests.records import Guest
from pvesim.guests.rules import agent_enabled, managed_by_ha
from pvesim.guests.sizes import DEFAULT_MEMORY, MIB, maxcpu, maxdisk, maxmem
from pvesim.ha.records import HaResource
from pvesim.metrics import GuestFigures, sampled_figures
from pvesim.nodes.records import Node
from pvesim.storage.rules import space_of

_NET = re.compile(r"net(\d+)")
_SERIAL = re.compile(r"serial\d+")
_PRESSURES = tuple(f"pressure{what}{how}" for what in ("cpu", "io", "memory") for how in ("some", "full"))
_DEFAULT_SHARES = 1000


def list_entry(world: World, guest: Guest, *, full: bool = False) -> dict[str, Any]:
    """One element of `GET /nodes/{node}/qemu` or `…/lxc`; `full` adds what the running process tells."""
    figures = sampled_figures(world, guest)
    entry = {
        **_settled(world, guest),
        "uptime": int(world.now - guest.started) if guest.running else 0,
        "cpu": figures.cpu,
        "mem": figures.mem,
        "disk": figures.disk,
        "netin": figures.netin,
        "netout": figures.netout,
    }
    if guest.kind == "lxc":
        entry |= {"diskread": figures.diskread, "diskwrite": figures.diskwrite}
        if guest.running:
            entry |= _limitless_root(world, guest)
    else:
        entry["memhost"] = figures.mem
        if full:
            entry["qmpstatus"] = guest.qmpstatus
        if full and guest.running:
            entry |= _process_part(world, guest, figures)
    if guest.running:
        entry["pid"] = guest.pid
        # A container's are read from its control group and passed on as text.
        entry |= dict.fromkeys(_PRESSURES, 0 if guest.kind == "qemu" else "0.00")
    return entry


def status_of(world: World, guest: Guest) -> dict[str, Any]:
    """What `GET …/status/current` shows: the full list entry, whether HA manages the guest, its agent and display."""
    status = {**list_entry(world, guest, full=True), "ha": ha_part(world, guest)}
    if guest.kind == "qemu":
        if agent_enabled(guest.config):
            status["agent"] = 1
        vga = read_options(str(guest.config.get("vga", "")), "type")
        if vga.get("type", "").startswith("qxl"):
            status["spice"] = 1
        if vga.get("clipboard"):
            status["clipboard"] = vga["clipboard"]
    return status


def ha_part(world: World, guest: Guest) -> dict[str, Any]:
    """Whether HA manages the guest, and how far its manager has got with it, once it has seen it."""
    if not managed_by_ha(world, guest):
        return {"managed": 0}
    state = world.rows(HaResource)[f"{KINDS[guest.kind].sid}:{guest.vmid}"].crm_state
    return {"managed": 1} if state == "queued" else {"managed": 1, "state": state}


def _settled(world: World, guest: Guest) -> dict[str, Any]:
    """What stays as it is while the guest's record and its node do; kept, for lists are long and asked for again."""
    memo: dict[int, tuple[Guest, dict[str, Any]]] = world.cached("settled parts of guests", (Node,), dict)
    kept = memo.get(guest.vmid)
    if kept is None or kept[0] is not guest:
        special = _container_part(guest) if guest.kind == "lxc" else _machine_part(guest)
        kept = memo[guest.vmid] = (guest, {**_common(world, guest), **_labels(guest), **special})
    return kept[1]


def _common(world: World, guest: Guest) -> dict[str, Any]:
    return {
        "vmid": guest.vmid,
        "name": guest.name,
        "status": guest.status,
        "cpus": maxcpu(world, guest),
        "maxmem": maxmem(guest),
        "maxdisk": maxdisk(guest),
    }


def _labels(guest: Guest) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    if guest.config.get("tags"):
        labels["tags"] = guest.config["tags"]
    if guest.lock:
        labels["lock"] = guest.lock
    if guest.template:
        labels["template"] = 1
    return labels


def _container_part(guest: Guest) -> dict[str, Any]:
    return {"type": "lxc", "swap": 0, "maxswap": int(guest.config.get("swap", DEFAULT_MEMORY)) * MIB}


def _limitless_root(world: World, guest: Guest) -> dict[str, Any]:
    """A running container whose root is a directory without a limit sees the whole storage."""
    for root in disks_of("lxc", {"rootfs": guest.config.get("rootfs", "")}):
        if root.storage and not root.size:
            space = space_of(world, root.storage, guest.node)
            return {"disk": space.used, "maxdisk": space.total}
    return {}


def _machine_part(guest: Guest) -> dict[str, Any]:
    part: dict[str, Any] = {}
    if guest.config.get("balloon"):
        part["balloon_min"] = int(guest.config["balloon"]) * MIB
        part["shares"] = int(guest.config.get("shares", _DEFAULT_SHARES))
    if any(_SERIAL.fullmatch(key) for key in guest.config):
        part["serial"] = 1
    return part


def _process_part(world: World, guest: Guest, figures: GuestFigures) -> dict[str, Any]:
    """What only the running process of a virtual machine tells."""
    cluster = world.get(Cluster, "cluster")
    version = (cluster.release if cluster else Release()).qemu
    major_minor = ".".join(version.split(".")[:2])
    chipset = "q35" if "q35" in str(guest.config.get("machine", "")) else "i440fx"
    part: dict[str, Any] = {
        "running-qemu": version,
        "running-machine": f"pc-{chipset}-{major_minor}+pve0",
        "diskread": figures.diskread,
        "diskwrite": figures.diskwrite,
    }
    nics = [match[1] for key in guest.config if (match := _NET.fullmatch(key))]
    if nics:
        received, sent = _shares(figures.netin, len(nics)), _shares(figures.netout, len(nics))
        part["nics"] = {
            f"tap{guest.vmid}i{number}": {"netin": netin, "netout": netout}
            for number, netin, netout in zip(nics, received, sent, strict=True)
        }
    return part


def _shares(total: int, count: int) -> list[int]:
    """A guest's traffic divided among its interfaces; the parts add up to the whole."""
    share, rest = divmod(total, count)
    return [share + rest, *[share] * (count - 1)]
