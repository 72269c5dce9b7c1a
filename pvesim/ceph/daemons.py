"""Making, removing, starting and stopping the daemons of Ceph: monitors, managers, metadata servers and OSDs.

Source: `/nodes/{node}/ceph/{mon,mgr,mds,osd,start,stop,restart}`.
"""

from __future__ import annotations

from dataclasses import replace

from pvesim.ceph.cluster import COPIES, Ceph, Daemon, Osd, find_ceph, find_osd, local_storages
from pvesim.ceph.records import CephDaemon, CephOsd, CephState, Kind
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, effect
from pvesim.core.world import World
from pvesim.nodes.disk_making import check_unused
from pvesim.nodes.records import Disk
from pvesim.storage.records import Space

NAMES: dict[Kind, str] = {"mon": "monitor", "mgr": "manager", "mds": "metadata server"}
_FOLDER = "/var/lib/ceph/{kind}/ceph-{id}"


def settle(world: World, node: str) -> Ceph:
    """Record the daemons and OSDs as they are, so that they can be changed one by one. Raises `Failure`."""
    ceph = find_ceph(world, node)
    if not ceph.state.settled:
        for daemon in ceph.daemons:
            world.put(CephDaemon(daemon.kind, daemon.id, daemon.node.name))
        for osd in ceph.osds:
            world.put(CephOsd(osd.id, osd.node.name, osd.size))
        world.put(replace(ceph.state, settled=True))
    return find_ceph(world, node)


# -- monitors, managers, metadata servers ------------------------------------------------------------------------------


def making_steps(ceph: Ceph, kind: Kind, node: str, id: str) -> list[Step]:
    """The task that makes a daemon. Raises `Failure` for a monitor that is there; others show it in the task."""
    if kind == "mon":
        if any(daemon.id == id for daemon in ceph.of(kind)):
            raise Failure(f"monitor '{id}' already exists")
        address = next(each.ip for each in ceph.nodes if each.name == node)
        if any(daemon.node.name == node for daemon in ceph.of(kind)):
            raise Failure(f"monitor address '{address}' already in use")
    log = (f"creating {NAMES[kind]} '{id}'",)
    return [Step(log=log), Step(after=1.0, effect="ceph.make_daemon", arguments=(kind, node, id))]


@effect("ceph.make_daemon")
def make_daemon(world: World, task: Task | None, kind: Kind, node: str, id: str) -> None:
    """Put a new daemon to work. Raises `Failure` for one that is there."""
    ceph = settle(world, node)
    if any(daemon.id == id for daemon in ceph.of(kind)):
        raise Failure(f"ceph {NAMES[kind]} directory '{_FOLDER.format(kind=kind, id=id)}' already exists")
    world.put(CephDaemon(kind, id, node))


def removal_steps(ceph: Ceph, kind: Kind, node: str, id: str) -> list[Step]:
    """The task that removes a daemon. Raises `Failure` for a monitor that cannot go."""
    if kind == "mon":
        if all(daemon.id != id for daemon in ceph.of(kind)):
            raise Failure(f"no such monitor id '{id}'")
        if not _is_on(ceph, kind, node, id):
            raise Failure(f"monitor filesystem '{_FOLDER.format(kind=kind, id=id)}' does not exist on this node")
        if len(ceph.of(kind)) < 2:
            raise Failure("can't remove last monitor")
    log = (f"destroying {NAMES[kind]} '{id}'",)
    return [Step(log=log), Step(after=1.0, effect="ceph.remove_daemon", arguments=(kind, node, id))]


@effect("ceph.remove_daemon")
def remove_daemon(world: World, task: Task | None, kind: Kind, node: str, id: str) -> None:
    """Take a daemon away. Raises `Failure` for one that the node does not have."""
    if not _is_on(settle(world, node), kind, node, id):
        raise Failure(f"ceph {NAMES[kind]} directory '{_FOLDER.format(kind=kind, id=id)}' not found")
    world.remove(CephDaemon, (kind, id))


def _is_on(ceph: Ceph, kind: Kind, node: str, id: str) -> bool:
    return any((daemon.id, daemon.node.name) == (id, node) for daemon in ceph.of(kind))


# -- services ----------------------------------------------------------------------------------------------------------


def service_steps(ceph: Ceph, node: str, service: str, command: str) -> list[Step]:
    """The task that starts, stops or restarts services of a node: one, those of a kind, or all (`ceph`)."""
    kind, _, id = service.partition(".")
    failing = id and kind != "ceph" and not _matching(ceph, node, kind, id)
    if failing:
        text = f"command '/bin/systemctl {command} ceph-{kind}@{id}' failed: exit code 5"
        return [Step(after=0.2, effect="tasks.fail", arguments=(text,))]
    steps = []
    if command != "start":
        steps.append(Step(after=0.5, effect="ceph.run_services", arguments=(node, kind, id, False)))
    if command != "stop":
        steps.append(Step(after=0.5, effect="ceph.run_services", arguments=(node, kind, id, True)))
    return steps


def _matching(ceph: Ceph, node: str, kind: str, id: str) -> list[Daemon | Osd]:
    """The services of a node that a name means."""
    here: list[tuple[str, Daemon | Osd]] = [(daemon.kind, daemon) for daemon in ceph.daemons]
    here += [("osd", osd) for osd in ceph.osds]
    wanted = "" if kind == "ceph" else id
    return [
        each for own, each in here if each.node.name == node and kind in ("ceph", own) and wanted in ("", str(each.id))
    ]


@effect("ceph.run_services")
def run_services(world: World, task: Task | None, node: str, kind: str, id: str, running: bool) -> None:
    """Start or stop services."""
    for each in _matching(settle(world, node), node, kind, id):
        if isinstance(each, Osd):
            world.put(replace(world.rows(CephOsd)[each.id], running=running))
        else:
            world.put(replace(world.rows(CephDaemon)[each.kind, each.id], running=running))


# -- OSDs --------------------------------------------------------------------------------------------------------------


def osd_steps(world: World, node: str, path: str) -> list[Step]:
    """The task that makes an OSD of an unused disk. Raises `Failure` for another."""
    find_ceph(world, node)
    check_unused(world, node, [path])
    log = (f"create OSD on {path} (bluestore)",)
    return [Step(log=log), Step(after=2.0, effect="ceph.make_osd", arguments=(node, path))]


@effect("ceph.make_osd")
def make_osd(world: World, task: Task | None, node: str, path: str) -> None:
    """Use a disk up; the storages on the cluster grow by what it brings."""
    (disk,) = check_unused(world, node, [path])
    taken = {osd.id for osd in settle(world, node).osds}
    number = next(number for number in range(len(taken) + 1) if number not in taken)
    world.put(CephOsd(number, node, disk.size, disk.name))
    world.put(replace(disk, gpt=False, label="LVM"))
    _mark_in(world, number)
    _grow(world, disk.size)


def osd_removal_steps(ceph: Ceph, node: str, number: int, cleanup: bool) -> list[Step]:
    """The task that destroys an OSD. Raises `Failure` while it is in or up, and for one of another node."""
    osd = find_osd(ceph, number)
    if osd.node.name != node:
        raise Failure(f"OSD osd.{number} does not exists on host '{node}'")
    if osd.is_in:
        raise Failure("osd is in use (in == 1)")
    if osd.up:
        raise Failure("osd is still running (up == 1)")
    log = (f"destroy OSD osd.{number}", f"Remove osd.{number} from the CRUSH map")
    return [Step(log=log), Step(after=1.0, effect="ceph.remove_osd", arguments=(node, number, cleanup))]


@effect("ceph.remove_osd")
def remove_osd(world: World, task: Task | None, node: str, number: int, cleanup: bool) -> None:
    """Take an OSD out of the cluster, which shrinks; its disk is empty after a cleanup."""
    osd = find_osd(settle(world, node), number)
    world.remove(CephOsd, number)
    _mark_in(world, number)
    disk = world.get(Disk, (node, osd.device))
    if disk is not None and cleanup:
        world.put(replace(disk, gpt=False, label=""))
    _grow(world, -osd.size)


def _mark_in(world: World, number: int) -> None:
    state = world.rows(CephState)["ceph"]
    world.put(replace(state, out=tuple(each for each in state.out if each != number)))


def _grow(world: World, raw: int) -> None:
    """Give the storages on the cluster so much more room, or less."""
    names = {storage.storage for storage in local_storages(world)}
    for space in [row for row in world.rows(Space).values() if row.storage in names]:
        world.put(replace(space, total=max(0, space.total + raw // COPIES)))
