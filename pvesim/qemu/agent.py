"""The agent inside a virtual machine: whether it answers, and what.

Texts of the refusals: recorded exchanges `qemu-power/007-012`, `qemu-power/021-023`. The answers have the shapes of the
QEMU guest agent's own protocol, which PVE passes on; what commands print comes from `Behaviour.commands`, files from
`Behaviour.files`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pvesim.access.login import hash_password
from pvesim.core.errors import Failure
from pvesim.core.tasks import Task, effect, set_timer
from pvesim.core.world import World
from pvesim.guests.interfaces import address_entry, interfaces_of
from pvesim.guests.power import halt
from pvesim.guests.records import Guest
from pvesim.guests.rules import agent_enabled, find_guest, is_paused
from pvesim.guests.sizes import maxcpu, maxdisk, maxmem
from pvesim.metrics import guest_figures
from pvesim.qemu.records import AgentSession

_BLOCK = 128 * 1024**2
_VERSION = "9.2.4"
SHADOW = "/etc/shadow"
_WHILE_FROZEN = frozenset(("ping", "info", "get-time", "fsfreeze-status", "fsfreeze-thaw"))


def reachable(world: World, node: str, vmid: int, command: str) -> Guest:
    """The machine whose agent takes a command. Raises `Failure` with what is in the way."""
    guest = find_guest(world, "qemu", node, vmid)
    if not agent_enabled(guest.config):
        raise Failure("No QEMU guest agent configured")
    if not guest.running:
        raise Failure(f"VM {vmid} is not running")
    if not guest.behaviour.agent or is_paused(guest):
        raise Failure("QEMU guest agent is not running")
    if command not in _WHILE_FROZEN and session_of(world, guest).frozen:
        raise refusal(f"Command guest-{command} has been disabled: the command is not allowed")
    return guest


def refusal(reason: str) -> Failure:
    """What PVE makes of an error that the agent answers with."""
    return Failure(f"Agent error: {reason}")


def run_command(world: World, node: str, vmid: int, command: str) -> dict[str, Any]:
    """The agent's answer to a command without arguments, under `result`. Raises `Failure`."""
    return {"result": COMMANDS[command](world, reachable(world, node, vmid, command))}


def session_of(world: World, guest: Guest) -> AgentSession:
    """What the agent remembers; nothing from before the machine's last start."""
    session = world.get(AgentSession, guest.vmid)
    if session is None or session.started != guest.started:
        return AgentSession(guest.vmid, guest.started)
    return session


# -- what the agent knows --------------------------------------------------------------------------------------------


def _nothing(world: World, guest: Guest) -> dict[str, Any]:
    return {}


def _info(world: World, guest: Guest) -> dict[str, Any]:
    names = ["guest-exec", "guest-exec-status", "guest-file-open", "guest-file-read", "guest-file-write"]
    names += [f"guest-{name}" for name in COMMANDS]
    entries = [{"name": name, "enabled": True, "success-response": True} for name in sorted(names)]
    return {"version": _VERSION, "supported_commands": entries}


def _host_name(world: World, guest: Guest) -> dict[str, Any]:
    return {"host-name": guest.name}


def _os_info(world: World, guest: Guest) -> dict[str, Any]:
    if str(guest.config.get("ostype", "")).startswith("w"):
        return {
            "id": "mswindows",
            "name": "Microsoft Windows",
            "pretty-name": "Windows Server 2022 Standard",
            "version": "Microsoft Windows Server 2022",
            "version-id": "2022",
            "kernel-release": "20348",
            "kernel-version": "10.0",
            "machine": "x86_64",
        }
    return {
        "id": "debian",
        "name": "Debian GNU/Linux",
        "pretty-name": "Debian GNU/Linux 13 (trixie)",
        "version": "13 (trixie)",
        "version-id": "13",
        "kernel-release": "6.12.48+deb13-amd64",
        "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1",
        "machine": "x86_64",
    }


def _time(world: World, guest: Guest) -> int:
    return int(world.now * 1_000_000_000)


def _timezone(world: World, guest: Guest) -> dict[str, Any]:
    return {"zone": "UTC", "offset": 0}


def _users(world: World, guest: Guest) -> list[dict[str, Any]]:
    return []


def _vcpus(world: World, guest: Guest) -> list[dict[str, Any]]:
    return [
        {"logical-id": number, "online": True, "can-offline": number > 0} for number in range(int(maxcpu(world, guest)))
    ]


def _memory_blocks(world: World, guest: Guest) -> list[dict[str, Any]]:
    count = -(-maxmem(guest) // _BLOCK)
    return [{"phys-index": number, "online": True, "can-offline": True} for number in range(count)]


def _memory_block_info(world: World, guest: Guest) -> dict[str, Any]:
    return {"size": _BLOCK}


def _file_systems(world: World, guest: Guest) -> list[dict[str, Any]]:
    total = maxdisk(guest)
    used = int(total * guest.behaviour.disk_used)
    return [{"name": "sda1", "mountpoint": "/", "type": "ext4", "total-bytes": total, "used-bytes": used, "disk": []}]


def _interfaces(world: World, guest: Guest) -> list[dict[str, Any]]:
    figures, entries = guest_figures(world, guest), []
    interfaces = list(interfaces_of(guest))
    for place, interface in enumerate(interfaces):
        # Only the first that leads outside carries the machine's traffic.
        received, sent = (figures.netin, figures.netout) if place == 1 else (0, 0)
        addresses = [address_entry(text) for text in interface.addresses]
        statistics = {"rx-bytes": received, "tx-bytes": sent, "rx-packets": received // 800, "tx-packets": sent // 800}
        statistics |= dict.fromkeys(("rx-dropped", "rx-errs", "tx-dropped", "tx-errs"), 0)
        entries.append(
            {
                "name": interface.name,
                "hardware-address": interface.mac,
                "ip-addresses": addresses,
                "statistics": statistics,
            }
        )
    return entries


# -- what the agent does ---------------------------------------------------------------------------------------------


def _freeze_status(world: World, guest: Guest) -> str:
    return "frozen" if session_of(world, guest).frozen else "thawed"


def _freeze(world: World, guest: Guest) -> int:
    return _set_frozen(world, guest, True)


def _thaw(world: World, guest: Guest) -> int:
    return _set_frozen(world, guest, False)


def _set_frozen(world: World, guest: Guest, frozen: bool) -> int:
    """The number of file systems that changed."""
    session = session_of(world, guest)
    world.put(replace(session, frozen=frozen))
    return int(session.frozen is not frozen)


def _trim(world: World, guest: Guest) -> dict[str, Any]:
    return {"paths": [{"path": "/", "trimmed": maxdisk(guest) - int(maxdisk(guest) * guest.behaviour.disk_used)}]}


def _shutdown(world: World, guest: Guest) -> dict[str, Any]:
    due = world.now + guest.behaviour.shutdown_seconds
    set_timer(world, f"agent shutdown/{guest.vmid}", due, "qemu.off_by_itself", guest.vmid, guest.started)
    return {}


@effect("qemu.off_by_itself")
def _off_by_itself(world: World, task: Task | None, vmid: int, started: float) -> None:
    guest = world.get(Guest, vmid)
    if guest is not None and guest.running and guest.started == started:
        halt(world, task, "qemu", vmid)


def _suspend_to_memory(world: World, guest: Guest) -> dict[str, Any]:
    world.put(replace(guest, qmpstatus="suspended"))
    return {}


COMMANDS: Mapping[str, Callable[[World, Guest], Any]] = {
    "ping": _nothing,
    "info": _info,
    "get-host-name": _host_name,
    "get-osinfo": _os_info,
    "get-time": _time,
    "get-timezone": _timezone,
    "get-users": _users,
    "get-vcpus": _vcpus,
    "get-memory-blocks": _memory_blocks,
    "get-memory-block-info": _memory_block_info,
    "get-fsinfo": _file_systems,
    "network-get-interfaces": _interfaces,
    "fsfreeze-status": _freeze_status,
    "fsfreeze-freeze": _freeze,
    "fsfreeze-thaw": _thaw,
    "fstrim": _trim,
    "shutdown": _shutdown,
    "suspend-disk": _shutdown,
    "suspend-ram": _suspend_to_memory,
    "suspend-hybrid": _suspend_to_memory,
}


# -- commands and files ----------------------------------------------------------------------------------------------


def execute(world: World, guest: Guest, command: Sequence[str]) -> int:
    """Run a command line; the process id under which its result is kept. Raises `Failure` for an unknown program."""
    result = guest.behaviour.commands.get(" ".join(command))
    if result is None:
        raise refusal(f"Failed to execute child process “{command[0]}” (No such file or directory)")
    session, pid = session_of(world, guest), world.count(f"agent pid/{guest.vmid}", start=1000)
    world.put(replace(session, finished={**session.finished, pid: result}))
    return pid


def result_of(world: World, guest: Guest, pid: int) -> dict[str, Any]:
    """What a command ended with, told once; nothing of one with `exited: 0`, which never ends.

    Raises `Failure` for a process that the agent does not know.
    """
    session = session_of(world, guest)
    result = session.finished.get(pid)
    if result is None:
        raise refusal(f"PID {pid} does not exist")
    if not result.get("exited", 1):
        return {"exited": 0}
    world.put(replace(session, finished={key: value for key, value in session.finished.items() if key != pid}))
    return {"exited": 1, "exitcode": 0, **result}


def set_password(world: World, guest: Guest, user: str, password: str, crypted: bool) -> None:
    """Give a user inside the guest another password, which its file of passwords then shows hashed."""
    secret = password if crypted else hash_password(world, password)
    line = f"{user}:{secret}:{int(world.now) // 86400}:0:99999:7:::"
    others = [entry for entry in guest.behaviour.files.get(SHADOW, "").splitlines() if not entry.startswith(f"{user}:")]
    write_file(world, guest, SHADOW, "".join(f"{entry}\n" for entry in [*others, line]), True)


def read_file(guest: Guest, file: str, count: int, offset: int, decode: bool) -> dict[str, Any]:
    """A part of a file inside the guest, as text or in base64. Raises `Failure` where there is none."""
    text = guest.behaviour.files.get(file)
    if text is None:
        raise refusal(f"failed to open file '{file}' (mode: 'rb'): No such file or directory")
    raw = text.encode()[offset:]
    part = raw[:count]
    content = part.decode("utf-8", "replace") if decode else base64.b64encode(part).decode()
    return {"content": content, "bytes-read": len(part), **({"truncated": 1} if len(part) < len(raw) else {})}


def write_file(world: World, guest: Guest, file: str, content: str, encode: bool) -> None:
    """Make or replace a file inside the guest; `encode` says that the content is text, not base64. Raises `Failure`."""
    if not encode:
        try:
            content = base64.b64decode(content, validate=True).decode("utf-8", "replace")
        except ValueError:
            raise refusal("Base64 string can not be decoded") from None
    files = {**guest.behaviour.files, file: content}
    world.put(replace(guest, behaviour=replace(guest.behaviour, files=files)))
