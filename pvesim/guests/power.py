"""Starting and stopping guests: what virtual machines and containers have in common.

A power action is a task whose steps are effects; `run` starts one by name, for the API, for HA and for whoever acts on
guests. What a kind of guest does of its own is in `pvesim.qemu.power` and `pvesim.lxc.power`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pvesim.access.rules import Identity, has_privileges
from pvesim.core.errors import Failure
from pvesim.core.tasks import Step, Task, Timer, abort_task, effect, start_task
from pvesim.core.world import World
from pvesim.guests.kinds import KINDS
from pvesim.guests.locks import UNLOCK, start_locked
from pvesim.guests.records import Guest, Kind
from pvesim.guests.rules import find_guest, managed_by_ha, read_options
from pvesim.ha.rules import request_state
from pvesim.routing import Call
from pvesim.storage.volumes import free, volume_of

STOP_SECONDS = 0.4
KILL_SECONDS = 1.0
DEFAULT_TIMEOUT = 60.0  # seconds that a shutdown may take
_LONGEST = 10 * 365 * 86400.0  # seconds; a longer limit is none

_SUFFIX = {"suspend": {"qemu": "pause", "lxc": "suspend"}, "suspend_to_disk": {"qemu": "suspend", "lxc": "suspend"}}
_RESUME_KEYS = frozenset(("lock", "vmstate", "runningmachine", "runningcpu"))


def task_type(kind: Kind, action: str) -> str:
    """The type of an action's task, such as `qmstart`, `vzshutdown`, `qmpause`."""
    return KINDS[kind].task + _SUFFIX.get(action, {}).get(kind, action)


def run(
    world: World, kind: Kind, node: str, action: str, vmid: int, user: str, *arguments: Any, overrule: bool = False
) -> str:
    """Start the task of a power action; the UPID.

    | action | arguments, all of them optional |
    | --- | --- |
    | start, stop | skiplock |
    | shutdown | skiplock, timeout in seconds (None for the default), whether to force it in the end |
    | reboot | timeout |
    | suspend, resume, and reset of a virtual machine | skiplock (of virtual machines) |
    | suspend_to_disk of a virtual machine | skiplock, storage |

    `overrule` first ends the shutdowns of the guest that still wait.
    """
    steps = [Step(effect=f"{kind}.{action}", arguments=(vmid, *arguments))]
    type = task_type(kind, action)
    if overrule and (log := _overrule_shutdowns(world, kind, node, vmid, user)):
        steps.insert(0, Step(log=log))
    cleanup = "qemu.suspend_over" if action == "suspend_to_disk" else UNLOCK
    return start_locked(world, kind, node, type, vmid, user, steps, cleanup)


def run_or_ask_ha(
    call: Call, kind: Kind, action: str, guest: Guest | None, *arguments: Any, overrule: bool = False
) -> str:
    """The same for a request; where HA manages the guest, the task only asks it to start or stop the guest."""
    if guest is not None and managed_by_ha(call.world, guest):
        return ask_ha(call.world, guest, "start" if action == "start" else "stop", call.identity.name)
    vmid = call.params["vmid"]
    return run(call.world, kind, call.node, action, vmid, call.identity.name, *arguments, overrule=overrule)


def ask_ha(world: World, guest: Guest, what: Literal["start", "stop"], user: str) -> str:
    """Start the task that only asks HA to start or stop a guest; the UPID."""
    facts = KINDS[guest.kind]
    log = (f"Requesting HA {what} for {facts.word} {guest.vmid}",)
    step = Step(0.3, log, "guests.ask_ha", (f"{facts.sid}:{guest.vmid}", "started" if what == "start" else "stopped"))
    return start_task(world, guest.node, f"ha{what}", guest.vmid, user, [step])


def _overrule_shutdowns(world: World, kind: Kind, node: str, vmid: int, user: str) -> tuple[str, ...]:
    """Abort the shutdowns that wait for the guest: all of them for who may `Sys.Modify` the node, else one's own."""
    userid, _, tokenid = user.partition("!")
    any_user = has_privileges(world, Identity(userid, tokenid or None), "/", ("Sys.Modify",))
    type = task_type(kind, "shutdown")
    ended: list[str] = []
    for name in list(world.rows(Timer)):
        task = world.get(Task, name)
        if task is None or (task.node, task.type, task.id) != (node, type, str(vmid)):
            continue
        if any_user or task.user == userid:
            abort_task(world, task.upid)
            ended.append(task.upid)
    return (f"overruled {type} tasks: {', '.join(ended)}",) if ended else ()


def time_limit(guest: Guest, timeout: float | None) -> float:
    """How many seconds a shutdown may take: as asked, else the `down` of the guest's startup options, else a minute."""
    down = read_options(str(guest.config.get("startup", "")), "order").get("down")
    asked = timeout if timeout is not None else int(down) if down else DEFAULT_TIMEOUT
    return float(min(asked, _LONGEST))


def waits_for_shutdown(guest: Guest, heeds: bool, limit: float) -> bool:
    """Whether a guest that was asked to shut down is off within the limit."""
    return heeds and guest.behaviour.shutdown_seconds <= limit


def halt_step(kind: Kind, vmid: int, after: float) -> Step:
    """The step after which a guest is off."""
    return Step(after, effect="guests.halt", arguments=(kind, vmid))


def boot_steps(kind: Kind, vmid: int, after: float) -> list[Step]:
    """The steps that start a guest: pending changes come true, what it needs is looked for, it runs."""
    return [
        Step(effect="guests.apply_pending", arguments=(kind, vmid)),
        Step(effect=f"{kind}.prepare", arguments=(vmid,)),
        Step(after, effect="guests.boot", arguments=(kind, vmid)),
    ]


def failing(text: str, after: float = 0.0, log: tuple[str, ...] = ()) -> Step:
    """A step that ends its task with an error."""
    return Step(after, log, "guests.fail", (text,))


@effect("guests.fail")
def _fail(world: World, task: Task, text: str) -> None:
    raise Failure(text)


@effect("guests.boot")
def boot(world: World, task: Task | None, kind: Kind, vmid: int) -> None:
    """The guest runs from now on. A memory state that it was resumed from is gone."""
    guest = world.rows(Guest)[vmid]
    config: Mapping[str, Any] = guest.config
    if guest.lock == "suspended":
        if config.get("vmstate"):
            drop_volume(world, guest.node, str(config["vmstate"]))
        config = {key: value for key, value in config.items() if key not in _RESUME_KEYS}
    pid = world.count(f"pid/{guest.node}", 1 + world.random_int(2, 40), start=1000)
    world.put(replace(guest, config=config, status="running", qmpstatus="running", started=world.now, pid=pid))


@effect("guests.halt")
def halt(world: World, task: Task | None, kind: Kind, vmid: int) -> None:
    """The guest is off."""
    guest = world.rows(Guest)[vmid]
    world.put(replace(guest, status="stopped", qmpstatus="stopped", started=0.0, pid=None))


def drop_volume(world: World, node: str, volid: str) -> None:
    """Remove a volume of a guest, if it is still there."""
    volume = volume_of(world, node, volid)
    if volume is not None:
        free(world, volume)


@effect("guests.ask_ha")
def _ask_ha(world: World, task: Task, sid: str, state: str) -> None:
    request_state(world, sid, state)


def require_running(guest: Guest | None, kind: Kind, vmid: int, word: str | None = None) -> Guest:
    """The guest if it runs. Raises `Failure` as PVE refuses an action that makes no sense on a guest that is off."""
    if guest is None or not guest.running:
        raise Failure(f"{word or KINDS[kind].word} {vmid} not running")
    return guest


def found(world: World, task: Task, kind: Kind, vmid: int) -> Guest:
    """The guest that a task is about, on the task's node. Raises `Failure`."""
    return find_guest(world, kind, task.node, vmid)
