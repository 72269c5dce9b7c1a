"""Lifecycle: start and stop guests."""

from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument, ProxmoxError, WrongState
from proxmox_mcp.locate import Guest, Kind
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.preview import preview_of
from proxmox_mcp.tasks import TaskResult, parse_upid
from proxmox_mcp.tooling import Arguments, Call, NodeName, Risk, Toolset, Vmid, WaitSeconds
from proxmox_mcp.tools.guests import read_status

lifecycle = Toolset("lifecycle", "Start and stop guests")


class PowerResult(TaskResult):
    """A power action: its task, and the guest's state before and after; `after` is left out while the task runs."""

    vmid: int
    action: str
    before: str
    after: str | None = None
    note: str | None = None


VmAction = Literal["start", "stop", "reboot", "shutdown", "reset", "suspend", "resume"]
ContainerAction = Literal["start", "stop", "reboot", "shutdown", "suspend", "resume"]
TimeoutSeconds = Annotated[int, Field(ge=0, le=3600, description="shutdown, reboot: how long the guest may take")]
Force = Annotated[
    bool, Field(description="shutdown: stop it when the time is over; stop: break off a shutdown that still waits")
]


# What ends, or holds up, what a guest is doing. A resume or a start interrupts nothing.
_INTERRUPTING: dict[str, str] = {
    "stop": "Pull the plug: what the guest has not saved is lost.",
    "reset": "Press reset: what the guest has not saved is lost.",
    "shutdown": "Shut it down; it answers no one until it is started again.",
    "reboot": "Restart it; it answers no one meanwhile.",
    "suspend": "Pause it; it answers no one until it is resumed.",
}


def _interrupts(arguments: Arguments) -> bool:
    return arguments["action"] in _INTERRUPTING


async def _preview(
    call: Call,
    kind: Kind,
    vmid: int,
    action: VmAction,
    node: str | None,
    timeout_seconds: int | None,
    force: bool,
) -> Preview:
    _parameters(action, timeout_seconds, force)
    guest = await call.guests.find(vmid, node, kind, check=True)
    if refusal := _refusal(kind, vmid, action, await read_status(call, guest), force):
        raise refusal
    forced = " When it takes too long, its plug is pulled." if action == "shutdown" and force else ""
    return await preview_of(call, guest, _INTERRUPTING.get(action, f"{action.capitalize()} it.") + forced)


async def _preview_vm(
    call: Call,
    vmid: int,
    action: VmAction,
    node: str | None = None,
    timeout_seconds: int | None = None,
    force: bool = False,
) -> Preview:
    return await _preview(call, "qemu", vmid, action, node, timeout_seconds, force)


async def _preview_container(
    call: Call,
    vmid: int,
    action: ContainerAction,
    node: str | None = None,
    timeout_seconds: int | None = None,
    force: bool = False,
) -> Preview:
    return await _preview(call, "lxc", vmid, action, node, timeout_seconds, force)


@lifecycle.tool(
    risk=Risk.OPERATE, title="Start or stop a VM", destructive=True, preview=_preview_vm, interrupts=_interrupts
)
async def manage_vm(
    call: Call,
    vmid: Vmid,
    action: VmAction,
    node: NodeName | None = None,
    wait_seconds: WaitSeconds = 0,
    timeout_seconds: TimeoutSeconds | None = None,
    force: Force = False,
) -> PowerResult:
    """Start, stop, pause or restart a VM. stop and reset pull the plug; shutdown and reboot ask the guest."""
    return await _act(call, "qemu", vmid, action, node, wait_seconds, timeout_seconds, force)


@lifecycle.tool(
    risk=Risk.OPERATE,
    title="Start or stop a container",
    destructive=True,
    preview=_preview_container,
    interrupts=_interrupts,
)
async def manage_lxc_container(
    call: Call,
    vmid: Vmid,
    action: ContainerAction,
    node: NodeName | None = None,
    wait_seconds: WaitSeconds = 0,
    timeout_seconds: TimeoutSeconds | None = None,
    force: Force = False,
) -> PowerResult:
    """Start, stop or restart a container. stop kills what runs in it; shutdown and reboot let it end its work."""
    return await _act(call, "lxc", vmid, action, node, wait_seconds, timeout_seconds, force)


async def _act(
    call: Call,
    kind: Kind,
    vmid: int,
    action: VmAction,
    node: str | None,
    wait_seconds: int,
    timeout_seconds: int | None,
    force: bool,
) -> PowerResult:
    params = _parameters(action, timeout_seconds, force)
    guest = await call.guests.find(vmid, node, kind)
    record = await read_status(call, guest)
    before = _state(record)
    if refusal := _refusal(kind, vmid, action, record, force):
        raise refusal
    upid = await call.pve.post(f"{guest.path}/status/{action}", **params)
    task = await call.tasks.follow(upid, wait_seconds, call.report)
    after, note = await _outcome(call, guest, task)
    return PowerResult(**dict(task), vmid=vmid, action=action, before=before, after=after, note=note)


def _parameters(action: VmAction, timeout_seconds: int | None, force: bool) -> dict[str, Any]:
    """PVE's parameters of an action; what would be ignored is refused, for it was meant to do something."""
    if timeout_seconds is not None and action not in ("shutdown", "reboot"):
        raise InvalidArgument(f"timeout_seconds says nothing about {action}.", "Give it with shutdown or reboot only.")
    if force and action not in ("shutdown", "stop"):
        raise InvalidArgument(f"force says nothing about {action}.", "Give it with shutdown or stop only.")
    params: dict[str, Any] = {"timeout": timeout_seconds}
    if force:
        params["forceStop" if action == "shutdown" else "overrule-shutdown"] = True
    return params


def _state(record: dict[str, Any]) -> str:
    """`running`, `stopped`, or what QEMU calls it: a paused VM is `running` to PVE, and `paused` to QEMU."""
    status = str(record.get("status", "unknown"))
    return str(record.get("qmpstatus") or status) if status == "running" else status


# What cannot be, by action and state: what to say of the guest, and what to do.
_SENSELESS: dict[tuple[str, str], tuple[str, str]] = {
    ("start", "running"): ("is running already", "Nothing is left to do; reboot restarts it."),
    ("start", "paused"): ("is paused, which means that it was started", "Let it go on with action resume."),
    ("stop", "stopped"): ("is stopped already", "Nothing is left to do."),
    ("shutdown", "stopped"): ("is stopped already", "Nothing is left to do."),
    ("reboot", "stopped"): ("is stopped, so it cannot be restarted", "Start it with action start."),
    ("reset", "stopped"): ("is stopped, so it cannot be reset", "Start it with action start."),
    ("suspend", "stopped"): ("is stopped, so it cannot be suspended", "Nothing is left to do."),
    ("suspend", "paused"): ("is paused already", "Nothing is left to do; resume lets it go on."),
    ("resume", "stopped"): ("is stopped, not paused", "Start it with action start."),
    ("resume", "running"): ("is running, not paused", "Nothing is left to do."),
    ("shutdown", "paused"): (
        "is paused, so it cannot heed a shutdown",
        "Let it go on with action resume first, or end it with action stop.",
    ),
    ("reboot", "paused"): (
        "is paused, so it cannot heed a reboot",
        "Let it go on with action resume first, or use action reset.",
    ),
}


def _refusal(kind: Kind, vmid: int, action: VmAction, record: dict[str, Any], force: bool) -> WrongState | None:
    """Why the action makes no sense in the present state, if so.

    PVE tells some of this only in the task's log, and lets a VM that is stopped be stopped again without a word. It is
    left to PVE where more than the state decides: a lock, high availability, a container that was suspended.
    """
    name = f"{'VM' if kind == 'qemu' else 'Container'} {vmid}" + (f" ({record['name']})" if record.get("name") else "")
    if record.get("template"):
        return WrongState(f"{name} is a template, so it cannot be run.", "Clone it, and start the clone.")
    state = _state(record)
    left_to_pve = (
        record.get("lock")
        or (record.get("ha") or {}).get("managed")
        or (kind == "lxc" and (action, state) == ("resume", "stopped"))
        or (force and (action, state) == ("shutdown", "paused"))
    )
    if left_to_pve or (action, state) not in _SENSELESS:
        return None
    what, advice = _SENSELESS[action, state]
    return WrongState(f"{name} {what}.", advice)


async def _outcome(call: Call, guest: Guest, task: TaskResult) -> tuple[str | None, str | None]:
    """The guest's state after the task, and what must be known beside it."""
    if task.state == "running":
        return None, "The task still runs: follow it with wait_for_task."
    try:
        after = _state(await read_status(call, guest))
    except ProxmoxError as error:
        # The action was carried out: that its effect cannot be read does not make a failure of it.
        return None, f"The state after it could not be read: {error.what}"
    if parse_upid(task.upid).type.startswith("ha"):
        return after, "The guest is under high availability: its manager was asked, and may still be at it. Look again."
    return after, None
